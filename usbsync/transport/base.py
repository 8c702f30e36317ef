"""The interface that every way to a replica's files has.

Terms: a *path* is a POSIX path, absolute in the replica's own name space (for `folder:PATH` the root is
that folder; for a phone it is the phone's own root). A *replica* here is only a tree of files.

What may be left behind on failure: `push` writes to exactly the paths it was given, so callers name
temporary ones; after any error such a path may be absent, partial or whole. `pull` writes to the local
paths it was given, under the same rule. `apply` stops at the first step that fails, with the steps
before it done and those after it not (removals that follow each other may be done in any order); once sent it
runs to its end even if the link goes.

Failures: PhoneGone when the link is lost or silent for too long, PhoneRefused when the replica says no (with
the path and its own words), NoSpace when it is full, DamagedData when an answer makes no sense. Nothing waits for
ever. After PhoneGone open anew; after the others the transport works on. A folder that may not be read is refused,
never listed as empty, so nothing looks deleted that is only hidden.

A base saves bytes and promises nothing: what came of one is to be proven by a hash, and copied whole, without a base,
where it is not what it should be. A transport may pay no heed to bases.

Paths are refused unless absolute and plain (`paths.checked`). One thread at a time uses a transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path  # callers may ask for the types at run time
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

OnBytes: TypeAlias = Callable[[int], None]
"""Called with the number of bytes just moved (an increment, not a total)."""

Algorithm: TypeAlias = Literal["sha1", "sha256"]


class Kind(StrEnum):
    """What a directory entry is."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"  # symlinks, devices, sockets: never followed, never moved


class FileInfo(NamedTuple):
    """One entry of a listing, not following symlinks; `mtime` in whole seconds since 1970."""

    # a frozen dataclass takes three times as long to make, and there are tens of thousands

    name: str  # last component; undecodable bytes as surrogate escapes
    kind: Kind
    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class Pull:
    """A file of the replica's to be copied to a local path.

    `base` is a local file that it is probably much like: where that saves bytes, only what differs crosses.
    """

    source: str
    target: Path
    base: Path | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """A file that the replica has, and where the same bytes lie here."""

    path: str
    local: Path


@dataclass(frozen=True, slots=True)
class Push:
    """A local file to be copied to a path of the replica's, with this mtime (whole seconds).

    `base` is what it is much like: where that saves bytes, only what differs crosses.
    """

    source: Path
    target: str
    mtime: int
    base: Base | None = None


@dataclass(frozen=True, slots=True)
class Rename:
    """Move a file over whatever is at `target`, atomically where the replica can."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file; one that is absent is no error."""

    path: str


Step: TypeAlias = Rename | Remove


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command on the phone answered."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Transport(Protocol):
    """Bytes to and from one replica."""

    @property
    def identity(self) -> str:
        """Name the replica's device, the same over every link to it (a phone's serial, a folder's path)."""

    def stat(self, path: str) -> FileInfo | None:
        """Describe one file, or None when nothing is there."""

    def stamp(self, paths: Sequence[str]) -> str | None:
        """Return a text that changes when any of these files is written, made, replaced or removed.

        None where that cannot be promised: no clock finer than seconds, no time of a file's last change.
        """

    def list(self, folder: str) -> list[FileInfo]:
        """List a folder (without `.` and `..`); PhoneRefused when it is not there or not a folder."""

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """Copy files from the replica; each local file is complete and fsynced on return."""

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> None:
        """Copy files to the replica, readable and writable by its app; parent folders must exist."""

    def hash(self, paths: Sequence[str], algorithm: Algorithm) -> dict[str, str]:
        """Hash files where they are (hex digests); paths that are absent or no regular file are left out."""

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry the steps out in order, as one batch, and make them and all that was pushed durable (`sync`)."""

    def make_folder(self, path: str) -> None:
        """Make a folder where its parent exists; one that is there already is no error."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder and all in it, not following symlinks; an absent one is no error."""

    def free_space(self, folder: str) -> int:
        """Return the bytes that can still be written below this folder."""

    def close(self) -> None:
        """Release the link; safe to call twice and after any failure."""


@runtime_checkable
class Shell(Protocol):
    """A transport whose replica can run commands: a phone over ADB."""

    def run(self, argv: Sequence[str], *, seconds: float = 30.0) -> Completed:
        """Run one command, quoted by us, and return its exit code and output."""


@runtime_checkable
class Mendable(Protocol):
    """A transport that cannot rename in one step: a rename that was cut off is finished before anything is read."""

    @property
    def limits(self) -> str:
        """Say, to a person, what this way to the phone does not know or cannot do."""

    def unfinished(self) -> bool:
        """Say whether a rename was cut off."""

    def mend(self) -> None:
        """Finish what was cut off."""
