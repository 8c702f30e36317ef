"""Proof that no other process has a collection open, and keeping it so, without opening it by SQLite.

SQLite's locks are bytes of the file: PENDING at 0x40000000, RESERVED the next, SHARED the 510 after those (sqlite3's
os.h). Anki opens with `locking_mode=exclusive` before WAL (rslib storage/sqlite.rs), so from its first read to its
close it holds them all for writing (tried: /proc/locks shows one write lock over the 512 bytes); any other SQLite
holds a read lock there while it reads. Holding all 512 for writing is thus proof that nobody reads or writes, and
while we do, Anki says that the collection is open already, and changes no byte.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Self

from usbsync.errors import AnkiOpen, AtWork, Busy, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

LOCK_START = 0x40000000
LOCK_LENGTH = 512  # PENDING, RESERVED and SHARED
OURS_SECONDS = 5.0
"""How long to wait for another usbsync that holds the collection: mostly it does so for a moment."""
_AGAIN = 0.05

_LOOKING = os.O_RDONLY if sys.platform == "linux" else os.O_RDWR
"""Where only to ask needs no right to write: closing what was open for writing tells all who watch the file, us too."""

_TAKEN = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})  # Windows says EDEADLK after its own retries


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        """Lock without waiting; SQLite's LockFileEx on the same bytes conflicts with LockFile's."""
        os.lseek(fd, LOCK_START, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, LOCK_LENGTH)

    def _holder(fd: int) -> int | None:  # noqa: ARG001
        return None

    def _is_ours(fd: int) -> bool:  # noqa: ARG001
        return False

elif sys.platform == "linux":
    import fcntl
    import struct

    _FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid
    _OF_AN_OPEN_FILE = -1  # fcntl(2): the pid of such a lock

    def _flock(pid: int = 0) -> bytes:
        return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, LOCK_START, LOCK_LENGTH, pid)

    def _lock(fd: int) -> None:
        """Lock the open file, not the process.

        A plain fcntl lock is the process's: it would be lost as soon as any other descriptor of the file is closed (as
        a copy of the file does), and would not keep out an SQLite in our own process.
        """
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock())

    def _asked(fd: int) -> int | None:
        """Return the process that has a lock in the way (-1: one of an open file), None where there is none."""
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock())
        kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
        return int(pid) if kind != fcntl.F_UNLCK else None

    def _holder(fd: int) -> int | None:
        """Return the process in the way; None where the kernel cannot say."""
        pid = _asked(fd)
        return pid if pid is not None and pid > 0 else None

    def _is_ours(fd: int) -> bool:
        """Say whether another usbsync is in the way, or was just now: SQLite takes no locks of open files."""
        with suppress(OSError):
            return _asked(fd) in {None, _OF_AN_OPEN_FILE}
        return False

else:
    import fcntl

    def _lock(fd: int) -> None:
        """Lock for the process: closing any other descriptor of this file in it frees the lock early.

        Only Linux's locks of open files are known to work for this; elsewhere hold the lock anew around each write.
        """
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_LENGTH, LOCK_START, os.SEEK_SET)

    def _holder(fd: int) -> int | None:  # noqa: ARG001
        return None

    def _is_ours(fd: int) -> bool:  # noqa: ARG001
        return False


if sys.platform == "linux":

    def _is_locked(fd: int) -> bool:
        return _asked(fd) not in {None, _OF_AN_OPEN_FILE}

else:

    def _is_locked(fd: int) -> bool:
        try:
            _lock(fd)
        except OSError as error:
            return error.errno in _TAKEN
        return False  # closing the file frees it


class CollectionLock:
    """A collection held closed from `__enter__` to `__exit__`; not reentrant.

    On Windows a held file cannot be renamed over: leave the lock just before the flip there.
    """

    __slots__ = ("_fd", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def __enter__(self) -> Self:
        """Take the lock at once or not at all, but that another usbsync is waited for; a file that is absent needs none.

        Raises AnkiOpen when another program has it open, AtWork when that is a usbsync (where the kernel can tell:
        Linux), Busy when it cannot be told whether anybody has, UsageError when we may not write the file.
        """
        self._fd = _open_locked(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the collection."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def held(self) -> bool:
        """Say whether a file is locked now (False where there was none)."""
        return self._fd is not None


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a collection closed: no other process has it open, and none can open it; errors as CollectionLock.

    Frees the file that was there at the start: one renamed over it in the meantime is free from the first moment.
    """
    with CollectionLock(path):
        yield


def is_open(path: Path) -> bool:
    """Say whether a program has a collection open, without being in anybody's way where the kernel can tell (Linux).

    There another usbsync counts for nothing; elsewhere it is such a program, and the lock is taken for a moment. A file
    that is absent, or that we may not open, is not open.
    """
    fd = None
    try:
        fd = _open(path, _LOOKING)
        return fd is not None and _is_locked(fd)
    except (OSError, UsageError):
        return False
    finally:
        if fd is not None:
            os.close(fd)


def _open_locked(path: Path) -> int | None:
    """Open and lock the file that bears the name now, even if it was replaced between the two."""
    until = time.monotonic() + OURS_SECONDS
    while True:
        with ExitStack() as opened:
            fd = _open(path)
            if fd is None:
                return None
            opened.callback(os.close, fd)
            try:
                _take(fd, path)
            except AtWork:
                if time.monotonic() >= until:
                    raise
                time.sleep(_AGAIN)
                continue
            if _is_at(fd, path):
                opened.pop_all()
                return fd


def _open(path: Path, access: int = os.O_RDWR) -> int | None:  # a write lock needs write access
    try:
        return os.open(path, access | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be opened for writing ({error.strerror}); nothing was changed",
            hint="make the file and its folder writable for you",
        ) from error


def _take(fd: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise UsageError(f"{path} is not a regular file; nothing was changed")
    try:
        _lock(fd)
    except OSError as error:
        if error.errno in _TAKEN and _is_ours(fd):
            raise AtWork(f"another usbsync is at work on {path}; nothing was changed") from error
        if error.errno in _TAKEN:
            raise AnkiOpen(f"{path} is open in {_who(fd)}; nothing was changed") from error
        raise Busy(
            f"cannot tell whether another program has {path} open ({error.strerror}); nothing was changed",
            hint="keep the collection on a disk of this computer: this file system has no locks",
        ) from error


def _who(fd: int) -> str:
    pid = None
    with suppress(OSError):
        pid = _holder(fd)
    return "Anki or another program" if pid is None else f"Anki or another program (process {pid})"


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
