"""Everything a collection holds, for comparing what Anki made of two sides' edits with what we made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from usbsync.core.unicase import unicase

KEYS = {
    "notes": ("id",),
    "cards": ("id",),
    "revlog": ("id",),
    "decks": ("id",),
    "deck_config": ("id",),
    "notetypes": ("id",),
    "fields": ("ntid", "ord"),
    "templates": ("ntid", "ord"),
    "config": ("KEY",),
    "tags": ("tag",),
    "graves": ("oid", "type"),
    "col": ("id",),
}
Contents = dict[str, dict[tuple, dict[str, object]]]


def contents(path: Path) -> Contents:
    """Read every row of every table by plain SQLite, not by what is under test."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
        db.create_collation("unicase", lambda a, b: (unicase(a) > unicase(b)) - (unicase(a) < unicase(b)))
        db.row_factory = sqlite3.Row
        return {
            table: {
                tuple(row[key] for key in keys): dict(row) for row in db.execute(f"select * from {table}")
            }
            for table, keys in KEYS.items()
        }


@dataclass(frozen=True)
class Difference:
    """One value, or (where `column` is "row") a whole row, that two collections have otherwise."""

    table: str
    key: tuple
    column: str
    one: object
    other: object


def differences(one: Contents, other: Contents) -> Iterator[Difference]:
    """Yield every row and column in which two differ."""
    for table in KEYS:
        for key in one[table].keys() | other[table].keys():
            a, b = one[table].get(key), other[table].get(key)
            if a is None or b is None:
                yield Difference(table, key, "row", a, b)
            else:
                yield from (
                    Difference(table, key, name, a[name], b[name]) for name in a if a[name] != b[name]
                )
