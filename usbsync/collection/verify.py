"""Is the result sound, and is it on both sides the same?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from usbsync.collection.backend import OpenCollection, opened
from usbsync.collection.tables import COLUMNS, NOTETYPE_PARTS, Stored
from usbsync.core.changes import Table
from usbsync.errors import DamagedData

_FAULTS = {
    "cards without a note": "select count() from cards where nid not in (select id from notes)",
    "cards without a deck": "select count() from cards where did not in (select id from decks) "
    "or (odid != 0 and odid not in (select id from decks))",
    "notes without a notetype": "select count() from notes where mid not in (select id from notetypes)",
    "notes with the wrong number of fields": "select count() from notes n "
    "join (select ntid, count() as n from fields group by ntid) f on f.ntid = n.mid "
    "where length(n.flds) - length(replace(n.flds, char(31), '')) + 1 != f.n",
}


def verify(desktop: Path, phone: Path, originals: tuple[Path, Path]) -> None:
    """Prove both results sound and equal; faults that the originals had are theirs.

    Raises:
        DamagedData: they are not; nothing has been written to either side.
    """
    allowed = [faults(path) for path in originals]
    for path in (desktop, phone):
        for what, count in faults(path).items():
            if count > sum(before[what] for before in allowed):
                raise DamagedData(f"the merged collection would have {count} {what}")
    with opened(desktop, {"other": phone}) as col:
        for difference in differences(col):
            raise DamagedData(f"the two merged collections differ in {difference}")


def faults(path: Path) -> dict[str, int]:
    """Count what Anki's database check would find, and prove the pages sound."""
    with opened(path) as col:
        verdict = col.value("pragma main.quick_check(1)")
        if verdict != "ok":
            raise DamagedData(f"a merged collection is damaged: {verdict}")
        return {what: int(col.value(sql)) for what, sql in _FAULTS.items()}


def differences(col: OpenCollection, *, graves: bool = False) -> Iterator[str]:
    """Name the tables in which the open collection and the one attached as `other` differ, `usn` aside.

    Graves are each side's bookkeeping with AnkiWeb, which clears them at a full sync.
    """
    for table, columns in (*COLUMNS.items(), *NOTETYPE_PARTS.items()):
        if table is not Table.GRAVES or graves:
            yield from _differing(col, table, columns)
    if col.value("select (select crt from main.col) != (select crt from other.col)"):
        yield "col.crt"


def _differing(col: OpenCollection, table: str, columns: Stored) -> Iterator[str]:
    """Equal counts, and no row of one that the other lacks or has otherwise: equal."""
    if col.value(f"select (select count() from main.{table}) != (select count() from other.{table})"):
        yield f"{table} (count)"
    key = columns.keys[0]
    rows = col.rows(
        f"select m.{key} from main.{table} m left join other.{table} o on {columns.join('m', 'o')} "
        f"where o.{key} is null or {columns.differ('m', 'o')} limit 1"
    )
    if rows:
        yield f"{table} ({rows[0][0]})"
