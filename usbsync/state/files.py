"""The one way to write durably: a temporary file in the same folder, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from usbsync.errors import NoSpace, UsageError, UsbsyncError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = ".usbsync-part"
"""The ending of every temporary file; one that a dead process left is rubbish."""

_BLOCK = 1 << 20
_PART_OF_NAME = 40  # characters of a file's name that its temporary one has, too
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def durable_write(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that becomes `path` when the block ends, and leaves `path` as it was when the block fails.

    The file is readable by its owner only. Raises NoSpace on a full disk, UsageError where writing is not allowed.
    """
    with speaking(path), _temporary(path) as (file, temporary):
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()  # before the rename: Windows moves no open file
        temporary.replace(path)
        fsync_folder(path.parent)


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    handle, name = tempfile.mkstemp(
        suffix=TEMPORARY, prefix=_prefix(path), dir=path.parent
    )  # mkstemp's mode is 0600
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, Path(name)
    except BaseException:
        with suppress(OSError):  # the first failure is the one to tell; sweep_temporaries takes what stays
            Path(name).unlink()
        raise


def _prefix(path: Path) -> str:
    return f".{path.name[:_PART_OF_NAME]}."


def durable_copy(source: Path, target: Path) -> str:
    """Copy a file's content durably and return the sha256 of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, durable_write(target) as writer:
        while block := reader.read(_BLOCK):
            digest.update(block)
            writer.write(block)
    return digest.hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Keep a file under a second name, or as a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    target.chmod(0o600)


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha1_of(path: Path) -> str:
    """Hash a file as Anki hashes media."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def fsync_file(path: Path) -> None:
    """Make a finished file's content durable."""
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if os.name == "posix":  # Windows opens no folders, and needs none of this
        fsync_file(folder)


def private_folder(folder: Path) -> Path:
    """Make a folder, and those above that are missing, for the owner only; one that is there keeps its mode."""
    if folder.is_dir():
        return folder
    private_folder(folder.parent)
    with speaking(folder):
        _make(folder)
        fsync_folder(folder.parent)
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except (
        FileNotFoundError,
        FileExistsError,
        NotADirectoryError,
    ) as error:  # below a file, or where nobody makes any
        hint = "let USBSYNC_HOME name a folder that can be made"
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}", hint=hint) from error


def sweep_temporaries(folder: Path) -> None:
    """Remove the temporary files that dead processes left; only under the lock."""
    if folder.is_dir():
        for left in folder.glob(f".*{TEMPORARY}"):
            left.unlink(missing_ok=True)


def sweep_temporaries_of(path: Path) -> None:
    """Remove the temporary files of one file; only under the lock of that file."""
    for left in path.parent.glob(f"{glob.escape(_prefix(path))}*{TEMPORARY}"):
        left.unlink(missing_ok=True)


@contextmanager
def speaking(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write `path` into errors that say what to do."""
    try:
        yield
    except OSError as error:
        told = _told(error, path)
        if told is None:
            raise
        raise told from error


def _told(error: OSError, path: Path) -> UsbsyncError | None:
    if error.errno in _FULL:
        return NoSpace(f"the disk is full: {path} could not be written; what was there before is whole")
    if error.errno in _FORBIDDEN:
        hint = "make its folder writable, or set USBSYNC_HOME to one that is"
        return UsageError(f"{path} may not be written: {error.strerror}", hint=hint)
    return None
