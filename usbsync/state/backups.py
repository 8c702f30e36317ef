"""Backups: what was replaced or deleted, one folder per apply, complete once its manifest is there.

Until then, and again while it is being removed, a file beside the folder says so: only what has one is ever swept. A
folder with neither is one whose manifest was lost, and holds what somebody may want.
"""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from usbsync.errors import DamagedData, NewerState, UsageError
from usbsync.state.files import (
    fsync_file,
    fsync_folder,
    private_folder,
    sha256_of,
    speaking,
    sweep_temporaries,
)
from usbsync.state.records import damaged, part, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from usbsync.state.pair import Pair

KEEP = 20
MAX_AGE_DAYS = 90
MAX_BYTES = 10 << 30

_VERSION = 1
_MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished"
_ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d{1,6})?", re.ASCII)
_WHEN = "%Y-%m-%dT%H-%M-%SZ"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """One file of a backup: size in bytes."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A complete backup; the files' names are relative to `path`, with slashes."""

    id: str
    when: datetime
    path: Path
    size: int
    files: Mapping[str, BackedUp]
    note: str
    facts: Mapping[str, Any]

    def prove(self, name: str) -> None:
        """Read one file; DamagedData where it is missing or changed."""
        if not _is_whole(self.path / name, self.files[name]):
            raise _not_whole(self, [name])


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Backups:
    """A pair's backups."""

    pair: Pair
    now: Callable[[], datetime] = _now

    @property
    def folder(self) -> Path:
        """Where they are; it may not exist yet."""
        return self.pair.folder / "backups"

    def fresh_id(self) -> str:
        """Make an id above all others: the UTC time, with a suffix where one has it, or a later one (a clock was wrong)."""
        stamp = self.now().astimezone(UTC).strftime(_WHEN)
        last, number = max((_order(id_) for id_ in self._ids()), default=(_when(stamp), 0))
        return f"{last.strftime(_WHEN)}-{number + 1}" if number and last >= _when(stamp) else stamp

    def begin(self, id_: str | None = None) -> Path:
        """Make the folder of a backup (fresh, or one begun before) with its `desktop` and `phone` inside.

        Raises UsageError when the id is none of ours or names a backup that is complete.
        """
        path = self._path(id_ or self.fresh_id())
        if (path / _MANIFEST).exists() or _is_orphan(path):
            raise UsageError(f"the backup {path.name} is complete and is not written to again")
        self.pair.create()
        private_folder(self.folder)
        _mark_unfinished(path)
        for side in ("desktop", "phone"):
            private_folder(path / side)
        return path

    def finish(self, id_: str, *, note: str = "", facts: Mapping[str, object] | None = None) -> Backup:
        """Make a backup complete: its files durable, then its manifest with each one's size and sha256.

        One that is complete already stays as it is, so recovery may do it again.
        """
        path = self._path(id_)
        if (path / _MANIFEST).exists():
            return self.get(id_)
        sweep_temporaries(path)  # of a manifest that was cut off
        files = _measured(path)
        rows = {name: [file.size, file.sha256] for name, file in files.items()}
        written = {"note": note, "facts": dict(facts or {}), "files": rows}
        write_record(path / _MANIFEST, written, version=_VERSION)
        _marker(path).unlink(missing_ok=True)
        return self.get(id_)

    def get(self, id_: str) -> Backup:
        """Return one backup; UsageError when there is no complete one of this id, DamagedData when it is garbled."""
        path = self._path(id_)
        if _is_orphan(path):
            raise damaged(path / _MANIFEST, "it is missing", hint=_way_on(path))
        try:
            record = read_record(path / _MANIFEST, version=_VERSION)
            if record is None:
                raise UsageError(f"there is no backup {id_}", hint="usbsync backups lists them")
            return _backup(path, record)
        except NewerState:
            raise
        except DamagedData as error:
            raise DamagedData(str(error), hint=_way_on(path)) from error

    def list(self) -> tuple[Backup, ...]:
        """List the complete backups, newest first; incomplete and garbled ones are not offered."""
        found = [backup for id_ in self._ids() if (backup := self._offered(id_))]
        return tuple(sorted(found, key=_age, reverse=True))

    def newest_id(self) -> str | None:
        """Return the id of the newest backup that was completed, be it garbled since or not."""
        ids = [id_ for id_ in self._ids() if not _is_unfinished(self.folder / id_)]
        return max(ids, key=_order, default=None)

    def has(self, id_: str) -> bool:
        """Whether there is something of this id, readable or not."""
        return id_ in self._ids()

    def unreadable(self) -> tuple[Path, ...]:
        """Name the folders that cannot be offered: neither complete backups nor leavings of ours. They are kept."""
        ids = [id_ for id_ in self._ids() if not self._offered(id_)]
        return tuple(self.folder / id_ for id_ in sorted(ids) if not _is_unfinished(self.folder / id_))

    def verify(self, backup: Backup) -> None:
        """Read every file of a backup; DamagedData names those that are missing or changed."""
        bad = [name for name, file in backup.files.items() if not _is_whole(backup.path / name, file)]
        if bad:
            raise _not_whole(backup, bad)

    def prune(
        self, keep: int = KEEP, max_age_days: float = MAX_AGE_DAYS, max_bytes: int = MAX_BYTES
    ) -> tuple[str, ...]:
        """Remove backups beyond any of the limits, oldest first, never the newest; return their ids."""
        oldest = self.now() - timedelta(days=max_age_days)
        removed, total = [], 0
        for place, backup in enumerate(self.list()):
            total += backup.size
            if place and (place >= keep or backup.when < oldest or total > max_bytes):
                _remove(backup.path)
                removed.append(backup.id)
        return tuple(removed)

    def sweep(self, *, using: Collection[str] = ()) -> None:
        """Remove what never became a backup, but for those in use by a journal; only under the lock."""
        for marker in self.folder.glob(f"*{_UNFINISHED}"):
            path = marker.with_suffix("")
            if not _is_id(path.name) or path.name in using:
                continue
            if _is_unfinished(path):
                _remove(path)
            marker.unlink(missing_ok=True)

    def drop(self, id_: str) -> None:
        """Remove one backup, complete or not; no error where there is none."""
        if (path := self._path(id_)).exists() or _marker(path).exists():
            _remove(path)

    def _ids(self) -> tuple[str, ...]:
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return tuple(path.name for path in found if _is_id(path.name))

    def _offered(self, id_: str) -> Backup | None:
        try:
            return self.get(id_)
        except (DamagedData, UsageError):
            return None

    def _path(self, id_: str) -> Path:
        if not _is_id(id_):  # it may come from the command line, and becomes a path
            raise UsageError(f"{id_!r} is not the id of a backup", hint="usbsync backups lists them")
        return self.folder / id_


def _is_id(text: str) -> bool:
    try:
        return bool(_ID.fullmatch(text) and _when(text))
    except ValueError:  # the form of a date, and no date
        return False


def _when(id_: str) -> datetime:
    return datetime.strptime(id_[:20], _WHEN).replace(tzinfo=UTC)


def _age(backup: Backup) -> tuple[datetime, int]:
    return _order(backup.id)


def _order(id_: str) -> tuple[datetime, int]:
    _, _, suffix = id_.partition("Z-")
    return _when(id_), int(suffix or 1)


def _backup(path: Path, record: Mapping[str, Any]) -> Backup:
    manifest = path / _MANIFEST
    files = {
        _inside(name, manifest): _one(row, manifest)
        for name, row in part(record, "files", dict, manifest).items()
    }
    return Backup(
        id=path.name,
        when=_when(path.name),
        path=path,
        size=sum(file.size for file in files.values()),
        files=files,
        note=part(record, "note", str, manifest),
        facts=part(record, "facts", dict, manifest),
    )


def _inside(name: str, manifest: Path) -> str:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise damaged(manifest, "it names a file outside of the backup")
    return name


def _one(row: object, manifest: Path) -> BackedUp:
    match row:
        case [int(size), str(sha256)]:
            return BackedUp(size, sha256)
    raise damaged(manifest, "a file is not size and hash")


@contextmanager
def making_sense(backup: Backup) -> Iterator[None]:
    """Turn what goes wrong in reading the facts of a backup into DamagedData."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        why = f"what it says of the sync makes no sense ({error!r})"
        raise damaged(backup.path / _MANIFEST, why, hint=_way_on(backup.path)) from error


def _is_whole(path: Path, file: BackedUp) -> bool:
    try:
        return path.stat().st_size == file.size and sha256_of(path) == file.sha256
    except OSError:
        return False


def _measured(path: Path) -> dict[str, BackedUp]:
    """Hash all files below and make them and their names durable."""
    files = {}
    for entry in sorted(path.rglob("*")):
        if entry.is_dir():
            fsync_folder(entry)
        else:
            fsync_file(entry)
            files[entry.relative_to(path).as_posix()] = BackedUp(entry.stat().st_size, sha256_of(entry))
    fsync_folder(path)
    return files


def _not_whole(backup: Backup, bad: Collection[str]) -> DamagedData:
    listed = ", ".join(sorted(bad)[:5])
    return DamagedData(
        f"the backup {backup.id} is damaged: {len(bad)} of its files are not whole ({listed})",
        hint=_way_on(backup.path),
    )


def _marker(path: Path) -> Path:
    return path.with_name(f"{path.name}{_UNFINISHED}")


def _mark_unfinished(path: Path) -> None:
    with speaking(path):
        _marker(path).touch(mode=0o600)
        fsync_folder(path.parent)


def _is_unfinished(path: Path) -> bool:
    return _marker(path).exists() and not (path / _MANIFEST).exists()


def _is_orphan(path: Path) -> bool:
    """Whether a backup was there, and its manifest was lost since."""
    return path.exists() and not (path / _MANIFEST).exists() and not _marker(path).exists()


def _way_on(path: Path) -> str:
    return f"usbsync backups lists those that can be read; what is left of this one is kept in {path}"


def _remove(path: Path) -> None:
    _mark_unfinished(path)
    with speaking(path):
        if path.is_dir():
            (path / _MANIFEST).unlink(missing_ok=True)  # first: what is half removed must not be offered
            fsync_folder(path)
            shutil.rmtree(path)
        _marker(path).unlink(missing_ok=True)
