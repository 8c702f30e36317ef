"""A desktop and a phone that sync over the cable and with AnkiWeb too: no one-way sync, and all become one."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest
from merging import another_moment, merge
from oracle.contents import Contents, Difference, contents, differences
from oracle.edits import EDITS, Hand, work
from oracle.seeds import SEEDS
from worlds import clone, editing

from usbsync.core.conflict import Side

BOOKKEEPING = {
    ("col", "mod"),
    ("col", "usn"),
    ("col", "ls"),
    ("config", "mtime_secs"),
    ("templates", "mtime_secs"),
}


def is_content(found: Difference) -> bool:
    """Whether a difference is more than bookkeeping with AnkiWeb."""
    return (
        found.column != "usn" and found.table != "graves" and (found.table, found.column) not in BOOKKEEPING
    )


STAMPS = {
    "notes": "mod",
    "cards": "mod",
    "decks": "mtime_secs",
    "deck_config": "mtime_secs",
    "notetypes": "mtime_secs",
}


def age(path: Path, before: Contents, seconds: int) -> None:
    """Make what changed that much younger: of two edits within one second Anki's own sync takes either."""
    with closing(sqlite3.connect(path)) as db:
        for table, stamp in STAMPS.items():
            rows = contents(path)[table]
            keys = [key for key in rows if rows[key] != before[table].get(key)]
            db.executemany(f"update {table} set {stamp} = {stamp} + {seconds} where id = ?", keys)
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")


class Household:
    """A desktop, a phone, the ancestor that usbsync remembers of them, and an account of AnkiWeb."""

    def __init__(self, ankiweb, folder: Path) -> None:
        self.web, self.folder, self.account = ankiweb, folder, ankiweb.open_account()
        self.paths = {
            side: clone(
                ankiweb.desktop if side is Side.DESKTOP else ankiweb.phone, folder / side / "collection.anki2"
            )
            for side in Side
        }
        self.ancestor = clone(ankiweb.phone, folder / "ancestor" / "collection.anki2")
        self.cables = self.hours = 0

    def work(self, side: Side, rng: random.Random) -> None:
        another_moment(*self.paths.values())
        before = contents(self.paths[side])
        with editing(self.paths[side]) as col:
            work(Hand(col, rng, f"{side}{rng.randrange(99)}"), list(EDITS), rng.randint(1, 6))
        self.hours += 1
        age(self.paths[side], before, self.hours * 3600)

    def cable(self):
        self.cables += 1
        done = merge(
            self.folder / f"cable{self.cables}",
            self.ancestor,
            self.paths[Side.DESKTOP],
            self.paths[Side.PHONE],
            now_ms=int(time.time() * 1000),
        )
        for source, target in zip(
            (done.desktop, done.phone, done.phone), (*self.paths.values(), self.ancestor), strict=True
        ):
            shutil.copyfile(source, target)
        return done

    def cloud(self, side: Side) -> None:
        self.web.sync(self.paths[side], self.account)

    def apart(self) -> list[object]:
        """Return in what the two sides differ, bookkeeping aside."""
        return [found for found in differences(*map(contents, self.paths.values())) if is_content(found)]


@pytest.fixture
def household(ankiweb, tmp_path):
    return Household(ankiweb, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_merge_both_sync_with_ankiweb_in_either_order(household, seed):
    """Both edited the same things; AnkiWeb then finds nothing to argue about, and changes neither side."""
    rng = random.Random(seed)
    for side in Side:
        household.work(side, rng)
    household.cable()
    merged = {side: contents(path) for side, path in household.paths.items()}
    first = list(Side)[seed % 2]
    for side in (first, first.other, first):
        household.cloud(side)
    for side in Side:
        changed = [
            found for found in differences(merged[side], contents(household.paths[side])) if is_content(found)
        ]
        assert changed == []
    assert household.apart() == []
    assert household.cable().plan.empty


@pytest.mark.parametrize("seed", SEEDS)
def test_cable_and_cloud_in_any_order_become_one(household, seed):
    rng = random.Random(seed)
    for _ in range(8):
        side = rng.choice(list(Side))
        rng.choice([household.cloud, lambda one: household.work(one, rng), lambda _: household.cable()])(side)
    household.cable()
    for side in rng.choice(list(permutations(Side))):
        household.cloud(side)
    household.cable()
    assert household.apart() == []
    for side in (*Side, *Side):
        household.cloud(side)
    assert household.apart() == []
    assert household.cable().plan.empty
