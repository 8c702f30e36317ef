"""How long a merge of a large collection takes, and how that grows, beside Anki's own server: `make bench`.

100,000 notes with a card each and 500,000 answers; 1,000 of each added or changed on both sides. From copied
files to proven results: what the cable adds is not counted.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from oracle.ankiweb import serving
from worlds import new_collection

from usbsync.collection.build import build
from usbsync.collection.diff import compare
from usbsync.collection.snapshot import take
from usbsync.collection.verify import verify
from usbsync.core.conflict import Side
from usbsync.core.plan import make_plan
from usbsync.core.reconcile import reconcile

TRIES = 5  # the median counts, also of how one round grows
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


@dataclass(frozen=True)
class Size:
    """How large, and how much of it was worked on by each side."""

    notes: int = 100_000
    reviews: int = 500_000
    edits: int = 1_000


def fill(path: Path, size: Size) -> None:
    """Make the collection that both sides begin with."""
    new_collection(path, notes=3)
    rng = random.Random(0)
    with changing(path) as db:
        ((mid, did),) = db.execute("select n.mid, c.did from notes n join cards c on c.nid = n.id limit 1")
        db.executemany(
            "insert into notes values (?,?,?,?,0,?,?,?,?,0,'')",
            (note(at, mid, rng) for at in range(size.notes)),
        )
        db.executemany(
            "insert into cards values (?,?,?,0,1600000000,0,2,2,?,30,2500,5,0,0,0,0,0,'{}')",
            ((FIRST + at, FIRST + at, did, at % 300) for at in range(size.notes)),
        )
        db.executemany(
            "insert into revlog values (?,?,0,3,30,20,2500,5000,1)",
            ((FIRST + at, FIRST + at % size.notes) for at in range(size.reviews)),
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


def work(path: Path, lot: int, size: Size) -> None:
    """Rewrite and answer a thousand, add a thousand, delete a few: each side its own, and a tenth on both."""
    edits = size.edits
    first = lot * edits * 9 // 10
    rows = [(FIRST + at,) for at in range(first, first + edits)]
    new = FIRST * 2 + lot * 10 * size.notes
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
            f"from notes where id between {FIRST} and {FIRST + edits - 1}"
        )
        db.execute(
            f"insert into cards select c.id + {new}, c.nid + {new}, did, ord, mod, -1, type, queue, due, ivl, factor, "
            f"reps, lapses, left, odue, odid, flags, data from cards c where id between {FIRST} and {FIRST + edits - 1}"
        )


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, job: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = job()
        self.seconds[stage] = time.perf_counter() - began
        return result


def merge(folder: Path, paths: dict[str, Path]) -> dict[str, float]:
    """Merge, stage by stage; returns the seconds of each."""
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
    assert not plan.empty
    return clock.seconds


def prepare(folder: Path, size: Size) -> dict[str, Path]:
    """Make the three collections."""
    paths = {name: folder / name / "collection.anki2" for name in ("ancestor", "desktop", "phone")}
    fill(paths["ancestor"], size)
    for lot, name in enumerate(("desktop", "phone")):
        paths[name].parent.mkdir()
        shutil.copyfile(paths["ancestor"], paths[name])
        work(paths[name], lot, size)
    return paths


def apart(job: Callable[[], Any]) -> tuple[Any, float]:
    """Do a job in a process of its own; returns what it returned, and the most memory it had, MB."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as out:
            pickle.dump(job(), out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as found:
        text = found.read()
    _, code, used = os.wait4(child, 0)
    if code:
        raise SystemExit("a part of the benchmark failed")
    return pickle.loads(text), used.ru_maxrss / 1024


@dataclass(frozen=True)
class Run:
    """One merge: the seconds of each stage, and the most memory it had, MB."""

    stages: dict[str, float]
    memory: float

    @property
    def seconds(self) -> float:
        return sum(self.stages.values())


def ours(folder: Path, sizes: dict[str, Size]) -> list[dict[str, Run]]:
    """Merge each size in turn, a few rounds: what the machine does besides is the same for all of a round."""
    paths = {
        name: apart(lambda size=size, name=name: prepare(folder / name, size))[0]
        for name, size in sizes.items()
    }
    return [{name: one(folder / "run", found) for name, found in paths.items()} for _ in range(TRIES)]


def one(folder: Path, paths: dict[str, Path]) -> Run:
    """Merge once, in a folder that is gone afterwards."""
    folder.mkdir()
    run = Run(*apart(lambda: merge(folder, paths)))
    shutil.rmtree(folder)
    os.sync()  # nobody pays for another's writing
    return run


def ankis(folder: Path, size: Size) -> float:
    """Let Anki's own server and clients do the same: desktop, phone, desktop; returns the seconds."""
    paths, _ = apart(lambda: prepare(folder, size))
    with serving(folder / "web", 1) as web:
        web.share(paths["ancestor"], [folder / f"{name}.common.anki2" for name in ("desktop", "phone")])
        clones = {}
        for lot, name in enumerate(("desktop", "phone")):
            clones[name] = folder / f"{name}.common.anki2"
            work(clones[name], lot, size)
        began = time.perf_counter()
        for name in ("desktop", "phone", "desktop"):
            web.sync(clones[name], "u1")
        return time.perf_counter() - began


def main() -> None:
    """Print the merge stage by stage, how it grows, and what Anki's own server takes."""
    base, say = Size(), sys.stdout.write
    sizes = {
        "once": base,
        "twice the collection": replace(base, notes=base.notes * 2, reviews=base.reviews * 2),
        "twice the changes": replace(base, edits=base.edits * 2),
    }
    with tempfile.TemporaryDirectory() as scratch:
        rounds = ours(Path(scratch), sizes)
        theirs = ankis(Path(scratch) / "anki", base)
    run = sorted((found["once"] for found in rounds), key=lambda run: run.seconds)[TRIES // 2]
    for stage, seconds in run.stages.items():
        say(f"{stage:<24}{seconds:8.2f} s\n")
    say(f"{'all':<24}{run.seconds:8.2f} s   (target 2.5)\n")
    say(f"{'peak memory':<24}{run.memory:8.0f} MB  (target 300)\n")
    for name, target in (("twice the collection", 2.0), ("twice the changes", 1.3)):
        total = median(found[name].seconds for found in rounds)
        grown = median(found[name].seconds / found["once"].seconds for found in rounds)
        say(f"{name:<24}{total:8.2f} s   x{grown:.2f} (target x{target})\n")
    say(f"{'Anki, three syncs':<24}{theirs:8.2f} s   (no copies, no proof, no backup)\n")


if __name__ == "__main__":
    main()
