"""Two things that both sides made and that are one: seen as one before anything is merged.

The same new deck name on both sides is one deck; two new cards of one note from one template are one card.
The smaller id stays. The other id's side is rewritten as if it had used the smaller one, and the row that
really stands there under the larger id is dropped (rslib would leave `New` and `New+`, or two cards).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from usbsync.core.changes import Change, Changes, Key, Table
from usbsync.core.conflict import Side
from usbsync.core.unicase import unicase


@dataclass(frozen=True, slots=True)
class Aligned:
    """Both sides' changes in common ids, and the ids that are no longer used, by table."""

    desktop: Changes
    phone: Changes
    dropped: Mapping[Table, frozenset[int]]


def align(desktop: Changes, phone: Changes) -> Aligned:
    """Find what both made, and give it one id."""
    sides = {Side.DESKTOP: desktop, Side.PHONE: phone}
    dropped = {}
    for table, name, rename in (
        (Table.DECKS, lambda row: unicase(row.name), _rename_deck),
        (Table.CARDS, lambda row: (row.nid, row.ord), _rename_card),
    ):
        pairs = _twins(table, sides, name)
        for side, moves in pairs.items():
            if moves:
                sides[side] = rename(sides[side], moves)
        dropped[table] = frozenset(old for moves in pairs.values() for old in moves)
    return Aligned(sides[Side.DESKTOP], sides[Side.PHONE], dropped)


def _twins(
    table: Table, sides: Mapping[Side, Changes], name: Callable[[Any], object]
) -> dict[Side, dict[int, int]]:
    """Return, for each side, which of its new ids gives way to which id of the other side's."""
    made = {
        side: {name(change.now): key for key, change in changes.of(table).items() if change.ancestor is None}
        for side, changes in sides.items()
    }
    moves: dict[Side, dict[int, int]] = {side: {} for side in Side}
    for shared in made[Side.DESKTOP].keys() & made[Side.PHONE].keys():
        ids = {side: made[side][shared] for side in Side}
        if ids[Side.DESKTOP] != ids[Side.PHONE]:
            loser = max(Side, key=lambda side: ids[side])
            moves[loser][ids[loser]] = ids[loser.other]
    return moves


def _rename_deck(changes: Changes, moves: Mapping[int, int]) -> Changes:
    def card(row: Any) -> Any:
        return row and row._replace(did=moves.get(row.did, row.did), odid=moves.get(row.odid, row.odid))

    decks = _rekeyed(changes.of(Table.DECKS), moves)
    cards = {key: Change(c.ancestor, card(c.now)) for key, c in changes.of(Table.CARDS).items()}
    names = {moves.get(did, did): name for did, name in changes.deck_names.items()}
    rows = {**changes.rows, Table.DECKS: decks, Table.CARDS: cards}
    return replace(changes, rows=rows, deck_names=names)


def _rename_card(changes: Changes, moves: Mapping[int, int]) -> Changes:
    def review(row: Any) -> Any:
        return row and row._replace(cid=moves.get(row.cid, row.cid))

    cards = _rekeyed(changes.of(Table.CARDS), moves)
    reviews = {key: Change(c.ancestor, review(c.now)) for key, c in changes.of(Table.REVLOG).items()}
    return replace(changes, rows={**changes.rows, Table.CARDS: cards, Table.REVLOG: reviews})


def _rekeyed(table: Mapping[Key, Change], moves: Mapping[int, int]) -> dict[Key, Change]:
    """Give new rows their other id."""
    return {
        moves.get(key, key): Change(None, change.now._replace(id=moves[key])) if key in moves else change
        for key, change in table.items()
    }
