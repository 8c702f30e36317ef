"""What a row is called in a report."""

from __future__ import annotations

from typing import Any

from usbsync.core import wire, words
from usbsync.core.changes import Table
from usbsync.core.decks import readable

_WIDTH = 60


def of(table: Table, row: Any) -> str:
    """Name a row as a person knows it."""
    match table:
        case Table.NOTES:
            return note(row.flds) or str(row.id)
        case Table.CARDS:
            return card(row, "")
        case Table.DECKS:
            return readable(row.name)
        case Table.DECK_CONFIG | Table.NOTETYPES:
            return str(row.name)
        case Table.CONFIG:
            return str(row.key)
        case Table.TAGS:
            return str(row.tag)
        case _:
            return str(row[0])


def note(flds: str) -> str:
    """Name a note by the first of its fields that says something; "" where none does."""
    return next(filter(None, map(plain, flds.split("\x1f"))), "")


def card(row: Any, flds: str) -> str:
    """Name a card by what its note says, as far as that is known."""
    name = note(flds)
    return f'card {row.ord + 1} of "{name}"' if name else f"card {row.ord + 1} of note {row.nid}"


def shown(table: Table, row: Any) -> str:
    """Show a whole row in a report: of a note all its fields, for one of them was edited."""
    if table is Table.NOTES:
        return " / ".join(filter(None, map(plain, row.flds.split("\x1f"))))
    return of(table, row)


def template(part: Any) -> str:
    """Show a card template: its name, front and back."""
    fields = wire.split(part.config)
    sides = (wire.message(fields.get(number, b"")).decode("utf-8", "replace") for number in (1, 2))
    return " / ".join((part.name, *sides))


def plain(field: str) -> str:
    """Return a field's text without markup, cut to a line."""
    text = " ".join(words.readable(field).split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
