"""A side's plan carried out on a copy of its own file, by SQL from the other side's snapshot and from the plan.

What is written gets `usn = -1` and what is deleted a grave, so that AnkiWeb takes both for ordinary local
work; `col.usn` and `ls` are left alone (`anki-sync.md` 8).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from usbsync.collection.backend import OpenCollection, opened, scratch_file
from usbsync.collection.tables import COLUMNS, NOTETYPE_PARTS
from usbsync.core.changes import GraveType, Table
from usbsync.core.plan import SidePlan, Source, TablePlan

_GRAVES = {Table.CARDS: GraveType.CARD, Table.NOTES: GraveType.NOTE, Table.DECKS: GraveType.DECK}
_UNIQUE_NAMES = {Table.DECKS, Table.NOTETYPES}


def build(own: Path, other: Path, plan: SidePlan, target: Path, now_ms: int) -> None:
    """Make the merged collection of one side at `target`; `now_ms` becomes its time of change."""
    shutil.copyfile(own, target)
    orders = target.with_name(f"{target.name}.plan")
    _write_orders(orders, plan)
    with opened(target, {"other": other, "plan": orders}) as col:
        with col.transaction():
            _apply(col, plan)
            col.rows("update main.col set mod = ?", now_ms)
        _refresh(col, plan, now_ms)
    orders.unlink()


def _apply(col: OpenCollection, plan: SidePlan) -> None:
    for table in plan.tables:
        if table in _UNIQUE_NAMES:
            # names are unique: two that swap must both step aside before either is written
            col.rows(
                f"update main.{table} set name = char(31) || id where id in (select key from plan.{table}_keys)"
            )
    for table in plan.tables:
        if table is Table.NOTETYPES:
            _apply_notetypes(col)
        else:
            _apply_table(col, table)
        if table in _GRAVES:
            col.rows(
                f"insert or ignore into main.graves (oid, type, usn) "
                f"select key, {_GRAVES[table]}, -1 from plan.{table}_gone"
            )
            # what comes back must not be deleted in AnkiWeb by a grave from before
            col.rows(
                f"delete from main.graves where type = {_GRAVES[table]} "
                f"and oid in (select key from plan.{table}_keys)"
            )
    if plan.crt is not None:
        col.rows("update main.col set crt = ?", plan.crt)
    if plan.scm is not None:
        col.rows("update main.col set scm = ?", plan.scm)


def _apply_table(col: OpenCollection, table: Table) -> None:
    columns = COLUMNS[table]
    key = ", ".join(columns.keys)
    plan_key = ", ".join(f"key{at or ''}" for at in range(len(columns.keys)))
    col.rows(f"delete from main.{table} where ({key}) in (select {plan_key} from plan.{table}_gone)")
    stored = ", ".join((*columns.names, *columns.derived))
    col.rows(
        f"insert or replace into main.{table} ({stored}, usn) select {stored}, -1 from other.{table} "
        f"where ({key}) in (select {plan_key} from plan.{table}_copy)"
    )
    merged = ", ".join((*columns.names, *("0" for _ in columns.derived)))
    col.rows(
        f"insert or replace into main.{table} ({stored}, usn) select {merged}, -1 from plan.{table}_rows"
    )


def _apply_notetypes(col: OpenCollection) -> None:
    gone = "(select key from plan.notetypes_gone union select key from plan.notetypes_keys)"
    for part, columns in NOTETYPE_PARTS.items():
        key = columns.keys[0]
        col.rows(f"delete from main.{part} where {key} in {gone}")
        stored = ", ".join((*columns.keys, *columns.names))
        usn = ", usn" if part != "fields" else ""
        mark = {"notetypes": ", -1", "templates": ", 0", "fields": ""}[part]  # as after a sync (schema11.rs)
        for source, chosen in (
            (f"other.{part}", f"where {key} in (select key from plan.notetypes_copy)"),
            (f"plan.{part}_rows", ""),
        ):
            col.rows(f"insert into main.{part} ({stored}{usn}) select {stored}{mark} from {source} {chosen}")


def _refresh(col: OpenCollection, plan: SidePlan, now_ms: int) -> None:
    """Let Anki work out what it derives from the merged notes' fields."""
    nids = [put.key for put in _puts(plan, Table.NOTES) if put.source is Source.MERGED]
    if nids:
        col.refresh_notes(nids)
        col.rows("update main.col set mod = ?", now_ms)


def _puts(plan: SidePlan, table: Table) -> tuple[Any, ...]:
    return plan.tables.get(table, TablePlan()).puts


# ---- the plan as a database, for SQL to read


def _write_orders(path: Path, plan: SidePlan) -> None:
    """Write the plan where the SQL above finds it: T_gone, T_copy, T_keys and T_rows for each table T."""
    path.unlink(missing_ok=True)
    with scratch_file(path), closing(sqlite3.connect(path)) as db:
        for table, part in plan.tables.items():
            copied = [put.key for put in part.puts if put.source is Source.OTHER]
            merged = [put.row for put in part.puts if put.source is Source.MERGED]
            _keys(db, f"{table}_gone", part.deletions)
            _keys(db, f"{table}_copy", copied)
            _keys(db, f"{table}_keys", [put.key for put in part.puts])
            if table is Table.NOTETYPES:
                _notetype_rows(db, merged)
            else:
                names = COLUMNS[table].names
                _rows(db, f"{table}_rows", names, (row[: len(names)] for row in merged))
        db.commit()


def _keys(db: sqlite3.Connection, name: str, keys: Iterable[Any]) -> None:
    """Write keys in columns key, key1; a key of one part has key1 null."""
    db.execute(f"create table {name} (key, key1)")
    pairs = (key if isinstance(key, tuple) else (key, None) for key in keys)
    db.executemany(f"insert into {name} values (?, ?)", pairs)


def _rows(db: sqlite3.Connection, name: str, columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    names = list(columns)
    db.execute(f"create table {name} ({', '.join(names)})")
    db.executemany(f"insert into {name} values ({', '.join('?' * len(names))})", rows)


def _notetype_rows(db: sqlite3.Connection, rows: list[Any]) -> None:
    """Write whole notetypes, in the three tables that they lie in."""
    heads = ((row.id, row.name, row.mtime, row.config) for row in rows)
    _rows(db, "notetypes_rows", ("id", "name", "mtime_secs", "config"), heads)
    _rows(db, "fields_rows", ("ntid", "ord", "name", "config"), _numbered(rows, "fields"))
    names = ("ntid", "ord", "name", "mtime_secs", "config")
    _rows(db, "templates_rows", names, _numbered(rows, "templates"))


def _numbered(rows: list[Any], part: str) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        for at, value in enumerate(getattr(row, part)):
            yield row.id, at, *value


def grow(first: Path, second: Path, notes: Iterable[int], now_ms: int) -> int:
    """Let Anki make the cards that notes need, the same ones in both files; returns how many.

    Two sides' fields together, or one side's new template with the other's new note, may call for a card that
    neither made. Anki makes it in the first file; the second gets that very card, for ids must not differ.
    """
    nids = sorted(notes)
    if not nids:
        return 0
    with opened(first) as col:
        before = {cid for (cid,) in col.rows("select id from cards")}
        mod = col.value("select mod from col")
        there = {nid for (nid,) in col.rows("select id from notes")}  # one may have been deleted since
        col.grow_cards([nid for nid in nids if nid in there])
        made = sorted({cid for (cid,) in col.rows("select id from cards")} - before)
        col.rows("update col set mod = ?", now_ms if made else mod)
    if made:
        columns = ", ".join(COLUMNS[Table.CARDS].names)
        chosen = ", ".join(map(str, made))
        with opened(second, {"first": first}) as col, col.transaction():
            col.rows(
                f"insert into main.cards ({columns}, usn) select {columns}, -1 from first.cards where id in ({chosen})"
            )
            # the place of the next new card moved with it
            col.rows(
                "insert or replace into main.config (key, usn, mtime_secs, val) "
                "select key, -1, mtime_secs, val from first.config where key = 'nextPos'"
            )
            col.rows("update main.col set mod = ?", now_ms)
    return len(made)
