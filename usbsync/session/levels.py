"""Two sides of which one has the old schema 11: brought to one level to be compared, and written back each in its own."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from usbsync.collection.diff import same
from usbsync.collection.schema11 import SCHEMA, lift, lower
from usbsync.collection.snapshot import Snapshot
from usbsync.core.conflict import Side
from usbsync.session.replica import Held
from usbsync.state.ancestor import Ancestor

_OLD = "old"


def noted(held: Mapping[Side, Snapshot], ancestor: Ancestor | None) -> dict[str, Any]:
    """Return, for the ancestor's notes, which sides have the old schema; one that was not read, if it had."""
    before = remembered(ancestor)
    old = [side.value for side in Side if (held[side].schema == SCHEMA if side in held else side in before)]
    return {_OLD: old} if old else {}


def remembered(ancestor: Ancestor | None) -> Collection[str]:
    """Name the sides that had the old schema at the last sync."""
    return known(ancestor.info) if ancestor else ()


def known(info: Mapping[str, Any]) -> Collection[str]:
    """Read the sides of the old schema from an ancestor's notes."""
    return tuple(info.get(_OLD) or ())


def lesser(held: Mapping[Side, Snapshot], before: Collection[str] = ()) -> Side | None:
    """Name the side that holds, or held at the last sync, less than the other can; None where both are alike."""
    now = [side for side in held if held[side].schema == SCHEMA]
    old = now or [side for side in Side if side in before]
    return old[0] if len(old) == 1 else None


def level(side: Side | None, paths: Mapping[Side, Path], base: Path) -> bool:
    """Lift the lesser side's snapshot, and the ancestor's, to what the other holds; whether that gave it anything."""
    return side is not None and lift(paths[side.other], paths[side], base)


def alike(held: Mapping[Side, Snapshot], scratch: Path) -> bool:
    """Whether both sides hold the same, as far as both can hold it."""
    if len(held) < len(Side):
        return False
    paths = {side: snapshot.path for side, snapshot in held.items()}
    if side := lesser(held):
        lifted = scratch / "lifted.anki2"
        shutil.copyfile(paths[side], lifted)
        lift(paths[side.other], lifted)
        paths[side] = lifted
    return same(paths[Side.DESKTOP], paths[Side.PHONE])


def as_it_was(held: Held | None, new: Path) -> Path:
    """Return a side's new collection in the schema that its old one has."""
    if held is None or held.snapshot.schema != SCHEMA:
        return new
    return lower(new, new.with_name(f"old-schema-{new.name}"))
