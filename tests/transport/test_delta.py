"""Only what changed crosses, by the tools of a real Android; and what cannot be done so is copied whole."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from usbsync.errors import PhoneRefused
from usbsync.transport import delta
from usbsync.transport.base import Base, Completed, Pull, Push
from usbsync.transport.ways import open_server, open_tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rigs.phone import TestPhone

    from usbsync.transport.ways import Phone

pytestmark = pytest.mark.adbd

MIB = 1 << 20
OLD = random.Random(5).randbytes(6 * MIB + 12_345)
NAME = 'it\'s a "base" $(x)\n.anki2'


def patched(*at: int, data: bytes = OLD) -> bytes:
    made = bytearray(data)
    for each in at:
        made[each] ^= 0xFF
    return bytes(made)


SMALL = {
    "the same": OLD,
    "first byte": patched(0),
    "last byte": patched(len(OLD) - 1),
    "here and there": patched(70_000, 71_000, 3 * MIB - 1, 3 * MIB),
    "longer": OLD + b"x" * 70_000,
    "shorter": patched(5, data=OLD[: 5 * MIB + 1]),
    "by whole pages": OLD[: 4 * MIB],
}
WHOLE = {
    "another file": random.Random(6).randbytes(len(OLD)),
    "one bit in each page": patched(*range(0, len(OLD), 1 << 12)),
    "tiny": b"tiny",
    "empty": b"",
    "thrice as long": OLD * 3,
}


@pytest.fixture(params=["tcp", "server"])
def transport(request: pytest.FixtureRequest, shared_phone: TestPhone) -> Iterator[Phone]:
    if request.param == "server":
        opened = open_server(request.getfixturevalue("shared_adb_server").serial)
    else:
        opened = open_tcp("127.0.0.1", shared_phone.port)
    yield opened
    opened.close()


class Bench:
    """A folder on the phone with `OLD` in it, and here."""

    def __init__(self, transport: Phone, phone: TestPhone, local: Path) -> None:
        self.transport, self.moved = transport, 0
        self.there = phone.data / local.name
        self.there.mkdir(exist_ok=True)
        self.there.chmod(0o777)
        self.here = local / "old"
        self.here.write_bytes(OLD)
        self.base = Base(f"/sdcard/{local.name}/{NAME}", self.here)
        (self.there / NAME).write_bytes(OLD)
        self.out, self.source = local / "out", local / "new"

    def pull(self, data: bytes) -> bytes:
        (self.there / NAME).write_bytes(data)
        self.transport.pull([Pull(self.base.path, self.out, self.here)], self._count)
        return self.out.read_bytes()

    def push(self, data: bytes, name: str = "made") -> bytes:
        self.source.write_bytes(data)
        target = f"{self.base.path.rpartition('/')[0]}/{name}"
        self.transport.push([Push(self.source, target, 1_600_000_001, self.base)], self._count)
        return (self.there / name).read_bytes()

    def _count(self, moved: int) -> None:
        self.moved += moved


@pytest.fixture
def bench(transport: Phone, shared_phone: TestPhone, tmp_path: Path) -> Bench:
    return Bench(transport, shared_phone, tmp_path)


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_a_pull_takes_what_differs(bench: Bench, data: bytes):
    assert bench.pull(data) == data
    assert bench.moved <= 256 * 1024


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_a_push_brings_what_differs(bench: Bench, data: bytes):
    assert bench.push(data) == data
    assert bench.moved <= 128 * 1024
    made = bench.there / "made"
    assert made.stat().st_mtime == 1_600_000_001
    assert made.stat().st_mode & 0o660 == 0o660  # for the app


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_what_differs_too_much_goes_whole(bench: Bench, data: bytes):
    assert bench.pull(data) == data
    assert bench.moved == len(data)
    (bench.there / NAME).write_bytes(OLD)
    assert bench.push(data) == data
    assert bench.moved == 2 * len(data)


def test_a_push_makes_a_new_file_where_one_is_still_open(bench: Bench):
    """What an earlier run, cut off, still writes to must not become the new file."""
    (bench.there / "made").write_bytes(b"half")
    with (bench.there / "made").open("r+b") as earlier:
        assert bench.push(patched(9)) == patched(9)
        earlier.write(b"late!")
    assert (bench.there / "made").read_bytes() == patched(9)


def test_a_base_that_is_gone_is_no_obstacle(bench: Bench):
    (bench.there / NAME).unlink()
    assert bench.push(patched(9)) == patched(9)
    assert bench.moved == len(OLD)


def test_a_push_onto_a_folder_or_into_nothing_is_refused(bench: Bench):
    (bench.there / "folder").mkdir()
    for name in ("folder", "absent/file"):
        with pytest.raises(PhoneRefused):
            bench.push(patched(9), name)
    assert list((bench.there / "folder").iterdir()) == []


def test_a_pull_of_nothing_is_refused(bench: Bench):
    with pytest.raises(PhoneRefused):
        bench.transport.pull([Pull("/sdcard/absent", bench.out, bench.here)], print)


ANSWERS: dict[str, Callable[..., Completed]] = {
    "no head": lambda *_, **__: Completed(127, b"", b"head: inaccessible or not found"),
    "a head without -c": lambda *_, **__: Completed(
        0, b"da39a3ee5e6b4b0d3255bfef95601890afd80709  -\n" * 7, b""
    ),
    "rubbish": lambda *_, **__: Completed(0, b"\xff\n" * 7, b""),
    "too little": lambda *_, **__: Completed(0, b"", b""),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_phone_that_cannot_is_read_whole(bench: Bench, answer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(delta.shell, "run", answer)
    data = patched(9)
    monkeypatch.setattr(type(bench.transport), "stat", lambda self, path: self._sync.stat([path])[0])
    assert bench.pull(data) == data
    assert bench.moved == len(data)
