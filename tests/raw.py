"""Collections changed below Anki, by plain SQLite, as no app does it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from usbsync.core.unicase import unicase


def _compare(one: str, other: str) -> int:
    a, b = unicase(one), unicase(other)
    return (a > b) - (a < b)


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a closed collection; what was done is committed into its main file."""
    with closing(sqlite3.connect(path)) as db:
        db.create_collation("unicase", _compare)
        yield db
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")


def change(path: Path, sql: str, *values: object) -> None:
    """Run one statement."""
    with raw(path) as db:
        db.execute(sql, values)
