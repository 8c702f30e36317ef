"""A disk that is full at any write, the desktop's, the phone's or the one that usbsync remembers on: a small tmpfs each.

What there is to be checked before is not believed here (a quota says nothing), so that any page of the disk may be
the last. The program says which disk it is (exit 6), both sides are old or new, and with room again the next sync does it
all. USBSYNC_CRASH_ALL=1 tries every page; without it a few are picked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from cli.program import Program
from session.enumerated import ALL, Scene, comes_through, scene, standing
from session.scenes import World, with_past

from usbsync.transport.folder import FolderTransport

PAGE = 4096
ROOM = 64 << 20
PLENTY = 1 << 40
DISKS = ("desktop", "phone", "home")
PAGES = {"desktop": (0, 40), "phone": (0, 40), "home": (30, 260)}
EVERY = range(0, 900, int(os.environ.get("USBSYNC_DISK_STEP", "5")))


class OnDisks(World):
    """A world each part of which is a disk of its own."""

    def restore(self, saved: Path) -> None:
        for disk in DISKS:
            self.resize(disk, ROOM)
            for old in (self.root / disk).iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            shutil.copytree(saved / disk, self.root / disk, dirs_exist_ok=True)

    def resize(self, disk: str, size: int) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,size={size}", self.root / disk], check=True, capture_output=True
        )

    def leave(self, disk: str, pages: int) -> None:
        """Let a disk have so many pages left."""
        found = os.statvfs(self.root / disk)
        self.resize(disk, (found.f_blocks - found.f_bfree + pages) * found.f_bsize)


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Iterator[Scene]:
    root = Path(mkdtemp(dir=tmp_path_factory.mktemp("disks"))) / "w"
    mounted = []
    try:
        for disk in DISKS:
            (root / disk).mkdir(parents=True)
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700", "none", root / disk],
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
            mounted.append(root / disk)
        made = with_past(root.parent / "made")
        for disk in DISKS[:2]:
            shutil.copytree(made.root / disk, root / disk, dirs_exist_ok=True)
        world = OnDisks(root)
        world.sync()
        yield scene(world, "phone with a -wal")
    finally:
        for place in mounted:
            subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def blind(monkeypatch) -> None:
    """Believe that there is plenty of room."""
    monkeypatch.setattr(FolderTransport, "free_space", lambda _self, _path: PLENTY)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=PLENTY))


@pytest.mark.parametrize("disk", DISKS)
def test_it_is_said_and_nothing_is_lost(ready, disk, blind, monkeypatch, capsys, record_property) -> None:
    outcomes: Counter = Counter()
    program = Program(ready.world, monkeypatch, capsys)
    for pages in EVERY if ALL else PAGES[disk]:
        world = ready.again()
        world.leave(disk, pages)
        code, said = program.ended("sync")
        world.resize(disk, ROOM)
        assert code in {0, 6}, (pages, said)
        if code:
            assert str(world.root / disk) in said, (pages, said)
            assert "make room" in said, (pages, said)
        outcomes[f"full disk: {standing(ready) if code else 'it was enough'}"] += 1
        comes_through(ready)
        if not code:
            break
    record_property("outcomes", dict(outcomes))
    assert outcomes["full disk: old/old"]


@pytest.mark.parametrize(("disk", "code"), [("desktop", 2), ("phone", 6), ("home", 2)])
def test_a_disk_that_may_only_be_read_is_named(ready, disk, code, monkeypatch, capsys) -> None:
    world = ready.again()
    program = Program(world, monkeypatch, capsys)
    mount = ["mount", "-o", "remount,ro", world.root / disk]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        said = program.run("sync", code=code)
    finally:
        subprocess.run([*mount[:2], "remount,rw", mount[3]], check=True, capture_output=True)
    assert str(world.root / disk) in said
    assert "Read-only" in said
    assert ".usbsync" not in said
    assert standing(ready) == "old/old"
    comes_through(ready)
