"""Notetypes whose fields or templates were added, removed or moved, and what follows them."""

from __future__ import annotations

import pytest
from anki import notetypes_pb2
from core import model
from core.cases import BASE, LATER, after, both_ways, equal, note
from core.model import SEP, sync

from usbsync.core import wire
from usbsync.core.changes import Grave, Table, Tag
from usbsync.core.conflict import Logic, Settlement, Side
from usbsync.core.notetypes import akin, differ


def basic(fields=("Front", "Back"), templates=("Card 1",), **values):
    return model.notetype(100, "Basic", list(fields), list(templates), mtime=LATER, **values)


def reversed_(row):
    """Let the first two templates of a notetype change places."""
    one, two, *rest = row.templates
    return row._replace(templates=(two, one, *rest), mtime=LATER)


def names(parts):
    return [part.name for part in parts]


def test_a_field_removed_here_leaves_a_note_that_was_tagged_there_without_it():
    shrunk = basic(["Front"])
    notes = [n._replace(flds=n.flds.split(SEP)[0]) for n in BASE[Table.NOTES].values() if n.mid == 100]
    for one, other in both_ways([shrunk, *notes], [note(1000, tags="")]):
        world = equal(sync(BASE, after(*one), after(*other)))
        assert (world[Table.NOTES][1000].flds, world[Table.NOTES][1000].tags) == ("n1000f0", "")


def test_a_card_made_there_for_a_new_template_goes_where_the_note_got_another_notetype_here():
    """Only this side touched the note; the card that the other side made is the old notetype's."""
    other_type = BASE[Table.NOTES][1000]._replace(
        mid=102, flds=SEP.join(["a", "b", "c"]), derived="b", mod=LATER
    )
    grown = [
        basic(templates=["Card 1", "Card 2"]),
        model.card(2100, 1000, 10, 1),
        model.card(2101, 1003, 14, 1),
    ]
    for one, other in both_ways([other_type], grown):
        world = equal(sync(BASE, after(*one), after(*other)))
        assert world[Table.NOTES][1000] == other_type
        assert 2100 not in world[Table.CARDS]
        assert 2101 in world[Table.CARDS]


def test_a_card_stays_in_its_place_where_its_note_left_the_notetype_whose_templates_moved():
    swapped = [reversed_(BASE[Table.NOTETYPES][101])]
    swapped += [
        c._replace(ord=1 - c.ord, mod=LATER) for c in BASE[Table.CARDS].values() if c.nid in {1001, 1004}
    ]
    left = after(BASE[Table.NOTES][1001]._replace(mid=100, mod=LATER), gone=[(Table.CARDS, 2002)])
    for sides in ((after(*swapped), left), (left, after(*swapped))):
        world = equal(sync(BASE, *sides))
        assert world[Table.NOTES][1001].mid == 100
        assert {c.id: c.ord for c in world[Table.CARDS].values() if c.nid == 1001} == {2001: 0}
        assert {c.id: c.ord for c in world[Table.CARDS].values() if c.nid == 1004} == {2005: 1, 2006: 0}


def test_a_card_follows_where_its_note_came_to_a_notetype_whose_templates_moved():
    """The note's old card did not change: what was done to its note and to the notetype reaches it."""
    swapped = [reversed_(BASE[Table.NOTETYPES][101])]
    swapped += [
        c._replace(ord=1 - c.ord, mod=LATER) for c in BASE[Table.CARDS].values() if c.nid in {1001, 1004}
    ]
    came = [BASE[Table.NOTES][1000]._replace(mid=101, mod=LATER), model.card(2100, 1000, 10, 1)]
    for one, other in both_ways(swapped, came):
        world = equal(sync(BASE, after(*one), after(*other)))
        assert {c.id: c.ord for c in world[Table.CARDS].values() if c.nid == 1000} == {2000: 1, 2100: 0}


def test_a_card_that_moved_with_its_template_moves_there_too_whenever_that_was():
    """In the merged order it is the same card as before, down to the second."""
    swapped = [reversed_(BASE[Table.NOTETYPES][101])]
    swapped += [c._replace(ord=1 - c.ord) for c in BASE[Table.CARDS].values() if c.nid in {1001, 1004}]
    for one, other in both_ways(swapped, []):
        world = equal(sync(BASE, after(*one), after(*other)))
        assert {c.id: c.ord for c in world[Table.CARDS].values() if c.nid == 1001} == {2001: 1, 2002: 0}


def test_a_card_whose_note_came_and_went_with_it_is_no_news():
    """It is listed, for a notetype changed; the template it has did not move, and the other side deleted it."""
    styled = BASE[Table.NOTETYPES][102]._replace(mtime=LATER)
    came = [BASE[Table.NOTES][1001]._replace(mid=100, mod=LATER)]
    for one, other in both_ways(0, 1):
        sides = [after(styled, *came), after(gone=[(Table.CARDS, 2002)])]
        merged = sync(BASE, sides[one], sides[other])
        assert 2002 in equal(merged)[Table.CARDS]  # its note's notetype was set by the side that has it
        assert not merged.conflicts


def test_a_conflict_names_a_field_as_it_is_called_after_the_merge():
    renamed = [basic(["Extra", "Front", "Reverse"])]
    renamed[0] = renamed[0]._replace(
        fields=(model.notetype(7, "", ["Extra"], []).fields[0], *basic(["Front", "Reverse"]).fields)
    )
    there = [
        n._replace(flds=SEP.join(["", *n.flds.split(SEP)]), mod=LATER)
        for n in BASE[Table.NOTES].values()
        if n.mid == 100
    ]
    there[0] = there[0]._replace(flds=SEP.join(["", "n1000f0", "their back"]))
    here = [note(1000, flds=SEP.join(["n1000f0", "my back"]))]
    for one, other in both_ways([*renamed, *there], here):
        merged = sync(BASE, after(*one), after(*other))
        assert [c.unit for c in merged.conflicts if c.kind == "notes"] == ["Reverse"]


@pytest.mark.parametrize("side", Side)
def test_a_template_that_is_only_removed_is_no_conflict_and_one_edited_there_is(side):
    kind = BASE[Table.NOTETYPES][101]
    shrunk = kind._replace(templates=kind.templates[:1], mtime=LATER)
    edited = kind._replace(templates=(kind.templates[0], kind.templates[1]._replace(config=b"\x0a\x05front")))
    gone_ = [(Table.CARDS, 2002), (Table.CARDS, 2006)]
    sides = {side: after(shrunk, gone=gone_), side.other: after(note(1001, flds=f"new{SEP}n1001f1"))}
    assert not sync(BASE, sides[Side.DESKTOP], sides[Side.PHONE]).conflicts
    sides[side.other] = after(edited)
    merged = sync(BASE, sides[Side.DESKTOP], sides[Side.PHONE])
    assert names(equal(merged)[Table.NOTETYPES][101].templates) == ["Card 1"]
    (told,) = merged.conflicts
    assert (told.kind, told.unit, told.chosen) == ("notetypes", "Card 2", side)
    shown = {side: "removed", side.other: "Card 2 / front / "}
    assert (told.desktop, told.phone) == (shown[Side.DESKTOP], shown[Side.PHONE])


@pytest.mark.parametrize("side", Side)
def test_a_field_removed_here_and_renamed_and_written_in_there_stays_and_is_reported(side):
    """It is known by its id: that has another number in a field than in a template."""
    longer = model.notetype(100, "Basic", ["Front", "Back", "More"], ["Card 1"])
    rows = [n._replace(flds=n.flds + SEP) for n in BASE[Table.NOTES].values() if n.mid == 100]
    base = after(longer, *rows)
    shrunk = longer._replace(fields=longer.fields[:2], mtime=LATER)
    called = (*longer.fields[:2], longer.fields[2]._replace(name="Most"))
    notes_ = [n._replace(flds=n.flds.removesuffix(SEP), mod=LATER) for n in rows]
    sides = {
        side: after(shrunk, *notes_, base=base),
        side.other: after(
            longer._replace(fields=called, mtime=LATER),
            note(1000, flds=f"n1000f0{SEP}n1000f1{SEP}text"),
            base=base,
        ),
    }
    merged = sync(base, sides[Side.DESKTOP], sides[Side.PHONE])
    world = equal(merged)
    assert names(world[Table.NOTETYPES][100].fields) == ["Front", "Back", "Most"]
    assert world[Table.NOTES][1000].flds.split(SEP)[2] == "text"
    (told,) = merged.conflicts
    assert (told.kind, told.unit, told.chosen) == ("notetypes", "More", side.other)
    shown = {side: "removed", side.other: "text"}
    assert (told.ancestor, told.desktop, told.phone) == (None, shown[Side.DESKTOP], shown[Side.PHONE])


@pytest.mark.parametrize("side", Side)
def test_a_template_removed_here_and_edited_there_comes_back_with_its_cards_where_a_person_says_so(side):
    kind = BASE[Table.NOTETYPES][101]
    shrunk = kind._replace(templates=kind.templates[:1], mtime=LATER)
    edited = kind._replace(templates=(kind.templates[0], kind.templates[1]._replace(config=b"\x0a\x05front")))
    studied = BASE[Table.CARDS][2006]._replace(reps=9, mod=LATER)
    made = [model.note(BASE, 3000, 101, ["x", "y"]), model.card(3001, 3000, 13)]
    lost = [(Table.CARDS, cid) for cid in (2002, 2006)]
    graves = [Grave(cid, 0) for _, cid in lost]
    sides = {side: after(shrunk, *made, *graves, gone=lost), side.other: after(edited, studied)}
    chosen = Settlement(answers={("notetypes", 101, "Card 2"): side.other})
    merged = sync(BASE, sides[Side.DESKTOP], sides[Side.PHONE], chosen)
    world = equal(merged)
    assert world[Table.NOTETYPES][101].templates[1].config == b"\x0a\x05front"
    assert (world[Table.CARDS][2002], world[Table.CARDS][2006].reps) == (BASE[Table.CARDS][2002], 9)
    assert merged.result.grow == {3000}  # it was made where there was no such template
    (told,) = merged.conflicts
    assert (told.unit, told.chosen, told.reason) == ("Card 2", side.other, "you chose it")


@pytest.mark.parametrize("side", Side)
def test_a_card_of_a_template_that_comes_back_stays_gone_where_its_note_went(side):
    kind = BASE[Table.NOTETYPES][101]
    shrunk = kind._replace(templates=kind.templates[:1], mtime=LATER)
    edited = kind._replace(templates=(kind.templates[0], kind.templates[1]._replace(config=b"\x0a\x05front")))
    gone = [(Table.CARDS, 2002), (Table.CARDS, 2006), (Table.CARDS, 2005), (Table.NOTES, 1004)]
    sides = {side: after(shrunk, gone=gone), side.other: after(edited)}
    chosen = Settlement(answers={("notetypes", 101, "Card 2"): side.other})
    world = equal(sync(BASE, sides[Side.DESKTOP], sides[Side.PHONE], chosen))
    assert 2002 in world[Table.CARDS]
    assert not world[Table.CARDS].keys() & {2005, 2006}


@pytest.mark.parametrize("side", Side)
def test_a_field_removed_here_and_written_in_there_goes_where_a_person_says_so(side):
    shrunk = basic(["Front"])
    notes = [n._replace(flds=n.flds.split(SEP)[0]) for n in BASE[Table.NOTES].values() if n.mid == 100]
    sides = {side: after(shrunk, *notes), side.other: after(note(1000, flds=f"n1000f0{SEP}written"))}
    chosen = Settlement(answers={("notetypes", 100, "Back"): side})
    merged = sync(BASE, sides[Side.DESKTOP], sides[Side.PHONE], chosen)
    world = equal(merged)
    assert names(world[Table.NOTETYPES][100].fields) == ["Front"]
    assert world[Table.NOTES][1000].flds == "n1000f0"
    (told,) = merged.conflicts
    assert (told.unit, told.chosen, told.reason) == ("Back", side, "you chose it")


def test_a_cloze_cards_number_is_that_of_its_cloze_and_stays():
    cloze = model.notetype(100, "Cloze", ["Text", "Extra"], ["One", "Two"])
    cloze = cloze._replace(config=wire.varint_field(1, 1) + cloze.config)
    base = after(cloze, *(model.card(2100 + at, 1000, 10, at) for at in range(1, 4)))
    turned = reversed_(cloze)
    flagged = base[Table.CARDS][2101]._replace(flags=3, mod=LATER)
    for one, other in both_ways([turned], [flagged]):
        world = equal(sync(base, after(*one, base=base), after(*other, base=base)))
        assert names(world[Table.NOTETYPES][100].templates) == ["Two", "One"]
        assert {c.ord for c in world[Table.CARDS].values() if c.nid == 1000} == {0, 1, 2, 3}
        assert world[Table.CARDS][2101].ord == 1


@pytest.mark.parametrize("side", Side)
def test_cards_grow_only_where_a_template_came(side):
    more_fields = basic(["Front", "Back", "More"])
    wide = [n._replace(flds=n.flds + SEP, mod=LATER) for n in BASE[Table.NOTES].values() if n.mid == 100]
    sides = {side: after(more_fields, *wide), side.other: after()}
    assert not sync(BASE, sides[Side.DESKTOP], sides[Side.PHONE]).plan.grow
    new = model.note(BASE, 1500, 100, ["new", "note"])
    sides = {
        side: after(basic(templates=["Card 1", "Card 2"])),
        side.other: after(new, model.card(2500, 1500, 1)),
    }
    assert sync(BASE, sides[Side.DESKTOP], sides[Side.PHONE]).plan.grow == {1500}


# --- the last card of a note ---------------------------------------------------------------------------

DECK_A, DECK_B = (Table.DECKS, 11), (Table.DECKS, 12)  # note 1001 has a card in each
FIRST, SECOND = (Table.CARDS, 2001), (Table.CARDS, 2002)


def gone(*rows):
    """Delete rows as Anki does, with their graves."""
    kinds = {Table.CARDS: 0, Table.NOTES: 1, Table.DECKS: 2}
    return after(*(Grave(key, kinds[table]) for table, key in rows), gone=rows)


def test_a_note_goes_with_the_cards_that_both_together_deleted():
    for one, other in both_ways(gone(FIRST), gone(DECK_B, SECOND)):
        merged = sync(BASE, one, other)
        world = equal(merged)
        assert 1001 not in world[Table.NOTES]
        assert not [c for c in world[Table.CARDS].values() if c.nid == 1001]
        assert all(Grave(1001, 1) in w[Table.GRAVES].values() for w in merged.worlds.values())
        assert not merged.conflicts


def test_a_note_in_which_someone_wrote_keeps_the_cards_that_they_had():
    there = gone(FIRST)
    there.put(Table.NOTES, note(1001, tags=" t1 t2 mine "))
    there.put(Table.TAGS, Tag("mine", 0))
    for one, other in both_ways(there, gone(DECK_B, SECOND)):
        merged = sync(BASE, one, other)
        world = equal(merged)
        assert "mine" in world[Table.NOTES][1001].tags
        assert [c.id for c in world[Table.CARDS].values() if c.nid == 1001] == [2002]
        assert 12 in world[Table.DECKS]
        assert [(c.kind, c.unit) for c in merged.conflicts] == [("decks", "deletion")]


def test_the_newer_of_two_writers_keeps_the_cards():
    sides = [gone(FIRST), gone(SECOND)]
    for at, (side, word) in enumerate(zip(sides, ("b", "a"), strict=True)):
        side.put(Table.NOTES, note(1001, tags=f" t1 t2 {word} ")._replace(mod=LATER + at))
        side.put(Table.TAGS, Tag(word, 0))
    for one, other in both_ways(*sides):
        world = equal(sync(BASE, one, other))
        assert [c.id for c in world[Table.CARDS].values() if c.nid == 1001] == [2001]
        assert world[Table.NOTES][1001].tags == " a b t1 t2 "


def test_what_is_filed_or_stamped_keeps_no_note():
    there = gone(FIRST)
    there.put(Table.NOTES, note(1001, data="an add-on's"))
    for one, other in both_ways(there, gone(SECOND)):
        assert 1001 not in equal(sync(BASE, one, other))[Table.NOTES]


def test_a_note_with_a_card_left_stays():
    three = after(model.card(2100, 1001, 10, 2))
    three.put(Table.NOTETYPES, model.notetype(101, "Reversed", ["Front", "Back"], ["Card 1", "Card 2", "3"]))
    sides = []
    for table, key in (FIRST, SECOND):
        sides.append(three.copy())
        del sides[-1][table][key]
    for one, other in both_ways(*sides):
        world = equal(sync(three, one, other))
        assert [c.id for c in world[Table.CARDS].values() if c.nid == 1001] == [2100]


def each_removed_another_template():
    """Return two worlds, of which the newer kept Card 2."""
    kind = BASE[Table.NOTETYPES][101]
    sides = []
    for at, cid, kept in ((0, 2002, 2001), (1, 2001, 2002)):
        side = gone((Table.CARDS, cid), (Table.CARDS, {2001: 2005, 2002: 2006}[cid]))
        side.put(Table.NOTETYPES, kind._replace(templates=kind.templates[at : at + 1], mtime=LATER + at))
        for row in (kept, {2001: 2005, 2002: 2006}[kept]):
            side.put(Table.CARDS, side[Table.CARDS][row]._replace(ord=0, mod=LATER))
        sides.append(side)
    return sides


def test_where_each_removed_the_template_that_the_other_kept_the_newer_ones_cards_stay():
    for one, other in both_ways(*each_removed_another_template()):
        merged = sync(BASE, one, other)
        world = equal(merged)
        assert names(world[Table.NOTETYPES][101].templates) == ["Card 2"]
        left = {c.id: c.ord for c in world[Table.CARDS].values() if c.nid in {1001, 1004}}
        assert left == {2002: 0, 2006: 0}
        assert not {c.id for c in merged.conflicts if c.kind == "cards"} & left.keys()


@pytest.mark.parametrize("logic", Logic)
def test_a_template_that_comes_back_because_a_notetype_needs_one_is_reported_and_the_other_can_be_taken(
    logic,
):
    older, newer = each_removed_another_template()
    for one, other in both_ways(older, newer):
        (conflict,) = (c for c in sync(BASE, one, other).conflicts if c.kind == "notetypes")
        assert (conflict.id, conflict.unit, conflict.title) == (101, "templates", "Reversed")
        assert conflict.ancestor == "Card 1 / {{Card 1}} / ; Card 2 / {{Card 2}} / "
        shown = {conflict.chosen: "Card 2 / {{Card 2}} / ", conflict.chosen.other: "Card 1 / {{Card 1}} / "}
        assert (conflict.desktop, conflict.phone) == (shown[Side.DESKTOP], shown[Side.PHONE])
        assert conflict.reason == (
            "each removed what the other kept, and a notetype needs one template; the newer edit stands"
        )
        taken = Settlement(answers={conflict.where: conflict.chosen.other}, logic=logic)
        world = equal(sync(BASE, one, other, taken))
        assert names(world[Table.NOTETYPES][101].templates) == ["Card 1"]
        left = {c.id: c.ord for c in world[Table.CARDS].values() if c.nid in {1001, 1004}}
        assert left == {2001: 0, 2005: 0}


def test_an_edit_of_a_template_that_goes_because_a_notetype_needs_only_one_is_told_once():
    older, newer = each_removed_another_template()
    kind = older[Table.NOTETYPES][101]
    (template,) = kind.templates
    edited = template._replace(config=template.config.replace(b"{{Card 1}}", b"{{Edited}}"))
    older.put(Table.NOTETYPES, kind._replace(templates=(edited,)))
    for one, other in both_ways(older, newer):
        (conflict,) = (c for c in sync(BASE, one, other).conflicts if c.kind == "notetypes")
        assert "{{Edited}}" in str(conflict.desktop if conflict.chosen is Side.PHONE else conflict.phone)


def test_where_each_removed_the_field_that_the_other_kept_it_is_reported():
    kind = BASE[Table.NOTETYPES][100]
    notes = [row for row in BASE[Table.NOTES].values() if row.mid == 100]
    rows = [
        [
            kind._replace(fields=kind.fields[at : at + 1], mtime=LATER - at),
            *(row._replace(flds=row.flds.split(SEP)[at]) for row in notes),
        ]
        for at in range(2)
    ]
    for one, other in both_ways(*rows):
        merged = sync(BASE, after(*one), after(*other))
        assert names(equal(merged)[Table.NOTETYPES][100].fields) == ["Front"]
        (conflict,) = merged.conflicts
        assert (conflict.unit, conflict.ancestor) == ("fields", "Front; Back")
        assert {conflict.desktop, conflict.phone} == {"Front", "Back"}


# --- both made it, or nothing is known of a common past -----------------------------------------------


def never_met(mine, theirs):
    desktop, phone = after(*mine), after(*theirs)
    return equal(sync(model.common(desktop, phone), desktop, phone))


def test_two_that_never_met_have_the_fields_in_another_order():
    notes = [
        n._replace(flds=SEP.join(reversed(n.flds.split(SEP))))
        for n in BASE[Table.NOTES].values()
        if n.mid == 100
    ]
    one = basic()
    moved = one._replace(fields=one.fields[::-1], mtime=LATER + 1)
    for mine, theirs in both_ways([one], [moved, *notes]):
        world = never_met(mine, theirs)
        fields = names(world[Table.NOTETYPES][100].fields)
        assert fields == ["Back", "Front"]
        texts = dict(zip(fields, world[Table.NOTES][1000].flds.split(SEP), strict=True))
        assert texts == {"Front": "n1000f0", "Back": "n1000f1"}


def test_two_that_never_met_call_a_field_without_an_id_otherwise_and_one_has_a_template_more():
    one = model.notetype(
        102, "Vocabulary", ["Word", "Meaning", "Example"], ["Recall", "More"], ids=False, sort_field=1
    )
    two = model.notetype(
        102, "Vocabulary", ["Term", "Meaning", "Example"], ["Recall"], ids=False, sort_field=1, mtime=LATER
    )
    for mine, theirs in both_ways([one], [two]):
        kind = never_met(mine, theirs)[Table.NOTETYPES][102]
        assert names(kind.fields) == ["Term", "Meaning", "Example"]
        assert names(kind.templates) == ["Recall", "More"]


def test_fields_with_other_ids_and_names_are_two_whatever_their_place():
    """Nobody knows whether one was renamed: as two fields nothing that was written in either is lost."""
    one, two = (
        basic(["Front", "Back"]),
        model.notetype(100, "Basic", ["Front", "Answer"], ["Card 1"], mtime=LATER + 1),
    )
    two = two._replace(fields=(two.fields[0], model.notetype(7, "", ["Answer"], []).fields[0]))
    for mine, theirs in both_ways([one], [two]):
        world = never_met(mine, theirs)
        assert names(world[Table.NOTETYPES][100].fields) == ["Front", "Back", "Answer"]
        assert world[Table.NOTES][1000].flds == SEP.join(["n1000f0", "n1000f1", "n1000f1"])


def test_a_notetype_renamed_here_and_reshaped_there_is_one():
    renamed = BASE[Table.NOTETYPES][101]._replace(name="Both", mtime=LATER)
    longer = model.notetype(101, "Reversed", ["Front", "Back"], ["Card 1", "Card 2", "More"])
    for mine, theirs in both_ways([renamed], [longer]):
        types = never_met(mine, theirs)[Table.NOTETYPES]
        assert types.keys() == BASE[Table.NOTETYPES].keys()
        assert (types[101].name, names(types[101].templates)) == ("Both", ["Card 1", "Card 2", "More"])


def test_who_is_akin():
    one = basic()
    assert akin(one, model.notetype(100, "Other", ["Front"], ["T"]))
    assert akin(one, basic(["X", "Y", "Z"], ids=False))
    assert not akin(one, model.notetype(7, "Other", ["X", "Y"], ["T"]))
    assert differ(one, basic(["Front"]))
    assert not differ(one, one._replace(name="Other"))


def reading(row, front):
    """Give a notetype's only template this front."""
    config = notetypes_pb2.Notetype.Template.Config.FromString(row.templates[0].config)
    config.q_format = front
    return row._replace(templates=(row.templates[0]._replace(config=config.SerializeToString()),))


def test_two_fields_that_came_to_one_name_are_told_apart_and_templates_read_the_right_one():
    """Each side renamed another field so; Anki itself would add a `+` to the second."""
    base = after(reading(basic(), "{{Front}} {{Back}}"))
    here = reading(basic(["Text", "Back"]), "{{Text}} {{Back}}")
    there = reading(basic(["Front", "text"]), "{{Front}} {{text}}")
    for one, other in both_ways([here], [there]):
        world = equal(sync(base, after(*one, base=base), after(*other, base=base)))
        merged = world[Table.NOTETYPES][100]
        assert names(merged.fields) == ["Text", "text+"]
        config = notetypes_pb2.Notetype.Template.Config.FromString(merged.templates[0].config)
        assert config.q_format == "{{Text}} {{text+}}"


def test_two_templates_that_came_to_one_name_are_told_apart():
    kind = BASE[Table.NOTETYPES][101]
    called = [
        kind._replace(
            templates=tuple(
                t._replace(name="Reading") if at == mine else t for at, t in enumerate(kind.templates)
            ),
            mtime=LATER,
        )
        for mine in (0, 1)
    ]
    for one, other in both_ways(*([row] for row in called)):
        world = equal(sync(BASE, after(*one), after(*other)))
        assert names(world[Table.NOTETYPES][101].templates) == ["Reading", "Reading+"]
