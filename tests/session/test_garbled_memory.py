"""What usbsync remembers, really written by it and then garbled in one value, checksum made right: no run ends in a bug of ours.

Whatever a state file says, a run ends well or in an error that says what to do; nothing outside of our folders is
touched; and once the file is as it was, or is moved away as the hint says, a sync has all that both sides did.
USBSYNC_GARBLED=N tries N values of each file.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session import cuts
from session.scenes import World, assert_alike, both_work, one_name, strays, study, texts, with_past

from usbsync.core.conflict import Side
from usbsync.core.first import First
from usbsync.errors import UsbsyncError
from usbsync.session.conflicts import past
from usbsync.session.journal import read_cut
from usbsync.session.lawful import check_steps
from usbsync.session.replica import Replica
from usbsync.session.status import status
from usbsync.session.talk import Silent
from usbsync.state.records import write_record
from usbsync.transport.memory import MemoryTransport

TRIES = int(os.environ.get("USBSYNC_GARBLED", "6"))
PATHS = [
    "../../../outside",
    "/etc/outside",
    "/collection.media/../../outside",
    "/outside",
    "..",
    "",
    "\0",
    "a/b",
]
VALUES = st.one_of(
    st.sampled_from(
        [None, True, -1, 2**70, 0.5, float("nan"), float("inf"), 1e300, [], {}, [[]], [None], {"": 1}]
    ),
    st.sampled_from(PATHS),
    st.sampled_from([["remove", each] for each in PATHS] + [["rename", "/x", each] for each in PATHS]),
    st.text(max_size=5),
)


@dataclass
class Ready:
    """A pair with all that is remembered of it, and a file of that to be garbled."""

    world: World
    saved: Path
    find: Callable[[World], Path]
    run: Callable[[World], object]

    def again(self) -> World:
        self.world.restore(self.saved)
        return self.world


def cut_off(root: Path) -> World:
    """Let a sync die after its commit record was written."""
    world = with_past(root / "w")
    both_work(world)
    one_name(world)
    saved, work = world.save(), world.pair.folder / "work"
    seen = cuts.changes(world.root, work, world.sync)
    at = 4 + next(at for at, what in enumerate(seen) if what.startswith("os.rename") and "journal" in what)
    world.restore(saved)
    assert cuts.dies(world.root, work, world.sync, at)
    return world


def synced(root: Path) -> World:
    world = with_past(root / "w")
    both_work(world)
    one_name(world)
    for side in world.both:
        study(side, f"by {side.parent.name}", field=1)
    world.sync()
    return world


def with_all(world: World) -> None:
    """Use whatever a backup says."""
    for work in (lambda: past(world.options()), world.undo, world.sync):
        with suppress(UsbsyncError):
            work()


def at_rest(world: World) -> None:
    """Use whatever the ancestor says."""
    study(world.desktop, "since")
    for work in (lambda: status(world.options(), Silent()), lambda: world.sync(dry=True)):
        with suppress(UsbsyncError):
            work()
    world.sync()


FILES = {
    "journal": (cut_off, lambda world: world.journal, lambda world: world.sync()),
    "ancestor": (synced, lambda world: world.pair.folder / "ancestor.json", at_rest),
    "manifest": (synced, lambda world: world.backups.list()[0].path / "manifest.json", with_all),
}


@pytest.fixture(scope="module", params=FILES)
def ready(request, quick) -> Ready:
    make, find, run = FILES[request.param]
    world = make(Path(mkdtemp(dir=quick)))
    return Ready(world, world.save(), find, run)


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """Name every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places(each, (*at, key)))]


def garbled(record: Any, at: tuple, value: Any) -> Any:
    """Put another value in one place; None and an absent one are tried both."""
    found = inner = copy.deepcopy(record)
    for key in at[:-1]:
        inner = inner[key]
    if value is None and isinstance(inner, dict):
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return found


def record_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())["record"]


def test_any_value_in_it_ends_in_no_bug(ready) -> None:
    record = record_of(ready.find(ready.again()))
    every = places(record)[1:]

    @settings(max_examples=TRIES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(at=st.sampled_from(every), value=VALUES)
    def run(at: tuple, value: Any) -> None:
        world = ready.again()
        path = ready.find(world)
        write_record(path, garbled(record, at, value), version=1)
        with suppress(UsbsyncError):
            ready.run(world)
        assert {each.name for each in world.root.iterdir()} == {"desktop", "phone", "home"}
        assert not (Path("/etc") / "outside").exists()
        comes_right(world)

    run()


def comes_right(world: World) -> None:
    """With a memory begun anew, should it be refused, a sync brings both in step with all that was done."""
    try:
        world.sync()
    except UsbsyncError:
        shutil.rmtree(world.pair.folder)
        world.sync(first=First.MERGE)
    assert_alike(world)
    assert not strays(world)
    said = texts(world.phone)
    assert all(f"made on the {side}" in said for side in Side)


def test_a_step_that_no_apply_writes_is_refused(quick) -> None:
    """Only reading: so many more values can be tried."""
    world = cut_off(Path(mkdtemp(dir=quick)))
    record = record_of(world.journal)
    every = places(record)[1:]
    replicas = {
        side: Replica(side, MemoryTransport(side), "/collection.anki2", "/collection.media") for side in Side
    }
    read = []

    @settings(max_examples=150 if TRIES < 99 else 5000, deadline=None)
    @given(at=st.sampled_from(every), value=VALUES)
    def refused(at: tuple, value: Any) -> None:
        write_record(world.journal, garbled(record, at, value), version=1)
        with suppress(UsbsyncError):
            cut = read_cut(world.pair)
            check_steps(cut, replicas)
            read.append(cut)

    refused()
    steps = [
        path
        for cut in read
        for side in cut.sides.values()
        for step in (*side.early, *side.flip, *side.late)
        for path in ([step.path] if hasattr(step, "path") else [step.source, step.target])
    ]
    assert steps
    assert all(path.startswith(("/collection.", "/.usbsync-stage/")) and ".." not in path for path in steps)
    assert all(
        cut.ancestor.collection.parent == world.pair.folder / "pending" for cut in read if cut.ancestor
    )
