"""A replica that is a folder here: a mounted phone, a card, the desktop's own profile, a test."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat as modes
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from usbsync.errors import NoPhone, NoSpace, PhoneFailed, PhoneGone, PhoneRefused
from usbsync.transport import durable
from usbsync.transport.base import Algorithm, FileInfo, Kind, OnBytes, Pull, Push, Rename, Step
from usbsync.transport.paths import checked, found_at, parent, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a fifo must not wait for its other end


class FolderTransport:
    """Files below one folder; paths are relative to it ("/collection.anki2"), and nothing outside is touched.

    A symlink is listed as OTHER and never opened; a path that leads through a symlink out of the root is refused.
    """

    def __init__(self, root: Path) -> None:
        if not os.path.isdir(root):  # noqa: PTH112  # Path.is_dir raises on a mount whose program died
            raise NoPhone(f"there is no folder {shown(str(root))}", hint="mount the phone, or check the path")
        self._root = Path(os.path.realpath(root))

    @property
    def identity(self) -> str:
        """The folder's resolved path."""
        return str(self._root)

    def stat(self, path: str) -> FileInfo | None:
        """Describe one file, or None when nothing is there; PhoneRefused, PhoneGone."""
        with self._asked(path):
            try:
                found = self._inside(path).lstat()
            except (FileNotFoundError, NotADirectoryError):
                self._still_there()
                return None
            return _info(path.rpartition("/")[2], found)

    def stamp(self, paths: Sequence[str]) -> str | None:
        """Return inodes, sizes and times to the nanosecond; None where the file system has no such times."""
        stamps = [self._stamp(path) for path in paths]
        return None if None in stamps else " ".join(map(str, stamps))

    def list(self, folder: str) -> list[FileInfo]:
        """List a folder; PhoneRefused when it is not there or not a folder."""
        with self._asked(folder), os.scandir(self._folder(folder)) as entries:
            return [_info(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """Copy files out of the folder; each is fsynced on return."""
        done = []
        for pull in wanted:
            with self._source(pull.source) as read, pull.target.open("wb") as target:
                while data := read():
                    target.write(data)  # what goes wrong here is this computer's, not the replica's
                    on_bytes(len(data))
            done.append(pull.target)
        durable.flush_files(done)

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> None:
        """Copy files into the folder, each to exactly its target, fsynced, with its mtime."""
        done = []
        for push in files:
            with self._asked(push.target):
                done.append(self._push(push, on_bytes))
        with self._asked("/"):
            self._flush(done)

    def hash(self, paths: Sequence[str], algorithm: Algorithm) -> dict[str, str]:
        """Hash files where they are; what is absent or no regular file is left out."""
        return {path: self._hash(path, algorithm) for path in paths if self._is_file(path)}

    def apply(self, steps: Sequence[Step]) -> None:
        """Rename and remove in order, stop at the first failure, fsync the folders touched in any case.

        What is moved is made durable first, whoever wrote it: a name must not outlive a power cut that its bytes do not.
        """
        self._settle(steps)
        touched: set[Path] = set()
        try:
            for step in steps:
                touched |= self._apply(step)
        finally:
            with self._asked("/"):
                self._flush_folders([folder for folder in touched if folder.is_dir()])

    def make_folder(self, path: str) -> None:
        """Make a folder where its parent exists; one that is there already is no error."""
        with self._asked(path):
            target = self._inside(path)
            if target.is_symlink() or not target.is_dir():
                target.mkdir()
                self._flush_folders([target.parent])

    def remove_folder(self, path: str) -> None:
        """Remove a folder and all in it, not following symlinks; an absent one is no error."""
        with self._asked(path):
            target = self._inside(path)
            if target == self._root:
                raise PhoneRefused(f"{shown(path)}: the root itself is not removed")
            if os.path.lexists(target):
                shutil.rmtree(target)
                self._flush_folders([target.parent])

    def free_space(self, folder: str) -> int:
        """Return the bytes that can still be written below this folder."""
        with self._asked(folder):
            return shutil.disk_usage(self._folder(folder)).free

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _settle(self, steps: Sequence[Step]) -> None:
        moved = [step.source for step in steps if isinstance(step, Rename) and self._is_file(step.source)]
        with self._asked("/"):
            self._flush([self._inside(path) for path in moved])

    def _inside(self, path: str) -> Path:
        """Resolve all but the last component, which is never followed, and refuse what leads outside."""
        plain = checked(path)
        if plain == "/":
            return self._root
        above = Path(os.path.realpath(self._root / parent(plain)[1:]))
        if not above.is_relative_to(self._root):
            raise PhoneRefused(f"{shown(path)} leads out of {shown(str(self._root))} through a symlink")
        return above / plain.rpartition("/")[2]

    def _stamp(self, path: str) -> str | None:
        with self._asked(path):
            try:
                found = self._inside(path).lstat()
            except (FileNotFoundError, NotADirectoryError):
                self._still_there()
                return "-"
        # Windows' st_ctime is when the file was made; a clock of seconds cannot tell two writes apart
        if os.name != "posix" or not found.st_ctime_ns % 1_000_000_000:
            return None
        return f"{found.st_ino}:{found.st_mode}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"

    def _folder(self, path: str) -> Path:
        """As `_inside`, but the last component may be a symlink to a folder inside the root."""
        found = Path(os.path.realpath(self._inside(path)))
        if not found.is_relative_to(self._root):
            raise PhoneRefused(f"{shown(path)} leads out of {shown(str(self._root))} through a symlink")
        return found

    def _is_file(self, path: str) -> bool:
        info = self.stat(path)
        return info is not None and info.kind is Kind.FILE

    @contextmanager
    def _reading(self, path: str) -> Iterator[BinaryIO]:
        descriptor = os.open(self._inside(path), os.O_RDONLY | _PLAIN | _NO_WAIT)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not modes.S_ISREG(os.fstat(descriptor).st_mode):
                raise PhoneRefused(f"{shown(path)} is not a regular file")
            yield file

    @contextmanager
    def _source(self, path: str) -> Iterator[Callable[[], bytes]]:
        """Give what reads a file piece by piece; only what goes wrong in reading is the replica's."""

        def read() -> bytes:
            with self._asked(path):
                return file.read(_CHUNK)

        with ExitStack() as stack:
            with self._asked(path):
                file = stack.enter_context(self._reading(path))
            yield read

    def _push(self, push: Push, on_bytes: OnBytes) -> Path:
        target = self._inside(push.target)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _PLAIN | _NO_WAIT
        with push.source.open("rb") as source, os.fdopen(os.open(target, flags, 0o666), "wb") as file:
            _copy(source, file, on_bytes)
        self._dated(target, push.mtime)
        return target

    def _dated(self, target: Path, mtime: int) -> None:
        with durable.suppress_incapable():  # some mounted phones cannot set times
            os.utime(target, (mtime, mtime))

    def _flush(self, files: Collection[Path]) -> None:
        durable.flush_files(files)

    def _flush_folders(self, folders: Collection[Path]) -> None:
        durable.flush_folders(folders)

    def _rename(self, source: Path, target: Path) -> None:
        os.replace(source, target)  # noqa: PTH105  # os.replace says in its name what it does

    def _hash(self, path: str, algorithm: Algorithm) -> str:
        with self._asked(path), self._reading(path) as file:
            return _digest(file, algorithm)

    def _apply(self, step: Step) -> set[Path]:
        if isinstance(step, Rename):
            with self._asked(step.source):
                source, target = self._inside(step.source), self._inside(step.target)
                self._rename(source, target)
                return {source.parent, target.parent}
        with self._asked(step.path):
            target = self._inside(step.path)
            target.unlink(missing_ok=True)
            return {target.parent}

    @contextmanager
    def _asked(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._meaning(path, error) from error

    def _meaning(self, path: str, error: OSError) -> PhoneFailed:
        if error.errno in _FULL:
            return NoSpace(f"no space left for {found_at(self.identity, path)}")
        if not self._root_is_there():
            return PhoneGone(f"the folder {shown(str(self._root))} is gone")
        return PhoneRefused(f"{found_at(self.identity, path)}: {error.strerror or error}")

    def _still_there(self) -> None:
        if not self._root_is_there():
            raise PhoneGone(f"the folder {shown(str(self._root))} is gone")

    def _root_is_there(self) -> bool:
        return os.path.isdir(self._root)  # noqa: PTH112  # as above


def _info(name: str, found: os.stat_result) -> FileInfo:
    return FileInfo(name, kind_of(found.st_mode), found.st_size, int(found.st_mtime))


def kind_of(mode: int) -> Kind:
    """Return what a POSIX mode says an entry is."""
    if modes.S_ISREG(mode):
        return Kind.FILE
    return Kind.FOLDER if modes.S_ISDIR(mode) else Kind.OTHER


def _copy(source: BinaryIO, target: BinaryIO, on_bytes: OnBytes) -> None:
    while data := source.read(_CHUNK):
        target.write(data)
        on_bytes(len(data))


def _digest(file: BinaryIO, algorithm: Algorithm) -> str:
    digest = hashlib.new(algorithm)
    while data := file.read(_CHUNK):
        digest.update(data)
    return digest.hexdigest()
