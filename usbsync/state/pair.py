"""A pair: one desktop collection and one phone that are kept in step, the folder of their memory, and their lock."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usbsync.errors import DamagedData, NewerState, UsbsyncError
from usbsync.state.files import private_folder
from usbsync.state.locks import holder, locked
from usbsync.state.records import damaged, part, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION = 1
_NAME = "pair.json"
_AT_WORK = "is at work on this phone or this collection"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two replicas by their identities (Transport.identity and the place on it), below a state home."""

    home: Path
    desktop: str
    phone: str

    @property
    def folder(self) -> Path:
        """Where this pair's memory is; it may not exist yet."""
        return self.home / "pairs" / _short(self.desktop, self.phone)

    def create(self) -> Path:
        """Make the folder and note in clear whose it is; DamagedData when it is another pair's.

        A note that cannot be read is written anew: the folder's name says whose it is, for it is made of both.
        """
        private_folder(self.folder)
        path = self.folder / _NAME
        try:
            known = _read(path, self.home)
        except NewerState:
            raise
        except DamagedData:
            known = None
        if known is None:
            write_record(path, {"desktop": self.desktop, "phone": self.phone}, version=_VERSION)
        elif known != self:
            raise damaged(path, f"it names another pair ({known.desktop} and {known.phone})")
        return self.folder


def known_pairs(home: Path) -> list[Pair]:
    """List the pairs that have a memory, the damaged ones left out."""
    found = []
    for path in sorted((home / "pairs").glob(f"*/{_NAME}")):
        with suppress(UsbsyncError):
            found.append(_read(path, home))
    return [pair for pair in found if pair]


def _read(path: Path, home: Path) -> Pair | None:
    record = read_record(path, version=_VERSION)
    if record is None:
        return None
    return Pair(home, part(record, "desktop", str, path), part(record, "phone", str, path))


@contextmanager
def lock(pair: Pair, *, seconds: float = 0.0) -> Iterator[None]:
    """Keep every other usbsync off both replicas of the pair, waiting this long for one that is at work.

    Each replica is locked by itself: two phones must not write to one desktop at a time either. The locks are the
    operating system's, so one that a dead process left is no obstacle. Raises AtWork, naming the holder.
    """
    deadline = time.monotonic() + seconds
    folder = private_folder(pair.home / "locks")
    with ExitStack() as held:
        for name in sorted({_short(pair.desktop), _short(pair.phone)}):  # one order for all: no deadlock
            left = max(0.0, deadline - time.monotonic())
            held.enter_context(locked(folder / name, left, _AT_WORK))
        yield


def at_work(home: Path, replica: str) -> str | None:
    """Say who is at work on a replica (by its identity in a pair) just now; None where nobody is."""
    return holder(home / "locks" / _short(replica))


def _short(*identities: str) -> str:
    return hashlib.sha256(json.dumps(identities).encode()).hexdigest()[:16]
