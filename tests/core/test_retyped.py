"""A note that has another notetype on each side: its fields and cards are those of the type that stands."""

from __future__ import annotations

import pytest
from core import model
from core.cases import BASE, LATER, after, equal
from core.model import SEP, sync

from usbsync.core.changes import Table
from usbsync.core.conflict import Policy, Settlement, Side

DESKTOP, PHONE = Side.DESKTOP, Side.PHONE


def typed(mid: int, *fields: str, mod: int = LATER, nid: int = 1000, **more):
    """Return a note as it is with another notetype."""
    row = model.note(BASE, nid, mid, list(fields))._replace(mod=mod, **more)
    return model.derived(BASE, row)


WIDE = typed(102, "n1000f0", "n1000f1", "example", mod=LATER + 1, tags=" t1 ")  # its third field has a text
NARROW = typed(101, "n1000f0", "new back", mod=LATER, tags=" t1 ")


def made(*rows, **more):
    return after(*rows, *([model.card(2100, 1000, 10, 1)] if rows[0].mid == 101 else []), **more)


@pytest.mark.parametrize("wide", Side)
@pytest.mark.parametrize("stands", Side)
def test_what_has_no_place_in_the_type_that_stands_is_reported(wide, stands):
    sides = {wide: made(WIDE), wide.other: made(NARROW)}
    merged = sync(BASE, sides[DESKTOP], sides[PHONE], Settlement(Policy(stands)))
    note = equal(merged)[Table.NOTES][1000]
    told = {c.unit: (c.ancestor, c.desktop, c.phone, c.chosen) for c in merged.conflicts if c.kind == "notes"}
    values = {wide: "102", wide.other: "101"}
    assert told.pop("notetype") == ("100", values[DESKTOP], values[PHONE], stands)
    if stands is wide:
        assert (note.mid, note.flds) == (102, SEP.join(["n1000f0", "new back", "example"]))
        assert not told
    else:
        assert (note.mid, note.flds) == (101, SEP.join(["n1000f0", "new back"]))
        lost = {wide: "example", wide.other: None}
        assert told == {"field 3": (None, lost[DESKTOP], lost[PHONE], stands)}


@pytest.mark.parametrize("wide", Side)
def test_an_empty_field_without_a_place_is_no_loss(wide):
    sides = {wide: made(WIDE._replace(flds=SEP.join(["n1000f0", "n1000f1", ""]))), wide.other: made(NARROW)}
    merged = sync(BASE, sides[DESKTOP], sides[PHONE], Settlement(Policy(wide.other)))
    assert [c.unit for c in merged.conflicts if c.kind == "notes"] == ["notetype"]


@pytest.mark.parametrize("wide", Side)
def test_a_text_that_was_there_before_and_has_no_place_is_no_loss(wide):
    """Note 1002 had three fields; one side gave it a type of two, the other another of two."""
    sides = {wide: made(typed(100, "n1002f0", "n1002f1", nid=1002, mod=LATER + 1)),
             wide.other: made(typed(101, "n1002f0", "n1002f1", nid=1002))}  # fmt: skip
    merged = sync(BASE, sides[DESKTOP], sides[PHONE])
    assert equal(merged)[Table.NOTES][1002].flds == SEP.join(["n1002f0", "n1002f1"])
    assert [c.unit for c in merged.conflicts if c.kind == "notes"] == ["notetype"]


@pytest.mark.parametrize("wide", Side)
def test_both_made_a_note_and_gave_it_a_type_each(wide):
    """Of one import, and one changed the type since: nothing is known of a common past."""
    card = model.card(5000, 500, 1)
    new = model.note(BASE, 500, 100, ["one", "two"], guid="s500")
    other = typed(102, "one", "zwei", "drei", nid=500, guid="s500", mod=LATER + 5)
    sides = {wide: after(other, card), wide.other: after(new, card)}
    merged = sync(BASE, sides[DESKTOP], sides[PHONE])
    note = equal(merged)[Table.NOTES][500]
    assert (note.mid, note.flds) == (102, SEP.join(["one", "zwei", "drei"]))
    assert {c.unit for c in merged.conflicts if c.kind == "notes"} == {"notetype", "Meaning"}


@pytest.mark.parametrize("tagged", Side)
def test_tags_of_both_stay_whatever_the_type(tagged):
    rows = {tagged: WIDE._replace(tags=" t1 t2 "), tagged.other: NARROW}
    world = equal(sync(BASE, made(rows[DESKTOP]), made(rows[PHONE])))
    assert world[Table.NOTES][1000].tags == " t1 t2 "


@pytest.mark.parametrize("wide", Side)
def test_a_tag_that_one_side_took_away_is_gone_whoevers_type_stands(wide):
    """Tags are no fields: they have no place to be fitted into."""
    untagged = NARROW._replace(tags="")
    for policy in (Policy.DESKTOP, Policy.PHONE):
        sides = {wide: made(WIDE), wide.other: made(untagged)}
        merged = sync(BASE, sides[DESKTOP], sides[PHONE], Settlement(policy))
        assert equal(merged)[Table.NOTES][1000].tags == ""
        added = {wide: made(WIDE._replace(tags=" new t1 ")), wide.other: made(NARROW)}
        merged = sync(BASE, added[DESKTOP], added[PHONE], Settlement(policy))
        assert equal(merged)[Table.NOTES][1000].tags == " new t1 "
        assert {c.unit for c in merged.conflicts if c.kind == "notes"} <= {"notetype", "field 3"}


# --- fields that changed places with the type ---------------------------------------------------------


def retyped_to(mid, *fields, **more):
    """Return a side's rows on which note 1000 has another notetype; 101 and 102 have as many cards as it takes."""
    return made(typed(mid, *fields, **more))


@pytest.mark.parametrize("stands", Side)
def test_fields_that_only_the_type_that_gives_way_had_in_another_place_stay_and_are_reported(stands):
    sides = {
        stands: retyped_to(102, "n1000f0", "n1000f1", "", mod=LATER + 1, tags=" t1 "),
        stands.other: retyped_to(101, "n1000f1", "n1000f0", tags=" t1 "),
    }
    merged = sync(BASE, sides[DESKTOP], sides[PHONE])
    assert equal(merged)[Table.NOTES][1000].flds == SEP.join(["n1000f0", "n1000f1", ""])
    told = {c.unit: c for c in merged.conflicts if c.kind == "notes"}
    assert told.keys() == {"notetype", "Word", "Meaning"}
    for unit, texts in (("Word", ("n1000f0", "n1000f1")), ("Meaning", ("n1000f1", "n1000f0"))):
        shown = dict(zip((stands, stands.other), texts, strict=True))
        assert (told[unit].desktop, told[unit].phone) == (shown[DESKTOP], shown[PHONE])
        assert (told[unit].chosen, told[unit].ancestor) == (stands, texts[0])
        assert told[unit].reason == "it had that place in the notetype that does not stand"
    answers = {told["Word"].where: stands.other}
    taken = sync(BASE, sides[DESKTOP], sides[PHONE], Settlement(answers=answers))
    assert equal(taken)[Table.NOTES][1000].flds == SEP.join(["n1000f1", "n1000f1", ""])


@pytest.mark.parametrize("stands", Side)
def test_a_text_that_the_type_that_gives_way_had_no_place_for_stays_and_is_reported(stands):
    sides = {
        stands: retyped_to(102, "n1000f0", "n1000f1", "", mod=LATER + 1, tags=" t1 "),
        stands.other: retyped_to(101, "n1000f0", "", tags=" t1 "),
    }
    merged = sync(BASE, sides[DESKTOP], sides[PHONE])
    assert equal(merged)[Table.NOTES][1000].flds == SEP.join(["n1000f0", "n1000f1", ""])
    assert {c.unit for c in merged.conflicts if c.kind == "notes"} == {"notetype", "Meaning"}


@pytest.mark.parametrize("retyped", Side)
def test_what_the_other_side_wrote_follows_a_field_to_its_place_in_the_new_type(retyped):
    for later in (0, 9):
        sides = {
            retyped: retyped_to(102, "n1000f1", "", "n1000f0", tags=" t1 "),
            retyped.other: made(typed(100, "written", "n1000f1", mod=LATER + later, tags=" t1 ")),
        }
        merged = sync(BASE, sides[DESKTOP], sides[PHONE])
        note = equal(merged)[Table.NOTES][1000]
        assert (note.mid, note.flds) == (102, SEP.join(["n1000f1", "", "written"]))
        assert not merged.conflicts


@pytest.mark.parametrize("retyped", Side)
def test_what_the_other_side_wrote_in_a_field_that_gave_its_place_to_another_is_reported(retyped):
    sides = {
        retyped: retyped_to(101, "n1000f1", "new", tags=" t1 "),
        retyped.other: made(typed(100, "written", "n1000f1", tags=" t1 ")),
    }
    merged = sync(BASE, sides[DESKTOP], sides[PHONE])
    assert equal(merged)[Table.NOTES][1000].flds == SEP.join(["n1000f1", "new"])
    (conflict,) = merged.conflicts
    assert (conflict.unit, conflict.ancestor, conflict.chosen) == ("field 1", "n1000f0", retyped)
    assert "written" in {conflict.desktop, conflict.phone}


@pytest.mark.parametrize("retyped", Side)
def test_fields_with_one_text_are_not_told_apart_and_keep_their_places(retyped):
    base = after(BASE[Table.NOTES][1000]._replace(flds=SEP.join(["same", "same"]), derived="same"))
    sides = {
        retyped: made(typed(102, "same", "same", "x", tags=" t1 "), base=base),
        retyped.other: made(typed(100, "same", "written", tags=" t1 "), base=base),
    }
    merged = sync(base, sides[DESKTOP], sides[PHONE])
    assert equal(merged)[Table.NOTES][1000].flds == SEP.join(["same", "written", "x"])
