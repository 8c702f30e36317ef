"""What both sides made since they last met, seen in common ids before anything is merged.

*Strangers* are two things under one id: ids are moments, and two apps may hit the same one. The greater of
the two moves to a free id, so that both live (Anki would keep one note and lose the other).

*Twins* are one thing under two ids: the same new deck name on both sides is one deck; two new cards of one
note from one template are one card. The smaller id stays, and the row that really stands there under the
larger id is dropped (rslib would leave `New` and `New+`, or two cards).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from usbsync.core.changes import Change, Changes, Key, Table
from usbsync.core.conflict import Side
from usbsync.core.notetypes import akin
from usbsync.core.unicase import unicase
from usbsync.core.units import is_filtered


@dataclass(frozen=True, slots=True)
class Aligned:
    """Both sides' changes in common ids, and the ids that are no longer used, by table."""

    desktop: Changes
    phone: Changes
    dropped: Mapping[Table, frozenset[int]]


def align(desktop: Changes, phone: Changes, free: Mapping[Table, int]) -> Aligned:
    """Give each thing that both sides made one id of its own; `free` says from where on ids are unused."""
    sides = {Side.DESKTOP: desktop, Side.PHONE: phone}
    for table in _SAME:
        for side, moves in _strangers(table, sides, free.get(table, 0)).items():
            sides[side] = _moved(table, sides[side], moves)
    dropped = {}
    for table in (Table.DECKS, Table.CARDS):
        pairs = _twins(table, sides)
        for side, moves in pairs.items():
            sides[side] = _moved(table, sides[side], moves)
        dropped[table] = frozenset(old for moves in pairs.values() for old in moves)
    return Aligned(sides[Side.DESKTOP], sides[Side.PHONE], dropped)


_IDENTITY: Mapping[Table, Callable[[Any], Any]] = {
    Table.DECKS: lambda row: (unicase(row.name), is_filtered(row)),
    Table.NOTES: lambda row: row.guid,
    Table.CARDS: lambda row: (row.nid, row.ord),
}
"""Who a new row is, whatever its id."""

_SAME: Mapping[Table, Callable[[Any, Any], bool]] = {
    Table.NOTETYPES: akin,
    Table.DECKS: lambda one, other: is_filtered(one) == is_filtered(other),
    Table.NOTES: lambda one, other: one.guid == other.guid,
    Table.CARDS: lambda one, other: (one.nid, one.ord) == (other.nid, other.ord),
}
"""Whether two new rows of one id are one thing, which one side may have renamed since (both may have it from
AnkiWeb, or of one import); in the order in which ids are settled, for cards speak of notes and decks."""


def _made(table: Table, changes: Changes) -> dict[Key, Any]:
    return {key: change.now for key, change in changes.of(table).items() if change.ancestor is None}


def _strangers(table: Table, sides: Mapping[Side, Changes], free: int) -> dict[Side, dict[int, int]]:
    """Return, for each side, which of its new ids moves where because the other made something else of that id."""
    made = {side: _made(table, changes) for side, changes in sides.items()}
    moves: dict[Side, dict[int, int]] = {side: {} for side in Side}
    free = max([free, *(key + 1 for rows in made.values() for key in rows)])
    for key in sorted(made[Side.DESKTOP].keys() & made[Side.PHONE].keys()):
        rows = {side: made[side][key] for side in Side}
        if not _SAME[table](rows[Side.DESKTOP], rows[Side.PHONE]):
            moves[max(Side, key=lambda side: repr(rows[side]))][key] = free
            free += 1
    return moves


def _twins(table: Table, sides: Mapping[Side, Changes]) -> dict[Side, dict[int, int]]:
    """Return, for each side, which of its new ids gives way to which id of the other side's."""
    identity = _IDENTITY[table]
    made = {
        side: {identity(row): key for key, row in _made(table, changes).items()}
        for side, changes in sides.items()
    }
    moves: dict[Side, dict[int, int]] = {side: {} for side in Side}
    for shared in made[Side.DESKTOP].keys() & made[Side.PHONE].keys():
        ids = {side: made[side][shared] for side in Side}
        if all(ids[side] not in sides[side.other].of(table) for side in Side):  # else they are known apart
            loser = max(Side, key=lambda side: ids[side])
            moves[loser][ids[loser]] = ids[loser.other]
    return moves


def _moved(table: Table, changes: Changes, moves: Mapping[int, int]) -> Changes:
    """Rewrite a side as if it had used other ids for what it made."""
    if not moves:
        return changes
    rows = {**changes.rows, table: _rekeyed(changes.of(table), moves)}
    for other, columns in _REFERENCES[table].items():
        rows[other] = {key: _referring(change, columns, moves) for key, change in rows.get(other, {}).items()}
    names = changes.deck_names
    if table is Table.DECKS:
        names = {moves.get(did, did): name for did, name in names.items()}
    return replace(changes, rows=rows, deck_names=names)


_REFERENCES: Mapping[Table, Mapping[Table, tuple[str, ...]]] = {
    Table.NOTETYPES: {Table.NOTES: ("mid",)},
    Table.DECKS: {Table.CARDS: ("did", "odid")},
    Table.NOTES: {Table.CARDS: ("nid",)},
    Table.CARDS: {Table.REVLOG: ("cid",)},
}
"""Which columns of which tables speak of a table's ids."""


def _referring(change: Change, columns: tuple[str, ...], moves: Mapping[int, int]) -> Change:
    if change.now is None:
        return change
    held = {column: getattr(change.now, column) for column in columns}
    return Change(change.ancestor, change.now._replace(**{c: moves.get(id_, id_) for c, id_ in held.items()}))


def _rekeyed(table: Mapping[Key, Change], moves: Mapping[int, int]) -> dict[Key, Change]:
    """Give new rows their other id."""
    return {
        moves.get(key, key): Change(None, change.now._replace(id=moves[key])) if key in moves else change
        for key, change in table.items()
    }
