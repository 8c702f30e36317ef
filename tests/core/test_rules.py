"""THE table, cell by cell: what becomes of each unit that both sides changed, and of an edit that meets a deletion."""

from __future__ import annotations

import pytest
from core import model
from core.cases import BASE, after, both_ways, equal
from core.model import sync
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core import units, wire
from usbsync.core.changes import Context, Table
from usbsync.core.conflict import Logic, Policy, Settlement, Side, Weight
from usbsync.core.contest import FILED, Contest, add_counts, add_today, highest, merge_units
from usbsync.core.reconcile import reconcile
from usbsync.core.rules import RULES, How, rule_for

DESKTOP, PHONE = Side.DESKTOP, Side.PHONE

# (table, unit, how both merge, whether an edit beats a deletion)
CELLS = [
    *((Table.NOTES, unit, How.POLICY, True) for unit in ("notetype", "field:0", "field:12", "tag:x", "tag:leeches")),
    (Table.NOTES, "guid", How.POLICY, False),
    (Table.NOTES, "flags", How.NEWER, False),
    (Table.NOTES, "data", How.NEWER, False),
    (Table.NOTES, "mod", How.HIGHEST, False),
    (Table.CARDS, "note", How.NEWER, False),
    (Table.CARDS, "ord", How.NEWER, False),
    (Table.CARDS, "deck", How.POLICY, False),
    (Table.CARDS, "schedule", How.LATER, False),
    (Table.CARDS, "counts", How.COUNTED, False),
    (Table.CARDS, "flag", How.POLICY, False),
    (Table.CARDS, "suspended", How.POLICY, False),
    (Table.CARDS, "buried", How.NEWER, False),
    (Table.CARDS, "mod", How.HIGHEST, False),
    (Table.DECKS, "place", How.POLICY, True),
    (Table.DECKS, "leaf", How.POLICY, True),
    (Table.DECKS, "options:1", How.POLICY, True),
    *((Table.DECKS, f"description:{number}", How.POLICY, True) for number in (4, 5)),
    *((Table.DECKS, f"limits:{number}", How.POLICY, True) for number in (2, 3, 6, 7, 8, 9, 10)),
    (Table.DECKS, "kind:11", How.POLICY, True),
    (Table.DECKS, "filter", How.POLICY, True),
    (Table.DECKS, "today", How.TODAY, False),
    *((Table.DECKS, f"collapsed:{number}", How.NEWER, False) for number in (1, 2)),
    (Table.DECKS, "common:255", How.NEWER, False),
    (Table.DECKS, "mod", How.HIGHEST, False),
    (Table.DECK_CONFIG, "name", How.POLICY, True),
    *((Table.DECK_CONFIG, f"option:{number}", How.POLICY, True) for number in (1, 9, 255, 999)),
    (Table.DECK_CONFIG, "mod", How.HIGHEST, False),
    (Table.NOTETYPES, "name", How.POLICY, True),
    *((Table.NOTETYPES, f"config:{number}", How.POLICY, True) for number in (1, 2, 3, 255)),
    (Table.NOTETYPES, "config:8", How.NEWER, False),
    *((Table.NOTETYPES, f"field:{at}:name", How.POLICY, True) for at in (0, 10)),
    *((Table.NOTETYPES, f"field:{at}:config:3", How.POLICY, True) for at in (0, 10)),
    *((Table.NOTETYPES, f"field:{at}:config:9", How.NEWER, False) for at in (0, 10)),
    *((Table.NOTETYPES, f"template:{at}:name", How.POLICY, True) for at in (0, 10)),
    *((Table.NOTETYPES, f"template:{at}:config:1", How.POLICY, True) for at in (0, 10)),
    *((Table.NOTETYPES, f"template:{at}:config:8", How.NEWER, False) for at in (0, 10)),
    (Table.NOTETYPES, "stamp:0", How.HIGHEST, False),
    (Table.NOTETYPES, "mod", How.HIGHEST, False),
    (Table.CONFIG, "value:rollover", How.POLICY, True),
    (Table.CONFIG, "value:curious", How.POLICY, True),
    *((Table.CONFIG, f"value:{key}", How.HIGHEST, False) for key in ("nextPos", "lastUnburied")),
    *((Table.CONFIG, f"value:{key}", How.NEWER, False)
      for key in ("curDeck", "activeDecks", "curModel", "localOffset", "_deck_1_lastNotetype", "_nt_1_lastDeck",
                  "browserTableShowNotesMode", "activeCols", "sortType", "sortBackwards")),
    (Table.CONFIG, "mod", How.HIGHEST, False),
    (Table.TAGS, "spelling", How.NEWER, False),
    (Table.TAGS, "collapsed", How.NEWER, False),
]  # fmt: skip
LEECH = (Table.NOTES, "tag:leech", How.NEWER, False)
IDS = [f"{table}-{unit}" for table, unit, *_ in CELLS]


def contest(table=Table.NOTES, **values) -> Contest:
    """Return a contest in which the desktop wrote last, and the phone acted last."""
    plain = {"settlement": Settlement(), "edited": {DESKTOP: 10, PHONE: 5}, "acted": {DESKTOP: 5, PHONE: 10}}
    return Contest(table=table, id=1, title="it", **plain | values)


def due(day):
    """Return the schedule of a card that is due on a day."""
    return 2, 2, day, 1, 2500, 0, 0, 0, "{}"


def values(unit, how):
    """Return ancestor, desktop, phone of a unit: the desktop's is the newer one, the phone's the higher and later."""
    if how is How.COUNTED:
        return (3, 1), (4, 2), (5, 3)
    if how is How.TODAY:
        return (100, 1, 2, 3, 4), (100, 2, 2, 3, 5), (100, 1, 5, 3, 6)
    if how is How.LATER:
        return due(0), due(1), due(2)
    return (b"1", b"7", b"10") if unit.startswith("value:") else (1, 7, 10)


EXPECTED = {
    How.POLICY: lambda _old, mine, _theirs: mine,
    How.NEWER: lambda _old, mine, _theirs: mine,
    How.HIGHEST: lambda _old, _mine, theirs: theirs,
    How.LATER: lambda _old, _mine, theirs: theirs,
    How.COUNTED: lambda *_: (6, 4),
    How.TODAY: lambda *_: (100, 2, 5, 3, 7),
}
REPORTED = {How.POLICY: Weight.LOST, How.LATER: Weight.LOST}


@pytest.mark.parametrize(("table", "unit", "how", "_content"), [*CELLS, LEECH], ids=[*IDS, "leech"])
def test_both_changed_a_unit(table, unit, how, _content):
    old, mine, theirs = values(unit, how)
    merged, conflicts = merge_units(contest(table), {unit: old}, {unit: mine}, {unit: theirs})
    assert merged == {unit: EXPECTED[how](old, mine, theirs)}
    assert [c.weight for c in conflicts] == ([REPORTED[how]] if how in REPORTED else [])


@pytest.mark.parametrize(("table", "unit", "how", "_content"), [*CELLS, LEECH], ids=[*IDS, "leech"])
def test_one_side_changed_a_unit(table, unit, how, _content):
    old, mine, theirs = values(unit, how)
    for desktop, phone in ((mine, old), (old, theirs), (None, old), (old, None), (mine, mine)):
        if desktop == phone and how is How.COUNTED:
            continue
        merged, conflicts = merge_units(contest(table), {unit: old}, {unit: desktop}, {unit: phone})
        assert merged == {unit: phone if desktop == old else desktop}
        assert not conflicts


ROWS = {
    Table.NOTES: 1001, Table.CARDS: 2001, Table.DECKS: 14, Table.DECK_CONFIG: 2, Table.NOTETYPES: 101,
    Table.CONFIG: None, Table.TAGS: "unused",
}  # fmt: skip
# a field or template of another id is another one: a matter of shape, not of rows
NEW_IDS = {"field:0:config:9", "template:0:config:8", "field:10:config:9", "template:10:config:8"}
FAR = {
    "field:12",
    "field:10",
    "template:10",
    "kind:11",
}  # as their nearer fellows, and in no row of this world


def edited(table, unit):
    """Return a row of the ancestor, and the same with one unit edited."""
    row = _row(table, unit)
    if unit in {"place", "leaf"}:
        return row, row._replace(name={"place": "A\x1fE", "leaf": "D\x1fG"}[unit])
    whole = dict(units.SPLIT[table](row))
    whole[unit] = _other(whole.get(unit), unit)
    return row, units.JOIN[table](whole, row)


def _row(table, unit):
    if table is Table.CONFIG:
        key = unit.partition(":")[2] or "rollover"
        return BASE[table].get(key) or model.ConfigEntry(key, 1, b"1")
    if unit == "filter":
        return BASE[table][15]
    return BASE[table][ROWS[table]]


def _other(value, unit):
    """Return another value of the same kind."""
    match value:
        case None if unit.startswith("tag:"):
            return unit.removeprefix("tag:")
        case bytes() if unit.startswith("value:"):
            return b"5"
        case bytes() if unit == "filter":
            return model.filtered_deck(15, "F", search="deck:A").kind
        case bytes() | None:
            number = int(unit.rpartition(":")[2])
            return wire.message_field(number, b"edited") if number > 200 else wire.varint_field(number, 77)
        case bool():
            return not value
        case tuple():
            return (value[0] + 1, *value[1:])
        case str():
            return value.upper() if unit == "spelling" else f"{value}x"
        case _:
            return value + 1


@pytest.mark.parametrize(
    ("table", "unit", "_how", "content"),
    [cell for cell in [*CELLS, LEECH] if cell[1].rpartition(":config")[0].removesuffix(":name") not in FAR
     and cell[1] not in FAR | NEW_IDS and cell[1] not in {"field:10:name", "template:10:name"}],
)  # fmt: skip
def test_an_edit_of_a_unit_meets_a_deletion(table, unit, _how, content):
    row, now = edited(table, unit)
    key = model.key_of(table, row)
    base = after(row)
    for deleter in Side:
        worlds = {deleter: after(base=base, gone=[(table, key)]), deleter.other: after(now, base=base)}
        changes = {side: model.compare(base, base, world)[1] for side, world in worlds.items()}
        context = Context({did: deck.name for did, deck in BASE[Table.DECKS].items()})
        result = reconcile(changes[DESKTOP], changes[PHONE], context)
        (conflict,) = [c for c in result.conflicts if c.unit == "deletion" and c.kind == table]
        assert result.rows[table][key] == (now if content else None)
        assert conflict.chosen is (deleter.other if content else deleter)
        filed = unit in {"deck", "flag", "suspended"}
        weight = Weight.QUIET if table is Table.TAGS else Weight.LOST if content or filed else Weight.COUNTED
        assert conflict.weight is weight
        assert [conflict.desktop, conflict.phone][list(Side).index(deleter)] == "deleted"


def test_every_unit_that_rows_are_taken_apart_into_has_a_cell():
    for table, split in units.SPLIT.items():
        for row in BASE[table].values():
            for unit in split(row):
                assert rule_for(table, unit).unit == "" or unit.startswith(rule_for(table, unit).unit[:4])


def test_every_rule_has_a_cell_here():
    """Reviews, graves and shapes are no rows of units; their cells say what other modules do."""
    elsewhere = {(Table.REVLOG, "answer"), (Table.GRAVES, ""), (Table.NOTETYPES, "shape")}
    tried = {(table, rule_for(table, unit).unit) for table, unit, *_ in [*CELLS, LEECH]}
    assert tried | elsewhere == {(table, rule.unit) for table, rules in RULES.items() for rule in rules}
    assert not tried & elsewhere


def test_every_rule_says_why():
    assert all(rule.says for rules in RULES.values() for rule in rules)


@pytest.mark.parametrize(("table", "unit", "how", "content"), [*CELLS, LEECH], ids=[*IDS, "leech"])
def test_the_longest_prefix_rules(table, unit, how, content):
    rule = rule_for(table, unit)
    assert (rule.how, rule.content) == (how, content)


# --- the arithmetic ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "mine", "theirs", "later", "shared", "expected"),
    [
        ((3, 1), (5, 1), (4, 2), DESKTOP, (0, 0), (6, 2)),  # two answers here, a lapse there
        ((3, 1), (4, 1), (4, 1), PHONE, (0, 0), (5, 1)),  # one answer each, counted alike
        ((3, 1), (4, 2), (4, 2), PHONE, (1, 1), (4, 2)),  # the same answer on both, by way of AnkiWeb
        ((3, 1), (5, 2), (4, 2), PHONE, (1, 1), (5, 2)),  # the same, and one more here
        ((3, 1), (4, 1), (4, 1), PHONE, (2, 0), (4, 1)),  # AnkiWeb has both reviews and one side's count
        ((3, 1), (0, 0), (4, 1), PHONE, (0, 0), (4, 1)),  # reset here, answered there later
        ((3, 1), (0, 0), (4, 1), DESKTOP, (0, 0), (0, 0)),  # answered there, reset here later
        ((3, 1), (4, 1), (0, 0), PHONE, (0, 0), (0, 0)),
        ((0, 0), (1, 0), (1, 0), PHONE, (0, 0), (2, 0)),  # a new card, answered on both
        ((3, 1), (3, 1), (4, 1), PHONE, (0, 0), (4, 1)),  # as many as before are none
        ((3, 1), (3, 1), (4, 1), DESKTOP, (0, 0), (4, 1)),  # and no reset
        ((3, 1), (4, 1), (3, 1), PHONE, (0, 0), (4, 1)),
        (None, (3, 1), (4, 0), PHONE, (0, 0), (4, 1)),  # both made it: nobody knows what they share
    ],
)
def test_answers_and_lapses_add_up(old, mine, theirs, later, shared, expected):
    assert add_counts(old, mine, theirs, later, shared) == expected


def test_an_answer_on_each_side_counts_twice_though_the_counts_are_equal():
    old = {"counts": (3, 1), "schedule": due(0)}
    both = ({"counts": (4, 1), "schedule": due(1)}, {"counts": (4, 1), "schedule": due(2)})
    answered = contest(Table.CARDS, answered=frozenset(Side))
    assert merge_units(answered, old, *both)[0]["counts"] == (5, 1)
    assert merge_units(contest(Table.CARDS, answered=frozenset({PHONE})), old, *both)[0]["counts"] == (4, 1)


def test_two_answers_of_one_second_that_leave_the_same_card_count_twice():
    card = BASE[Table.CARDS][2001]._replace(reps=4, lapses=2, mod=model.T0 + 5)
    one, two = (model.Review((model.T0 + 5) * 1000 + at, 2001, 1, 1, 1, 1, 1, 1) for at in (1, 2))
    world = equal(sync(BASE, after(card, one), after(card, two)))
    assert (world[Table.CARDS][2001].reps, world[Table.CARDS][2001].lapses) == (5, 3)


def test_an_answer_that_both_hold_and_one_more_on_each_side_are_three():
    shared, one, two = (model.Review((model.T0 + at) * 1000, 2001, 3, 1, 1, 1, 1, 1) for at in (1, 2, 3))
    mine = BASE[Table.CARDS][2001]._replace(reps=5, ivl=7, mod=model.T0 + 2)
    theirs = mine._replace(ivl=8, mod=model.T0 + 3)
    world = equal(sync(BASE, after(mine, shared, one), after(theirs, shared, two)))
    assert (world[Table.CARDS][2001].reps, world[Table.CARDS][2001].ivl) == (6, 8)


def test_after_a_reset_the_later_act_counts():
    old = {"counts": (3, 1), "schedule": due(0)}
    both = ({"counts": (0, 0), "schedule": due(9)}, {"counts": (4, 1), "schedule": due(2)})
    assert merge_units(contest(Table.CARDS), old, *both)[0]["counts"] == (4, 1)
    desktop_last = contest(Table.CARDS, acted={DESKTOP: 9, PHONE: 5})
    assert merge_units(desktop_last, old, *both)[0]["counts"] == (0, 0)
    tie = contest(Table.CARDS, acted={DESKTOP: 5, PHONE: 5})
    assert merge_units(tie, old, *both)[0]["counts"] == (0, 0)  # as the greater schedule has it
    assert merge_units(tie, old, *reversed(both))[0]["counts"] == (0, 0)


def test_nothing_is_shared_where_nothing_is_said_of_it():
    assert add_counts((3, 1), (4, 2), (5, 3), DESKTOP) == (6, 4)


@pytest.mark.parametrize(
    ("old", "mine", "theirs", "expected"),
    [
        ((7, 1, 1, 1, 1), (7, 2, 1, 1, 5), (7, 1, 3, 1, 2), (7, 2, 3, 1, 6)),  # one day on all three
        ((6, 9, 9, 9, 9), (7, 2, 0, 0, 5), (7, 1, 3, 0, 2), (7, 3, 3, 0, 7)),  # yesterday does not count
        ((7, 1, 1, 1, 1), (7, 2, 1, 1, 5), (8, 1, 0, 0, 2), (8, 1, 0, 0, 2)),  # the later day stands
        ((7, 1, 1, 1, 1), (8, 2, 1, 1, 5), (7, 3, 1, 1, 9), (8, 2, 1, 1, 5)),
        (None, (7, 2, 0, 0, 5), (7, 1, 3, 0, 2), (7, 3, 3, 0, 7)),  # both made the deck
    ],
)
def test_todays_counts_add_up(old, mine, theirs, expected):
    assert add_today(old, mine, theirs) == expected


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [(3, 10, 10), (10, 3, 10), (b"9", b"10", b"10"), (b"-9", b"-10", b"-9"), (b" 9 ", b"10", b"10"),
     (b"null", b"-1", b"null"), (b"x", b"1", b"1"), (b"\xff", b"1", b"1"), (b"1e9", b"2", b"2"),
     (b"9" * 19, b"1", b"1"), (b"9" * 18, b"1", b"9" * 18)],
)  # fmt: skip
def test_the_highest_of_two_numbers(mine, theirs, expected):
    assert highest(mine, theirs) == expected
    assert highest(theirs, mine) == expected


def test_two_answers_to_one_card_through_the_whole_merge():
    """Both answered once; the later sets the schedule, and both are counted."""
    base = BASE[Table.CARDS][2001]
    mine = base._replace(reps=4, ivl=9, due=120, mod=model.T0 + 5)
    theirs = base._replace(reps=4, lapses=2, ivl=1, due=101, mod=model.T0 + 9)
    said = {
        side: model.Review((model.T0 + at) * 1000, 2001, 3, 1, 1, 1, 1, 1)
        for side, at in ((DESKTOP, 5), (PHONE, 3))
    }
    merged = sync(BASE, after(mine, said[DESKTOP]), after(theirs, said[PHONE]))
    for world in merged.worlds.values():
        card = world[Table.CARDS][2001]
        assert (card.ivl, card.due, card.reps, card.lapses) == (9, 120, 5, 2)
        assert {row.id for row in said.values()} <= world[Table.REVLOG].keys()
    (conflict,) = merged.conflicts
    assert (conflict.unit, conflict.chosen, conflict.weight) == ("schedule", DESKTOP, Weight.COUNTED)
    assert conflict.reason.startswith("answered on both;")


def test_an_answer_and_a_new_due_day_through_the_whole_merge():
    base = BASE[Table.CARDS][2001]
    answered = base._replace(reps=4, ivl=9, due=120, mod=model.T0 + 5)
    moved = base._replace(due=300, mod=model.T0 + 9)
    said = model.Review((model.T0 + 5) * 1000, 2001, 3, 1, 1, 1, 1, 1)
    merged = sync(BASE, after(answered, said), after(moved))
    (conflict,) = merged.conflicts
    assert (conflict.unit, conflict.chosen, conflict.weight) == ("schedule", PHONE, Weight.COUNTED)
    assert conflict.reason.startswith("answered on one side, rescheduled on the other;")
    assert merged.worlds[DESKTOP][Table.CARDS][2001].due == 300


def gathered(cid, did=15, *, at, mod, odue=None):
    """Return a card as a filtered deck holds it."""
    card = BASE[Table.CARDS][cid]
    return card._replace(
        did=did, odid=card.did, odue=card.due if odue is None else odue, due=at - 100_000, mod=model.T0 + mod
    )


def home(cid, mod):
    card = BASE[Table.CARDS][cid]
    return card._replace(did=card.odid, odid=0, odue=0, due=card.odue, mod=model.T0 + mod)


LOGICS = [Settlement(logic=logic) for logic in Logic]


@pytest.mark.parametrize("settlement", LOGICS)
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (gathered(2001, at=3, mod=5), gathered(2001, at=7, mod=9)),  # gathered again on both
        (gathered(2005, at=3, mod=5), gathered(2005, at=7, mod=9)),
        (home(2003, 5), BASE[Table.CARDS][2003]._replace(due=-99_000, mod=model.T0 + 9)),  # emptied, rebuilt
        (home(2003, 9), BASE[Table.CARDS][2003]._replace(due=-99_000, mod=model.T0 + 5)),
    ],
)
def test_a_card_that_was_only_gathered_is_not_said_to_be_studied(mine, theirs, settlement):
    for one, other in both_ways([mine], [theirs]):
        merged = sync(BASE, after(*one), after(*other), settlement)
        newer = max(mine, theirs, key=lambda card: card.mod)
        assert equal(merged)[Table.CARDS][mine.id] == newer
        (conflict,) = merged.conflicts
        assert (conflict.unit, conflict.weight) == ("schedule", Weight.QUIET)
        assert conflict.reason.startswith("only gathered into a filtered deck, or sent home")


@pytest.mark.parametrize("reps", [3, 4])
def test_what_was_done_to_a_card_stands_though_it_was_gathered_later_there(reps):
    """Answered, or given another day, on one side; a filtered deck's rebuilding on the other is no act."""
    done = BASE[Table.CARDS][2001]._replace(reps=reps, due=130, ivl=30, mod=model.T0 + 5)
    said = [model.Review((model.T0 + 5) * 1000, 2001, 3, 30, 5, 2500, 1, 1)] if reps == 4 else []
    for one, other in both_ways([done, *said], [gathered(2001, at=3, mod=9)]):
        merged = sync(BASE, after(*one), after(*other))
        assert equal(merged)[Table.CARDS][2001] == done._replace(mod=model.T0 + 10)
        (conflict,) = merged.conflicts
        assert (conflict.weight, conflict.reason) == (Weight.QUIET, FILED)


def test_where_both_studied_it_and_one_gathered_it_the_later_act_stands_and_is_told():
    moved = BASE[Table.CARDS][2001]._replace(due=130, ivl=30, mod=model.T0 + 5)
    for one, other in both_ways([moved], [gathered(2001, at=3, mod=9, odue=140)]):
        merged = sync(BASE, after(*one), after(*other))
        assert equal(merged)[Table.CARDS][2001].odue == 140
        (conflict,) = merged.conflicts
        assert conflict.weight is Weight.LOST


@pytest.mark.parametrize(
    ("card", "queue"),
    [(model.card(1, 1, 1), 0), (model.seen_card(1, 1, 1), 2), (model.card(1, 1, 1, type=1, queue=3, due=9), 3),
     (model.card(1, 1, 1, type=1, queue=1, due=1_700_000_000), 1), (model.card(1, 1, 1, type=3, queue=3, due=9), 3)],
)  # fmt: skip
def test_a_schedule_at_home_is_the_same_wherever_the_card_is(card, queue):
    there = card._replace(did=15, odid=1, odue=card.due, due=-99_999, queue=2)
    schedules = [units.split_card(each)["schedule"] for each in (card, there)]
    assert units.at_home(schedules[0]) == units.at_home(schedules[1]) == schedules[0]
    assert schedules[0][1] == queue


# --- the cells that other modules carry out ----------------------------------------------------------


def cell(table, unit):
    (rule,) = [rule for rule in RULES[table] if rule.unit == unit]
    return rule.how, rule.content


def test_the_cell_of_answers_both_stay_and_none_beats_the_deletion_of_a_card():
    one, two = (model.Review(model.T0 * 1000, 2001, ease, 1, 1, 1, 1, 1) for ease in (1, 3))
    world = equal(sync(BASE, after(one), after(two)))
    assert {one[1:], two[1:]} <= {row[1:] for row in world[Table.REVLOG].values()}
    answered = BASE[Table.CARDS][2002]._replace(reps=1, mod=model.T0 + 5)
    world = equal(sync(BASE, after(gone=[(Table.CARDS, 2002)]), after(answered, one._replace(cid=2002))))
    assert 2002 not in world[Table.CARDS]
    assert cell(Table.REVLOG, "answer") == (How.POLICY, False)


def test_the_cell_of_shapes_the_policys_order_stands_and_a_new_shape_beats_a_deletion():
    kind = BASE[Table.NOTETYPES][101]
    turned = kind._replace(templates=kind.templates[::-1], mtime=model.T0 + 5)
    cards = [c._replace(ord=1 - c.ord) for c in BASE[Table.CARDS].values() if c.nid in {1001, 1004}]
    notes = [n for n in BASE[Table.NOTES].values() if n.mid == 101]
    rows = [(Table.CARDS, card.id) for card in cards] + [(Table.NOTES, note.id) for note in notes]
    merged = sync(BASE, after(turned, *cards), after(gone=[(Table.NOTETYPES, 101), *rows]))
    assert 101 in equal(merged)[Table.NOTETYPES]
    assert ("notetypes", 101, "deletion") in {conflict.where for conflict in merged.conflicts}
    three = model.notetype(102, "Vocabulary", ["Word", "Meaning", "Example"], ["A", "B", "C"])
    base = after(three)
    orders = {DESKTOP: (2, 0, 1), PHONE: (1, 2, 0)}
    sides = [
        after(
            three._replace(templates=tuple(three.templates[at] for at in order), mtime=model.T0 + late),
            base=base,
        )
        for late, order in enumerate(orders.values(), 5)
    ]
    for policy, side in ((Policy.DESKTOP, DESKTOP), (Policy.PHONE, PHONE), (Policy.NEWEST, PHONE)):
        world = equal(sync(base, *sides, Settlement(policy)))
        names = [part.name for part in world[Table.NOTETYPES][102].templates]
        assert names == ["ABC"[at] for at in orders[side]]
    assert cell(Table.NOTETYPES, "shape") == (How.POLICY, True)


def test_the_cell_of_graves_what_lives_has_none_and_what_went_has_one_where_it_was():
    buried = after(model.Grave(2002, 0), gone=[(Table.CARDS, 2002)])
    merged = sync(BASE, buried, BASE.copy())
    assert all((2002, 0) in world[Table.GRAVES] for world in merged.worlds.values())
    assert not merged.conflicts
    assert cell(Table.GRAVES, "") == (How.NEWER, False)


def test_the_same_answer_on_both_by_way_of_ankiweb_counts_once():
    card = BASE[Table.CARDS][2001]._replace(reps=4, lapses=2, ivl=9, due=120, mod=model.T0 + 5)
    said = model.Review((model.T0 + 5) * 1000, 2001, 1, 1, 1, 1, 1, 1)
    merged = sync(BASE, after(card._replace(flags=1), said), after(card._replace(flags=2), said))
    for world in merged.worlds.values():
        assert (world[Table.CARDS][2001].reps, world[Table.CARDS][2001].lapses) == (4, 2)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_counts_only_grow(old, mine, theirs, shared):
    counts = add_counts((old, 0), (old + mine, 0), (old + theirs, 0), DESKTOP, (min(shared, mine, theirs), 0))
    assert counts[0] == old + mine + theirs - min(shared, mine, theirs)
