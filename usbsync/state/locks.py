"""Locks between usbsyncs: one file each below `locks`, and beside it who holds it.

They are the operating system's, so one that a dead process left is no obstacle.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from usbsync.errors import AtWork, UsbsyncError
from usbsync.state.files import private_folder, speaking, sweep_temporaries_of
from usbsync.state.records import read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_VERSION = 1
_ONE_IS_ENOUGH = (
    "one is enough; if that is the service of usbsync setup, systemctl --user stop usbsync ends it, and a folder of "
    "packages for it is named by inbox in config.toml"
)


@contextmanager
def locked(stem: Path, seconds: float, doing: str, *, hint: str | None = None) -> Iterator[None]:
    """Keep a lock, waiting this long for who has it. Raises AtWork: its holder, and what that one is `doing`."""
    record = stem.with_suffix(".json")
    guard = _file_lock(stem, seconds)
    try:
        with speaking(stem):
            guard.acquire()
    except Timeout:
        raise AtWork(f"{_named(record)} {doing}", hint=hint) from None
    try:
        with suppress(OSError):  # of one that was killed while it wrote its name here
            sweep_temporaries_of(record)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        write_record(record, {"pid": os.getpid(), "since": since}, version=_VERSION)
        yield
    finally:
        with suppress(OSError):
            record.unlink(missing_ok=True)
        guard.release()


def holder(stem: Path) -> str | None:
    """Name who holds a lock; None where nobody does. Makes no file."""
    if not stem.with_suffix(".lock").exists():
        return None
    try:
        with _file_lock(stem, 0.0):
            return None
    except Timeout:
        return _named(stem.with_suffix(".json"))
    except OSError:  # it cannot be asked
        return None


def only_watch(home: Path) -> AbstractContextManager[None]:
    """Be the one that watches for this state home. Raises AtWork, naming the other."""
    return locked(private_folder(home / "locks") / "watch", 0.0, "watches already", hint=_ONE_IS_ENOUGH)


def _file_lock(stem: Path, seconds: float) -> FileLock:
    # Not the library's way of reuse within a process: two locks of one file must exclude each other in threads too
    return FileLock(stem.with_suffix(".lock"), timeout=seconds, mode=0o600, thread_local=False)


def _named(record: Path) -> str:
    try:
        found = read_record(record, version=_VERSION) or {}
    except (UsbsyncError, OSError):  # the holder is just writing it, or is another version
        found = {}
    if {"pid", "since"} <= found.keys():
        return f"another usbsync (process {found['pid']}, since {found['since']})"
    return "another usbsync"
