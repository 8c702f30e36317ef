"""What an old schema cannot say is filled in; what it says stands."""

from __future__ import annotations

import json

import pytest
from core.test_units import notetypes, rows
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core import wire
from usbsync.core.changes import ConfigEntry, Deck, Notetype, Table
from usbsync.core.lift import LOSSY, in_order, lifted
from usbsync.core.units import SPLIT, is_filtered

tables = st.sampled_from(LOSSY)
values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                      max_leaves=5)  # fmt: skip


def three(data, table):
    """Draw three states of one row."""
    first = data.draw(rows[table])
    same = {name: getattr(first, name) for name in ("id", "key") if hasattr(first, name)}
    return first, *(data.draw(rows[table])._replace(**same) for _ in range(2))


@given(st.data(), tables)
def test_an_untouched_row_is_what_the_other_side_holds(data, table):
    poor, rich, _ = three(data, table)
    assert lifted(table, poor, rich, poor) == rich
    assert lifted(table, None, rich, None) == rich
    assert lifted(table, poor, None, poor) is None


@given(st.data(), tables)
def test_a_row_made_or_deleted_in_the_old_file_stays_so(data, table):
    poor, rich, row = three(data, table)
    assert lifted(table, poor, rich, None) is None
    assert lifted(table, None, rich, row) == row
    assert lifted(table, None, None, row) == row


@given(st.data(), tables)
def test_where_nothing_is_lost_nothing_is_lifted(data, table):
    rich, row, _ = three(data, table)
    assert lifted(table, rich, rich, row) == row


@given(st.data(), st.sampled_from([table for table in LOSSY if table is not Table.NOTETYPES]))
def test_each_unit_is_the_old_files_where_it_was_written_and_the_other_sides_elsewhere(data, table):
    poor, rich, row = three(data, table)
    if table is Table.DECKS and len({is_filtered(each) for each in (poor, rich, row)}) > 1:
        return
    was, held, now, got = (SPLIT[table](each) for each in (poor, rich, row, lifted(table, poor, rich, row)))
    for unit in was.keys() | held.keys() | now.keys():
        assert got.get(unit) == (held if now.get(unit) == was.get(unit) else now).get(unit)
    if table is Table.DECKS:
        assert lifted(table, poor, rich, row).name == (rich.name if row.name == poor.name else row.name)


@given(notetypes, st.randoms())
def test_the_parts_of_a_notetype_are_lifted_wherever_they_moved(rich, random):
    """Each part that only lost something on the way gets it back, in its new place."""
    rich = _told_apart(rich)
    poor = rich._replace(config=b"", fields=_bare(rich.fields), templates=_bare(rich.templates))
    fields = random.sample(range(len(rich.fields)), len(rich.fields))
    row = poor._replace(mtime=poor.mtime + 1, fields=tuple(poor.fields[at] for at in fields))
    got = lifted(Table.NOTETYPES, poor, rich, row)
    assert got.fields == tuple(rich.fields[at] for at in fields)
    assert (got.templates, got.config, got.mtime) == (rich.templates, rich.config, row.mtime)


def _told_apart(notetype: Notetype) -> Notetype:
    named = [tuple(p._replace(name=f"{p.name}{at}") for at, p in enumerate(parts))
             for parts in (notetype.fields, notetype.templates)]  # fmt: skip
    return notetype._replace(fields=named[0], templates=named[1])


def _bare(parts):
    return tuple(part._replace(config=b"") for part in parts)


def test_an_edit_keeps_what_the_row_has_beyond_it():
    poor = ConfigEntry("k", 0, b"1")
    assert lifted(Table.CONFIG, poor, poor._replace(val=b"1.0"), poor._replace(val=b"2")) == ConfigEntry(
        "k", 0, b"2"
    )


@given(st.dictionaries(st.text(max_size=5), values, max_size=5), st.randoms())
def test_keys_in_any_order_come_in_one(known, random):
    shuffled = dict(random.sample(sorted(known.items()), len(known)))
    blobs = [
        wire.varint_field(3, 7) + wire.message_field(255, json.dumps(each).encode())
        for each in (known, shuffled)
    ]
    one, other = map(in_order, blobs)
    assert one == other == in_order(one)
    assert json.loads(wire.message(wire.split(one)[255])) == known
    assert wire.split(one)[3] == wire.varint_field(3, 7)


@pytest.mark.parametrize("text", [b"no json", b"[" * 100_000, b"\xff", b""])
def test_what_is_no_json_stays_as_it_is(text):
    blob = wire.message_field(255, text)
    assert in_order(blob) == blob


def test_a_deck_of_the_same_name_takes_the_other_sides_spelling():
    deck = Deck(1, "a", 0, b"", b"")
    assert lifted(Table.DECKS, deck, deck._replace(name="A"), deck._replace(mtime=5)).name == "A"
