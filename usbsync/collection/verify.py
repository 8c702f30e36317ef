"""Is the result sound, and is it on both sides the same?"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from usbsync.collection.backend import OpenCollection, opened, reading
from usbsync.collection.tables import COLUMNS, NOTETYPE_PARTS, Stored
from usbsync.core.changes import Table
from usbsync.errors import DamagedData

_FAULTS = {
    "cards without a note": "select count() from it.cards where nid not in (select id from it.notes)",
    "cards without a deck": "select count() from it.cards where did not in (select id from it.decks) "
    "or (odid != 0 and odid not in (select id from it.decks))",
    "notes without a notetype": "select count() from it.notes where mid not in (select id from it.notetypes)",
    "notes with the wrong number of fields": "select count() from it.notes n "
    "join (select ntid, count() as n from it.fields group by ntid) f on f.ntid = n.mid "
    "where length(n.flds) - length(replace(n.flds, char(31), '')) + 1 != f.n",
}


def verify(desktop: Path, phone: Path, originals: tuple[Path, Path]) -> None:
    """Prove both results sound and equal; faults that the originals had are theirs.

    Raises:
        DamagedData: they are not; nothing has been written to either side.
    """
    with ThreadPoolExecutor() as pool:  # nearly all of it is SQLite's work, outside Python's lock
        difference = pool.submit(first_difference, desktop, phone)
        found = list(pool.map(faults, (desktop, phone)))
    for what in _FAULTS:
        count = max(result[what] for result in found)
        if count and count > sum(faults(path)[what] for path in originals):
            raise DamagedData(f"the merged collection would have {count} {what}")
    if difference.result():
        raise DamagedData(f"the two merged collections differ in {difference.result()}")
    with opened(desktop) as col:  # and so the other, which is equal
        col.load_all()


def faults(path: Path) -> dict[str, int]:
    """Count what Anki's database check would find, and prove the pages sound."""
    with reading(it=path) as col:
        prove_pages(col, "it", "merged")
        return {what: int(col.value(sql)) for what, sql in _FAULTS.items()}


def prove_pages(col: OpenCollection, schema: str, whose: str) -> None:
    """Let SQLite walk through every page of a file.

    Raises:
        DamagedData: one of them is not sound.
    """
    verdict = col.value(f"pragma {schema}.quick_check(1)")
    if verdict != "ok":
        raise DamagedData(f"the {whose} collection is damaged: {verdict}")


def first_difference(desktop: Path, phone: Path) -> str | None:
    """Name a table in which two collections differ, bookkeeping with AnkiWeb aside; None: they are equal."""
    with reading(one=desktop, other=phone) as col:
        return next(differences(col, one="one"), None)


def differences(col: OpenCollection, *, one: str = "main", graves: bool = False) -> Iterator[str]:
    """Name the tables in which an open collection and the one attached as `other` differ, `usn` aside.

    Graves are each side's bookkeeping with AnkiWeb, which clears them at a full sync.
    """
    for table, columns in (*COLUMNS.items(), *NOTETYPE_PARTS.items()):
        if table is not Table.GRAVES or graves:
            yield from _differing(col, one, table, columns)
    if col.value(f"select (select crt from {one}.col) is not (select crt from other.col)"):
        yield "col.crt"


def _differing(col: OpenCollection, one: str, table: str, columns: Stored) -> Iterator[str]:
    """Equal counts, and no row of one that the other lacks or has otherwise: equal."""
    if col.value(f"select (select count() from {one}.{table}) != (select count() from other.{table})"):
        yield f"{table} (count)"
    key = columns.keys[0]
    rows = col.rows(
        f"select m.{key} from {one}.{table} m left join other.{table} o on {columns.join('m', 'o')} "
        f"where o.{key} is null or {columns.differ('m', 'o')} limit 1"
    )
    if rows:
        yield f"{table} ({rows[0][0]})"
