"""Promise 1 when the current goes: what was written and not made durable is lost, or there in half.

The same questions as after a death (`enumerated`), after a power cut at every moment at which a disk of the computer or of
the phone may hold something else; the disks lose power together, or only one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from session.enumerated import ALL, Scene, comes_through, scene, standing
from session.power import Luck, Moment, record, write
from session.scenes import with_past

from usbsync.transport import durable

LOST, TORN = Luck.LOST, Luck.TORN
TOPS = ("desktop", "phone", "home")
LUCKS = {
    "all is lost": dict.fromkeys(TOPS, LOST),
    "all is torn": dict.fromkeys(TOPS, TORN),
    "usbsync forgets": {"desktop": TORN, "phone": TORN, "home": LOST},
    "the replicas forget": {"desktop": LOST, "phone": LOST, "home": TORN},
    "the phone forgets": {"desktop": TORN, "phone": LOST, "home": TORN},
    "the desktop forgets": {"desktop": LOST, "phone": TORN, "home": TORN},
}
NAMES = ("phone with a -wal", "undo", "both with a -wal") if ALL else ("phone with a -wal", "undo")


@pytest.fixture(scope="module", params=NAMES)
def recorded(request, quick) -> tuple[Scene, int, list[Moment]]:
    ready = scene(with_past(Path(mkdtemp(dir=quick)) / "w"), request.param)
    ready.again()
    return ready, *record(ready.world.root, ready.run)


def images(root: int, moments: list[Moment], luck: dict[str, Luck]) -> Iterator[dict]:
    """Give each image once: many moments leave the same."""
    seen = set()
    for moment in moments:
        image = moment.image(root, luck)
        told = frozenset((path, file and file.data) for path, file in image.items() if "/work" not in path)
        if told not in seen:
            seen.add(told)
            yield image


@pytest.mark.parametrize("luck", LUCKS)
def test_a_power_cut_at_any_moment(recorded, luck, record_property) -> None:
    ready, root, moments = recorded
    outcomes: Counter = Counter()
    every = list(images(root, moments, LUCKS[luck]))
    assert len(every) > 10
    turn = list(LUCKS).index(luck)  # each luck takes others
    for image in every if ALL else every[turn :: len(every) // 3]:
        write(image, ready.world.root)
        outcomes[f"power: {standing(ready)}"] += 1
        comes_through(ready)
    record_property("outcomes", dict(outcomes))


@pytest.mark.parametrize("forgotten", ["flush_files", "flush_folders"])
def test_a_flush_that_is_left_out_is_noticed(quick, forgotten, monkeypatch, record_property) -> None:
    """The test of the test: without the care taken, some power cut damages a side or loses a backup."""
    ready = scene(with_past(Path(mkdtemp(dir=quick)) / "w"), "phone with a -wal")
    ready.again()
    with monkeypatch.context() as patch:
        patch.setattr(durable, forgotten, lambda _paths: None)
        root, moments = record(ready.world.root, ready.run)
    luck = LUCKS["all is torn" if forgotten == "flush_files" else "the replicas forget"]
    for at, image in enumerate(reversed(list(images(root, moments, luck)))):
        write(image, ready.world.root)
        try:
            standing(ready)
            comes_through(ready)
        except Exception as noticed:  # noqa: BLE001 - a damaged file may raise anything
            record_property("noticed", f"{forgotten} left out, {at} from the end: {noticed!r:.80}")
            return
    pytest.fail("nobody noticed")
