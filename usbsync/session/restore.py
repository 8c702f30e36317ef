"""Taking things out of a backup: back into one side or both, or into a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from usbsync.core.conflict import Side
from usbsync.errors import DamagedData, UsageError
from usbsync.session.conflicts import pairs_of
from usbsync.session.options import Options
from usbsync.session.report import Report, Result
from usbsync.session.talk import Talk
from usbsync.session.undo import bring_back
from usbsync.state.backups import BackedUp, Backup, Backups
from usbsync.state.files import durable_copy, private_folder


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was taken out of a backup: how many files, how many bytes."""

    backup: str
    folder: Path
    files: int
    size: int


def restore(
    options: Options, talk: Talk, backup_id: str, sides: Collection[Side] = tuple(Side), *, sure: bool = False
) -> Report:
    """Give one side or both what a backup holds of them: the collection, and the media that it lost then.

    What was there goes into a backup of its own, damaged or not. What is remembered goes back with it, so the next
    sync merges and loses nothing that the other side has. Raises as `undo`.
    """
    return bring_back(options, talk, backup_id, sides, Result.RESTORED, sure=sure)


def extract(
    options: Options, backup_id: str, folder: Path, sides: Collection[Side] = tuple(Side)
) -> Extracted:
    """Copy what a backup holds into an empty folder, verified by hash; no phone is needed, neither side is touched.

    Raises UsageError where there is no such backup or the folder is in use, DamagedData where the backup is not whole.
    """
    backups, backup = _find(options, backup_id)
    backups.verify(backup)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder", hint="name one that does not exist yet")
    wanted = {name: file for name, file in backup.files.items() if name.partition("/")[0] in {*sides}}
    for name, file in wanted.items():
        _copy(backup.path / name, folder.absolute() / name, file)
    return Extracted(backup.id, folder, len(wanted), sum(file.size for file in wanted.values()))


def _find(options: Options, backup_id: str) -> tuple[Backups, Backup]:
    for backups in map(Backups, pairs_of(options)):
        if backups.has(backup_id):
            return backups, backups.get(backup_id)
    raise UsageError(f"there is no backup {backup_id!r}", hint="usbsync backups lists them")


def _copy(source: Path, target: Path, file: BackedUp) -> None:
    private_folder(target.parent)
    if durable_copy(source, target) != file.sha256:
        raise DamagedData(f"{source} changed while it was being copied; neither side was touched")
    info = source.stat()
    os.utime(target, ns=(info.st_mtime_ns, info.st_mtime_ns))
