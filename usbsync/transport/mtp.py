"""A phone that this computer has mounted by MTP: a folder, with what MTP lacks made good where that can be.

MTP has no atomic rename: jmtpfs uploads a renamed file anew under its new name and then deletes the old one (its
MtpFile.cpp), and nothing replaces a file in one step. So each batch of renames is first written down on the phone; one
that was cut off (its target absent or torn) is finished by `mend` before anything else is read. Until then `stat` shows
its target as it will be. A target that AnkiDroid or a person made meanwhile is left alone.

Times are the phone's own, in whole seconds, and cannot be set. A mount remembers listings (jmtpfs for 5 s), so `apply`
returns only when the mount shows what was done. Whether AnkiDroid runs cannot be seen at all.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from usbsync.errors import PhoneFailed, PhoneGone, PhoneRefused
from usbsync.transport.base import FileInfo, Rename, Step
from usbsync.transport.folder import FolderTransport
from usbsync.transport.paths import checked, parent, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

MOVES = "/.usbsync-moves"
"""Where a batch's renames are written down, on the phone."""
LIMITS = (
    "this phone is mounted by MTP: usbsync cannot see whether AnkiDroid is open. "
    "Keep it closed (swiped away), and the cable in, until this ends; USB debugging knows neither limit"
)
SHOWN_SECONDS = 20.0
_CHUNK = 1 << 20
_MOST_MOVES = 1 << 24
_MOUNTINFO = Path("/proc/self/mountinfo")
_MTP_SYSTEMS = {"fuse.jmtpfs", "fuse.simple-mtpfs", "fuse.mtpfs", "fuse.go-mtpfs", "fuse.aft-mtp-mount"}
_DESKTOP_SYSTEMS = {"fuse.gvfsd-fuse", "fuse.kio-fuse"}  # all that a desktop mounts, MTP among it
_DESKTOP_MTP = re.compile(r"mtp(?::.*)?")
_GONE = {errno.ENOTCONN, errno.ENODEV, errno.ETIMEDOUT, errno.EIO, errno.ECONNABORTED}
_NO_RENAME = {errno.ENOTSUP, errno.EXDEV, errno.ENOSYS}


def is_mtp(folder: Path, mountinfo: str | None = None) -> bool:
    """Say whether a folder is on a phone that is mounted by MTP; `mountinfo` as in proc(5), by default ours."""
    if mountinfo is None:
        try:
            mountinfo = _MOUNTINFO.read_text(errors="surrogateescape")
        except OSError:
            return False  # no Linux: no such mounts
    place = PurePosixPath(os.path.realpath(folder))
    mounts = [mount for line in mountinfo.splitlines() if (mount := _mount(line))]
    above = [(point, system) for point, system in mounts if place.is_relative_to(point)]
    if not above:
        return False
    point, system = max(above, key=lambda mount: len(mount[0].parts))
    inside = place.relative_to(point).parts
    return system in _MTP_SYSTEMS or (
        system in _DESKTOP_SYSTEMS and any(_DESKTOP_MTP.fullmatch(part) for part in inside[:1])
    )


def _mount(line: str) -> tuple[PurePosixPath, str] | None:
    """Read the mount point and the file system's type of one line."""
    left, _, right = line.partition(" - ")
    fields = left.split(" ")
    if len(fields) < 5 or not right:  # noqa: PLR2004  # the mount point is the fifth
        return None
    point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
    return PurePosixPath(point), right.split(" ")[0]


class MtpTransport(FolderTransport):
    """A folder on a phone mounted by MTP; see above for what is different."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(root)
        self._clock = clock
        self._sleep = sleep

    @property
    def limits(self) -> str:
        """Say what MTP keeps from us."""
        return LIMITS

    def stat(self, path: str) -> FileInfo | None:
        """Describe one file; one that a cut-off rename left absent, as `mend` will make it."""
        found = super().stat(path)
        if found is None and path != MOVES and (source := self._unfinished().get(path)):
            return super().stat(source)
        return found

    def stamp(self, paths: Sequence[str]) -> str | None:
        """Return None: times are in whole seconds, and a mount may remember old ones."""
        list(map(checked, paths))
        return None

    def apply(self, steps: Sequence[Step]) -> None:
        """Write the renames down, carry the steps out, and wait until the mount shows them."""
        moves = [step for step in steps if isinstance(step, Rename)]
        if moves:
            self._write_down(moves)
        for step in steps:
            self._do(step)
        self._wait_until_shown(steps)
        if moves:
            self._forget()

    def unfinished(self) -> bool:
        """Say whether a rename was cut off."""
        return any(self._standing(Rename(source, target)) for target, source in self._unfinished().items())

    def mend(self) -> None:
        """Finish the rename that was cut off, if one was; those after it were not begun, and are not ours to do."""
        for target, source in self._unfinished().items():
            if super().stat(source) is not None:
                move = Rename(source, target)
                if self._standing(move):
                    super().apply([move])
                    self._wait_until_shown([move])
                break
        self._forget()

    def _do(self, step: Step) -> None:
        """Carry one step out; where the phone says no and nothing was begun, what is written down is void."""
        try:
            super().apply([step])
        except PhoneRefused:
            if not (isinstance(step, Rename) and self._standing(step)):
                self._forget()
            raise

    # ---- what was written down

    def _write_down(self, moves: Sequence[Rename]) -> None:
        text = json.dumps([[move.source, move.target] for move in moves])
        with self._asked(MOVES):
            self._inside(MOVES).write_text(text)

    def _forget(self) -> None:
        with self._asked(MOVES):
            self._inside(MOVES).unlink(missing_ok=True)

    def _unfinished(self) -> dict[str, str]:
        """Return target and source of each rename that is written down; what makes no sense is none of ours."""
        info = super().stat(MOVES)
        if info is None or not 0 < info.size <= _MOST_MOVES:
            return {}
        with suppress(ValueError, TypeError, RecursionError, PhoneRefused), self._asked(MOVES):
            with self._reading(MOVES) as file:
                moves = json.loads(file.read())
            return {_path(target): _path(source) for source, target in moves}
        return {}

    def _standing(self, move: Rename) -> bool:
        """Say whether a rename was begun and not ended: the source is there, the target absent, torn or a copy of it."""
        source, target = FolderTransport.stat(self, move.source), FolderTransport.stat(self, move.target)
        if source is None:
            return False
        return target is None or (target.size <= source.size and self._begins(move))

    def _begins(self, move: Rename) -> bool:
        """Say whether the source begins with all that the target holds."""
        with (
            self._asked(move.target),
            self._reading(move.source) as source,
            self._reading(move.target) as target,
        ):
            while part := target.read(_CHUNK):
                if source.read(len(part)) != part:
                    return False
        return True

    # ---- how it differs from a folder

    def _rename(self, source: Path, target: Path) -> None:
        """Move a file over another, in the steps that MTP has."""
        source.lstat()  # nothing is taken away for what is not there
        target.unlink(missing_ok=True)
        try:
            source.rename(target)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            self._carry(source, target)

    def _carry(self, source: Path, target: Path) -> None:
        """Copy by way of this computer where the mount has no rename, and remove the source once all is there."""
        with source.open("rb") as read, target.open("wb") as write:
            while part := read.read(_CHUNK):
                write.write(part)
        if target.stat().st_size != source.stat().st_size:
            raise PhoneFailed(f"{shown(target.name)} was not copied whole; both sides are whole")
        source.unlink()

    def _dated(self, target: Path, mtime: int) -> None:
        """Leave the time alone: MTP has no way to set it, and jmtpfs only says that it did."""

    def _flush(self, files: Collection[Path]) -> None:
        """Do nothing: a file is on the phone when its close returns, and to open it again would fetch all of it."""

    def _flush_folders(self, folders: Collection[Path]) -> None:
        """Do nothing, as above."""

    def _meaning(self, path: str, error: OSError) -> PhoneFailed:
        if error.errno in _GONE:
            return PhoneGone(f"the phone does not answer any more ({shown(path)}: {error.strerror})")
        return super()._meaning(path, error)

    def _wait_until_shown(self, steps: Sequence[Step]) -> None:
        """Wait until the mount lists what the steps left; a stale listing would look like a deletion."""
        wanted: dict[str, bool] = {}
        for step in steps:
            if isinstance(step, Rename):
                wanted |= {step.source: False, step.target: True}
            else:
                wanted[step.path] = False
        deadline = self._clock() + SHOWN_SECONDS
        while late := self._late(wanted):
            if self._clock() > deadline:
                raise PhoneFailed(f"the mounted phone does not show what was done with {shown(late[0])}")
            self._sleep(0.5)

    def _late(self, wanted: Mapping[str, bool]) -> list[str]:
        """List the paths that are listed and should not be, or the other way round."""
        listed = {folder: self._names(folder) for folder in {parent(path) for path in wanted}}
        return [
            path
            for path, there in wanted.items()
            if (path.rpartition("/")[2] in listed[parent(path)]) != there
        ]

    def _names(self, folder: str) -> set[str]:
        there = FolderTransport.stat(self, folder) if folder != "/" else True
        return {info.name for info in self.list(folder)} if there else set()


def _path(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError
    return checked(text)
