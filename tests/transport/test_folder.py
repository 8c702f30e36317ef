"""A folder as a replica, and the one in memory: the reference."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from transport.conformance import Place, TransportSuite

from usbsync.errors import NoPhone, NoSpace, PhoneGone, PhoneRefused
from usbsync.transport import durable
from usbsync.transport.base import Kind, Pull, Push, Remove, Rename
from usbsync.transport.folder import FolderTransport
from usbsync.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "local").mkdir()
    return tmp_path / "local"


class TestFolder(TransportSuite):
    @pytest.fixture
    def place(self, root: Path, local: Path) -> Place:
        return Place(FolderTransport(root), "/", local)


class TestMemory(TransportSuite):
    @pytest.fixture
    def place(self, local: Path) -> Place:
        return Place(MemoryTransport(folders={"/", "/sdcard"}), "/sdcard", local)


def test_a_folder_that_is_not_there_is_no_phone(tmp_path: Path):
    with pytest.raises(NoPhone, match="absent"):
        FolderTransport(tmp_path / "absent")


def test_the_identity_is_the_same_through_a_symlink(root: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(root)
    assert FolderTransport(tmp_path / "link").identity == FolderTransport(root).identity == str(root)


def test_symlinks_are_other_and_never_opened(root: Path, local: Path):
    (local / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(local / "secret")
    (root / "fifo").touch()
    (root / "fifo").unlink()
    os.mkfifo(root / "fifo")
    transport = FolderTransport(root)
    assert {info.name: info.kind for info in transport.list("/")} == {"link": Kind.OTHER, "fifo": Kind.OTHER}
    assert transport.stat("/link").kind is Kind.OTHER
    assert transport.hash(["/link", "/fifo"], "sha1") == {}
    (local / "mine").write_bytes(b"mine")
    for name in ("/link", "/fifo"):
        with pytest.raises(PhoneRefused, match=name):
            transport.pull([Pull(name, local / "out")], lambda _: None)
        with pytest.raises(PhoneRefused, match=name):
            transport.push([Push(local / "mine", name, 0)], lambda _: None)
    assert (local / "secret").read_bytes() == b"secret"


def test_a_path_through_a_symlink_out_of_the_root_is_refused(root: Path, local: Path):
    (local / "f").write_bytes(b"x")
    (root / "out").symlink_to(local)
    transport = FolderTransport(root)
    for call in (
        lambda: transport.stat("/out/f"),
        lambda: transport.list("/out"),
        lambda: transport.pull([Pull("/out/f", local / "copy")], lambda _: None),
        lambda: transport.push([Push(local / "f", "/out/g", 0)], lambda _: None),
        lambda: transport.hash(["/out/f"], "sha1"),
        lambda: transport.apply([Remove("/out/f")]),
        lambda: transport.make_folder("/out/d"),
        lambda: transport.free_space("/out"),
    ):
        with pytest.raises(PhoneRefused, match="leads out of"):
            call()
    assert sorted(path.name for path in local.iterdir()) == ["f"]


def test_removing_a_folder_does_not_follow_symlinks(root: Path, local: Path):
    (local / "f").write_bytes(b"x")
    (root / "d").mkdir()
    (root / "d" / "out").symlink_to(local)
    transport = FolderTransport(root)
    transport.remove_folder("/d")
    assert (local / "f").exists()
    (root / "out").symlink_to(local)
    with pytest.raises(PhoneRefused):
        transport.remove_folder("/out")
    assert (local / "f").exists()


def test_a_symlink_inside_the_root_may_be_walked_through(root: Path):
    (root / "real").mkdir()
    (root / "real" / "f").write_bytes(b"x")
    (root / "link").symlink_to("real")
    transport = FolderTransport(root)
    assert [info.name for info in transport.list("/link")] == ["f"]
    assert transport.stat("/link/f").size == 1


def test_a_root_that_vanished_is_a_phone_gone(root: Path, local: Path):
    transport = FolderTransport(root)
    shutil.rmtree(root)
    for call in (
        lambda: transport.stat("/f"),
        lambda: transport.list("/"),
        lambda: transport.pull([Pull("/f", local / "f")], lambda _: None),
        lambda: transport.apply([Rename("/a", "/b")]),
        lambda: transport.free_space("/"),
    ):
        with pytest.raises(PhoneGone):
            call()


def test_a_full_disk_is_no_space(root: Path, local: Path):
    (root / "full").symlink_to("/dev/full")
    (local / "f").write_bytes(b"x" * 5000)
    transport = FolderTransport(root)
    assert isinstance(transport._meaning("/f", OSError(errno.ENOSPC, "full")), NoSpace)
    assert isinstance(transport._meaning("/f", OSError(errno.EIO, "I/O")), PhoneRefused)
    memory = MemoryTransport(room=1000)
    with pytest.raises(NoSpace):
        memory.push([Push(local / "f", "/f", 0)], lambda _: None)


def test_apply_fsyncs_both_folders_even_when_a_step_fails(root: Path, monkeypatch: pytest.MonkeyPatch):
    flushed: set[Path] = set()
    monkeypatch.setattr(durable, "flush_folders", flushed.update)
    for name in ("a", "b"):
        (root / name).mkdir()
    (root / "a" / "f").write_bytes(b"x")
    with pytest.raises(PhoneRefused):
        FolderTransport(root).apply([Rename("/a/f", "/b/f"), Rename("/absent", "/x")])
    assert flushed == {root / "a", root / "b"}


@pytest.mark.parametrize("count", [1, durable.FEW + 1])
def test_pull_and_push_flush_every_file(root: Path, local: Path, count: int, monkeypatch: pytest.MonkeyPatch):
    flushed: list[Path] = []
    real = durable.flush_files
    monkeypatch.setattr(durable, "flush_files", lambda paths: (flushed.extend(paths), real(paths)))
    for number in range(count):
        (root / f"{number}").write_bytes(b"x")
    wanted = [Pull(f"/{number}", local / f"{number}") for number in range(count)]
    transport = FolderTransport(root)
    transport.pull(wanted, lambda _: None)
    assert flushed == [pull.target for pull in wanted]
    transport.push([Push(pull.target, f"{pull.source}.new", 5) for pull in wanted], lambda _: None)
    assert flushed[count:] == [root / f"{number}.new" for number in range(count)]


def test_flushing_reports_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "I/O error")

    (tmp_path / "f").write_bytes(b"x")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="I/O error"):
        durable.flush_files([tmp_path / "f"])
    with pytest.raises(OSError, match="I/O error"):
        durable.flush_folders([tmp_path])


def test_a_file_system_without_folder_fsync_is_let_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, "invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    durable.flush_folders([tmp_path])
