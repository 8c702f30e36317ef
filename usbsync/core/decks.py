"""Deck names merged as a tree: where a deck stands and what it is called are two things.

In the file a deck's name is its whole path, so renaming a parent rewrites all its children. Merged as
paths, a child that the other side added or renamed would fall off; merged as (parent, leaf) it moves along.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def broken_cycles(tree: Mapping[int, Spot]) -> dict[int, Spot]:
    """Put decks that came to stand below each other back at the top, the one with the largest id of each ring."""
    sound = dict(tree)
    for did in sorted(tree, reverse=True):
        seen, at = {did}, sound[did].parent
        while at is not None and at in sound and at not in seen:
            seen.add(at)
            at = sound[at].parent
        if at == did:
            sound[did] = Spot(None, sound[did].leaf)
    return sound


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


def distinct(tree: Mapping[int, Spot]) -> dict[int, Spot]:
    """Give decks that came to share a name distinct ones: the smallest id keeps it, others get Anki's `+`."""
    taken: set[tuple[int | None, str]] = set()
    result = {}
    for did in sorted(tree):
        spot = tree[did]
        while (spot.parent, unicase(spot.leaf)) in taken:
            spot = Spot(spot.parent, spot.leaf + "+")
        taken.add((spot.parent, unicase(spot.leaf)))
        result[did] = spot
    return result


def readable(name: str) -> str:
    """Write a deck's name as people read it."""
    return name.replace(SEP, "::")
