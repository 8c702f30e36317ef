"""Run the whole merge, from snapshots to verified results, without moving anything."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from worlds import clone, database_check, editing, table

from usbsync.collection.build import build, grow
from usbsync.collection.diff import compare
from usbsync.collection.snapshot import take
from usbsync.collection.verify import verify
from usbsync.core.conflict import Settlement, Side, Weight
from usbsync.core.plan import make_plan
from usbsync.core.reconcile import reconcile

NOW_MS = 1_800_000_000_000


def merge(
    folder: Path,
    ancestor: Path,
    desktop: Path,
    phone: Path,
    settlement: Settlement | None = None,
    now_ms: int = NOW_MS,
):
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
            build(own, other, plan.side(side), results[side], now_ms)
    grow(results[Side.DESKTOP], results[Side.PHONE], plan.grow, now_ms)
    verify(results[Side.DESKTOP], results[Side.PHONE], (paths["desktop"], paths["phone"]))
    return SimpleNamespace(
        plan=plan,
        result=result,
        desktop=results[Side.DESKTOP],
        phone=results[Side.PHONE],
        changes=(mine, theirs),
    )


@dataclass
class Merged:
    """What a merge came to; both results are known to be equal."""

    desktop: Path
    phone: Path
    plan: object
    result: object

    def rows(self, sql: str) -> list[list[object]]:
        return table(self.desktop, sql)

    def value(self, sql: str) -> object:
        ((found,),) = self.rows(sql)
        return found

    def column(self, sql: str) -> list[object]:
        return [value for (value,) in self.rows(sql)]

    @property
    def lost(self) -> list[tuple[str, str, Side]]:
        """What a person is told of: kind, unit and who stands."""
        return [(c.kind, c.unit, c.chosen) for c in self.result.conflicts if c.weight is Weight.LOST]


class Pair:
    """A desktop and a phone that were in step: edit either, then merge."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        self.merges = 0
        self.ancestor, self.desktop_path, self.phone_path = (
            clone(base, folder / name / "collection.anki2") for name in ("ancestor", "desktop", "phone")
        )

    @contextmanager
    def editing(self, side: Side):
        another_moment(self.desktop_path, self.phone_path)
        with editing(self.desktop_path if side is Side.DESKTOP else self.phone_path) as col:
            yield col

    def desktop(self):
        return self.editing(Side.DESKTOP)

    def phone(self):
        return self.editing(Side.PHONE)

    def both(self):
        """Edit first the desktop, then the phone, in one way."""
        for side in Side:
            with self.editing(side) as col:
                yield col

    def merge(self, settlement: Settlement | None = None) -> Merged:
        """Merge, and check what holds of every merge: sound, nothing left to do."""
        self.merges += 1
        folder = self.folder / f"merge-{self.merges}"
        done = merge(folder, self.ancestor, self.desktop_path, self.phone_path, settlement)
        assert database_check(done.desktop) == []
        assert database_check(done.phone) == []
        again = merge(folder / "again", done.phone, done.desktop, done.phone)
        assert again.plan.empty
        assert not again.result.conflicts
        return Merged(done.desktop, done.phone, done.plan, done.result)

    def sync(self) -> Merged:
        """Merge, and go on from the result as both replicas do."""
        merged = self.merge()
        clone(merged.desktop, self.desktop_path)
        clone(merged.phone, self.phone_path)
        clone(merged.phone, self.ancestor)
        return merged


def another_moment(*paths: Path) -> None:
    """Let the clock pass every id in use: two people do not add a note in the same millisecond."""
    sql = "select max(i) from (select max(id) i from notes union all select max(id) from cards union all select max(id) from revlog union all select max(id) from decks union all select max(id) from notetypes)"
    newest = max(table(path, sql)[0][0] or 0 for path in paths)
    while time.time() * 1000 <= newest + 1:
        time.sleep(0.001)
