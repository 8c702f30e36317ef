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
