"""A phone that has said nothing for a while is asked whether it is still there.

A command may work in silence for minutes (hash a film, remove a folder) and a card may take a breath while it is written
to; a phone that is stuck, asleep or out of reach is just as silent. adbd's main thread accepts streams whatever its
services are at, so opening one tells the two apart: what does not answer is given up QUIET + ANSWER seconds after its
last word, and what works may take all the time that its caller gives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from usbsync.errors import PhoneRefused
from usbsync.transport.duplex import Duplex, Opener, Silence

QUIET = 10.0
"""Seconds of silence before the phone is asked."""
ANSWER = 5.0
"""Seconds that it has to answer."""
ASKED = b"sync:"
T = TypeVar("T")


class Pulsed:
    """Another opener, with its streams watched; once the phone did not answer it is gone for good."""

    def __init__(self, inner: Opener) -> None:
        self.inner = inner
        self._gone = ""

    @property
    def name(self) -> str:
        """The inner opener's."""
        return self.inner.name

    @property
    def features(self) -> frozenset[str]:
        """The inner opener's."""
        return self.inner.features

    @property
    def lanes(self) -> int:
        """The inner opener's."""
        return self.inner.lanes

    @property
    def shares_link(self) -> bool:
        """The inner opener's."""
        return self.inner.shares_link

    def open(self, service: bytes, seconds: float) -> PulsedStream:
        """Open a service, which takes a phone that is there but a moment."""
        enough = min(max(seconds, ANSWER), QUIET + ANSWER)
        return PulsedStream(self, self._answered(lambda: self.inner.open(service, enough)))

    def ask(self) -> None:
        """Ask whether the phone is there; PhoneGone when it does not answer."""
        try:
            self._answered(lambda: self.inner.open(ASKED, ANSWER)).close()
        except PhoneRefused:  # an answer all the same
            return

    def close(self) -> None:
        """Close the inner opener."""
        self.inner.close()

    def _answered(self, action: Callable[[], T]) -> T:
        if self._gone:
            raise Silence(self._gone)
        try:
            return action()
        except Silence as error:
            self._gone = f"the phone {self.name} does not answer any more"
            raise Silence(self._gone) from error


class PulsedStream:
    """Another stream (a Duplex) of a phone that is asked whenever it is silent."""

    def __init__(self, pulse: Pulsed, inner: Duplex) -> None:
        self._pulse = pulse
        self._inner = inner

    def exchange(self, out: memoryview, seconds: float) -> tuple[int, bytes | bytearray]:
        """Send some of `out`, or receive something; see Duplex."""
        until = time.monotonic() + seconds
        while True:
            try:
                return self._inner.exchange(out, min(until - time.monotonic(), QUIET))
            except Silence:
                if time.monotonic() >= until:
                    raise
                self._pulse.ask()

    def close(self) -> None:
        """Close the inner stream."""
        self._inner.close()
