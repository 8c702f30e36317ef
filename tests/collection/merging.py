"""Run the whole merge, from snapshots to verified results, without moving anything."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from usbsync.collection.build import build
from usbsync.collection.diff import compare
from usbsync.collection.snapshot import take
from usbsync.collection.verify import verify
from usbsync.core.conflict import Settlement, Side
from usbsync.core.plan import make_plan
from usbsync.core.reconcile import reconcile

NOW_MS = 1_800_000_000_000


def merge(folder: Path, ancestor: Path, desktop: Path, phone: Path, settlement: Settlement | None = None):
    paths = {
        name: take(path, folder / name, name).path
        for name, path in (("ancestor", ancestor), ("desktop", desktop), ("phone", phone))
    }
    mine, theirs, context = compare(*paths.values())
    result = reconcile(mine, theirs, context, settlement)
    plan = make_plan(mine, theirs, result)
    results = {}
    for side in Side:
        own, other = paths[side], paths[side.other]
        results[side] = folder / f"{side}.merged.anki2"
        if plan.side(side).empty:
            results[side].write_bytes(own.read_bytes())
        else:
            build(own, other, plan.side(side), results[side], NOW_MS)
    verify(results[Side.DESKTOP], results[Side.PHONE], (paths["desktop"], paths["phone"]))
    return SimpleNamespace(
        plan=plan, result=result, desktop=results[Side.DESKTOP], phone=results[Side.PHONE], changes=(mine, theirs)
    )
