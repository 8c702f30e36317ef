"""Make what was written to this computer's disk stay there."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

FEW = 16
_CANNOT = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EPERM, errno.EACCES}


def flush_files(paths: Collection[Path]) -> None:
    """Make these files and their folder entries durable.

    Many at once by one `syncfs` for each folder's file system (thousands of fsyncs take minutes on a hard disk);
    where there is no syncfs, one by one. Raises OSError.
    """
    folders = {path.parent for path in paths}
    if len(paths) <= FEW or not all(_flush_system(folder) for folder in folders):
        for path in paths:
            _flush(path, os.O_RDONLY)
        flush_folders(folders)


def flush_folders(folders: Collection[Path]) -> None:
    """Make renames and removals in these folders durable, where the file system can."""
    for folder in folders:
        with suppress_incapable():
            _flush(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))


class suppress_incapable(suppress):  # noqa: N801  # used like the function it extends
    """Ignore that a file system (FUSE, MTP, Windows folders) has no such operation; other errors pass."""

    def __init__(self) -> None:
        super().__init__(OSError)

    def __exit__(self, kind, error, trace) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Swallow only what says "cannot"."""
        return isinstance(error, OSError) and error.errno in _CANNOT


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_system(folder: Path) -> bool:
    """Call syncfs(2) on the folder's file system; False where there is none (Python has no os.syncfs)."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "syncfs", str(folder))
    finally:
        os.close(descriptor)
    return True
