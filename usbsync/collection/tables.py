"""The tables of a collection (schema 18) as SQL sees them: keys, columns, and what is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, get_type_hints

from usbsync.core import wire
from usbsync.core.changes import (
    Card,
    ConfigEntry,
    Deck,
    DeckConfig,
    Grave,
    Note,
    Review,
    Row,
    Table,
    Tag,
)
from usbsync.core.unicase import unicase
from usbsync.core.units import split_deck
from usbsync.errors import DamagedData

R = TypeVar("R", bound=tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Stored:
    """How the rows of one table of the file are told apart and compared; `usn` is nowhere among them."""

    keys: tuple[str, ...]
    names: tuple[str, ...]  # the columns as stored
    derived: tuple[str, ...] = ()  # compared with the rest, carried as one opaque text
    stamps: frozenset[str] = frozenset()  # carried, not compared: a sync with AnkiWeb sets them anew

    def join(self, one: str, other: str) -> str:
        """Return the condition under which two aliases mean one row."""
        return " and ".join(f"{one}.{key} = {other}.{key}" for key in self.keys)

    def differ(self, one: str, other: str) -> str:
        """Return the condition under which two rows of one key differ, to the letter of names too."""
        plain = (*self.names, *self.derived)
        names = [n for n in plain if n not in self.stamps and (n not in self.keys or n in _FOLDED)]
        return " or ".join(f"{one}.{n} collate binary is not {other}.{n}" for n in names) or "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns(Stored):
    """How one table is read into rows; its names include its keys."""

    make: Callable[..., Row]
    blobs: frozenset[str] = frozenset()  # read as hex

    def read(self, alias: str) -> str:
        """Return the SELECT list that `row` understands."""
        texts = [hex_of(f"{alias}.{n}") if n in self.blobs else f"{alias}.{n}" for n in self.names]
        if self.derived:
            texts.append(" || '|' || ".join(f"quote({alias}.{n})" for n in self.derived))
        return ", ".join(texts)

    @property
    def width(self) -> int:
        """Return the number of values that `read` asks for."""
        return len(self.names) + bool(self.derived)

    def row(self, values: Sequence[Any]) -> Row:
        """Make a row of what `read` gave."""
        plain = [
            unhex(v) if n in self.blobs else v
            for n, v in zip(self.names, values[: len(self.names)], strict=True)
        ]
        return sound(self.make(*plain, *values[len(self.names) :]))


def hex_of(column: str) -> str:
    """Return the expression that reads a blob (Anki's connection speaks JSON); what is no blob comes as null."""
    return f"iif(typeof({column}) = 'blob', hex({column}), null)"


def unhex(text: str | None) -> Any:
    """Return the bytes that `hex_of` read, or None, which `sound` refuses."""
    return None if text is None else bytes.fromhex(text)


_FOLDED = frozenset({"tag"})  # a key that is the same in other capitals

COLUMNS: Mapping[Table, Columns] = {
    Table.NOTES: Columns(
        ("id",),
        ("id", "guid", "mid", "mod", "tags", "flds", "flags", "data"),
        derived=("sfld", "csum"),
        make=Note,
    ),
    Table.CARDS: Columns(("id",), Card._fields, make=Card),
    Table.REVLOG: Columns(
        ("id",), ("id", "cid", "ease", "ivl", "lastIvl", "factor", "time", "type"), make=Review
    ),
    Table.DECKS: Columns(
        ("id",),
        ("id", "name", "mtime_secs", "common", "kind"),
        make=Deck,
        blobs=frozenset({"common", "kind"}),
    ),
    Table.DECK_CONFIG: Columns(
        ("id",), ("id", "name", "mtime_secs", "config"), make=DeckConfig, blobs=frozenset({"config"})
    ),
    Table.CONFIG: Columns(
        ("key",),
        ("key", "mtime_secs", "val"),
        stamps=frozenset({"mtime_secs"}),
        make=ConfigEntry,
        blobs=frozenset({"val"}),
    ),
    Table.TAGS: Columns(("tag",), ("tag", "collapsed"), make=Tag),
    Table.GRAVES: Columns(("oid", "type"), ("oid", "type"), make=Grave),
}
"""Notetypes are missing here: one of them lies in three tables (see NOTETYPE_PARTS)."""

NOTETYPE_PARTS: Mapping[str, Stored] = {
    "notetypes": Stored(("id",), ("name", "mtime_secs", "config")),
    "fields": Stored(("ntid", "ord"), ("name", "config")),
    "templates": Stored(("ntid", "ord"), ("name", "mtime_secs", "config"), stamps=frozenset({"mtime_secs"})),
}
"""The three tables of a notetype; keys are not among their names."""


def sound(row: R) -> R:
    """Return a row as it came from a file, or refuse one of which `core` could make no sense.

    SQLite keeps any kind of value in any column, and Anki cannot load decks of which one has a wrong one.

    Raises:
        DamagedData: a value is not of its column's kind, or a blob is not the protobuf it should be.
    """
    try:
        for value, kind in zip(row, _kinds(type(row)), strict=True):
            if not isinstance(value, kind):
                raise DamagedData(f"a collection holds a damaged row: {_named(row)}")
            if isinstance(value, bytes) and not isinstance(row, ConfigEntry):
                wire.split(value)
        if isinstance(row, Deck):
            split_deck(row)
    except wire.NotProtobuf as error:
        raise DamagedData(f"a collection holds a damaged row: {_named(row)} ({error})") from error
    return row


_POINTED = frozenset(
    {"due", "odue", "ivl", "last_ivl"}
)  # where old versions of Anki left numbers with a point


@cache
def _kinds(row: type) -> tuple[Any, ...]:
    """Return what `isinstance` wants of each value of a kind of row."""
    plain = {int: int, str: str, bytes: bytes}
    return tuple(
        (int, float) if name in _POINTED else plain.get(hint, object)
        for name, hint in get_type_hints(row).items()
    )


def _named(row: object) -> str:
    """Name a row by its id or key; a tag not even by that, for it is a person's text, and this may be logged."""
    kind = type(row).__name__.lower()
    return (
        kind
        if isinstance(row, Tag)
        else f"{kind} {getattr(row, 'id', None) or getattr(row, 'key', '')!r}"[:100]
    )


def key_of(table: Table, row: Row) -> Any:
    """Return the key of a row within its table."""
    match table:
        case Table.GRAVES:
            return tuple(row)
        case Table.TAGS:
            return unicase(str(row[0]))
        case _:
            return row[0]
