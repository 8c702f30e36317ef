from __future__ import annotations

from dataclasses import dataclass

import pytest

from usbsync.core.conflict import Side
from usbsync.media.move import Place
from usbsync.transport.memory import MemoryTransport

OLD = 1_700_000_000  # long ago, to every clock of these tests


@dataclass(frozen=True, slots=True)
class Replica(Place):
    """A place in memory that a test can look into and write to."""

    def put(self, name, data, mtime=OLD):
        self.transport.files[f"{self.media}/{name}"] = data
        self.transport.mtimes[f"{self.media}/{name}"] = mtime

    def held(self):
        """Return what is in the media folder: name -> content."""
        files, prefix = self.transport.files, f"{self.media}/"
        return {path.removeprefix(prefix): data for path, data in files.items() if path.startswith(prefix)}


class Counting(MemoryTransport):
    """A memory replica that notes what was hashed and every path it was given."""

    __slots__ = ("hashed", "paths")

    def __init__(self, identity="memory"):
        super().__init__(identity)
        self.hashed, self.paths = [], []

    def hash(self, paths, algorithm):
        self.hashed += paths
        return super().hash(paths, algorithm)

    def push(self, files, on_bytes):
        files = list(files)
        self.paths += [file.target for file in files]
        super().push(files, on_bytes)


@pytest.fixture
def places():
    made = {}
    for side, folder in {Side.DESKTOP: "", Side.PHONE: "/sdcard/AnkiDroid"}.items():
        transport = Counting(side)
        transport.folders |= {"/sdcard", "/sdcard/AnkiDroid", f"{folder}/collection.media"}
        made[side] = Replica(transport, f"{folder}/collection.media")
    return made


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
