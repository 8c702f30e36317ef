"""Moves and names of decks of which each can stand, but not all together: one gives way, and is reported.

Each side's tree is sound, but what both did may put two decks below each other, or give two the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from usbsync.core.changes import Table
from usbsync.core.conflict import NEWER_STANDS, Conflict, Settlement, Side
from usbsync.core.decks import Spot, broken_cycles, distinct, namesakes, paths, readable, rings
from usbsync.core.unicase import unicase

_RING, _SAME_NAME = "place below each other", "same name"


@dataclass(slots=True)
class Crossed:
    """The decks of both sides, and what of them gave way."""

    names: Mapping[Side | None, Mapping[int, str]]  # whole, of each side and (None) of the ancestor
    trees: Mapping[Side | None, Mapping[int, Spot]]
    written: Callable[[Side, int], tuple[int, str]]  # when a side wrote a deck
    settlement: Settlement
    conflicts: list[Conflict] = field(default_factory=list)

    def opened(self, tree: Mapping[int, Spot]) -> dict[int, Spot]:
        """Open the rings of decks that stand below each other: of the two sides whose moves make one, one gives way."""
        tree, back = dict(tree), set[int]()
        while undone := self._undone(tree, back):
            back |= undone.keys()
            tree |= undone
        return broken_cycles(tree)

    def _undone(self, tree: Mapping[int, Spot], back: set[int]) -> dict[int, Spot]:
        """Return the spots to which decks go back; but for `back`, which did."""
        undone: dict[int, Spot] = {}
        for ring in rings(tree):
            moves = {side: [did for did in ring if self._moved_by(did, tree[did]) is side] for side in Side}
            if all(moves.values()):
                side = self._yielding(ring, moves)
                undone |= {did: self._as_on(side.other, did, tree[did]) for did in moves[side]}
        return undone if undone.keys() - back else {}

    def _yielding(self, ring: tuple[int, ...], moves: Mapping[Side, list[int]]) -> Side:
        """Say whose moves are undone, and report it."""
        newer = max(Side, key=lambda side: max(self.written(side, did) for did in moves[side]))
        chosen, reason = self.settlement.settle((Table.DECKS.value, ring[0], _RING), newer)
        shown = {side: _listed(self.names[side], moves[side]) for side in Side}
        title = readable(self.names[None][moves[chosen.other][0]])
        self._tell(
            ring[0],
            title,
            _RING,
            _listed(self.names[None], ring),
            shown,
            chosen,
            f"each was moved below the other; {reason}",
        )
        return chosen.other

    def _moved_by(self, did: int, spot: Spot) -> Side | None:
        """Return the side on which alone a deck that was there before stands where it came to stand."""
        trees = {side: self.trees[side].get(did) for side in Side if did in self.trees[None]}
        sides = [side for side, held in trees.items() if held and held.parent == spot.parent]
        return sides[0] if len(sides) == 1 else None

    def _as_on(self, side: Side, did: int, spot: Spot) -> Spot:
        held = self.trees[side].get(did) or self.trees[None][did]
        return replace(spot, parent=held.parent)

    def apart(self, tree: Mapping[int, Spot]) -> dict[int, Spot]:
        """Give decks that came to one name distinct ones: one that was there keeps it, else the older.

        Of those that came, a person or a policy may choose; one that was there has children that nobody renamed.
        """
        groups = [sorted(group, key=lambda did: not self._stayed(did, tree)) for group in namesakes(tree)]
        settled = {
            did: self._settled(did, group[0], tree) for group in groups for did in group[1:]
        }  # who keeps the name, whose deck this is, and why
        first = {group[0] for group in groups if self._stayed(group[0], tree)}
        first |= {did for did, (chosen, owner, _) in settled.items() if chosen is owner}
        result = distinct(tree, first)
        before, after = paths(tree), paths(result)
        for keeper, did in ((group[0], did) for group in groups for did in group[1:]):
            chosen, owner, reason = settled[did]
            shown = {owner: self._came(did, before), owner.other: self._came(keeper, before)}
            title = readable(after[keeper if did in first else did])
            self._tell(did, title, _SAME_NAME, None, shown, chosen, f"two decks came to one name; {reason}")
        return result

    def _stayed(self, did: int, tree: Mapping[int, Spot]) -> bool:
        """Whether a deck stands where it stood."""
        was, now = self.trees[None].get(did), tree[did]
        return was is not None and (was.parent, unicase(was.leaf)) == (now.parent, unicase(now.leaf))

    def _settled(self, did: int, keeper: int, tree: Mapping[int, Spot]) -> tuple[Side, Side, str]:
        owner = self._owner(did, keeper, tree)
        if self._stayed(keeper, tree):
            return owner.other, owner, "the deck that was there keeps it"
        chosen, reason = self.settlement.settle((Table.DECKS.value, did, _SAME_NAME), owner.other)
        return chosen, owner, _older(reason)

    def _owner(self, did: int, keeper: int, tree: Mapping[int, Spot]) -> Side:
        """Return whose deck this is: of a side that named it or put it there, as the other's did the keeper."""
        own, other = (self._namer(deck, tree[deck]) for deck in (did, keeper))
        return own or (other.other if other else Side.DESKTOP)

    def _namer(self, did: int, spot: Spot) -> Side | None:
        """Return the side that alone called a deck so, or else put it there."""
        held = {side: found for side in Side if (found := self.trees[side].get(did))}
        called = [side for side, each in held.items() if unicase(each.leaf) == unicase(spot.leaf)]
        placed = [side for side, each in held.items() if each.parent == spot.parent]
        return next((sides[0] for sides in (called, placed) if len(sides) == 1), None)

    def _came(self, did: int, names: Mapping[int, str]) -> str:
        """Show the name that a deck came to, and from which."""
        now, was = readable(names[did]), readable(self.names[None].get(did, ""))
        if was == now:
            return now
        return f"{now} (was {was})" if was else f"{now} (new)"

    def _tell(
        self,
        did: int,
        title: str,
        unit: str,
        ancestor: str | None,
        shown: Mapping[Side, str],
        chosen: Side,
        reason: str,
    ) -> None:
        mine, theirs = shown[Side.DESKTOP], shown[Side.PHONE]
        self.conflicts.append(
            Conflict(Table.DECKS.value, did, title, unit, ancestor, mine, theirs, chosen, reason)
        )


def _listed(names: Mapping[int, str], decks: Iterable[int]) -> str:
    return ", ".join(readable(names[did]) for did in decks if did in names)


def _older(reason: str) -> str:
    """Say what `newest` means for names: nothing is newer about a deck that comes to one that is there."""
    return "the older deck keeps it" if reason == NEWER_STANDS else reason
