"""Rows taken apart and put together come out as they were, as Anki makes them."""

from __future__ import annotations

import pytest
from anki import deck_config_pb2, decks_pb2, notetypes_pb2
from core import model
from core.cases import BASE
from core.model import SEP
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core import units
from usbsync.core.changes import (
    Card,
    ConfigEntry,
    Deck,
    DeckConfig,
    Field,
    Note,
    Notetype,
    Table,
    Tag,
    Template,
)
from usbsync.core.unicase import unicase
from usbsync.core.units import JOIN, SPLIT, resting_queue, sent_home

word = st.text(st.characters(exclude_characters=SEP, exclude_categories=("Cs", "Cc")), max_size=8)
tag = st.text("aäTxß:-_", min_size=1, max_size=5)
int32 = st.integers(-(2**31), 2**31 - 1)
number = st.integers(0, 2**31)


def anki_tags(tags: list[str]) -> str:
    kept = {unicase(tag): tag for tag in tags}
    return f" {' '.join(kept[key] for key in sorted(kept))} " if kept else ""


notes = st.builds(
    Note, id=number, guid=word, mid=number, mod=number, tags=st.builds(anki_tags, st.lists(tag, max_size=5)),
    flds=st.lists(word, min_size=1, max_size=15).map(SEP.join), flags=number, data=word, derived=st.just(""),
)  # fmt: skip
commons = st.builds(
    decks_pb2.Deck.Common, study_collapsed=st.booleans(), browser_collapsed=st.booleans(), last_day_studied=number,
    new_studied=int32, review_studied=int32, learning_studied=int32, milliseconds_studied=int32, other=st.binary(),
)  # fmt: skip
limit = st.builds(decks_pb2.Deck.Normal.DayLimit, limit=number, today=number)
normals = st.builds(
    decks_pb2.Deck.Normal, config_id=number, extend_new=number, extend_review=number, description=word,
    markdown_description=st.booleans(), review_limit=st.none() | number, new_limit=st.none() | number,
    review_limit_today=st.none() | limit, desired_retention=st.none() | st.floats(0, 1, width=32),
)  # fmt: skip
filtered = st.builds(
    decks_pb2.Deck.Filtered, reschedule=st.booleans(), preview_delay=number,
    search_terms=st.lists(st.builds(decks_pb2.Deck.Filtered.SearchTerm, search=word, limit=number), max_size=2),
)  # fmt: skip
kinds = st.one_of(
    st.builds(decks_pb2.Deck.KindContainer, normal=normals),
    st.builds(decks_pb2.Deck.KindContainer, filtered=filtered),
)


def raw(message) -> bytes:
    return message.SerializeToString(deterministic=True)


decks = st.builds(Deck, id=number, name=word, mtime=number, common=commons.map(raw), kind=kinds.map(raw))
configs = st.builds(
    deck_config_pb2.DeckConfig.Config, learn_steps=st.lists(st.floats(0, 9, width=32), max_size=3), new_per_day=number,
    initial_ease=st.floats(width=32, allow_nan=False), other=st.binary(),
)  # fmt: skip
deck_configs = st.builds(DeckConfig, id=number, name=word, mtime=number, config=configs.map(raw))
field_configs = st.builds(notetypes_pb2.Notetype.Field.Config, sticky=st.booleans(), font_name=word, font_size=number,
                          id=st.none() | int32)  # fmt: skip
template_configs = st.builds(
    notetypes_pb2.Notetype.Template.Config, q_format=word, a_format=word, target_deck_id=number
)
requirements = st.builds(
    notetypes_pb2.Notetype.Config.CardRequirement, card_ord=number, field_ords=st.lists(number)
)
notetype_configs = st.builds(notetypes_pb2.Notetype.Config, css=word, sort_field_idx=number,
                             reqs=st.lists(requirements, max_size=2))  # fmt: skip
notetypes = st.builds(
    Notetype, id=number, name=word, mtime=number, config=notetype_configs.map(raw),
    fields=st.lists(st.builds(Field, name=word, config=field_configs.map(raw)), max_size=12).map(tuple),
    templates=st.lists(st.builds(Template, name=word, mtime=number, config=template_configs.map(raw)), max_size=12).map(tuple),
)  # fmt: skip
cards = st.builds(
    Card, id=number, nid=number, did=st.integers(1, 99), ord=number, mod=number, type=st.integers(0, 3),
    queue=st.integers(0, 4), due=int32, ivl=number, factor=number, reps=number, lapses=number, left=number,
    odue=number, odid=st.integers(0, 3), flags=st.integers(0, 7), data=word,
)  # fmt: skip
rows = {
    Table.NOTES: notes, Table.CARDS: cards, Table.DECKS: decks, Table.DECK_CONFIG: deck_configs,
    Table.NOTETYPES: notetypes, Table.CONFIG: st.builds(ConfigEntry, key=word, mtime=number, val=st.binary()),
    Table.TAGS: st.builds(Tag, tag=tag, collapsed=st.integers(0, 1)),
}  # fmt: skip


@given(st.data(), st.sampled_from(sorted(rows)))
def test_a_row_taken_apart_comes_together(data, table):
    row = data.draw(rows[table])
    assert JOIN[table](SPLIT[table](row), row) == row


@given(st.data(), st.sampled_from(sorted(rows)))
def test_a_row_comes_together_like_any_other_of_its_kind(data, table):
    """What a row is like says its id (and a deck's name), and nothing else."""
    row, like = data.draw(rows[table]), data.draw(rows[table])
    like = like._replace(**{name: getattr(row, name) for name in ("id", "key") if hasattr(row, name)})
    if table is Table.DECKS:
        like = like._replace(name=row.name)
    if table is Table.NOTETYPES:
        like = row._replace(name="", mtime=0, config=b"")
    assert JOIN[table](SPLIT[table](row), like) == row


def test_every_table_of_rows_is_taken_apart():
    assert SPLIT.keys() == JOIN.keys() == rows.keys()
    for table in SPLIT:
        for row in BASE[table].values():
            joined = JOIN[table](SPLIT[table](row), row)
            assert joined == (row._replace(derived="") if table is Table.NOTES else row)


# --- notes -------------------------------------------------------------------------------------------


def test_tags_are_known_by_their_folded_name_and_kept_as_they_are_spelled():
    note = BASE[Table.NOTES][1000]._replace(tags=" Zebra äpfel Ähre b ")
    split = SPLIT[Table.NOTES](note)
    assert split["tag:zebra"] == "Zebra"
    assert JOIN[Table.NOTES](split, note).tags == f" {' '.join(sorted(note.tags.split(), key=unicase))} "
    assert JOIN[Table.NOTES]({**split, "tag:zebra": None}, note).tags.count("Zebra") == 0


def test_a_note_with_more_than_ten_fields_keeps_their_order():
    note = BASE[Table.NOTES][1000]._replace(flds=SEP.join(map(str, range(12))), derived="")
    assert JOIN[Table.NOTES](SPLIT[Table.NOTES](note), note) == note


# --- cards -------------------------------------------------------------------------------------------

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("type_", "due", "queue"),
    [(0, 5, 0), (1, NOW, 1), (1, 300, 3), (2, 300, 2), (3, NOW, 1), (3, 300, 3), (1, 1_000_000_000, 3), (1, 1_000_000_001, 1)],
)  # fmt: skip
@pytest.mark.parametrize("hidden", [-1, -2, -3])
def test_a_card_that_is_put_aside_remembers_where_it_was(type_, due, queue, hidden):
    card = model.card(1, 1, 1, type=type_, queue=hidden, due=due)
    assert resting_queue(card) == queue
    split = SPLIT[Table.CARDS](card)
    assert (split["suspended"], split["buried"]) == (hidden == -1, 0 if hidden == -1 else hidden)
    assert JOIN[Table.CARDS](split, card) == card
    assert JOIN[Table.CARDS]({**split, "suspended": False, "buried": 0}, card).queue == queue


@pytest.mark.parametrize("queue", [0, 1, 2, 3, 4])
def test_a_card_in_play_is_where_it_is(queue):
    assert resting_queue(model.card(1, 1, 1, queue=queue)) == queue


def test_suspended_counts_more_than_buried():
    split = SPLIT[Table.CARDS](model.card(1, 1, 1))
    assert JOIN[Table.CARDS]({**split, "suspended": True, "buried": -2}, model.card(1, 1, 1)).queue == -1


def test_a_card_in_a_filtered_deck_has_its_home_as_its_deck():
    away = model.seen_card(1, 1, 15, odid=13, odue=103, due=-5)
    split = SPLIT[Table.CARDS](away)
    assert split["deck"] == 13
    assert JOIN[Table.CARDS]({**split, "deck": 14}, away) == away._replace(odid=14)
    assert SPLIT[Table.CARDS](model.card(1, 1, 15))["deck"] == 15


@pytest.mark.parametrize(
    ("card", "home"),
    [
        ({"type": 2, "queue": 2, "due": -5, "odue": 103}, {"type": 2, "queue": 2, "due": 103}),
        ({"type": 0, "queue": 0, "due": -5, "odue": 7}, {"type": 0, "queue": 0, "due": 7}),
        ({"type": 1, "queue": 1, "due": NOW, "odue": 0}, {"type": 1, "queue": 1, "due": NOW}),
        ({"type": 2, "queue": 4, "due": NOW, "odue": 103}, {"type": 2, "queue": 2, "due": 103}),  # previewed
        ({"type": 3, "queue": 3, "due": 300, "odue": 0}, {"type": 3, "queue": 3, "due": 300}),
        ({"type": 2, "queue": -1, "due": -5, "odue": 103}, {"type": 2, "queue": -1, "due": 103}),
        ({"type": 2, "queue": -3, "due": -5, "odue": 103}, {"type": 2, "queue": -3, "due": 103}),
    ],
)  # fmt: skip
def test_a_card_is_sent_home(card, home):
    away = model.card(1, 1, 15, odid=13, **card)
    assert sent_home(away) == model.card(1, 1, 13, odid=0, odue=0, **home)


def test_a_card_at_home_stays():
    card = model.seen_card(1, 1, 13)
    assert sent_home(card) is card


# --- decks -------------------------------------------------------------------------------------------


def test_which_options_a_deck_has_and_whether_it_is_filtered():
    assert [units.options_of(BASE[Table.DECKS][did]) for did in (10, 11, 15)] == [1, 2, 0]
    assert [units.is_filtered(BASE[Table.DECKS][did]) for did in (10, 15)] == [False, True]


@given(decks)
def test_a_decks_units_are_named_after_what_people_know(deck):
    kinds = {unit.partition(":")[0] for unit in SPLIT[Table.DECKS](deck)}
    assert kinds <= {"today", "mod", "collapsed", "common", "filter", "options", "description", "limits"}
    if units.is_filtered(deck):
        assert not kinds & {"options", "description", "limits"}


@given(decks, decks)
def test_each_of_two_decks_settings_lands_where_google_reads_it(one, two):
    """The description of one in the deck of the other."""
    split = dict(SPLIT[Table.DECKS](one))
    if units.is_filtered(one) or units.is_filtered(two):
        return
    split |= {"description:4": SPLIT[Table.DECKS](two).get("description:4")}
    joined = decks_pb2.Deck.KindContainer.FromString(JOIN[Table.DECKS](split, one).kind)
    expected = decks_pb2.Deck.KindContainer.FromString(one.kind)
    expected.normal.description = decks_pb2.Deck.KindContainer.FromString(two.kind).normal.description
    assert joined == expected
