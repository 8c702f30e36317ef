"""The tests of the tests: faults planted in apply are noticed by what the enumerations ask after each interruption.

Each fault is one that a hurried change could bring in. For each, some place of interruption is found at which the
questions of `enumerated` (or, after work that was done since, those of promise 2) are answered wrongly; at the same
place, without the fault, they are answered rightly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
from session import cuts
from session.enumerated import Scene, comes_through, scene, standing
from session.scenes import assert_alike, notes, study, with_past

from usbsync.errors import UsbsyncError
from usbsync.session import apply, commit
from usbsync.state.backups import Backups


def commit_record_before_the_backup_is_whole(patch) -> None:
    finish, write_cut, due = Backups.finish, apply.write_cut, []

    def written(*args) -> None:
        write_cut(*args)
        finish(*due[0][0], **due[0][1])

    patch.setattr(Backups, "finish", lambda *args, **more: due.append((args, more)))
    patch.setattr(apply, "write_cut", written)


def ancestor_remembered_before_the_flips(patch) -> None:
    real = apply.carry_out

    def carried(meeting, cut, talk) -> None:
        meeting.memory.keep(cut.ancestor)
        real(meeting, cut, talk)

    patch.setattr(apply, "carry_out", carried)


def stale_wal_left_beside_the_new_main(patch) -> None:
    patch.setattr(commit, "_wal_steps", lambda *_args: ())


def as_ever(at: Scene) -> None:
    """Ask what every enumeration asks."""
    standing(at)
    comes_through(at)


def with_work_since(at: Scene) -> None:
    """Study on both sides before the next sync, and miss nothing afterwards."""
    standing(at)
    merged = {text for side in at.final for text in _texts(side)}
    known = max(notes(at.world.desktop).keys() & notes(at.world.phone).keys())
    for side in at.world.both:
        study(side, f"since, at {side.parent.name}", known, field=side == at.world.phone)
    at.world.sync()
    assert_alike(at.world)
    now = notes(at.world.desktop).values()
    for side in at.world.both:  # a new note and an edited one
        assert sum(f"since, at {side.parent.name}" in text for text in now) == 2
    assert len(merged - {*now}) <= 1  # the one that was written on since


def _texts(content: dict) -> set[str]:
    return {value for row in content["notes"] for value in row if isinstance(value, str) and "\x1f" in value}


@dataclass(frozen=True)
class Planted:
    plant: Callable
    ask: Callable


FAULTS = (
    Planted(commit_record_before_the_backup_is_whole, as_ever),
    Planted(ancestor_remembered_before_the_flips, with_work_since),
    Planted(stale_wal_left_beside_the_new_main, as_ever),
)


@pytest.fixture(scope="module")
def ready(quick) -> Scene:
    return scene(with_past(Path(mkdtemp(dir=quick)) / "w"), "phone with a -wal")


@pytest.fixture(scope="module")
def committed(ready) -> int:
    """Return the number of the change that is the commit record's name."""
    ready.again()
    seen = cuts.changes(ready.world.root, ready.scratch, ready.run)
    return 1 + next(at for at, what in enumerate(seen) if what.startswith("os.rename") and "journal" in what)


def interrupt(ready: Scene, plant: Callable | None, at: int) -> None:
    world = ready.again()
    with pytest.MonkeyPatch.context() as patch:
        if plant:
            plant(patch)
        cuts.dies(world.root, ready.scratch, ready.run, at)


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.plant.__name__) for fault in FAULTS])
def test_it_is_noticed(ready, committed, fault, record_property) -> None:
    for at in range(committed - 2, ready.count + 1):
        interrupt(ready, fault.plant, at)
        try:
            fault.ask(ready)
        except (AssertionError, UsbsyncError) as noticed:
            record_property("noticed", f"{fault.plant.__name__} at {at}: {noticed!r:.80}")
            break
    else:
        pytest.fail("nobody noticed")
    interrupt(ready, None, at)
    fault.ask(ready)
