"""What the units of a row hold, as people read it: names for ids, words for numbers, texts for bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from usbsync.core import wire
from usbsync.core.changes import Known, Table
from usbsync.core.decks import readable
from usbsync.core.units import FIRST_TIMESTAMP

FLAGS = ("none", "red", "orange", "green", "blue", "pink", "turquoise", "purple")
_LISTS = (1, 2, 3, 4, 5, 6)  # of DeckConfig.Config: steps, parameters, easy days
_NUMBER, _BYTES, _FLOAT = 0, 2, 5  # wire types
_TYPES = ("new", "learning", "review", "relearning")
_SEARCH, _RESCHEDULE, _TERMS = 2, 1, 2  # of Deck.KindContainer and Deck.Filtered (proto/anki/decks.proto)


def shown(table: Table, unit: str, value: Any, known: Known) -> str | None:
    """Show a unit's value in a report; None stays None: there is no such unit."""
    if value is None:
        return "at the top" if (table, unit) == (Table.DECKS, "place") else None
    if table is Table.CONFIG:
        return bytes(value).decode("utf-8", "replace")  # a preference: its JSON
    try:
        return _NAMES.get((table, unit), _plain)(value, known)
    except (
        ValueError,
        TypeError,
        OverflowError,
    ):  # nothing that a phone holds keeps a report from being made
        return show(value)


def _plain(value: Any, _known: Known) -> str | None:
    return show(value)


def show(value: Any) -> str | None:
    """Show a value of which nothing else is known."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return _show_bytes(value)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)


def _show_bytes(raw: bytes) -> str:
    """Show a protobuf field: its text or number."""
    try:
        kind = raw[0] & 7 if raw else None
        if kind == _NUMBER:
            return str(wire.varint(raw))
        if kind == _FLOAT:
            return _numbers(raw[-4:])
        return ((wire.message(raw) if kind == _BYTES else b"") or raw).decode()
    except (wire.NotProtobuf, UnicodeDecodeError, IndexError, struct.error):
        return raw.hex()


def _numbers(raw: bytes) -> str:
    """Show packed floats."""
    try:
        return " ".join(f"{number:g}" for (number,) in struct.iter_unpack("<f", raw))
    except struct.error:
        return raw.hex()


def schedule(value: tuple[Any, ...], known: Known) -> str:
    """Say when a card comes next: what kind it is, its interval, its due day (of a filtered one, once it is home)."""
    kind, _queue, due, ivl, factor, left, odue, filtered, data = value
    due = odue if filtered and odue else due
    name = _TYPES[kind] if 0 <= kind < len(_TYPES) else f"kind {kind}"
    parts = [name, f"place {due}" if kind == 0 else f"due {day(due, known)}"]
    if ivl > 0:
        parts.append("every day" if ivl == 1 else f"every {ivl} days")
    if factor:
        parts.append(f"ease {factor / 10:g}%")
    if left and kind in {1, 3}:
        parts.append(f"{left % 1000} steps left")
    parts += _memory(data)
    if filtered:
        parts.append(f"in the filtered deck {_deck(filtered, known)}")
    return ", ".join(parts)


def _memory(data: str) -> list[str]:
    """Say what FSRS knows of a card."""
    try:
        found = json.loads(data or "{}")
        return [
            f"{name} {found[key]:g}"
            for key, name in (("s", "stability"), ("d", "difficulty"))
            if key in found
        ]
    except (ValueError, TypeError, OverflowError, RecursionError):
        return []


def day(due: int, known: Known) -> str:
    """Say on which day a card is due; it is counted from the collection's first, or a moment in s."""
    try:
        if due > FIRST_TIMESTAMP:
            return date.fromordinal(date(1970, 1, 1).toordinal() + due // 86_400).isoformat()
        return date.fromordinal(known.first_day + due).isoformat() if known.first_day else f"on day {due}"
    except (ValueError, OverflowError):
        return f"on day {due}"


def _filter(value: bytes, _known: Known) -> str:
    """Show what a filtered deck gathers."""
    filtered = wire.split(wire.message(wire.split(value).get(_SEARCH, b"")))
    terms = [_term(each) for each in wire.messages(filtered.get(_TERMS, b""))]
    resched = wire.varint(filtered.get(_RESCHEDULE, b""))
    return "; ".join([*terms, *([] if resched else ["without rescheduling"])])


def _term(raw: bytes) -> str:
    fields = wire.split(raw)
    search = wire.message(fields.get(1, b"")).decode()
    return f"{search}, at most {wire.varint(fields.get(2, b''))} cards"


def _list(value: bytes, _known: Known) -> str:
    return _numbers(wire.message(value))


def _deck(value: int, known: Known) -> str:
    return readable(known.decks[value]) if value in known.decks else str(value)


def _notetype(value: int, known: Known) -> str:
    return known.notetypes.get(value, str(value))


def _options(value: bytes, known: Known) -> str:
    number = wire.varint(value)
    return known.options.get(number, str(number))


def _limit(value: bytes, _known: Known) -> str:
    """Show a limit for one day only (Deck.Normal.DayLimit)."""
    return str(wire.varint(wire.split(wire.message(value)).get(1, b"")))


_NAMES: Mapping[tuple[Table, str], Callable[[Any, Known], str | None]] = {
    (Table.NOTES, "notetype"): _notetype,
    (Table.CARDS, "deck"): _deck,
    (Table.CARDS, "schedule"): schedule,
    (Table.CARDS, "flag"): lambda value, _known: FLAGS[value & 7],
    (Table.CARDS, "suspended"): lambda value, _known: "suspended" if value else "not suspended",
    (Table.DECKS, "place"): _deck,
    (Table.DECKS, "options:1"): _options,
    (Table.DECKS, "filter"): _filter,
    (Table.DECKS, "limits:8"): _limit,
    (Table.DECKS, "limits:9"): _limit,
    **{(Table.DECK_CONFIG, f"option:{number}"): _list for number in _LISTS},
}
