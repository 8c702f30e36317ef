"""SYNC over several streams at once, where one alone does not fill the cable.

An adb server keeps each stream waiting for the phone's word after every packet of at most 1 MiB: over USB 2 a single stream
of small files reaches three quarters of what the cable carries, two reach all of it. Each has a thread of its own, which
only ways whose streams share nothing allow (an adb server's sockets). On the direct link one thread serves both by turns,
and only for a push: making files is the phone's work, and each stream has a thread there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from usbsync.transport.base import OnBytes, Pull, Push
from usbsync.transport.duplex import Opener, converse_by_turns
from usbsync.transport.sync import Sync

WORTH_IT = 8
"""Files for which a second stream is opened."""
T = TypeVar("T")


class Lanes:
    """Pulls and pushes dealt out to `opener.lanes` streams; `patience` as Sync's."""

    def __init__(self, opener: Opener, *, patience: float) -> None:
        self.first, *self._more = (Sync(opener, patience=patience) for _ in range(opener.lanes))
        self._by_turns = opener.shares_link
        self._patience = patience

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """Copy files from the phone, durable at the end."""
        if self._by_turns:
            self.first.pull(wanted, on_bytes)
            return
        self._deal([*wanted], on_bytes, lambda sync, share, count: sync.pull(share, count))

    def push(self, files: Iterable[Push], on_bytes: OnBytes, *, mode: int) -> None:
        """Copy files to the phone."""
        if self._by_turns:
            self._push_by_turns([*files], on_bytes, mode)
            return
        self._deal([*files], on_bytes, lambda sync, share, count: sync.push(share, count, mode=mode))

    def close(self) -> None:
        """Give the streams up; they are opened again when needed."""
        for sync in (self.first, *self._more):
            sync.close()

    def _push_by_turns(self, files: Sequence[Push], on_bytes: OnBytes, mode: int) -> None:
        syncs = self._enough(files)
        try:
            converse_by_turns(
                [sync.pushing(files[at :: len(syncs)], on_bytes, mode=mode) for at, sync in enumerate(syncs)],
                patience=self._patience,
            )
        except BaseException:  # the streams are in the middle of something
            self.close()
            raise

    def _enough(self, items: Sequence[object]) -> list[Sync]:
        return [self.first, *(self._more if len(items) >= WORTH_IT else [])]

    def _deal(
        self, items: Sequence[T], on_bytes: OnBytes, move: Callable[[Sync, Sequence[T], OnBytes], None]
    ) -> None:
        syncs = self._enough(items)
        if len(syncs) == 1:
            move(self.first, items, on_bytes)
            return
        count = _Count(on_bytes)
        with ThreadPoolExecutor(len(syncs), "usbsync-lane") as pool:
            jobs = [pool.submit(move, sync, items[at :: len(syncs)], count) for at, sync in enumerate(syncs)]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:  # an interruption too; the other lanes end at their next piece, or deadline
                count.stop()
                raise


class _Stopped(Exception):  # it ends a lane, and nobody sees it
    """Another lane failed."""


class _Count:
    """A count of bytes for several threads, by which they are also stopped."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._is_stopped = False

    def __call__(self, moved: int) -> None:
        with self._lock:
            if self._is_stopped:
                raise _Stopped
            self._on_bytes(moved)

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
