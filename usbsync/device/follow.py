"""An adb server's own word of phones coming and going: it tells at once what a look every few seconds may miss."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from usbsync.device.hint import Hint
from usbsync.errors import NoPhone, UsbsyncError


class Stream(Protocol):
    """`usbsync.transport.adb_server.Following`."""

    def next(self) -> Mapping[str, str]:
        """Wait until something changed; return the states by serial."""

    def close(self) -> None:
        """End it, whoever waits."""


class Follower:
    """A thread that puts a hint wherever an adb server's phones change, and comes back to a server that ended."""

    def __init__(self, follow: Callable[[], Stream], put: Callable[[Hint], None], every: float) -> None:
        self._follow, self._put, self._every = follow, put, every
        self._stop = threading.Event()
        self._stream: Stream | None = None
        self.phones: frozenset[str] = frozenset()
        """Those that the server has now."""
        self.knows = False
        """Whether nothing has to be asked besides: a server is followed, or there is none."""

    def run(self) -> None:
        """Follow until stopped."""
        while not self._stop.is_set():
            try:
                self._through()
            except NoPhone:
                self.knows = True
            except (UsbsyncError, OSError):
                self.knows = False
            self._stop.wait(self._every)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._stream:
            with suppress(OSError):
                self._stream.close()

    def _through(self) -> None:
        """Follow a server to its end."""
        self._stream = stream = self._follow()
        try:
            before = self._next(stream)
            self.knows = True
            self._put(Hint())
            self._changes(stream, before)
        finally:
            self.phones = frozenset()
            with suppress(OSError):
                stream.close()

    def _next(self, stream: Stream) -> Mapping[str, str]:
        now = stream.next()
        self.phones = frozenset(now)
        return now

    def _changes(self, stream: Stream, before: Mapping[str, str]) -> None:
        """Tell of each change; the server's end is one, too."""
        try:
            while not self._stop.is_set():
                now = self._next(stream)
                self._put(Hint(fresh=frozenset(now.keys() - before.keys())))
                before = now
        finally:
            if not self._stop.is_set():
                self._put(Hint())
