"""How long a merge of a large collection takes: `make bench`.

100,000 notes with a card each and 500,000 answers; 1,000 of each added or changed on both sides. From copied
files to proven results: what the cable adds is not counted.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from worlds import new_collection

from usbsync.collection.build import build
from usbsync.collection.diff import compare
from usbsync.collection.snapshot import take
from usbsync.collection.verify import verify
from usbsync.core.conflict import Side
from usbsync.core.plan import make_plan
from usbsync.core.reconcile import reconcile

NOTES, REVIEWS, EDITS = 100_000, 500_000, 1_000
FIRST = 1_600_000_000_000  # ms
WORDS = [
    "la",
    "casa",
    "el",
    "perro",
    "manzana",
    "tren",
    "lluvia",
    "libro",
    "mesa",
    "pan",
    "sol",
    "luna",
    "mar",
    "río",
    "árbol",
    "flor",
    "calle",
    "ciudad",
]


@contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """Write as fast as SQLite can; none of the tables filled here has a column that sorts by `unicase`."""
    with closing(sqlite3.connect(path)) as db:
        yield db
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")


def fill(path: Path) -> None:
    """Make the collection that both sides begin with."""
    new_collection(path, notes=3)
    rng = random.Random(0)
    with changing(path) as db:
        ((mid, did),) = db.execute("select n.mid, c.did from notes n join cards c on c.nid = n.id limit 1")
        db.executemany(
            "insert into notes values (?,?,?,?,0,?,?,?,?,0,'')", (note(at, mid, rng) for at in range(NOTES))
        )
        db.executemany(
            "insert into cards values (?,?,?,0,1600000000,0,2,2,?,30,2500,5,0,0,0,0,0,'{}')",
            ((FIRST + at, FIRST + at, did, at % 300) for at in range(NOTES)),
        )
        db.executemany(
            "insert into revlog values (?,?,0,3,30,20,2500,5000,1)",
            ((FIRST + at, FIRST + at % NOTES) for at in range(REVIEWS)),
        )


def note(at: int, mid: int, rng: random.Random) -> tuple[object, ...]:
    """Make a note of some 200 characters."""
    front, back = (" ".join(rng.choices(WORDS, k=words)) for words in (5, 30))
    return (
        FIRST + at,
        f"g{at}",
        mid,
        1_600_000_000,
        " spanish ",
        f"{at} {front}\x1f{back}",
        f"{at} {front}",
        at,
    )


def work(path: Path, lot: int) -> None:
    """Rewrite and answer a thousand, add a thousand, delete a few: each side its own, and a tenth on both."""
    first = lot * EDITS * 9 // 10
    rows = [(FIRST + at,) for at in range(first, first + EDITS)]
    new = FIRST * 2 + lot * 10 * NOTES
    with changing(path) as db:
        db.executemany(
            f"update notes set flds = flds || ' {lot}', mod = mod + {lot + 9}, usn = -1 where id = ?", rows
        )
        db.executemany(
            "update cards set reps = reps + 1, due = due + 9, mod = mod + 9, usn = -1 where id = ?", rows
        )
        db.executemany(
            f"insert into revlog select ? + {new}, ?, -1, 3, 30, 20, 2500, 5000, 1",
            [(at, at) for (at,) in rows],
        )
        db.execute(
            f"insert into notes select id + {new}, 'n{lot}' || guid, mid, mod, -1, tags, flds, sfld, csum, flags, data "
            f"from notes where id between {FIRST} and {FIRST + EDITS - 1}"
        )
        db.execute(
            f"insert into cards select c.id + {new}, c.nid + {new}, did, ord, mod, -1, type, queue, due, ivl, factor, "
            f"reps, lapses, left, odue, odid, flags, data from cards c where id between {FIRST} and {FIRST + EDITS - 1}"
        )


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.total = 0.0

    def time(self, stage: str, job: Callable[[], object]) -> object:
        began = time.perf_counter()
        result = job()
        seconds = time.perf_counter() - began
        self.total += seconds
        sys.stdout.write(f"{stage:<20}{seconds:8.2f} s\n")
        return result


def run(folder: Path, paths: dict[str, Path]) -> None:
    """Merge, stage by stage."""
    clock = Clock()
    taken = {
        name: clock.time(
            f"snapshot {name}", lambda path=path, name=name: take(path, folder / "s" / name, name).path
        )
        for name, path in paths.items()
    }
    found = clock.time("compare", lambda: compare(*taken.values()))
    result = clock.time("reconcile", lambda: reconcile(*found))
    plan = clock.time("plan", lambda: make_plan(*found[:2], result))
    sides = {Side.DESKTOP: taken["desktop"], Side.PHONE: taken["phone"]}
    merged = {side: folder / f"{side}.merged" for side in Side}
    for side in Side:
        own, other = sides[side], sides[side.other]
        clock.time(
            f"build {side}",
            lambda own=own, other=other, side=side: build(own, other, plan.side(side), merged[side], 1),
        )
    clock.time("verify", lambda: verify(*merged.values(), tuple(sides.values())))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{'all':<20}{clock.total:8.2f} s\npeak memory         {memory:8.0f} MB\n")
    for side in Side:
        sys.stdout.write(f"{side}: {plan.side(side).counts}\n")


def prepare(folder: Path) -> dict[str, Path]:
    """Make the three collections, in a process of their own: the memory it takes is not the merge's."""
    paths = {name: folder / name / "collection.anki2" for name in ("ancestor", "desktop", "phone")}
    if (child := os.fork()) == 0:
        fill(paths["ancestor"])
        for lot, name in enumerate(("desktop", "phone")):
            paths[name].parent.mkdir()
            shutil.copyfile(paths["ancestor"], paths[name])
            work(paths[name], lot)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the collections could not be made")
    sys.stdout.write(f"collection of {paths['ancestor'].stat().st_size / 1e6:.0f} MB\n")
    return paths


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        run(Path(scratch), prepare(Path(scratch)))
