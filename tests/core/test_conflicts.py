"""Conflicts are values that say everything; policies and answers settle them, from either side the same way."""

from __future__ import annotations

from itertools import product

import pytest
from core import model
from core.cases import BASE, LATER, after, both_ways, deck, equal, note
from core.model import SEP, compare, sync

from usbsync.core.changes import Col, Table, Tag
from usbsync.core.conflict import Conflict, Policy, Settlement, Side, Weight
from usbsync.core.names import unit_name
from usbsync.core.reconcile import reconcile
from usbsync.core.values import show

DESKTOP, PHONE = Side.DESKTOP, Side.PHONE


def fields(front: str, back: str = "n1000f1") -> str:
    return SEP.join((front, back))


def edit_war(mine_at=LATER, theirs_at=LATER + 1, settlement=None):
    """Both wrote in one field of note 1000."""
    mine = note(1000, flds=fields("mine"), derived="mine")._replace(mod=mine_at)
    theirs = note(1000, flds=fields("theirs"), derived="theirs")._replace(mod=theirs_at)
    merged = sync(BASE, after(mine), after(theirs), settlement)
    (conflict,) = merged.conflicts
    return equal(merged)[Table.NOTES][1000].flds.split(SEP)[0], conflict


def test_a_conflict_says_everything():
    front, conflict = edit_war()
    assert front == "theirs"
    assert conflict == Conflict(
        "notes",
        1000,
        "mine",
        "Front",
        "n1000f0",
        "mine",
        "theirs",
        PHONE,
        "the newer edit stands",
        Weight.LOST,
    )
    assert conflict.where == ("notes", 1000, "Front")


@pytest.mark.parametrize("answer", [None, DESKTOP, PHONE])
@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("newer", Side)
def test_policies_and_answers(policy, answer, newer):
    answers = {("notes", 1000, "Front"): answer} if answer else {}
    times = (LATER + 1, LATER) if newer is DESKTOP else (LATER, LATER + 1)
    front, conflict = edit_war(*times, Settlement(policy, answers))
    expected = answer or {Policy.DESKTOP: DESKTOP, Policy.PHONE: PHONE}.get(policy, newer)
    assert conflict.chosen is expected
    assert front == {DESKTOP: "mine", PHONE: "theirs"}[expected]
    preferred = policy in {Policy.DESKTOP, Policy.PHONE}
    why = "you chose it" if answer else f"the {policy} is preferred" if preferred else "the newer edit stands"
    assert conflict.reason == why


def test_of_two_edits_in_one_second_the_same_one_stands_whichever_side_it_is_on():
    one, two = (after(note(1000, flds=fields(text), derived=text)) for text in ("mine", "theirs"))
    assert {equal(sync(BASE, *sides))[Table.NOTES][1000].flds for sides in ((one, two), (two, one))} == {
        fields("theirs")
    }


def test_other_fields_of_a_contested_note_are_both_kept():
    mine = note(1000, flds=fields("mine", "back mine"), derived="mine", tags=" t1 t2 ")
    theirs = note(1000, flds=fields("theirs"), derived="theirs", tags="")
    for policy, front in ((Policy.DESKTOP, "mine"), (Policy.PHONE, "theirs")):
        merged = sync(BASE, after(mine), after(theirs), Settlement(policy))
        row = equal(merged)[Table.NOTES][1000]
        assert (row.flds, row.tags) == (fields(front, "back mine"), " t2 ")
        assert [c.unit for c in merged.conflicts] == ["Front"]


# --- deletions ---------------------------------------------------------------------------------------

GONE = [(Table.NOTES, 1002), (Table.CARDS, 2003)]
WRITTEN = note(1002, flds=SEP.join(["a", "b", "c"]), derived="b")
STUDIED = BASE[Table.CARDS][2003]._replace(reps=9, mod=LATER)


@pytest.mark.parametrize("answer", [None, *Side])
@pytest.mark.parametrize(("policy", "deleter"), list(product(Policy, Side)))
def test_a_deletion_meets_an_edit(policy, deleter, answer):
    """Whoever is preferred has their deletion, too; else the edit stands."""
    answers = {("notes", 1002, "deletion"): answer} if answer else {}
    worlds = {deleter: after(gone=GONE), deleter.other: after(WRITTEN)}
    merged = sync(BASE, worlds[DESKTOP], worlds[PHONE], Settlement(policy, answers))
    lives = (answer or (Side(policy) if policy in {Policy.DESKTOP, Policy.PHONE} else None)) is not deleter
    world = equal(merged)
    assert (1002 in world[Table.NOTES], 2003 in world[Table.CARDS]) == (lives, lives)
    (conflict,) = [c for c in merged.conflicts if c.kind == "notes"]
    assert conflict.chosen is (deleter.other if lives else deleter)
    assert {conflict.desktop, conflict.phone} == {"deleted", "a / b / c"}
    assert (conflict.unit, conflict.ancestor, conflict.title) == (
        "deletion",
        "n1002f0 / n1002f1 / n1002f2",
        "a",
    )
    expected = (
        "an edit beats a deletion" if lives else "you chose it" if answer else f"the {policy} is preferred"
    )
    assert conflict.reason == expected
    assert conflict.weight is Weight.LOST


@pytest.mark.parametrize("deleter", Side)
def test_a_deletion_meets_a_review(deleter):
    answers = {("cards", 2003, "deletion"): deleter.other}  # of no use: the card's note is gone
    for settlement in (None, Settlement(Policy(deleter.other)), Settlement(Policy.NEWEST, answers)):
        said = model.Review(LATER * 1000, 2003, 3, 1, 1, 1, 1, 1)
        worlds = {deleter: after(gone=GONE), deleter.other: after(STUDIED, said)}
        merged = sync(BASE, worlds[DESKTOP], worlds[PHONE], settlement)
        world = equal(merged)
        assert 2003 not in world[Table.CARDS]
        assert LATER * 1000 in world[Table.REVLOG]
        (conflict,) = merged.conflicts
        assert (conflict.kind, conflict.chosen, conflict.weight) == ("cards", deleter, Weight.COUNTED)
        assert {conflict.desktop, conflict.phone} == {"deleted", 'card 1 of "n1002f0"'}


def test_a_card_alone_deleted_may_be_asked_back():
    flagged = BASE[Table.CARDS][2002]._replace(flags=4, mod=LATER)
    gone = after(gone=[(Table.CARDS, 2002)])
    merged = sync(BASE, gone, after(flagged))
    assert [(c.chosen, c.weight) for c in merged.conflicts] == [(DESKTOP, Weight.LOST)]
    answered = Settlement(answers={("cards", 2002, "deletion"): PHONE})
    assert equal(sync(BASE, gone, after(flagged), answered))[Table.CARDS][2002] == flagged


def test_both_deleted_a_note_that_one_had_studied():
    desktop = after(gone=GONE)
    merged = sync(BASE, desktop, after(gone=GONE))
    assert not merged.conflicts
    assert 1002 not in equal(merged)[Table.NOTES]


def test_a_folded_tag_that_was_removed_is_told_quietly():
    folded = BASE[Table.TAGS]["unused"]._replace(collapsed=1)
    merged = sync(BASE, after(gone=[(Table.TAGS, "unused")]), after(folded))
    assert [(c.weight, c.chosen) for c in merged.conflicts] == [(Weight.QUIET, DESKTOP)]


# --- what the other side's work needs ----------------------------------------------------------------


def test_a_deck_deleted_here_comes_back_for_the_note_written_there():
    gone = [
        *GONE,
        (Table.DECKS, 13),
        (Table.DECKS, 14),
        (Table.CARDS, 2004),
        (Table.CARDS, 2006),
        (Table.NOTES, 1003),
    ]
    merged = sync(BASE, after(gone=gone), after(WRITTEN))
    world = equal(merged)
    assert world[Table.DECKS][13] == BASE[Table.DECKS][13]  # card 2003's home
    assert 14 not in world[Table.DECKS]
    told = {(c.kind, c.id): c for c in merged.conflicts}
    assert told.keys() == {("notes", 1002), ("decks", 13)}
    assert told["decks", 13].reason == "deleted there, but what was done here needs it"
    assert told["decks", 13].chosen is PHONE


def test_options_deleted_here_come_back_for_the_deck_that_uses_them_there():
    given = model.deck(12, "A::B::C", LATER, config_id=2)
    reset = model.deck(11, "A::B", LATER, config_id=1, last_day_studied=100, new_studied=2, review_studied=1,
                       milliseconds_studied=9000)  # fmt: skip
    merged = sync(BASE, after(reset, gone=[(Table.DECK_CONFIG, 2)]), after(given))
    world = equal(merged)
    assert world[Table.DECK_CONFIG][2] == BASE[Table.DECK_CONFIG][2]
    assert [(c.kind, c.id, c.weight) for c in merged.conflicts] == [("deck_config", 2, Weight.LOST)]


def test_a_notetype_deleted_here_comes_back_for_a_note_made_there():
    made = model.note(BASE, 3000, 102, ["x", "y", "z"])
    gone = [*GONE, (Table.NOTETYPES, 102)]
    merged = sync(BASE, after(gone=gone), after(made, model.card(3001, 3000, 13)))
    assert equal(merged)[Table.NOTETYPES][102] == BASE[Table.NOTETYPES][102]
    assert [(c.kind, c.title) for c in merged.conflicts] == [("notetypes", "Vocabulary")]


def test_a_tag_cleared_here_is_listed_again_for_the_note_that_got_it_there():
    merged = sync(BASE, after(gone=[(Table.TAGS, "unused")]), after(note(1000, tags=" t1 Unused ")))
    assert "unused" in equal(merged)[Table.TAGS]
    assert not merged.conflicts


def test_a_filtered_deck_deleted_here_sends_home_what_it_gathered_there():
    gathered = BASE[Table.CARDS][2000]._replace(odid=10, did=15, odue=2000, due=-9, mod=LATER)
    home = BASE[Table.CARDS][2003]._replace(did=13, odid=0, due=model.DAY + 3, odue=0, mod=LATER)
    world = equal(sync(BASE, after(home, gone=[(Table.DECKS, 15)]), after(gathered)))
    assert 15 not in world[Table.DECKS]
    assert world[Table.CARDS][2000] == BASE[Table.CARDS][2000]._replace(mod=LATER + 1)
    assert world[Table.CARDS][2003] == home


def test_a_filtered_deck_that_lives_keeps_what_it_gathered():
    gathered = BASE[Table.CARDS][2000]._replace(odid=10, did=15, odue=2000, due=-9, mod=LATER)
    renamed = BASE[Table.DECKS][15]._replace(name="Cram", mtime=LATER)
    world = equal(sync(BASE, after(renamed), after(gathered)))
    assert world[Table.CARDS][2000] == gathered


def test_two_notetypes_that_came_to_one_name_are_told_apart():
    mine = BASE[Table.NOTETYPES][101]._replace(name="Words", mtime=LATER)
    theirs = BASE[Table.NOTETYPES][100]._replace(name="words", mtime=LATER)
    for sides in ((mine, theirs), (theirs, mine)):
        types = equal(sync(BASE, *(after(row) for row in sides)))[Table.NOTETYPES]
        assert (types[100].name, types[101].name) == ("words", "Words+")


# --- the first day -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "expected", "chosen"),
    [
        (0, 0, 0, None),
        (5, 0, 5, None),
        (0, 5, 5, None),
        (5, 5, 5, None),
        (5, 7, 5, DESKTOP),
        (7, 5, 5, PHONE),
    ],
)
def test_the_first_day(mine, theirs, expected, chosen):
    desktop, phone = (BASE.copy() for _ in Side)
    desktop.col, phone.col = (Col(BASE.col.crt + days, BASE.col.scm) for days in (mine, theirs))
    merged = sync(BASE, desktop, phone)
    assert {world.col.crt for world in merged.worlds.values()} == {BASE.col.crt + expected}
    assert [c.chosen for c in merged.conflicts] == ([chosen] if chosen else [])
    assert merged.plan.desktop.empty == (mine == expected)
    assert merged.plan.empty == (mine == theirs)
    for conflict in merged.conflicts:
        shown = [str(BASE.col.crt + days) for days in (0, mine, theirs)]
        assert [conflict.ancestor, conflict.desktop, conflict.phone] == shown
        assert conflict.where == ("col", 1, "crt")


# --- the schema --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (after(gone=[(Table.DECK_CONFIG, 2)]), after(), False),
        (after(gone=[(Table.DECK_CONFIG, 2)]), after(note(1000, tags="")), True),
        (after(note(1000, tags="")), after(note(1003, tags=" t1 ")), False),
        (after(BASE[Table.NOTETYPES][100]._replace(name="N")), after(note(1000, tags="")), False),
        (after(model.notetype(100, "Basic", ["Front", "Back"], ["Card 1"], sort_field=1)), after(note(1001, tags="")), True),
        (after(model.notetype(600, "New", ["A"], ["T"])), after(note(1000, tags="")), False),
        (after(model.notetype(101, "Reversed", ["Front", "Back", "More"], ["Card 1", "Card 2"])), after(note(1000, tags="")), True),
    ],
)  # fmt: skip
def test_a_change_of_schema_that_crosses_is_set_on_both(mine, theirs, told):
    mine, theirs = mine.copy(), theirs.copy()
    mine.col, theirs.col = Col(BASE.col.crt, 900), Col(BASE.col.crt, 1)
    for sides in ((mine, theirs), (theirs, mine)):
        changes = compare(BASE, *sides)
        result = reconcile(*changes)
        assert (result.scm is not None) == (told or mine[Table.DECK_CONFIG] != BASE[Table.DECK_CONFIG])
        if told:
            assert {world.col.scm for world in sync(BASE, *sides).worlds.values()} == {900}


# --- how things are shown ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), ("text", "text"), (7, "7"), (True, "True"), ((1, 2, "{}"), "1 2 {}"), (b"\x08\x05", "5"),
     (b"\x12\x02hi", "hi"), (b"\xff\xfe", "fffe"), (b"", ""), (b"\x12\x02\xff\xfe", "1202fffe"),
     (b"\x08", "08"), (b"\x08\x80", "0880"), (b"\x12\x00", "\x12\x00")],
)  # fmt: skip
def test_values_are_shown_as_people_know_them(value, text):
    assert show(value) == text


@pytest.mark.parametrize("value", ['"noteFld"', "80", "0", "8", "true", "null", '{"a": [1]}', "8 \u00e9"])
def test_preferences_are_shown_as_they_are_written(value):
    """`80` as protobuf would be field 7 with the value 48."""
    mine, theirs = (model.ConfigEntry("collapseTime", LATER, text.encode()) for text in (value, "1"))
    (conflict,) = sync(BASE, after(mine), after(theirs)).conflicts
    assert (conflict.ancestor, conflict.desktop, conflict.phone) == ("1200", value, "1")
    mine, theirs = (row._replace(key="new") for row in (mine, theirs))
    (conflict,) = sync(BASE, after(mine), after(theirs)).conflicts
    assert (conflict.ancestor, conflict.desktop) == (None, value)


@pytest.mark.parametrize(
    ("table", "unit", "name"),
    [
        (Table.NOTES, "field:1", "Back"), (Table.NOTES, "field:2", "field 3"), (Table.NOTES, "tag:x:y", "tag x:y"),
        (Table.NOTES, "notetype", "notetype"), (Table.DECK_CONFIG, "option:9", "new per day"),
        (Table.DECK_CONFIG, "option:999", "option 999"), (Table.DECK_CONFIG, "name", "name"),
        (Table.DECKS, "options:1", "options"), (Table.DECKS, "limits:7", "new limit"),
        (Table.DECKS, "description:4", "description"), (Table.DECKS, "kind:77", "kind:77"), (Table.DECKS, "leaf", "name"),
        (Table.DECKS, "place", "parent deck"), (Table.DECKS, "filter", "search"),
        (Table.NOTETYPES, "config:3", "css"), (Table.NOTETYPES, "config:77", "config:77"),
        (Table.NOTETYPES, "field:0:name", "name of field 1"), (Table.NOTETYPES, "field:2:config:4", "font size of field 3"),
        (Table.NOTETYPES, "template:0:config:1", "front of template 1"),
        (Table.NOTETYPES, "template:0:config:77", "config:77 of template 1"), (Table.CONFIG, "value:rollover", "value"),
        (Table.CARDS, "flag", "flag"),
    ],
)  # fmt: skip
def test_units_are_named_as_people_know_them(table, unit, name):
    assert unit_name(table, unit, ("Front", "Back")) == name


def test_what_one_of_two_makers_of_a_note_added_stands():
    """Both have it of one import; a tag that only one gave it is no clash with nothing."""
    made = model.note(BASE, 500, 100, ["shared", "back"], guid="s500")
    card = model.card(5000, 500, 1)
    for tagged in both_ways(made._replace(tags=" mine ", mod=LATER), made):
        merged = sync(BASE, *(after(row, card, Tag("mine", 0)) for row in tagged))
        assert equal(merged)[Table.NOTES][500].tags == " mine "
        assert not merged.conflicts


def test_the_conflicts_of_a_row_come_in_the_order_of_its_units():
    kind = model.notetype(102, "Vocabulary", list("abcdefg"), ["T"])
    row = model.note(after(kind), 1002, 102, list("abcdefg"))
    base = after(kind, row)
    sides = [
        after(row._replace(flds=SEP.join(f"{c}{at}" for c in "abcdefg"), mod=LATER), base=base)
        for at in (1, 2)
    ]
    assert "".join(c.unit for c in sync(base, *sides).conflicts) == "abcdefg"


def test_each_contested_setting_is_named():
    mine = model.deck(13, "D", LATER, config_id=2)
    theirs = deck(13, name="X")
    child = deck(14, name=f"X{SEP}E")
    merged = sync(BASE, after(mine), after(theirs, child))
    assert not merged.conflicts
    both = model.deck(13, "D", LATER, config_id=5)
    options = model.deck_config(5, "Five")
    merged = sync(BASE, after(mine), after(both, options))
    assert [(c.kind, c.unit, c.ancestor, c.desktop, c.phone) for c in merged.conflicts] == [
        ("decks", "options", "1", "2", "5")
    ]
