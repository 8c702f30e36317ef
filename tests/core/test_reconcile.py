"""Human situations, each with the smallest worlds that show it; most were found by the laws."""

from __future__ import annotations

from core import model
from core.cases import BASE, LATER, after, deck, equal, note
from core.model import SEP, sync

from usbsync.core.changes import Grave, GraveType, Note, Table
from usbsync.core.conflict import Side, Weight

DESKTOP, PHONE = Side.DESKTOP, Side.PHONE
# --- a note that has another notetype ----------------------------------------------------------------


def retyped(nid: int, mid: int, fields: list[str], mod: int = LATER) -> Note:
    text = SEP.join(fields)
    return BASE[Table.NOTES][nid]._replace(
        mid=mid, flds=text, mod=mod, derived=fields[1 if mid == 102 else 0]
    )


def test_a_note_given_a_smaller_notetype_keeps_a_tag_from_the_other_side():
    """Note 1002 has three fields, and Basic has two: the third is gone, and nothing is to be put there."""
    smaller = retyped(1002, 100, ["n1002f0", "n1002f1"])
    world = equal(sync(BASE, after(smaller), after(note(1002, tags=" t1 "))))
    assert world[Table.NOTES][1002].flds == smaller.flds
    assert world[Table.NOTES][1002].mid == 100
    assert world[Table.NOTES][1002].tags == " t1 "


def test_what_was_written_in_a_field_that_the_new_notetype_lacks_is_reported():
    smaller = retyped(1002, 100, ["n1002f0", "n1002f1"])
    written = note(1002, flds=SEP.join(["front", "n1002f1", "an example"]))
    for desktop, phone in ((smaller, written), (written, smaller)):
        merged = sync(BASE, after(desktop), after(phone))
        assert equal(merged)[Table.NOTES][1002].flds == SEP.join(["front", "n1002f1"])
        (told,) = merged.conflicts
        assert {told.desktop, told.phone} == {"an example", None}
        assert told.weight is Weight.LOST
        assert told.chosen is (DESKTOP if desktop is smaller else PHONE)
        assert told.ancestor == "n1002f2"


def test_a_note_given_two_notetypes_has_the_fields_and_cards_of_the_one_that_stands():
    bigger = retyped(1000, 102, ["n1000f0", "n1000f1", "added"], mod=LATER + 1)
    double = retyped(1000, 101, ["n1000f0", "n1000f1"])
    second = model.card(2100, 1000, 10, 1)
    for desktop, phone in (([bigger], [double, second]), ([double, second], [bigger])):
        merged = sync(BASE, after(*desktop), after(*phone))
        world = equal(merged)
        assert world[Table.NOTES][1000] == bigger
        assert 2100 not in world[Table.CARDS]
        assert {(c.unit, c.weight) for c in merged.conflicts} == {
            ("notetype", Weight.LOST), ("deletion", Weight.COUNTED),
        }  # fmt: skip


def test_a_note_given_two_notetypes_keeps_the_second_card_where_the_type_that_stands_has_one():
    smaller = retyped(1001, 102, ["n1001f0", "n1001f1", ""])
    other = retyped(1001, 100, ["n1001f0", "n1001f1"], mod=LATER + 1)
    back = retyped(1001, 101, ["n1001f0", "edited"], mod=LATER + 2)
    gone = [(Table.CARDS, 2002)]
    world = equal(sync(BASE, after(smaller, gone=gone), after(other, gone=gone)))
    assert world[Table.NOTES][1001].mid == 100
    assert 2002 not in world[Table.CARDS]
    world = equal(sync(BASE, after(smaller, gone=gone), after(back)))
    assert world[Table.NOTES][1001].mid == 102
    assert world[Table.NOTES][1001].flds == SEP.join(["n1001f0", "edited", ""])
    assert 2002 not in world[Table.CARDS]


def test_both_gave_a_note_the_same_smaller_notetype():
    one = retyped(1002, 100, ["n1002f0", "n1002f1"])
    two = retyped(1002, 100, ["n1002f0", "other"])
    assert equal(sync(BASE, after(one), after(two)))[Table.NOTES][1002].mid == 100


def test_a_card_that_moved_to_another_template_with_its_note_stands_there():
    swapped = retyped(1001, 100, ["n1001f0", "n1001f1"])
    moved = BASE[Table.CARDS][2002]._replace(ord=0, mod=LATER)
    tagged = note(1001, tags=" t1 ")
    flagged = BASE[Table.CARDS][2002]._replace(flags=3, mod=LATER)
    world = equal(sync(BASE, after(swapped, moved, gone=[(Table.CARDS, 2001)]), after(tagged, flagged)))
    assert world[Table.CARDS][2002] == moved._replace(flags=3, mod=LATER + 1)
    assert 2001 not in world[Table.CARDS]


def test_a_note_that_both_wrote_keeps_the_card_that_one_side_got_of_it():
    more = model.card(2100, 1002, 13, 1)
    tagged, written = note(1002, tags=" t1 "), note(1002, flds="a\x1fb\x1fc", derived="b")
    for sides in (([tagged, more], [written]), ([tagged], [written, more])):
        assert equal(sync(BASE, *(after(*rows) for rows in sides)))[Table.CARDS][2100] == more


def test_a_note_deleted_here_and_written_there_comes_back_with_what_was_answered_there():
    studied = BASE[Table.CARDS][2003]._replace(reps=9, mod=LATER)
    written = note(1002, flds="a\x1fb\x1fc", derived="b")
    gone = after(gone=[(Table.NOTES, 1002), (Table.CARDS, 2003)])
    for sides in ((gone, after(written, studied)), (after(written, studied), gone)):
        assert equal(sync(BASE, *sides))[Table.CARDS][2003] == studied


# --- notetypes ---------------------------------------------------------------------------------------


def test_a_sort_field_that_both_moved_the_same_way_leaves_nothing_to_be_done():
    moved = model.notetype(100, "Basic", ["Front", "Back"], ["Card 1"], sort_field=1)
    notes = [n._replace(derived=n.flds.split(SEP)[1]) for n in BASE[Table.NOTES].values() if n.mid == 100]
    assert sync(BASE, after(moved, *notes), after(moved, *notes)).plan.empty


def test_a_sort_field_that_moved_is_followed_by_what_the_other_side_wrote():
    moved = model.notetype(100, "Basic", ["Front", "Back"], ["Card 1"], sort_field=1, mtime=LATER)
    notes = [n._replace(derived=n.flds.split(SEP)[1]) for n in BASE[Table.NOTES].values() if n.mid == 100]
    written = note(1000, flds=f"n1000f0{SEP}new")
    for desktop, phone in (([moved, *notes], [written]), ([written], [moved, *notes])):
        world = equal(sync(BASE, after(*desktop), after(*phone)))
        assert world[Table.NOTES][1000].derived == "new"


def test_the_sort_field_of_a_note_that_is_the_same_but_for_it_is_the_same_from_either_side():
    """Two versions of Anki strip markup differently."""
    one, two = note(1000, flds="<b>x</b>\x1fy", derived="x"), note(1000, flds="<b>x</b>\x1fy", derived=" x ")
    assert equal(sync(BASE, after(one), after(two))) == equal(sync(BASE, after(two), after(one)))


# --- decks -------------------------------------------------------------------------------------------


def test_a_deck_respelled_on_one_side_and_edited_on_the_other_is_both():
    edited = model.deck(14, "D::E", LATER, config_id=2)
    for other in ("D::e", "d::E"):
        parent = [deck(13, name="d")] if other == "d::E" else []
        respelled = [deck(14, name=other.replace("::", SEP)), *parent]
        for desktop, phone in ((respelled, [edited]), ([edited], respelled)):
            world = equal(sync(BASE, after(*desktop), after(*phone)))
            assert world[Table.DECKS][14].name == other.replace("::", SEP)
            assert model.config_id(world[Table.DECKS][14]) == 2


def test_a_deck_without_cards_that_was_deleted_comes_back_for_the_child_that_the_other_side_made():
    gone = [(Table.DECKS, 13), (Table.DECKS, 14), (Table.CARDS, 2004), (Table.NOTES, 1003)]
    base = after(gone=[(Table.CARDS, 2003), (Table.NOTES, 1002), (Table.CARDS, 2006)])
    merged = sync(base, after(gone=gone, base=base), after(model.deck(50, "D::New"), base=base))
    decks = equal(merged)[Table.DECKS]
    assert decks[13] == BASE[Table.DECKS][13]
    assert 14 not in decks
    assert [(c.id, c.chosen) for c in merged.conflicts] == [(13, PHONE)]


# --- graves ------------------------------------------------------------------------------------------


def test_a_deletion_digs_a_grave_on_the_other_side_too():
    dead = after(Grave(2002, GraveType.CARD), gone=[(Table.CARDS, 2002)])
    merged = sync(BASE, dead, BASE)
    assert (2002, GraveType.CARD) in merged.worlds[PHONE][Table.GRAVES]
    assert merged.plan.desktop.empty


def test_what_lives_on_has_no_grave():
    dead = after(Grave(1002, 1), Grave(2003, 0), gone=[(Table.NOTES, 1002), (Table.CARDS, 2003)])
    merged = sync(BASE, dead, after(note(1002, flds="a\x1fb\x1fc", derived="b")))
    for world in merged.worlds.values():
        assert 1002 in world[Table.NOTES]
        assert 2003 in world[Table.CARDS]
        assert world[Table.GRAVES] == BASE[Table.GRAVES]


def test_graves_that_a_full_sync_cleared_are_not_dug_again():
    merged = sync(BASE, BASE, after(gone=[(Table.GRAVES, (999, 1))]))
    assert merged.plan.empty
    desktop, phone = merged.worlds.values()
    assert sync(phone, desktop, phone).plan.empty


def test_a_note_imported_anew_after_its_deletion_keeps_its_old_grave_where_that_is():
    """As Anki leaves it; graves are sent to AnkiWeb before what lives."""
    again = after(model.note(BASE, 3000, 100, ["a", "b"]), Grave(3000, GraveType.NOTE))
    merged = sync(BASE, again, BASE)
    assert merged.plan.desktop.empty
    assert (3000, GraveType.NOTE) not in merged.worlds[PHONE][Table.GRAVES]


def test_what_both_deleted_needs_no_grave_that_one_has_cleared():
    dead = after(Grave(2002, GraveType.CARD), gone=[(Table.CARDS, 2002)])
    cleared = after(gone=[(Table.CARDS, 2002), (Table.GRAVES, (999, 1))])
    assert sync(BASE, dead, cleared).plan.empty
