"""The wrappers: a dry run that cannot write, a meter, a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from usbsync.errors import PhoneGone, UsbsyncError
from usbsync.transport.base import Pull, Push, Remove, Rename
from usbsync.transport.memory import MemoryTransport
from usbsync.transport.wrap import Faulty, Metered, ReadOnly, When

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def memory() -> MemoryTransport:
    return MemoryTransport(files={"/a": b"aaaa", "/b": b"bb", "/c": b""})


def test_a_dry_run_reads_and_never_writes(memory: MemoryTransport, tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    transport, before = ReadOnly(memory), dict(memory.files)
    for call in (
        lambda: transport.push([Push(tmp_path / "f", "/x", 0)], lambda _: None),
        lambda: transport.apply([Remove("/a")]),
        lambda: transport.make_folder("/d"),
        lambda: transport.remove_folder("/d"),
    ):
        with pytest.raises(UsbsyncError, match="dry run"):
            call()
    assert memory.files == before
    transport.pull([Pull("/a", tmp_path / "a")], lambda _: None)
    assert (tmp_path / "a").read_bytes() == b"aaaa"
    assert len(transport.list("/")) == 3
    assert transport.hash(["/a"], "sha1").keys() == {"/a"}
    assert transport.identity == "memory"


def test_the_meter_counts_each_way_and_passes_on(memory: MemoryTransport, tmp_path: Path):
    (tmp_path / "f").write_bytes(b"12345")
    transport, moved = Metered(memory), []
    transport.pull([Pull("/a", tmp_path / "a"), Pull("/b", tmp_path / "b")], moved.append)
    transport.push([Push(tmp_path / "f", "/x", 0)], moved.append)
    assert (transport.pulled_bytes, transport.pushed_bytes, sum(moved)) == (6, 5, 11)


@pytest.mark.parametrize(("when", "left"), [(When.BEFORE, "abc"), (When.INSIDE, "Abc"), (When.AFTER, "ABc")])
def test_a_fault_in_apply_leaves_a_prefix_and_stays(memory: MemoryTransport, when: When, left: str):
    transport = Faulty(memory, fail_at=2, when=when)
    transport.stat("/a")
    with pytest.raises(PhoneGone):
        transport.apply([Rename("/a", "/A"), Rename("/b", "/B")])
    assert sorted(memory.files) == sorted(f"/{name}" for name in left)
    with pytest.raises(PhoneGone):
        transport.stat("/a")
    assert transport.operations == 3


@pytest.mark.parametrize(("when", "sizes"), [(When.BEFORE, []), (When.INSIDE, [4, 2]), (When.AFTER, [4, 4])])
def test_a_fault_tears_files_on_either_side(
    memory: MemoryTransport, tmp_path: Path, when: When, sizes: list[int]
):
    (tmp_path / "f").write_bytes(b"1234")
    transport = Faulty(memory, fail_at=1, when=when)
    with pytest.raises(PhoneGone):
        transport.push([Push(tmp_path / "f", f"/new{number}", 0) for number in range(2)], lambda _: None)
    assert [len(data) for path, data in memory.files.items() if "new" in path] == sizes
    transport = Faulty(MemoryTransport(files={"/a": b"aaaa"}), fail_at=1, when=when)
    with pytest.raises(PhoneGone):
        transport.pull([Pull("/a", tmp_path / f"out{number}") for number in range(2)], lambda _: None)
    assert [path.stat().st_size for path in sorted(tmp_path.glob("out*"))] == sizes


def test_without_a_fault_it_only_counts(memory: MemoryTransport):
    transport = Faulty(memory)
    transport.stat("/a")
    transport.apply([Remove("/a")])
    assert (transport.operations, sorted(memory.files)) == (2, ["/b", "/c"])
