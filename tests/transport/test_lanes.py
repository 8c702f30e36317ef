"""Several streams at once: what fails in one ends the others, and all is counted once."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from usbsync.errors import NoSpace
from usbsync.transport.base import Pull, Push
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
    made = Lanes(SimpleNamespace(lanes=len(each), shares_link=False), patience=1)
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


# --- by turns, over one link

OKAY, FULL = struct.pack("<4sI", b"OKAY", 0), struct.pack("<4sI", b"FAIL", 23) + b"No space left on device"


@dataclass
class Link:
    """An opener whose streams take what they are sent, `room` bytes at a time, and say `word` for each file."""

    word: bytes = OKAY
    room: int = 100
    lanes: int = 2
    shares_link: bool = True
    features: frozenset[str] = frozenset()
    streams: list[LinkStream] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)

    def open(self, service: bytes, seconds: float) -> LinkStream:
        self.streams.append(LinkStream(self, len(self.streams)))
        return self.streams[-1]


@dataclass
class LinkStream:
    link: Link
    number: int
    heard: bytearray = field(default_factory=bytearray)
    said: int = 0
    closed: bool = False

    def exchange(self, out: memoryview, seconds: float) -> tuple[int, bytes]:
        assert not self.closed
        self.link.turns.append(self.number)
        taken = out[: self.link.room]
        self.heard += taken
        done = self.heard.count(b"DONE") - self.said
        self.said += done
        return len(taken), self.link.word * done

    def close(self) -> None:
        self.closed = True


def pushes(folder, count: int) -> list[Push]:
    (folder / "file").write_bytes(b"x" * 50)
    return [Push(folder / "file", f"/sdcard/{number:03}", 0) for number in range(count)]


def test_files_are_dealt_to_the_streams_of_one_link_and_both_go_on(tmp_path):
    link, moved = Link(), []
    Lanes(link, patience=1).push(pushes(tmp_path, 101), moved.append, mode=0o660)
    names = [name for stream in link.streams for name in named(stream.heard)]
    assert sorted(names) == [f"/sdcard/{number:03}" for number in range(101)]
    assert [len(named(stream.heard)) for stream in link.streams] == [51, 50]
    assert sum(moved) == 101 * 50
    assert link.turns[:10] == [0, 1] * 5


def test_a_few_files_take_one_stream_of_the_link(tmp_path):
    link = Link()
    Lanes(link, patience=1).push(pushes(tmp_path, WORTH_IT - 1), lambda _: None, mode=0o660)
    assert len(link.streams) == 1


def test_what_fails_on_one_stream_closes_both(tmp_path):
    link = Link(word=FULL)
    with pytest.raises(NoSpace):
        Lanes(link, patience=1).push(pushes(tmp_path, 20), lambda _: None, mode=0o660)
    assert [stream.closed for stream in link.streams] == [True, True]


def named(heard: bytearray) -> list[str]:
    return [bytes(part[4 : 4 + part[0]]).partition(b",")[0].decode() for part in heard.split(b"SEND")[1:]]
