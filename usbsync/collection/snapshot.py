"""A sound copy of one side's collection: main file and `-wal` together, proven, brought to schema 18.

AnkiDroid is stopped by SIGKILL, so its last reviews stand in `-wal` only. The pair is copied together and
folded together by SQLite on our copy; the originals are never opened.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from usbsync.collection.backend import opened, scratch_file
from usbsync.collection.schema11 import SCHEMA, tidy
from usbsync.collection.verify import prove_pages
from usbsync.errors import DamagedData, UnsupportedCollection

MAIN = "collection.anki2"
NEWEST_SCHEMA = 18
_MAGIC = b"SQLite format 3\0"
_SMALLEST_PAGE = 512
_LARGEST_PAGE = 1 << 16
BEGINNING = 100
"""Bytes of a SQLite file's header."""
_NOTHING = hashlib.sha256().hexdigest()
_MADE = re.compile(r"CREATE (TABLE|INDEX|UNIQUE INDEX) ", re.ASCII | re.IGNORECASE)
"""How SQLite keeps the statement that made a table or an index, however it was written (`build.c`)."""
MARK_PREFIX = "usbsync:"
"""How the keys of our marks in a collection's preferences begin (`descent.py`)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One side's collection, copied and proven."""

    raw: Path  # the main file as it was, byte for byte
    wal: Path | None  # the `-wal` as it was
    path: Path  # both folded together, schema 18: what is compared and built upon
    folded: Path | None  # both folded together and nothing else, where there was a `-wal`
    schema: int  # the original's


def fingerprint(main: str, wal: str | None) -> str:
    """Name a collection's bytes on disk by the SHA-256 of its main file and of its `-wal`.

    An empty `-wal` counts as none: whoever only reads a collection leaves one (SQLite, `mode=ro`).
    """
    return main if wal in {None, _NOTHING} else f"{main}+{wal}"


def file_fingerprint(main: Path) -> str:
    """Return the fingerprint of a local pair."""
    wal = main.with_name(f"{main.name}-wal")
    return fingerprint(_sha256(main), _sha256(wal) if wal.exists() else None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def take(raw: Path, scratch: Path, whose: str) -> Snapshot:
    """Make a snapshot of a copied pair (`raw` and its `-wal` beside it) in a scratch folder.

    Raises:
        DamagedData: this is no sound collection.
        UnsupportedCollection: its schema is one that this version could not write back.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    wal = raw.with_name(f"{raw.name}-wal")
    has_wal = wal.exists() and wal.stat().st_size > 0
    path = scratch / MAIN
    shutil.copyfile(raw, path)
    if has_wal:
        shutil.copyfile(wal, path.with_name(f"{MAIN}-wal"))
    schema = _proven(path, whose)
    folded = scratch / "folded.anki2" if has_wal else None
    if folded:
        shutil.copyfile(path, folded)
    with opened(path) as col:  # opening upgrades the copy (rslib `storage/upgrades`)
        prove_pages(col, "main", f"{whose}'s")
        if schema == SCHEMA:
            with col.transaction():
                tidy(col)
        # Anki leaves parts of removed notetypes in what it packs as decks; no app reads them
        for part in ("fields", "templates"):
            col.rows(f"delete from {part} where ntid not in (select id from notetypes)")
        # No mark is merged: one that reached another phone would prove there what is not so
        col.rows("delete from config where substr(key, 1, ?) = ?", len(MARK_PREFIX), MARK_PREFIX)
    return Snapshot(raw, wal if wal.exists() else None, path, folded, schema)


def _proven(path: Path, whose: str) -> int:
    """Fold the `-wal` in, and return the schema; nothing of a hostile file is run."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise DamagedData(f"the {whose}'s collection is not a SQLite file")
    wal = path.with_name(f"{path.name}-wal")
    if not wal.exists() and path.stat().st_size % _SMALLEST_PAGE:
        # SQLite would read zeros where the last page is missing
        raise DamagedData(f"the {whose}'s collection is cut short")
    try:
        with scratch_file(path), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
            db.execute("pragma trusted_schema = off")
            db.execute("pragma cell_size_check = on")
            db.execute("pragma wal_checkpoint(truncate)")
            _only_tables(db, whose)  # before anything else is read: a view can keep a query busy for ever
            (schema,) = db.execute("select ver from col").fetchone()
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise DamagedData(f"the {whose}'s collection cannot be read: {error}") from error
    if not isinstance(schema, int) or schema not in {
        SCHEMA,
        NEWEST_SCHEMA,
    }:  # those between are of betas, and could not be written back
        raise UnsupportedCollection(
            f"the {whose}'s collection has schema {schema!r}, and usbsync knows {SCHEMA} and {NEWEST_SCHEMA}"
        )
    return schema


def prove_beginning(head: bytes, size: int | None, whose: str) -> None:
    """Prove the first bytes of a main file, and its size where no `-wal` says otherwise (None): DamagedData.

    They say how many pages of how many bytes there are, where the two counters agree (SQLite's "Database File Format", 1.3).
    """
    if not head.startswith(_MAGIC):
        raise DamagedData(f"the {whose}'s collection is not a SQLite file")
    if size is None or len(head) < BEGINNING:
        return
    page, counted, pages, valid = (
        int.from_bytes(head[a:b]) for a, b in ((16, 18), (24, 28), (28, 32), (92, 96))
    )
    whole = pages * (_LARGEST_PAGE if page == 1 else page) if counted == valid else 0
    if size % _SMALLEST_PAGE or size < whole:
        raise DamagedData(f"the {whose}'s collection is cut short")


def prove_plain(path: Path, whose: str) -> None:
    """Prove that a scratch file, nothing beside it, may be read at all; DamagedData where it holds more than Anki makes."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            db.execute("pragma trusted_schema = off")
            _only_tables(db, whose)
    except (sqlite3.Error, TypeError) as error:
        raise DamagedData(f"the {whose}'s collection cannot be read: {error}") from error


def _only_tables(db: sqlite3.Connection, whose: str) -> None:
    """Refuse a schema of anything but tables and indexes, by what SQLite goes by: the statement, not the `type` beside it."""
    for name, statement in db.execute("select name, sql from sqlite_master where sql is not null"):
        if not _MADE.match(statement):
            raise DamagedData(f"the {whose}'s collection holds {name!r}, which no Anki makes")


def is_empty(path: Path) -> bool:
    """Whether a snapshot holds no note and no card: nothing that a person made would be missed."""
    with opened(path) as col:
        return bool(col.value("select (select count() from notes) + (select count() from cards) = 0"))
