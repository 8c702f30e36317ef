"""What an old schema cannot say, filled in from the side that can.

Schema 11 (AnkiDroid 2.16 and before) keeps decks, options, notetypes, preferences and tags as JSON, and has no place
for some of what schema 18 holds. Three states of one row tell what such a file means: `rich`, as the other side holds
it; `poor`, the same after a way down to schema 11 and up again; and the row that was read. Where the row says
what `poor` says it means what `rich` says; all else was written in the old file, and stands.

The ancestor is lifted as the old file is, so that neither what is lost on the way nor what only the other side
can edit looks like a change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from usbsync.core import wire
from usbsync.core.changes import Deck, Notetype, Table
from usbsync.core.shape import FIELD_ID, TEMPLATE_ID, matched
from usbsync.core.units import JOIN, SPLIT

LOSSY = (Table.DECK_CONFIG, Table.DECKS, Table.NOTETYPES, Table.CONFIG, Table.TAGS)
"""The tables that are JSON in schema 11; all others lie in it as in schema 18."""

_OTHER = 255  # JSON of keys that this Anki does not know (proto/anki/decks.proto, notetypes.proto, deck_config.proto)


def lifted(table: Table, poor: Any, rich: Any, row: Any) -> Any:
    """Return what a row read from an old file means; None is a row that is not there."""
    if row == poor:
        return rich
    if row is None or poor is None or rich is None:
        return row
    if table is Table.NOTETYPES:
        return _notetype(poor, rich, row)
    units = _over(*(SPLIT[table](each) for each in (poor, rich, row)))
    like = row._replace(name=rich.name) if isinstance(row, Deck) and row.name == poor.name else row
    return JOIN[table](units, like)


def _over(poor: Mapping[Any, Any], rich: Mapping[Any, Any], row: Mapping[Any, Any]) -> dict[Any, Any]:
    """Lift unit by unit; a unit that is None is absent."""
    units = {unit: rich.get(unit) if row.get(unit) == poor.get(unit) else row[unit] for unit in row}
    absent = {unit: rich[unit] for unit in rich.keys() - row.keys() if unit not in poor}
    return {unit: value for unit, value in (units | absent).items() if value is not None}


def _message(poor: bytes, rich: bytes, row: bytes) -> bytes:
    return wire.join(_over(*map(wire.split, (poor, rich, row))))


def _notetype(poor: Notetype, rich: Notetype, row: Notetype) -> Notetype:
    """Lift a notetype whose fields and templates may have moved."""
    return row._replace(
        name=rich.name if row.name == poor.name else row.name,
        mtime=rich.mtime if row.mtime == poor.mtime else row.mtime,
        config=_message(poor.config, rich.config, row.config),
        fields=_parts(poor.fields, rich.fields, row.fields, FIELD_ID),
        templates=_parts(poor.templates, rich.templates, row.templates, TEMPLATE_ID),
    )


def _parts(poor: Sequence[Any], rich: Sequence[Any], row: Sequence[Any], number: int) -> tuple[Any, ...]:
    """Lift each part of a notetype by the one that it was; `poor` and `rich` are laid out alike."""
    was = {f"a{at}": pair for at, pair in enumerate(zip(poor, rich, strict=True))}
    keys = matched(poor, row, number, "n")
    return tuple(_part(*was[key], part) if key in was else part for key, part in zip(keys, row, strict=True))


def _part(poor: Any, rich: Any, part: Any) -> Any:
    name = rich.name if part.name == poor.name else part.name
    return part._replace(name=name, config=_message(poor.config, rich.config, part.config))


def in_order(blob: bytes) -> bytes:
    """Return a message with the keys that Anki did not know in one fixed order.

    Anki writes them in another order each time that it opens a file of schema 11 (rslib `other_to_bytes`).
    """
    fields = wire.split(blob)
    if _OTHER not in fields:
        return blob
    with suppress(ValueError, RecursionError):  # whatever is in there, it is not ours
        known = json.loads(wire.message(fields[_OTHER]))
        text = json.dumps(known, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        fields[_OTHER] = wire.message_field(_OTHER, text.encode())
    return wire.join(fields)
