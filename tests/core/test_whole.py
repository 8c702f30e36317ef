"""`--merge ankiweb`: whole rows, a deletion always wins, preferences from one side; what lost is told and can be taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.cases import BASE, LATER, after, deck, equal, note
from core.model import SEP, card, filtered_deck, sync

from usbsync.core.changes import ConfigEntry, Review, Table
from usbsync.core.conflict import Logic, Policy, Settlement, Side, Weight

DESKTOP, PHONE = Side.DESKTOP, Side.PHONE
WHOLE = Settlement(logic=Logic.ANKIWEB)


def whole(mine, theirs, **settled):
    return sync(BASE, mine, theirs, replace(WHOLE, **settled))


def told(merged) -> dict[str, tuple[Side, Weight]]:
    return {c.unit: (c.chosen, c.weight) for c in merged.conflicts}


def wrote(side: Side, at: int, flds: str, tags: str = ""):
    return note(1000, flds=flds, tags=tags, derived=flds.split(SEP, maxsplit=1)[0])._replace(mod=at)


@pytest.mark.parametrize("newer", Side)
def test_the_newer_row_stands_whole_and_every_word_of_the_other_is_told(newer):
    times = {newer: LATER + 1, newer.other: LATER}
    mine = wrote(DESKTOP, times[DESKTOP], SEP.join(("mine", "n1000f1")), " t1 ")
    theirs = wrote(PHONE, times[PHONE], SEP.join(("n1000f0", "theirs")), " t1 t9 ")
    merged = whole(after(mine), after(theirs))
    result = equal(merged)[Table.NOTES][1000]
    assert result == (mine if newer is DESKTOP else theirs)
    lost = {"Front"} if newer is PHONE else {"Back", "tag t9"}
    assert {unit for unit in told(merged) if told(merged)[unit] == (newer, Weight.LOST)} == lost


@pytest.mark.parametrize("side", Side)
def test_what_one_side_alone_wrote_stands_however_old_it_is(side):
    old = wrote(side, 5, SEP.join(("old clock", "n1000f1")), " t1 ")
    worlds = {side: after(old), side.other: BASE.copy()}
    merged = whole(*(worlds[each] for each in Side))
    assert equal(merged)[Table.NOTES][1000] == old
    assert not merged.conflicts


def test_of_one_second_the_same_row_stands_on_both_sides_whoever_is_which():
    rows = [wrote(DESKTOP, LATER, SEP.join((word, "n1000f1")), " t1 ") for word in ("one", "two")]
    results = {
        equal(whole(after(mine), after(theirs)))[Table.NOTES][1000] for mine, theirs in (rows, reversed(rows))
    }
    assert len(results) == 1


@pytest.mark.parametrize("deleter", Side)
def test_a_deletion_always_wins_and_the_edit_is_told(deleter):
    gone = after(gone=[(Table.NOTES, 1000), (Table.CARDS, 2000)])
    edited = after(wrote(deleter.other, LATER + 99, SEP.join(("newer", "words")), " t1 "))
    worlds = {deleter: gone, deleter.other: edited}
    merged = whole(*(worlds[side] for side in Side))
    assert 1000 not in equal(merged)[Table.NOTES]
    assert 2000 not in equal(merged)[Table.CARDS]
    assert told(merged) == {"deletion": (deleter, Weight.LOST)}
    answers = {("notes", 1000, "deletion"): deleter.other}
    taken = equal(whole(*(worlds[side] for side in Side), answers=answers))
    assert taken[Table.NOTES][1000].flds == SEP.join(("newer", "words"))
    assert 2000 in taken[Table.CARDS]


def test_what_lost_can_be_taken_unit_by_unit():
    mine = wrote(DESKTOP, LATER, SEP.join(("mine", "mine too")), " t1 ")
    theirs = wrote(PHONE, LATER + 1, SEP.join(("theirs", "theirs too")), " t1 ")
    answers = {("notes", 1000, "Back"): DESKTOP}
    merged = whole(after(mine), after(theirs), answers=answers)
    assert equal(merged)[Table.NOTES][1000].flds == SEP.join(("theirs", "mine too"))
    assert told(merged)["Back"] == (DESKTOP, Weight.LOST)
    assert {c.unit: c.reason for c in merged.conflicts}["Back"] == "you chose it"


def test_a_card_is_one_row_and_its_answers_are_kept():
    """Moved here, answered there later: the later row, with its deck; in the fine merge both stand."""
    moved = BASE[Table.CARDS][2001]._replace(did=13, mod=LATER)
    answered = BASE[Table.CARDS][2001]._replace(ivl=30, reps=4, due=130, mod=LATER + 5)
    review = Review((LATER + 5) * 1000, 2001, 3, 30, 5, 2500, 4000, 1)
    merged = whole(after(moved), after(answered, review))
    result = equal(merged)
    assert result[Table.CARDS][2001] == answered
    assert result[Table.REVLOG][review.id] == review
    assert told(merged) == {"deck": (PHONE, Weight.LOST)}
    again = whole(after(moved._replace(mod=LATER + 9)), after(answered, review))
    assert equal(again)[Table.CARDS][2001] == moved._replace(mod=LATER + 9)
    assert equal(again)[Table.REVLOG][review.id] == review
    assert told(again) == {"schedule": (DESKTOP, Weight.COUNTED)}


def test_a_reset_in_the_history_leaves_no_time_of_a_last_review():
    data = '{"pos":7,"lrt":1700000000}'
    reset = BASE[Table.CARDS][2001]._replace(type=0, queue=0, data='{"pos":7}', mod=LATER)
    flagged = BASE[Table.CARDS][2001]._replace(flags=3, data=data, mod=LATER + 5)
    review = Review(LATER * 1000, 2001, 0, 0, 0, 0, 0, 4)
    result = equal(whole(after(reset, review), after(flagged)))
    assert result[Table.CARDS][2001]._replace(mod=0) == flagged._replace(data='{"pos":7}', mod=0)


@pytest.mark.parametrize("last", Side)
def test_preferences_come_from_the_side_that_wrote_anything_last(last):
    mine, theirs = after(ConfigEntry("rollover", 1, b"3")), after(ConfigEntry("fsrs", 2, b"true"))
    worlds = {DESKTOP: mine, PHONE: theirs}
    for side, world in worlds.items():
        world.col = replace(world.col, mod=2 if side is last else 1)
    merged = whole(mine, theirs)
    assert equal(merged)[Table.CONFIG] == worlds[last][Table.CONFIG]
    (conflict,) = merged.conflicts
    assert (conflict.id, conflict.chosen, conflict.weight) == (
        "fsrs" if last is DESKTOP else "rollover",
        last,
        Weight.LOST,
    )
    taken = whole(mine, theirs, answers={conflict.where: last.other})
    assert equal(taken)[Table.CONFIG]["rollover"].val == b"3"
    assert equal(taken)[Table.CONFIG]["fsrs"].val == b"true"


def test_a_preference_that_only_one_set_is_not_undone_by_a_policy_for_the_other():
    theirs = after(ConfigEntry("rollover", 2, b"7"))
    for policy in (Policy.DESKTOP, Policy.PHONE):
        merged = whole(BASE.copy(), theirs, policy=policy)
        assert equal(merged)[Table.CONFIG]["rollover"].val == b"7"


@pytest.mark.parametrize("policy", [Policy.DESKTOP, Policy.PHONE])
def test_a_policy_says_whose_rows_stand(policy):
    mine = wrote(DESKTOP, LATER, SEP.join(("mine", "n1000f1")), " t1 ")
    theirs = wrote(PHONE, LATER + 1, SEP.join(("theirs", "n1000f1")), " t1 ")
    result = equal(whole(after(mine), after(theirs), policy=policy))[Table.NOTES][1000]
    assert result.flds.split(SEP)[0] == ("mine" if policy is Policy.DESKTOP else "theirs")


def test_a_deck_that_the_other_side_filled_is_back():
    """Anki leaves the card without a deck (anki-sync.md 1.3, 3)."""
    gone = after(gone=[(Table.DECKS, 13), (Table.DECKS, 14)])
    moved = BASE[Table.CARDS][2000]._replace(did=14, mod=LATER)
    gone[Table.CARDS].update(
        {cid: row._replace(did=1) for cid, row in gone[Table.CARDS].items() if row.did == 14}
    )
    gone[Table.CARDS][2003] = gone[Table.CARDS][2003]._replace(odid=1)
    result = equal(whole(gone, after(moved)))
    assert result[Table.CARDS][2000].did == 14
    assert {13, 14} <= result[Table.DECKS].keys()


def test_a_new_card_of_a_note_that_is_gone_goes_too():
    """Anki keeps the orphan (anki-sync.md 1.3, 2)."""
    gone = after(gone=[(Table.NOTES, 1002), (Table.CARDS, 2003)])
    result = equal(whole(gone, after(card(2999, 1002, 10, 1))))
    assert 2999 not in result[Table.CARDS]


def test_a_deck_goes_along_with_the_one_above_it():
    """Anki leaves it under a name that no deck has (anki-sync.md 1.3, 5)."""
    renamed = after(
        *(deck(did, name=BASE[Table.DECKS][did].name.replace("A", "Q", 1)) for did in (10, 11, 12))
    )
    studied = after(deck(12, common=b"\x18\x01")._replace(mtime=LATER + 9))
    result = equal(whole(renamed, studied))
    assert result[Table.DECKS][12].name == SEP.join("QBC")
    assert result[Table.DECKS][12].common == b"\x18\x01"


def test_a_filtered_deck_that_is_gone_sends_its_cards_home():
    gone = after(gone=[(Table.DECKS, 15)])
    gone[Table.CARDS][2003] = gone[Table.CARDS][2003]._replace(did=13, odid=0, odue=0, mod=LATER)
    flagged = BASE[Table.CARDS][2003]._replace(flags=2, mod=LATER + 1)
    result = equal(whole(gone, after(flagged, filtered_deck(16, "G"))))
    assert (result[Table.CARDS][2003].did, result[Table.CARDS][2003].odid) == (13, 0)
