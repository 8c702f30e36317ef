"""A replica in memory: what every transport must do, in the fewest words, and a double for tests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from usbsync.errors import NoSpace, PhoneRefused
from usbsync.transport.base import Algorithm, FileInfo, Kind, OnBytes, Pull, Push, Rename, Step
from usbsync.transport.paths import checked, parent, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(slots=True)
class MemoryTransport:
    """Files as a dict; `mtimes` in whole seconds, `room` the bytes that fit in all."""

    identity: str = "memory"
    files: dict[str, bytes] = field(default_factory=dict)
    mtimes: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {"/"})
    links: set[str] = field(default_factory=set)
    room: int = 1 << 40
    closed: bool = False

    def stat(self, path: str) -> FileInfo | None:
        """Describe one file, or None when nothing is there."""
        name = checked(path).rpartition("/")[2]
        if path in self.files:
            return FileInfo(name, Kind.FILE, len(self.files[path]), self.mtimes.get(path, 0))
        if path in self.folders:
            return FileInfo(name, Kind.FOLDER, 0, 0)
        return FileInfo(name, Kind.OTHER, 0, 0) if path in self.links else None

    def stamp(self, paths: Sequence[str]) -> str | None:
        """Return the files' content: nothing else of them changes here."""
        return repr([self.files.get(checked(path)) for path in paths])

    def list(self, folder: str) -> list[FileInfo]:
        """List a folder; PhoneRefused when it is not there or not a folder."""
        self._need_folder(folder)
        inside = [path for path in [*self.files, *self.folders, *self.links] if path != "/"]
        found = [self.stat(path) for path in inside if parent(path) == folder]
        return [info for info in found if info]

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """Write files to local paths."""
        for pull in wanted:
            data = self._need_file(pull.source)
            pull.target.write_bytes(data)
            on_bytes(len(data))

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> None:
        """Read files from local paths."""
        for push in files:
            self._need_folder(parent(checked(push.target)))
            if push.target in self.folders | self.links:
                raise PhoneRefused(f"{shown(push.target)} is not a regular file")
            data = push.source.read_bytes()
            if len(data) > self.free_space("/") + len(self.files.get(push.target, b"")):
                raise NoSpace(f"no space left for {shown(push.target)}")
            self.files[push.target], self.mtimes[push.target] = data, push.mtime
            on_bytes(len(data))

    def hash(self, paths: Sequence[str], algorithm: Algorithm) -> dict[str, str]:
        """Hash files; paths that are absent or no regular file are left out."""
        there = [path for path in paths if checked(path) in self.files]
        return {path: hashlib.new(algorithm, self.files[path]).hexdigest() for path in there}

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry the steps out in order; stop at the first that fails."""
        for step in steps:
            if isinstance(step, Rename):
                self._rename(step.source, step.target)
            else:
                self._remove(step.path)

    def make_folder(self, path: str) -> None:
        """Make a folder where its parent exists; one that is there already is no error."""
        self._need_folder(parent(checked(path)))
        if path in self.links or path in self.files:
            raise PhoneRefused(f"{shown(path)} is there and is not a folder")
        self.folders.add(path)

    def remove_folder(self, path: str) -> None:
        """Remove a folder and all in it; an absent one is no error."""
        if checked(path) == "/" or path in self.files or path in self.links:
            raise PhoneRefused(f"{shown(path)} is not a folder that can be removed")
        below = f"{path}/"
        self.folders -= {each for each in self.folders if each == path or each.startswith(below)}
        self.links -= {each for each in self.links if each.startswith(below)}
        for each in [each for each in self.files if each.startswith(below)]:
            self._remove(each)

    def free_space(self, folder: str) -> int:
        """Return the bytes that can still be written."""
        self._need_folder(folder)
        return self.room - sum(map(len, self.files.values()))

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _need_folder(self, path: str) -> None:
        if checked(path) not in self.folders:
            raise PhoneRefused(f"{shown(path)} is not a folder")

    def _need_file(self, path: str) -> bytes:
        if checked(path) not in self.files:
            raise PhoneRefused(f"{shown(path)} is not there, or no regular file")
        return self.files[path]

    def _rename(self, source: str, target: str) -> None:
        data = self._need_file(source)
        self._need_folder(parent(checked(target)))
        if target in self.folders:
            raise PhoneRefused(f"{shown(target)} is a folder")
        self.links.discard(target)
        mtime = self.mtimes.pop(source, 0)
        del self.files[source]
        self.files[target], self.mtimes[target] = data, mtime

    def _remove(self, path: str) -> None:
        if checked(path) in self.folders:
            raise PhoneRefused(f"{shown(path)} is a folder")
        self.links.discard(path)
        self.files.pop(path, None)
        self.mtimes.pop(path, None)
