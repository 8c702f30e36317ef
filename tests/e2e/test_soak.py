"""Many deaths in a row: real `usbsync sync` processes are killed at random while both sides go on being worked on.

USBSYNC_SOAK=100 (`make soak`) kills a hundred; the default is a few. USBSYNC_SOAK_SEED repeats a run's edits and moments.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import pytest
from session.rigged import Phones, met, strays_on
from session.scenes import World, content, dump, files, media, notes, put, reviews, strays, with_past
from worlds import add_note, answer, database_check, edit_field, editing

KILLS = int(os.environ.get("USBSYNC_SOAK", "4"))
ENDED = "came to its end before its kill"
SEED = int(os.environ.get("USBSYNC_SOAK_SEED", "7"))


@dataclass
class Ledger:
    """All that was done, and so must be there at the end."""

    rng: random.Random
    fields: dict[tuple[int, int], str] = field(default_factory=dict)
    shared: list[int] = field(default_factory=list)
    doomed: dict[str, list[int]] = field(default_factory=lambda: {"desktop": [], "phone": []})
    gone: set[int] = field(default_factory=set)
    answers: set[int] = field(default_factory=set)
    media: dict[str, bytes] = field(default_factory=dict)
    gone_media: set[str] = field(default_factory=set)
    done: Counter = field(default_factory=Counter)
    ticks: int = 0

    def tick(self) -> int:
        self.ticks += 1
        return self.ticks

    def work(self, collection: Path, who: str) -> None:
        """Add, edit, study and delete by Anki; the desktop writes fronts and the phone backs, so all of it can stand."""
        with editing(collection) as col:
            deck = col.decks.id(f"{who}'s {self.rng.randrange(3)}")
            for kind in (self.shared, self.doomed[who]):
                kind.append(
                    add_note(col, "Basic", [f"{who} {self.tick()}", f"made at {self.tick()}"], deck, [who])
                )
            here = self.here(col)
            for nid in self.rng.sample(here, min(2, len(here))):
                self.write(col, nid, int(who == "phone"), f"{who} wrote {self.tick()}")
            if len(self.doomed[who]) > 3:
                nid = self.doomed[who].pop(0)
                col.remove_notes([nid])
                self.gone.add(nid)
                self.done["deleted"] += 1
            answer(col, 2)
            self.answers |= {*col.db.list("select id from revlog")}
        self.work_on_media(collection, who)

    def here(self, col) -> list[int]:
        return [nid for nid in self.shared if col.db.scalar("select count() from notes where id = ?", nid)]

    def write(self, col, nid: int, at: int, text: str) -> None:
        edit_field(col, nid, at, text)
        self.fields[nid, at] = text
        self.done["edited"] += 1

    def work_on_media(self, collection: Path, who: str) -> None:
        own = sorted(
            name for name in self.media if name.startswith(who) and (media(collection) / name).exists()
        )
        if len(own) > 4:
            name = own.pop(self.rng.randrange(len(own)))
            (media(collection) / name).unlink()
            del self.media[name]
            self.gone_media.add(name)
        for name in (f"{who}-{self.tick()}", *own[:1]):
            text = f"{who} drew {self.tick()} " + "x" * self.tick()
            put(collection, name, text, int(time.time()) - 100 + self.ticks % 90)
            self.media[name] = text.encode()

    def check(self, world: World) -> None:
        now = notes(world.desktop)
        for (nid, at), text in self.fields.items():
            assert now[nid].split("\x1f")[at] == text
        assert {*self.shared} <= now.keys()
        assert not self.gone & now.keys()
        assert self.answers <= reviews(world.desktop)
        there = files(world.desktop)
        assert {name: there.get(name) for name in self.media} == self.media
        back = self.gone_media & there.keys()
        assert not back


def start(world: World, *words: str) -> subprocess.Popen[str]:
    options = world.options()
    argv = ["sync", "--device", options.device, "--collection", str(world.desktop), "--json", *words]
    return subprocess.Popen(
        [sys.executable, "-m", "usbsync", *argv],
        env={**os.environ, **world.environ, "HOME": str(world.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def whole_sync(world: World) -> dict:
    with start(world) as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out)


def at_work(world: World, process: subprocess.Popen[str], before: set[Path]) -> None:
    """Wait until a sync has done something of its own: what an earlier one left does not count, nor does its start."""
    while process.poll() is None and not traces(world) - before:
        time.sleep(0.001)


def traces(world: World) -> set[Path]:
    """Name the scratch folders of runs, each of which makes one before it recovers or reads anything."""
    return {*(world.pair.folder / "work").glob("usbsync-*")}


def backups(world: World) -> set[Path]:
    return {*(world.pair.folder / "backups").glob("*")}


def timed(world: World) -> float:
    """Sync undisturbed; return the seconds from when it was at work."""
    before = traces(world)
    with start(world) as process:
        at_work(world, process, before)
        began = time.monotonic()
        _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return time.monotonic() - began


def kill_one(world: World, rng: random.Random, usual: float) -> str:
    """Kill a sync that is at work, half of them after it has begun a backup; say where it was."""
    before, kept, record = traces(world), backups(world), journal(world)
    with start(world) as process:
        at_work(world, process, before)
        wait = rng.uniform(0, 1.1) * usual
        if rng.random() < 0.5:
            while process.poll() is None and not backups(world) - kept:
                time.sleep(0.001)
            wait = rng.uniform(0, 0.5) * usual
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        said = process.stderr.read()
    assert process.returncode in {0, -9}, said
    return where(world, record) if process.returncode else ENDED


def journal(world: World) -> bytes | None:
    return world.journal.read_bytes() if world.journal.exists() else None


def staged(world: World) -> bool:
    return any(".usbsync" in path.name for side in world.both for path in side.parent.iterdir())


def where(world: World, before: bytes | None) -> str:
    now = journal(world)
    if now and now == before:
        return "killed before it had finished what an earlier one began"
    if now:
        return "killed after the commit record"
    return "killed while staging" if staged(world) else "killed before or after that"


@pytest.fixture(params=["folder", pytest.param("adbd", marks=pytest.mark.adbd)])
def world(request, quick):
    folder = Path(mkdtemp(dir=quick))
    if request.param == "folder":
        yield with_past(folder / "w")
        return
    phones = Phones(request.getfixturevalue("adbd"), folder)
    yield met(folder / "w", phones)
    phones.now.kill()


@pytest.mark.timeout(6000)
def test_all_that_was_done_is_there_however_often_a_sync_was_killed(world, record_property, capsys) -> None:
    ledger, outcomes = Ledger(random.Random(SEED)), Counter()
    for side, who in zip(world.both, ("desktop", "phone"), strict=True):
        ledger.work(side, who)
    usual = timed(world)
    killed = 0
    while killed < KILLS:
        for side, who in zip(world.both, ("desktop", "phone"), strict=True):
            ledger.work(side, who)
        found = kill_one(world, ledger.rng, usual)
        outcomes[found] += 1
        killed += found != ENDED
        for side in world.both:
            dump(side)  # sound, by SQLite's own word
        if killed % 10 == 0 and found != ENDED:
            with capsys.disabled():
                sys.stdout.write(f"soak: {killed} of {KILLS} killed, {dict(outcomes)}\n")
    whole_sync(world)
    ledger.check(world)
    assert content(world.desktop) == content(world.phone)
    assert files(world.desktop) == files(world.phone)
    assert whole_sync(world)["result"] == "unchanged"
    assert not strays(world)
    if hasattr(world, "phones"):
        assert not strays_on(world)
    for side in world.both:
        assert database_check(side) == []
    assert len(outcomes) > 2 or KILLS < 50  # else the moments are badly chosen, and nothing much was tried
    record_property("outcomes", {f"soak: {what}": count for what, count in outcomes.items()})
