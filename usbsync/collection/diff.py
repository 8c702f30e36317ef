"""What each side did since the ancestor, found by SQL over attached files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from usbsync.collection.backend import OpenCollection, opened
from usbsync.collection.tables import COLUMNS, NOTETYPE_PARTS, Columns, hex_of, key_of, sound, unhex
from usbsync.core.changes import (
    Change,
    Changes,
    Col,
    Context,
    Field,
    Key,
    Known,
    Notetype,
    Row,
    Table,
    Template,
)
from usbsync.errors import DamagedData

_BATCH = 5000
_NEAR = 1000  # how far from a colliding review a free id is looked for, ms


def compare(ancestor: Path, desktop: Path, phone: Path) -> tuple[Changes, Changes, Context]:
    """Find what both sides did; all three are scratch copies of schema 18.

    Raises:
        DamagedData: a file is not sound.
    """
    with ExitStack() as stack:
        sides = [stack.enter_context(opened(path, {"anc": ancestor})) for path in (desktop, phone)]
        with ThreadPoolExecutor() as pool:  # most of it is SQLite's work, outside Python's lock
            rows = list(pool.map(side_rows, sides))
        decks_changed = any(found[Table.DECKS] for found in rows)
        names = [_deck_names(side, "main") if decks_changed else {} for side in sides]
        thinned = _thinned(rows)
        for side, found in zip(sides, rows, strict=True):
            _add_reached(side, found, thinned, reshaped=any(each[Table.NOTETYPES] for each in rows))
        mine, theirs = (
            Changes(found, _col(side, "main"), _col(side, "anc"), decks)
            for side, found, decks in zip(sides, rows, names, strict=True)
        )
        context = Context(
            ancestor_decks=_deck_names(sides[0], "anc") if decks_changed else {},
            fields=_field_names(sides[1]) | _field_names(sides[0]),
            taken_reviews=frozenset(_taken(sides, mine, theirs)),
            free_ids={table: _free_id(sides, table) for table in _WITH_IDS},
            mids=_mids(sides, rows) if any(found[Table.NOTETYPES] for found in rows) else {},
            cards=_cards(sides, thinned),
            known=_known(sides, rows),
        )
        return mine, theirs, context


def same(one: Path, other: Path) -> bool:
    """Whether two collections hold the same rows, bookkeeping with AnkiWeb aside."""
    with opened(one, {"anc": other}) as col:
        found = {table: rows for table, rows in side_rows(col).items() if table is not Table.GRAVES}
        return not any(found.values()) and _col(col, "main").crt == _col(col, "anc").crt


def count_notes(path: Path) -> int:
    """Count the notes of a snapshot."""
    with opened(path) as col:
        return int(col.value("select count() from notes"))


def side_rows(col: OpenCollection) -> dict[Table, Mapping[Key, Change]]:
    """Return the changed rows of every table."""
    found: dict[Table, Mapping[Key, Change]] = {
        table: dict(changed(col, table, columns)) for table, columns in COLUMNS.items()
    }
    return found | {Table.NOTETYPES: changed_notetypes(col)}


def changed(col: OpenCollection, table: Table, columns: Columns) -> Iterator[tuple[Key, Change]]:
    """Yield created, edited and deleted rows of one table."""
    on, width = columns.join("m", "a"), columns.width
    absent, created = f"a.{columns.keys[0]} is null", 0
    for values in col.rows(
        f"select {absent}, {columns.read('m')}, {columns.read('a')} from main.{table} m "
        f"left join anc.{table} a on {on} where {absent} or {columns.differ('m', 'a')}"
    ):
        now = columns.row(values[1 : 1 + width])
        before = None if values[0] else columns.row(values[1 + width :])
        created += before is None
        yield key_of(table, now), Change(before, now)
    if not _fewer(col, table, created):
        return
    gone = f"m.{columns.keys[0]} is null"
    for values in col.rows(
        f"select {columns.read('a')} from anc.{table} a left join main.{table} m on {on} where {gone}"
    ):
        before = columns.row(values)
        yield key_of(table, before), Change(before, None)


def _fewer(col: OpenCollection, table: Table, created: int) -> bool:
    """Whether some of the ancestor's rows are gone: counting is quicker than looking for each."""
    counts = f"(select count() from main.{table}), (select count() from anc.{table})"
    now, before = col.rows(f"select {counts}")[0]
    return bool(now - created < before)


def changed_notetypes(col: OpenCollection) -> dict[Key, Change]:
    """Return the notetypes of which a row in any of their three tables changed."""
    ids = sorted({mid for table in NOTETYPE_PARTS for mid in touched(col, table)})
    if not ids:
        return {}
    now, before = (notetypes(col, schema, ids) for schema in ("main", "anc"))
    return {mid: Change(before.get(mid), now.get(mid)) for mid in ids}


def touched(col: OpenCollection, table: str) -> Iterator[int]:
    """Yield the notetypes of which a row in this table is missing or different on some side."""
    columns = NOTETYPE_PARTS[table]
    key = columns.keys[0]
    for one, other in (("main", "anc"), ("anc", "main")):
        for (mid,) in col.rows(
            f"select distinct m.{key} from {one}.{table} m left join {other}.{table} a "
            f"on {columns.join('m', 'a')} where a.{key} is null or {columns.differ('m', 'a')}"
        ):
            if not isinstance(mid, int):
                raise DamagedData(f"a collection holds a damaged row: {table} of {mid!r:.40}")
            yield mid


def notetypes(col: OpenCollection, schema: str, ids: Sequence[int]) -> dict[int, Notetype]:
    """Load whole notetypes from one of the attached files."""
    chosen = ", ".join(str(int(mid)) for mid in ids)
    fields = _parts(
        col.rows(
            f"select ntid, name, {hex_of('config')} from {schema}.fields where ntid in ({chosen}) order by ntid, ord"
        )
    )
    templates = _parts(
        col.rows(
            f"select ntid, name, mtime_secs, {hex_of('config')} from {schema}.templates "
            f"where ntid in ({chosen}) order by ntid, ord"
        )
    )
    return {
        mid: sound(
            Notetype(
                mid,
                name,
                mtime,
                unhex(config),
                tuple(sound(Field(n, unhex(c))) for n, c in fields.get(mid, ())),
                tuple(sound(Template(n, t, unhex(c))) for n, t, c in templates.get(mid, ())),
            )
        )
        for mid, name, mtime, config in col.rows(
            f"select id, name, mtime_secs, {hex_of('config')} from {schema}.notetypes where id in ({chosen})"
        )
    }


def _parts(rows: Sequence[Sequence[Any]]) -> dict[int, list[Sequence[Any]]]:
    return {mid: [row[1:] for row in group] for mid, group in groupby(rows, key=lambda row: row[0])}


def _thinned(rows: Sequence[Mapping[Table, Mapping[Key, Change]]]) -> set[int]:
    """Return the notes that lost cards on both sides, and live on both."""
    lost = ({c.ancestor.nid for c in found[Table.CARDS].values() if c.now is None} for found in rows)
    gone = {nid for found in rows for nid, change in found[Table.NOTES].items() if change.now is None}
    return set.intersection(*lost) - gone


def _add_reached(
    col: OpenCollection, found: dict[Table, Mapping[Key, Change]], thinned: set[int], *, reshaped: bool
) -> None:
    """Add what this side left as it was, but what was done to others may reach.

    A card follows where its note came to a notetype whose templates moved; a note goes with its last card.
    """
    retyped = {
        nid for nid, c in found[Table.NOTES].items() if c.ancestor and c.now and c.ancestor.mid != c.now.mid
    }
    for table, column, ids in (
        (Table.CARDS, "nid", retyped if reshaped else ()),
        (Table.NOTES, "id", thinned),
    ):
        still = {row.id: Change(row, row) for row in _rows_of(col, table, column, ids)}
        found[table] = {**still, **found[table]}


def _rows_of(col: OpenCollection, table: Table, column: str, ids: Iterable[int]) -> Iterator[Any]:
    columns = COLUMNS[table]
    for chosen in _batches(ids):
        for values in col.rows(
            f"select {columns.read('m')} from main.{table} m where m.{column} in ({chosen})"
        ):
            yield columns.row(values)


def _cards(sides: Sequence[OpenCollection], nids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return the cards of notes, on whatever side they are."""
    found: dict[int, set[int]] = {}
    for chosen in _batches(nids):
        for side in sides:
            for nid, cid in side.rows(f"select nid, id from main.cards where nid in ({chosen})"):
                found.setdefault(nid, set()).add(cid)
    return {nid: frozenset(cids) for nid, cids in found.items()}


def _batches(ids: Iterable[int]) -> Iterator[str]:
    """Write ids as lists for SQL, of a length that it takes."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _BATCH):
        yield ", ".join(map(str, ordered[start : start + _BATCH]))


def _mids(
    sides: Sequence[OpenCollection], rows: Sequence[Mapping[Table, Mapping[Key, Change]]]
) -> dict[int, int]:
    """Return the notetypes of the notes of which a card changed, on whatever side they are."""
    changes = (change for found in rows for change in found[Table.CARDS].values())
    nids = {row.nid for change in changes for row in (change.ancestor, change.now) if row}
    mids: dict[int, int] = {}
    for chosen in _batches(nids):
        for side in sides:
            for schema in ("anc", "main"):
                mids.update(
                    map(tuple, side.rows(f"select id, mid from {schema}.notes where id in ({chosen})"))
                )
    return mids


def _known(sides: Sequence[OpenCollection], rows: Sequence[Mapping[Table, Mapping[Key, Change]]]) -> Known:
    """Return what things are called on either side, the desktop's names first."""
    desktop, phone = sides
    both = rows[0][Table.CARDS].keys() & rows[1][Table.CARDS].keys()
    cards = (found[Table.CARDS][key] for found in rows for key in both)
    nids = {row.nid for change in cards for row in (change.ancestor, change.now) if row}
    decks, notetypes, options = (
        {**_names(phone, table), **_names(desktop, table)}
        for table in (Table.DECKS, Table.NOTETYPES, Table.DECK_CONFIG)
    )
    return Known(decks, notetypes, options, _texts(sides, nids), _first_day(desktop))


_LONGEST = 1000  # characters of a note: more are not shown anywhere


def _names(col: OpenCollection, table: Table) -> dict[int, str]:
    return dict(map(tuple, col.rows(f"select id, name from main.{table}")))


def _texts(sides: Sequence[OpenCollection], nids: Iterable[int]) -> dict[int, str]:
    """Return how notes begin, on whatever side they are."""
    return {
        nid: str(flds)
        for chosen in _batches(nids)
        for side in reversed(sides)
        for nid, flds in side.rows(
            f"select id, substr(flds, 1, {_LONGEST}) from main.notes where id in ({chosen})"
        )
    }


def _first_day(col: OpenCollection) -> int:
    """Return the day from which due days are counted, where it began (rslib `scheduler/timing.rs`)."""
    found = col.rows("select cast(val as text) from main.config where key = 'creationOffset'")
    west = str(found[0][0]) if found else ""
    minutes = int(west) if re.fullmatch(r"-?\d{1,4}", west) else 0
    return _EPOCH + (_col(col, "main").crt - minutes * 60) // 86_400


_EPOCH = date(1970, 1, 1).toordinal()


def _col(col: OpenCollection, schema: str) -> Col:
    (crt, scm, mod), *_ = col.rows(f"select crt, scm, mod from {schema}.col")
    if not all(isinstance(value, int) for value in (crt, scm, mod)):
        raise DamagedData("a collection does not say when it began")
    return Col(crt, scm, mod)


def _deck_names(col: OpenCollection, schema: str) -> dict[int, str]:
    """Return the names of all decks: the tree is merged as a whole, and it is small."""
    return dict(map(tuple, col.rows(f"select id, name from {schema}.decks")))


def _field_names(col: OpenCollection) -> dict[int, tuple[str, ...]]:
    rows = col.rows("select ntid, name from main.fields order by ntid, ord")
    return {mid: tuple(name for (name,) in parts) for mid, parts in _parts(rows).items()}


_WITH_IDS = (Table.NOTETYPES, Table.DECKS, Table.NOTES, Table.CARDS)


def _free_id(sides: Sequence[OpenCollection], table: Table) -> int:
    """Return an id above all of this table's in all three files, and above all that lie in a grave."""
    highest = " union all ".join(
        f"select max({key}) from {schema}.{name}"
        for schema in ("main", "anc")
        for name, key in ((table, "id"), (Table.GRAVES, "oid"))
    )
    return 1 + max(found or 0 for side in sides for (found,) in side.rows(highest))


def _taken(sides: Sequence[OpenCollection], mine: Changes, theirs: Changes) -> Iterator[int]:
    """Yield the review ids in use near those at which the two sides hold different answers."""
    both = mine.of(Table.REVLOG).keys() & theirs.of(Table.REVLOG).keys()
    for key in both:
        rows: set[Row] = {side.of(Table.REVLOG)[key].now for side in (mine, theirs)}
        if len(rows) > 1:
            for side in sides:
                near = side.rows("select id from revlog where id between ? and ?", key, key + _NEAR)
                yield from (found for (found,) in near)


def tally(new: Path, old: Path | None) -> dict[str, dict[str, int]]:
    """Count what replacing one collection by another adds, updates and deletes, without loading a row."""
    with opened(new, {"anc": old} if old else None) as col:
        return {
            table.value: counts
            for table, columns in COLUMNS.items()
            if any((counts := _counts(col, table, columns, known=old is not None)).values())
        }


def lost(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return a tally of what there is as one of what goes with it."""
    return {table: {"added": 0, "updated": 0, "deleted": count["added"]} for table, count in counts.items()}


def _counts(col: OpenCollection, table: Table, columns: Columns, *, known: bool) -> dict[str, int]:
    total = int(col.value(f"select count() from main.{table}"))
    if not known:
        return {"added": total, "updated": 0, "deleted": 0}
    before = int(col.value(f"select count() from anc.{table}"))
    common = f"from main.{table} m join anc.{table} a on {columns.join('m', 'a')}"
    both = int(col.value(f"select count() {common}"))
    edited = int(col.value(f"select count() {common} where {columns.differ('m', 'a')}"))
    return {"added": total - both, "updated": edited, "deleted": before - both}
