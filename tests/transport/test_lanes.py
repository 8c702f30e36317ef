"""Several streams at once: what fails in one ends the others, and all is counted once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from usbsync.errors import NoSpace
from usbsync.transport.base import Pull
from usbsync.transport.lanes import WORTH_IT, Lanes

MANY = [Pull(f"/{number}", None) for number in range(101)]


@dataclass
class Lane:
    """Counts a byte for each file; `fails` at once, or goes on for ever."""

    endless: bool = False
    fails: Exception | None = None
    files: list[Pull] = field(default_factory=list)
    started: threading.Barrier | None = None

    def pull(self, share, on_bytes) -> None:
        if self.started:
            self.started.wait(10)
        if self.fails:
            raise self.fails
        while self.endless:
            on_bytes(0)
        for each in share:
            self.files.append(each)
            on_bytes(1)

    def close(self) -> None:
        pass


def lanes(*each: Lane) -> Lanes:
    made = Lanes(SimpleNamespace(lanes=len(each)), patience=1)
    made.first, made._more = each[0], [*each[1:]]
    return made


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_file_goes_over_one_lane_and_is_counted_once(count):
    each, moved = [Lane() for _ in range(count)], []
    lanes(*each).pull(MANY, moved.append)
    assert sorted(file.source for lane in each for file in lane.files) == sorted(file.source for file in MANY)
    assert sum(moved) == len(MANY)
    assert all(len(lane.files) >= len(MANY) // count for lane in each)


def test_a_few_files_take_one_lane():
    each = [Lane(), Lane()]
    lanes(*each).pull(MANY[: WORTH_IT - 1], lambda _: None)
    assert [len(lane.files) for lane in each] == [WORTH_IT - 1, 0]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_lane_that_fails_ends_the_others_and_is_the_one_that_is_told(failing):
    started = threading.Barrier(2)
    each = [Lane(endless=True, started=started), Lane(endless=True, started=started)]
    each[failing].fails = NoSpace("full")
    with pytest.raises(NoSpace, match="full"):
        lanes(*each).pull(MANY, lambda _: None)


def test_who_counts_may_end_them_all():
    def refuse(_moved: int) -> None:
        raise NoSpace("too much")

    with pytest.raises(NoSpace, match="too much"):
        lanes(Lane(endless=True), Lane(endless=True)).pull(MANY, refuse)
