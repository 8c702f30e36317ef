"""The decks of both sides as trees, and the one that they become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from usbsync.core.changes import Changes, Deck, Key, Table
from usbsync.core.conflict import Conflict, Settlement, Side
from usbsync.core.crossed import Crossed
from usbsync.core.decks import Spot, paths, spots
from usbsync.core.unicase import unicase
from usbsync.core.units import Units, split_deck


class Forest:
    """Where every deck stands: in the ancestor, on each side, and merged."""

    def __init__(self, ancestor: Mapping[int, str], sides: Mapping[Side, Changes]) -> None:
        self.ancestor = ancestor
        self.sides = sides
        self.trees = {None: spots(ancestor)} | {
            side: spots(changes.deck_names) for side, changes in sides.items()
        }
        self.spots = dict(self.trees[None])
        self.contested: dict[int, Spot] = {}  # where decks stand that both sides changed

    def split(self, whose: Side | None, row: Deck) -> Units:
        """Take a deck apart, with its spot in the tree of the side it comes from."""
        spot = self.trees[whose].get(row.id, Spot(None, row.name))
        return {**split_deck(row), "place": spot.parent, "leaf": spot.leaf}

    def place(self, did: int, units: Units) -> None:
        """Remember where a deck that both changed stands."""
        self.contested[did] = Spot(units["place"], units["leaf"])

    def settle(self, did: int) -> None:
        """Say where a deck that changed stands: as merged, or as the side has it that changed it."""
        self.spots[did] = self.contested.get(did) or self._spot(did)

    def _spot(self, did: int) -> Spot:
        changed = [side for side in Side if did in self.sides[side].of(Table.DECKS)]
        held = (self.trees[whose].get(did) for whose in (*changed, None))
        return next((spot for spot in held if spot), Spot(None, str(did)))

    def parents(self, decks: set[int]) -> set[int]:
        """Return the decks that these stand under."""
        return {above for did in decks if did in self.spots and (above := self.spots[did].parent)}

    def name(self, rows: dict[Key, Any], settlement: Settlement) -> list[Conflict]:
        """Write the merged tree out as names; return the moves and names that could not all stand."""
        alive = {did: spot for did, spot in self.spots.items() if rows.get(did, did) is not None}
        crossed = Crossed(
            {None: self.ancestor} | {s: c.deck_names for s, c in self.sides.items()},
            self.trees,
            self._written,
            settlement,
        )
        names = paths(crossed.apart(crossed.opened(alive)))
        for did, row in rows.items():
            if row is None:
                continue
            # what one side wrote stays as it is, even where it spells a parent in other capitals
            spelled = did in self.contested and row.name != names[did]
            if spelled or unicase(row.name) != unicase(names[did]):
                rows[did] = row._replace(name=names[did])
        return crossed.conflicts

    def _written(self, side: Side, did: int) -> tuple[int, str]:
        """Say when a side last wrote a deck, in s; of two in the same second the greater row is the newer."""
        change = self.sides[side].of(Table.DECKS).get(did)
        return (change.now.mtime, repr(change.now)) if change and change.now else (0, "")
