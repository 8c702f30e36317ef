"""Collections of schema 11, as AnkiDroid 2.16 and before hold them: brought up, compared at a level, written back.

Anki itself brings a copy up and down; what is lost on the way is given back by `core.lift`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from usbsync.collection.backend import OpenCollection, downgrade, opened, reading
from usbsync.collection.diff import changed, changed_notetypes, notetypes
from usbsync.collection.tables import COLUMNS, NOTETYPE_PARTS, hex_of, key_of, unhex
from usbsync.collection.verify import differences
from usbsync.core import wire
from usbsync.core.changes import Change, Field, Key, Notetype, Table, Template
from usbsync.core.lift import LOSSY, in_order, lifted
from usbsync.errors import DamagedData

SCHEMA = 11
_PLAIN = ("notes", "cards", "revlog", "col")
_BLOBS = {
    "decks": ("common",),
    "deck_config": ("config",),
    "notetypes": ("config",),
    "fields": ("config",),
    "templates": ("config",),
}


def lower(path: Path, target: Path) -> Path:
    """Write a collection as schema 11 at `target`, and prove that every note, card and review is in it.

    Raises:
        DamagedData: Anki cannot bring it down, or not whole; nothing was written anywhere else.
    """
    check = target.with_name(f"{target.name}.check")
    shutil.copyfile(path, target)
    downgrade(target)
    shutil.copyfile(target, check)
    with opened(check) as col:
        col.load_all()
    with reading(one=check, other=path) as col:
        lost = [what for what in differences(col, one="one") if what.startswith(_PLAIN)]
    check.unlink()
    if lost:
        raise DamagedData(f"brought down to schema {SCHEMA} the collection would differ in {lost[0]}")
    return target


def tidy(col: OpenCollection) -> None:
    """Bring what Anki writes in no fixed order into one; of a collection just brought up from schema 11."""
    for table, columns in _BLOBS.items():
        keys = NOTETYPE_PARTS[table].keys if table in NOTETYPE_PARTS else ("id",)
        for column in columns:
            for *key, blob in col.rows(f"select {', '.join(keys)}, {hex_of(column)} from main.{table}"):
                before = unhex(blob) or b""
                if (after := _in_order(before)) != before:
                    where = " and ".join(f"{each} = ?" for each in keys)
                    col.rows(f"update main.{table} set {column} = unhex(?) where {where}", after.hex(), *key)


def _in_order(blob: bytes) -> bytes:
    try:
        return in_order(blob)
    except wire.NotProtobuf:  # whoever reads the row says so
        return blob


def lift(rich: Path, *poor: Path) -> bool:
    """Give scratch copies, brought up from schema 11, what the other side's holds beyond it; whether the first lacked any.

    `rich` is left alone.
    """
    down = poor[0].with_name(f"{poor[0].name}.down")
    shutil.copyfile(rich, down)
    downgrade(down)
    with opened(down) as col:
        tidy(col)
    with opened(rich, {"anc": down}) as col:
        lost = {table: found for table in LOSSY if (found := _lost(col, table))}
    down.unlink()
    given, *_ = [_lift(path, lost) for path in poor]
    return given


def _lost(col: OpenCollection, table: Table) -> dict[Key, Change]:
    """Return the rows that differ (now) from what is left of them on the way down and up (ancestor)."""
    return changed_notetypes(col) if table is Table.NOTETYPES else dict(changed(col, table, COLUMNS[table]))


def _lift(path: Path, lost: Mapping[Table, Mapping[Key, Change]]) -> bool:
    written = 0
    with opened(path) as col, col.transaction():
        tidy(col)
        for table, rows in lost.items():
            held = _held(col, table, rows)
            for key, change in rows.items():
                row = held.get(key)
                better = lifted(table, change.ancestor, change.now, row)
                if better != row:
                    _write(col, table, row, better)
                    written += 1
    return written > 0


def _held(col: OpenCollection, table: Table, rows: Mapping[Key, Change]) -> dict[Key, Any]:
    if table is Table.NOTETYPES:
        return dict(notetypes(col, "main", sorted(rows)))
    columns = COLUMNS[table]
    found = (columns.row(values) for values in col.rows(f"select {columns.read('m')} from main.{table} m"))
    return {key_of(table, row): row for row in found}


def _write(col: OpenCollection, table: Table, held: Any, row: Any) -> None:
    """Put a row in the place of the one that is held; `usn` stays as it was."""
    if table is Table.NOTETYPES:
        _write_notetype(col, held, row)
        return
    names, key = COLUMNS[table].names, COLUMNS[table].keys[0]
    if row is None:
        col.rows(f"delete from main.{table} where {key} = ?", held[0])
    elif held is None:
        marks = ", ".join(_mark(value) for value in row)
        col.rows(f"insert into main.{table} ({', '.join(names)}, usn) values ({marks}, -1)", *_plain(row))
    else:
        _update(col, table, dict(zip(names, row, strict=True)), {key: held[0]})


def _write_notetype(col: OpenCollection, held: Notetype | None, row: Notetype | None) -> None:
    if row is None or held is None:
        raise DamagedData("a notetype is lost on the way to schema 11 and back")
    where = {"ntid": row.id}
    kinds: dict[str, tuple[Field | Template, ...]] = {"fields": row.fields, "templates": row.templates}
    for table, parts in kinds.items():
        # names are unique: they step aside before any is written
        col.rows(f"update main.{table} set name = char(31) || ord where ntid = ?", row.id)
        for at, part in enumerate(parts):
            _update(col, table, {"name": part.name, "config": part.config}, {**where, "ord": at})
    values = {"name": row.name, "mtime_secs": row.mtime, "config": row.config}
    _update(col, "notetypes", values, {"id": row.id})


def _update(col: OpenCollection, table: str, values: Mapping[str, Any], where: Mapping[str, Any]) -> None:
    settings = ", ".join(f"{name} = {_mark(value)}" for name, value in values.items())
    rows = " and ".join(f"{name} = ?" for name in where)
    col.rows(f"update main.{table} set {settings} where {rows}", *_plain(values.values()), *where.values())


def _mark(value: object) -> str:
    return "unhex(?)" if isinstance(value, bytes) else "?"


def _plain(values: Iterable[Any]) -> Iterator[Any]:
    """Return values as Anki's connection, which speaks JSON, takes them."""
    return (value.hex() if isinstance(value, bytes) else value for value in values)
