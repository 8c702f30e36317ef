"""What a report shows of a card, a deck or options is what people call it: no id, no bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from anki import deck_config_pb2, decks_pb2
from core import model
from core.cases import BASE, LATER, after, note
from core.model import SEP, compare

from usbsync.core import titles
from usbsync.core.changes import Known, Table
from usbsync.core.conflict import Side
from usbsync.core.reconcile import reconcile
from usbsync.core.units import SPLIT
from usbsync.core.values import shown

KNOWN = Known(
    decks={10: f"A{SEP}B", 15: "Cram"},
    notetypes={100: "Basic"},
    options={2: "Slow"},
    notes={1001: f"{SEP}the back"},
    first_day=date(2020, 1, 1).toordinal(),
)


def conflict(*rows, known=KNOWN, base=BASE):
    """Return the one conflict of two worlds, with what is known of names."""
    mine, theirs = rows
    *changes, context = compare(base, after(mine, base=base), after(theirs, base=base))
    (told,) = reconcile(*changes, replace(context, known=known)).conflicts
    return told


def card(**values):
    return BASE[Table.CARDS][2002]._replace(mod=LATER, **values)


def test_a_card_is_named_by_what_its_note_says():
    told = conflict(card(flags=2), card(flags=3))
    assert (told.title, told.unit) == ('card 2 of "the back"', "flag")
    assert (told.ancestor, told.desktop, told.phone) == ("red", "orange", "green")
    assert conflict(card(flags=2), card(flags=0), known=Known()).title == "card 2 of note 1001"


@pytest.mark.parametrize("writer", Side)
def test_a_card_is_named_by_what_its_note_says_after_an_edit_of_it(writer):
    sides = {Side.DESKTOP: after(card(flags=2)), Side.PHONE: after(card(flags=3))}
    sides[writer].put(Table.NOTES, note(1001, flds=f"<b>edited</b>{SEP}the back"))
    *changes, context = compare(BASE, sides[Side.DESKTOP], sides[Side.PHONE])
    (told,) = reconcile(*changes, replace(context, known=KNOWN)).conflicts
    assert told.title == 'card 2 of "edited"'


def test_a_deck_and_a_notetype_are_named():
    told = conflict(card(did=10), card(did=77))
    assert (told.unit, told.desktop, told.phone) == ("deck", "A::B", "77")
    assert shown(Table.NOTES, "notetype", 100, KNOWN) == "Basic"
    assert shown(Table.NOTES, "notetype", 7, KNOWN) == "7"
    assert [shown(Table.DECKS, "place", did, KNOWN) for did in (None, 10)] == ["at the top", "A::B"]
    assert [shown(Table.CARDS, "suspended", value, KNOWN) for value in (True, False)] == [
        "suspended",
        "not suspended",
    ]


NEW = {"type": 0, "queue": 0, "due": 7}
REVIEW = {"type": 2, "queue": 2, "due": 30, "ivl": 12, "factor": 2500}
LEARNING = {"type": 1, "queue": 1, "due": 1_600_000_000, "left": 2002}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (NEW, "new, place 7"),
        (REVIEW, "review, due 2020-01-31, every 12 days, ease 250%"),
        ({**REVIEW, "ivl": 1}, "review, due 2020-01-31, every day, ease 250%"),
        ({**REVIEW, "due": -5, "odue": 30, "odid": 10, "did": 15},
         "review, due 2020-01-31, every 12 days, ease 250%, in the filtered deck Cram"),
        ({**REVIEW, "data": '{"s":3.25,"d":5}'},
         "review, due 2020-01-31, every 12 days, ease 250%, stability 3.25, difficulty 5"),
        (LEARNING, "learning, due 2020-09-13, 2 steps left"),
        ({**LEARNING, "type": 3, "queue": 3, "due": 1}, "relearning, due 2020-01-02, 2 steps left"),
        ({**REVIEW, "due": -10**9, "factor": 0}, "review, due on day -1000000000, every 12 days"),
        ({**NEW, "type": 9, "data": "[1"}, "kind 9, due 2020-01-08"),
        ({**NEW, "data": '{"s":1' + "0" * 400 + "}"}, "new, place 7"),
        ({**NEW, "data": "[" * 100_000}, "new, place 7"),
    ],
)  # fmt: skip
def test_a_schedule_is_told_in_words(values, text):
    units = SPLIT[Table.CARDS](model.card(1, 2, 3)._replace(**values))
    assert shown(Table.CARDS, "schedule", units["schedule"], KNOWN) == text


def test_a_day_is_a_number_where_nobody_knows_the_first():
    units = SPLIT[Table.CARDS](model.card(1, 2, 3)._replace(**REVIEW))
    assert shown(Table.CARDS, "schedule", units["schedule"], Known()).startswith("review, due on day 30,")


def deck_units(**normal):
    row = decks_pb2.Deck.KindContainer(normal=decks_pb2.Deck.Normal(**normal))
    return SPLIT[Table.DECKS](model.deck(1, "x")._replace(kind=row.SerializeToString()))


def test_what_a_deck_is_set_to_is_told_in_words():
    units = deck_units(
        config_id=2,
        new_limit=7,
        new_limit_today=decks_pb2.Deck.Normal.DayLimit(limit=9, today=100),
        desired_retention=0.9,
        description="said",
    )
    told = {unit: shown(Table.DECKS, unit, value, KNOWN) for unit, value in units.items()}
    assert told.items() >= {
        "options:1": "Slow", "limits:7": "7", "limits:9": "9", "limits:10": "0.9", "description:4": "said",
    }.items()  # fmt: skip


def test_what_a_filtered_deck_gathers_is_told_in_words():
    term = decks_pb2.Deck.Filtered.SearchTerm
    terms = [term(search="deck:A is:due", limit=20), term(search="tag:x", limit=5, order=1)]
    for resched, said in ((True, ""), (False, "; without rescheduling")):
        filtered = decks_pb2.Deck.Filtered(reschedule=resched, search_terms=terms)
        raw = decks_pb2.Deck.KindContainer(filtered=filtered).SerializeToString()
        text = f"deck:A is:due, at most 20 cards; tag:x, at most 5 cards{said}"
        assert shown(Table.DECKS, "filter", raw, KNOWN) == text


def test_what_options_are_set_to_is_told_in_words():
    config = deck_config_pb2.DeckConfig.Config(learn_steps=[1, 10.5], initial_ease=2.5, new_per_day=20)
    row = model.deck_config(5, "Opt")._replace(config=config.SerializeToString())
    units = SPLIT[Table.DECK_CONFIG](row)
    told = {unit: shown(Table.DECK_CONFIG, unit, value, KNOWN) for unit, value in units.items()}
    assert told.items() >= {"option:1": "1 10.5", "option:11": "2.5", "option:9": "20"}.items()


@pytest.mark.parametrize(
    "raw", [b"\x12", b"\x12\x05ab", b"\x12\x02\x0a\x05", b"\xff\xff", b"\x0d\x01", b"\x0b"]
)
@pytest.mark.parametrize(
    ("table", "unit"),
    [(Table.DECKS, "filter"), (Table.DECKS, "limits:9"), (Table.DECKS, "options:1"), (Table.DECK_CONFIG, "option:1")],
)  # fmt: skip
def test_what_makes_no_sense_is_shown_as_it_is(table, unit, raw):
    """Whatever a phone holds, a report can be made."""
    assert isinstance(shown(table, unit, raw, KNOWN), str)


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        (["front", "back"], "front"),
        (["", "<div> </div>", "third"], "third"),
        (["<img src='a.jpg'>", "back"], "[image a.jpg]"),
        (["", "<br>"], "1000"),
    ],
)
def test_a_note_is_named_by_the_first_field_that_says_something(fields, title):
    assert titles.of(Table.NOTES, note(1000, flds=SEP.join(fields))) == title


def test_a_cards_data_that_no_app_writes_ends_no_merge():
    """Brackets in brackets, 100,000 deep: a phone's."""
    studied = BASE[Table.CARDS][2001]._replace(reps=9, due=7, mod=LATER, data='{"lrt":1}')
    deep = BASE[Table.CARDS][2001]._replace(reps=8, due=6, mod=LATER, data="[" * 100_000)
    *changes, context = compare(BASE, after(studied), after(deep))
    assert [c.unit for c in reconcile(*changes, context).conflicts] == ["schedule"]
