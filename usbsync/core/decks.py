"""Deck names merged as a tree: where a deck stands and what it is called are two things.

In the file a deck's name is its whole path, so renaming a parent rewrites all its children. Merged as
paths, a child that the other side added or renamed would fall off; merged as (parent, leaf) it moves along.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from usbsync.core.unicase import unicase

SEP = "\x1f"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a deck stands: the id of its parent (None at the top) and its own name."""

    parent: int | None
    leaf: str


def spots(names: Mapping[int, str]) -> dict[int, Spot]:
    """Take the names of one side apart; a deck whose parent has no row keeps its whole path as its leaf."""
    ids = {unicase(name): did for did, name in names.items()}
    found = {}
    for did, name in names.items():
        above, _, leaf = name.rpartition(SEP)
        parent = ids.get(unicase(above)) if above else None
        found[did] = Spot(parent, leaf if parent is not None else name)
    return found


def rings(tree: Mapping[int, Spot]) -> list[tuple[int, ...]]:
    """Return the rings of decks that came to stand below each other, each and all in the order of their ids."""
    found = set()
    for did in tree:
        trail = [did]
        while (above := tree[trail[-1]].parent) is not None and above in tree and above not in trail:
            trail.append(above)
        if above in trail:
            found.add(tuple(sorted(trail[trail.index(above) :])))
    return sorted(found)


def broken_cycles(tree: Mapping[int, Spot]) -> dict[int, Spot]:
    """Put decks that came to stand below each other back at the top, the one with the largest id of each ring."""
    return {**tree, **{ring[-1]: Spot(None, tree[ring[-1]].leaf) for ring in rings(tree)}}


def paths(tree: Mapping[int, Spot]) -> dict[int, str]:
    """Write the tree out as whole names; `tree` has no cycles."""
    known: dict[int, str] = {}
    for did in tree:
        trail = [did]
        while (above := tree[trail[-1]].parent) is not None and above not in known and above in tree:
            trail.append(above)
        for deck in reversed(trail):
            spot = tree[deck]
            prefix = known.get(spot.parent) if spot.parent is not None else None
            known[deck] = spot.leaf if prefix is None else prefix + SEP + spot.leaf
    return known


def namesakes(tree: Mapping[int, Spot]) -> list[list[int]]:
    """Return the decks that came to share a name, in the order of their ids."""
    groups: dict[tuple[int | None, str], list[int]] = {}
    for did in sorted(tree):
        groups.setdefault(_known_as(tree[did]), []).append(did)
    return [group for group in groups.values() if len(group) > 1]


def distinct(tree: Mapping[int, Spot], first: Collection[int] = ()) -> dict[int, Spot]:
    """Give decks that came to share a name distinct ones: the smallest id, or one of `first`, keeps it.

    The others get Anki's `+`, as often as it takes to have a name that nobody else goes by.
    """
    known, taken = {_known_as(spot) for spot in tree.values()}, set[tuple[int | None, str]]()
    result = {}
    for did in sorted(tree, key=lambda did: (did not in first, did)):
        spot = tree[did]
        while _known_as(spot) in taken or (spot != tree[did] and _known_as(spot) in known):
            spot = Spot(spot.parent, spot.leaf + "+")
        taken.add(_known_as(spot))
        result[did] = spot
    return result


def _known_as(spot: Spot) -> tuple[int | None, str]:
    return spot.parent, unicase(spot.leaf)


def readable(name: str) -> str:
    """Write a deck's name as people read it."""
    return name.replace(SEP, "::")
