"""Two collections that never met, made comparable: the phone's in the desktop's ids, and what they have in common.

The same note is known by its guid, a deck and deck options by name, a notetype by id or name and what it is made of, a card by
its note and template. Where ids differ the phone's copy takes the desktop's; days are counted from the
desktop's first day. What is then equal in both is their common past; all else counts as made since, on one
side or on both, and is merged as ever: nothing is taken for deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from usbsync.collection.backend import OpenCollection, opened
from usbsync.collection.diff import notetypes, touched
from usbsync.collection.schema11 import lift
from usbsync.collection.tables import COLUMNS, NOTETYPE_PARTS
from usbsync.core import wire
from usbsync.core.changes import GraveType, Notetype, Table
from usbsync.core.conflict import Side
from usbsync.core.notetypes import differ
from usbsync.core.shape import FIELD_ID, TEMPLATE_ID, Part, part_id
from usbsync.core.unicase import unicase
from usbsync.core.units import FIRST_TIMESTAMP

TRANSLATED = "translated.anki2"
"""The phone's collection in the desktop's ids, in the scratch folder."""
_DAY = 86_400
_LAST_DAY_STUDIED, _NORMAL, _CONFIG_ID, _KIND = (
    3,
    1,
    1,
    1,
)  # field numbers in proto/anki/decks.proto, notetypes.proto

_UNIQUE = "(select {key} from {schema}.{table} group by {key} having count() = 1)"


def acquaint(
    desktop: Path, phone: Path, scratch: Path, now_ms: int, lesser: Side | None = None
) -> tuple[Path, Path]:
    """Return the phone's collection in the desktop's ids, and the common past of both, as new files.

    The side named as the lesser has the old schema 11: what it cannot hold counts as common too.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    translated, common = scratch / TRANSLATED, scratch / "common.anki2"
    shutil.copyfile(phone, translated)
    with opened(translated, {"d": desktop}) as col, col.transaction():
        _translate(col, now_ms)
    if lesser:
        lift(*((desktop, translated) if lesser is Side.PHONE else (translated, desktop)))
    shutil.copyfile(desktop, common)
    with opened(common, {"anc": translated}) as col, col.transaction():
        _keep_common(col)
    return translated, common


def _translate(col: OpenCollection, now_ms: int) -> None:
    types = dict(_notetype_moves(col))
    options = _moves(col, Table.DECK_CONFIG, "name", "main.deck_config.id != 1 and d.deck_config.id != 1")
    _move(col, Table.NOTETYPES, types, {"notes": ("mid",), "fields": ("ntid",), "templates": ("ntid",)})
    _move(col, Table.DECK_CONFIG, options, {})
    _redirect_options(col, options)
    decks = _moves(col, Table.DECKS, "name", "substr(main.decks.kind, 1, 1) = substr(d.decks.kind, 1, 1)")
    _move(col, Table.DECKS, decks, {"cards": ("did", "odid")}, GraveType.DECK)
    notes = _moves(col, Table.NOTES, "guid", "main.notes.mid = d.notes.mid")
    _move(col, Table.NOTES, notes, {"cards": ("nid",)}, GraveType.NOTE)
    _move(col, Table.CARDS, _card_moves(col), {"revlog": ("cid",)}, GraveType.CARD)
    _shift_days(col)
    if types or options:
        # AnkiWeb keeps no graves of these: it could not follow but by a one-way sync
        col.rows("update main.col set scm = ?", now_ms)


# ---- which id becomes which


def _moves(col: OpenCollection, table: Table, key: str, also: str) -> dict[int, int]:
    """Match rows by a key that names one row on either side, and return the phone's ids that differ."""
    mine = _UNIQUE.format(key=key, schema="main", table=table)
    theirs = _UNIQUE.format(key=key, schema="d", table=table)
    return dict(
        map(
            tuple,
            col.rows(
                f"select main.{table}.id, d.{table}.id from main.{table} join d.{table} "
                f"on main.{table}.{key} = d.{table}.{key} where main.{table}.id != d.{table}.id and {also} "
                f"and main.{table}.{key} in {mine} and d.{table}.{key} in {theirs}"
            ),
        )
    )


def _card_moves(col: OpenCollection) -> dict[int, int]:
    """Match cards by note and template, where either side has just one of them."""
    return dict(
        map(
            tuple,
            col.rows(
                "select p.id, c.id from main.cards p join d.cards c on c.nid = p.nid and c.ord = p.ord "
                "join main.notes n on n.id = p.nid join d.notes m on m.id = p.nid and m.guid = n.guid "
                "where p.id != c.id group by p.nid, p.ord having count() = 1"
            ),
        )
    )


def _notetype_moves(col: OpenCollection) -> Iterator[tuple[int, int]]:
    """Match notetypes by id or name where they are related; a stranger of the same id is moved out of the way."""
    phone, desktop = (_all_notetypes(col, schema) for schema in ("main", "d"))
    by_name = {unicase(row.name): mid for mid, row in desktop.items()}
    fresh = max([*phone, *desktop]) + 1
    for mid, row in phone.items():
        same_id = desktop.get(mid)
        if same_id and _related(same_id, row):
            continue  # one notetype, perhaps renamed, restyled or reshaped: merged part by part
        twin = by_name.get(unicase(row.name))
        if twin is not None and twin not in phone and _related(desktop[twin], row):
            yield mid, twin
        elif same_id:
            yield mid, fresh
            fresh += 1


def _all_notetypes(col: OpenCollection, schema: str) -> dict[int, Notetype]:
    return notetypes(col, schema, [mid for (mid,) in col.rows(f"select id from {schema}.notetypes")])


def _related(one: Notetype, other: Notetype) -> bool:
    """Whether two notetypes are states of one: of one kind, with at least half of their parts in common."""
    if _kind(one) != _kind(other):
        return False
    return _half_alike(one.fields, other.fields, FIELD_ID) and _half_alike(
        one.templates, other.templates, TEMPLATE_ID
    )


def _kind(row: Notetype) -> int:
    return wire.varint(wire.split(row.config).get(_KIND, b""))


def _half_alike(one: Sequence[Part], other: Sequence[Part], number: int) -> bool:
    """Whether at least half of the parts have an id or a name in common; what only shares a place proves nothing."""
    names = {unicase(part.name) for part in one}
    ids = {part_id(part, number) for part in one} - {b""}
    shared = sum(unicase(part.name) in names or part_id(part, number) in ids for part in other)
    return 2 * shared >= max(len(one), len(other))


# ---- carrying it out


def _move(
    col: OpenCollection,
    table: Table,
    moves: Mapping[int, int],
    references: Mapping[str, Iterable[str]],
    grave: int | None = None,
) -> None:
    """Give rows their new ids, and all that speaks of them; whoever is in the way goes to a free id."""
    if not moves:
        return
    moves = {**moves, **_in_the_way(col, table, moves)}
    col.rows("create temp table moves (old integer primary key, new integer)")
    for old, new in moves.items():
        col.rows("insert into moves values (?, ?)", old, new)
    moved = "(select old from moves)"
    # by way of negative ids, for a new id may be another's old one
    col.rows(
        f"update main.{table} set usn = -1, id = -(select new from moves where old = id) where id in {moved}"
    )
    col.rows(f"update main.{table} set id = -id where id < 0")
    for other, columns in references.items():
        for column in columns:
            target = f"(select new from moves where old = {column})"
            if column == "ntid":  # part of the key, as the ids above
                col.rows(f"update main.{other} set {column} = -{target} where {column} in {moved}")
                col.rows(f"update main.{other} set {column} = -{column} where {column} < 0")
            else:
                col.rows(f"update main.{other} set usn = -1, {column} = {target} where {column} in {moved}")
    if grave is not None:
        col.rows(f"insert or ignore into main.graves (oid, type, usn) select old, {grave}, -1 from moves")
        col.rows(f"delete from main.graves where type = {grave} and oid in (select id from main.{table})")
    col.rows("drop table moves")


def _in_the_way(col: OpenCollection, table: Table, moves: Mapping[int, int]) -> dict[int, int]:
    """Return free ids for rows that have an id which is to become another's."""
    free = 1 + max(col.value(f"select max(id) from {schema}.{table}") or 0 for schema in ("main", "d"))
    own = {key for (key,) in col.rows(f"select id from main.{table}")}
    blocked = sorted(set(moves.values()) & own - moves.keys())
    return {key: free + at for at, key in enumerate(blocked)}


def _redirect_options(col: OpenCollection, moves: Mapping[int, int]) -> None:
    """Let decks speak of their options by the new ids."""
    for did, kind in _blobs(col, "kind") if moves else ():
        fields = wire.split(kind)
        normal = wire.split(wire.message(fields.get(_NORMAL, b"")))
        options = wire.varint(normal.get(_CONFIG_ID, b""))
        if options in moves:
            normal[_CONFIG_ID] = wire.varint_field(_CONFIG_ID, moves[options])
            fields[_NORMAL] = wire.message_field(_NORMAL, wire.join(normal))
            col.rows(
                "update main.decks set usn = -1, kind = unhex(?) where id = ?", wire.join(fields).hex(), did
            )


def _shift_days(col: OpenCollection) -> None:
    """Count days from the desktop's first day: the `due` of reviews, and the day a deck was last studied."""
    mine, theirs = (col.value(f"select crt from {schema}.col") for schema in ("main", "d"))
    days = round((mine - theirs) / _DAY)
    col.rows("update main.col set crt = ?", theirs)
    if not days:
        return
    by_day = f"type != 0 and {{0}} < {FIRST_TIMESTAMP}"
    col.rows(f"update main.cards set usn = -1, due = due + ? where odid = 0 and {by_day.format('due')}", days)
    col.rows(
        f"update main.cards set usn = -1, odue = odue + ? where odid != 0 and odue != 0 and {by_day.format('odue')}",
        days,
    )
    for did, common in _blobs(col, "common"):
        fields = wire.split(common)
        if studied := wire.varint(fields.get(_LAST_DAY_STUDIED, b"")):
            fields[_LAST_DAY_STUDIED] = wire.varint_field(_LAST_DAY_STUDIED, max(0, studied + days))
            col.rows(
                "update main.decks set usn = -1, common = unhex(?) where id = ?", wire.join(fields).hex(), did
            )


def _blobs(col: OpenCollection, column: str) -> list[tuple[int, bytes]]:
    return [(did, bytes.fromhex(raw)) for did, raw in col.rows(f"select id, hex({column}) from main.decks")]


# ---- the common past


def _keep_common(col: OpenCollection) -> None:
    """Delete from a copy of the desktop's collection whatever the translated phone's does not hold alike."""
    for table, columns in COLUMNS.items():
        key = ", ".join(columns.keys)
        own = ", ".join(f"m.{each}" for each in columns.keys)
        absent = (
            "1" if table is Table.GRAVES else f"a.{columns.keys[0]} is null or {columns.differ('m', 'a')}"
        )
        col.rows(
            f"delete from main.{table} where ({key}) in (select {own} from main.{table} m "
            f"left join anc.{table} a on {columns.join('m', 'a')} where {absent})"
        )
    differing = {mid for part in NOTETYPE_PARTS for mid in touched(col, part)}
    _forget_reshaped(col, differing)
    gone = ", ".join(map(str, sorted(differing)))
    for part, stored in NOTETYPE_PARTS.items():
        col.rows(f"delete from main.{part} where {stored.keys[0]} in ({gone})")


def _forget_reshaped(col: OpenCollection, mids: AbstractSet[int]) -> None:
    """Let notes and cards of a notetype whose shapes differ count as made on both: what has no past follows its shape."""
    mine, theirs = (_all_notetypes(col, schema) for schema in ("main", "anc"))
    apart = [mid for mid in sorted(mids & mine.keys() & theirs.keys()) if differ(mine[mid], theirs[mid])]
    notes = f"(select id from main.notes where mid in ({', '.join(map(str, apart))}))"
    col.rows(f"delete from main.cards where nid in {notes}")
    col.rows(f"delete from main.notes where id in {notes}")
