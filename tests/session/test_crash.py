"""Promise 1, by exhaustion: a sync is ended at each change it makes to the disk, and at each operation of its cables.

Wherever it ends, each side reads as it did or as it was to become; a plain sync then brings both to what an
undisturbed one would have made of them, byte for byte in media and row for row in collections; what was replaced is in
a backup; nothing is left lying about. USBSYNC_CRASH_ALL=1 tries every place; without it a stride picks some.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import pytest
from session import cuts
from session.enumerated import SCENES, comes_through, scene, standing, stride
from session.scenes import with_past

from usbsync.errors import PhoneFailed
from usbsync.session import meet
from usbsync.transport.wrap import Faulty, When


@pytest.fixture(scope="module", params=SCENES)
def ready(request, quick):
    return scene(with_past(Path(mkdtemp(dir=quick)) / "w"), request.param)


@pytest.mark.parametrize("torn", [False, True], ids=["at", "torn"])
def test_a_death_at_any_change_to_the_disk(ready, torn, record_property) -> None:
    outcomes: Counter = Counter()
    for at in stride(ready.count, 9):
        world = ready.again()
        died = cuts.dies(world.root, world.pair.folder / "work", ready.run, at, torn=torn)
        outcomes[standing(ready) if died else "came to its end"] += 1
        comes_through(ready)
    record_property("outcomes", dict(outcomes))
    assert outcomes["old/old"] or ready.old == ready.new


def test_a_second_death_while_recovering(ready, record_property) -> None:
    outcomes: Counter = Counter()
    for turn, at in enumerate(stride(ready.count, 6)):
        world = ready.again()
        scratch = world.pair.folder / "work"
        cuts.dies(world.root, scratch, ready.run, at)
        cuts.dies(world.root, scratch, world.sync, 1 + turn * 5 % 29)
        outcomes[standing(ready)] += 1
        cuts.dies(world.root, scratch, world.sync, 1 + turn * 3 % 17, torn=True)
        comes_through(ready)
    record_property("outcomes", dict(outcomes))


class Stepwise(Faulty):
    """Loses the link between any two of the steps of an `apply`, too."""

    def apply(self, steps) -> None:
        for step in steps:
            super().apply([step])


def with_links(monkeypatch, wrap_phone, wrap_desktop) -> None:
    open_phone, open_folder = meet.open_phone, meet.open_folder
    monkeypatch.setattr(meet, "open_phone", lambda *args, **more: wrap_phone(open_phone(*args, **more)))
    monkeypatch.setattr(meet, "open_folder", lambda path: wrap_desktop(open_folder(path)))


def operations(monkeypatch, run) -> tuple[int, int]:
    made = []
    with monkeypatch.context() as patch:
        with_links(patch, *[lambda inner: made.append(Stepwise(inner)) or made[-1]] * 2)
        run()
    return made[0].operations, made[1].operations


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("side", ["phone", "desktop"])
def test_a_link_that_is_lost_at_any_operation(ready, side, when, monkeypatch, record_property) -> None:
    """A cable that goes, or a disk that fails, with everything of ours alive to clean up, or to fail at it."""
    outcomes: Counter = Counter()
    ready.again()
    count = operations(monkeypatch, ready.run)[side == "desktop"]
    for at in stride(count, 6):
        ready.again()
        with monkeypatch.context() as patch:
            faulty = partial(Stepwise, fail_at=at, when=when)
            with_links(patch, *((faulty, _as_it_is) if side == "phone" else (_as_it_is, faulty)))
            with pytest.raises(PhoneFailed):
                ready.run()
        outcomes[standing(ready)] += 1
        comes_through(ready)
    record_property("outcomes", dict(outcomes))
    assert outcomes["old/old"] or ready.old == ready.new


def _as_it_is(inner):
    return inner
