"""Power cuts: what a disk may hold when the current goes, by what was made durable until then.

While a run goes on, `record` keeps for each moment (before each change of a name, after each fsync) what is there, and
what must be there after a power cut: of a file its content at its last fsync, of a folder its names at its last fsync.
Everything else may be there or not, so each moment has several images, and each top folder (desktop, phone, home)
may be on a disk of its own.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest
from session import cuts

from usbsync.transport import durable


class Luck(StrEnum):
    """What becomes of what was not made durable."""

    LOST = "lost"  # neither names nor bytes were written; a name without its bytes is an empty file
    TORN = "torn"  # all names were written, and half of the bytes


@dataclass(frozen=True)
class File:
    data: bytes
    mode: int
    mtime: int


TICK = 50_000_000  # the kernel's clock goes in steps: what is younger may have changed unseen, ns
Names = dict[str, tuple[int, bool]]  # name -> (inode, whether it is a folder)


@dataclass(frozen=True)
class Disk:
    """Folders and files by their inodes."""

    folders: dict[int, Names]
    files: dict[int, File]


@dataclass(frozen=True)
class Moment:
    what: str
    now: Disk
    durable: Disk

    def image(self, root: int, luck: dict[str, Luck]) -> dict[str, File | None]:
        """Return what is found after the power cut: path -> file, or None for a folder."""
        found: dict[str, File | None] = {}
        for top, (inode, _) in self.durable.folders[root].items():
            found[top] = None
            self._below(top, inode, luck[top], found)
        return found

    def _below(self, path: str, folder: int, luck: Luck, found: dict[str, File | None]) -> None:
        there = self.now if luck is Luck.TORN else self.durable
        for name, (inode, is_folder) in there.folders.get(folder, {}).items():
            found[f"{path}/{name}"] = None if is_folder else self._file(inode, luck)
            if is_folder:
                self._below(f"{path}/{name}", inode, luck, found)

    def _file(self, inode: int, luck: Luck) -> File:
        now, kept = self.now.files.get(inode), self.durable.files.get(inode)
        if luck is Luck.LOST or now is None:
            return kept or File(b"", 0o600, 0)
        whole = kept is not None and kept.data == now.data
        return now if whole else File(now.data[: len(now.data) // 2], now.mode, now.mtime)


@dataclass
class Recorder(cuts.Watch):
    """Keep each moment of a run."""

    moments: list[Moment] = field(default_factory=list)
    known: dict[tuple, File] = field(default_factory=dict)

    def begin(self) -> None:
        self.durable = self.look()  # what was there before has long been written

    def look(self) -> Disk:
        folders: dict[int, Names] = {}
        files: dict[int, File] = {}
        for place, _, _ in os.walk(self.below):
            names = folders.setdefault(Path(place).stat().st_ino, {})
            for entry in os.scandir(place):
                names[entry.name] = (entry.inode(), entry.is_dir(follow_symlinks=False))
                if entry.is_file(follow_symlinks=False):
                    files[entry.inode()] = self._read(entry)
        return Disk(folders, files)

    def _read(self, entry: os.DirEntry) -> File:
        info = entry.stat(follow_symlinks=False)
        key = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        if key not in self.known or info.st_ctime_ns > time.time_ns() - TICK:
            self.known[key] = File(Path(entry.path).read_bytes(), info.st_mode & 0o777, info.st_mtime_ns)
        return self.known[key]

    def meet(self, what: str, path: Path) -> None:
        self.moment(f"{what} {path.relative_to(self.below)}")

    def moment(self, what: str) -> None:
        durable = Disk(dict(self.durable.folders), dict(self.durable.files))
        self.moments.append(Moment(what, self.look(), durable))

    def synced(self, descriptor: int) -> None:
        inode, now = os.fstat(descriptor).st_ino, self.look()
        if inode in now.folders:
            self.durable.folders[inode] = now.folders[inode]
        elif inode in now.files:
            self.durable.files[inode] = now.files[inode]
        self.moment("after an fsync")

    def all_synced(self) -> bool:
        self.durable = self.look()
        self.moment("after a syncfs")
        return True


def record(below: Path, run: Callable[[], object]) -> tuple[int, list[Moment]]:
    """Run undisturbed and return the root's inode and every moment of it."""
    recorder = Recorder(below)
    recorder.begin()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        cuts._watch.clear()
        recorder.synced(descriptor)
        cuts._watch.append(recorder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", noted)
        patch.setattr(durable, "_flush_system", lambda _folder: recorder.all_synced())
        cuts._watch.append(recorder)
        try:
            run()
        finally:
            cuts._watch.clear()
    recorder.moment("the end")
    return below.stat().st_ino, recorder.moments


def write(image: dict[str, File | None], below: Path) -> None:
    """Make a folder what the image says."""
    shutil.rmtree(below)
    below.mkdir()
    for path, file in image.items():
        place = below / path
        if file is None:
            place.mkdir(mode=0o700)
        else:
            place.write_bytes(file.data)
            place.chmod(file.mode)
            os.utime(place, ns=(file.mtime, file.mtime))
