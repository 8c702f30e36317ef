"""A stream of bytes both ways, and how to talk over it without either side waiting for the other for ever.

Everything that goes over ADB here (SYNC, shell) is one conversation: an iterator of bytes to send and a generator that
takes what comes. One loop serves both, so it cannot deadlock when both sides fill their buffers, needs no threads,
and holds no more than one piece each way.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from usbsync.errors import PhoneGone

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

T = TypeVar("T")


class Silence(PhoneGone):
    """Nothing came in time; the link itself may still live."""


class Duplex(Protocol):
    """One open stream to a service on the phone."""

    def exchange(self, out: memoryview, seconds: float) -> tuple[int, bytes | bytearray]:
        """Send some of `out`, or receive something, or both; wait until one of them has happened.

        Returns how much was sent and what came. (0, b"") means that the other side has ended the stream.
        Raises PhoneGone when the link is lost, and after `seconds` in which nothing moved.
        """

    def close(self) -> None:
        """Give the stream up; safe to call twice and after any failure."""


class Opener(Protocol):
    """A way to open streams to one phone: a direct link or an adb server."""

    @property
    def name(self) -> str:
        """The phone as this way knows it: a serial, or host:port."""

    @property
    def features(self) -> frozenset[str]:
        """What the phone's adbd offers (`stat_v2`, `ls_v2`, `shell_v2`, ...)."""

    @property
    def lanes(self) -> int:
        """How many streams are worth having at once."""

    @property
    def shares_link(self) -> bool:
        """Whether its streams share one link, which one thread at a time has; else each may have its own thread."""

    def open(self, service: bytes, seconds: float) -> Duplex:
        """Open a service (`sync:`, `shell,v2,raw:...`); PhoneRefused when the phone will not."""

    def close(self) -> None:
        """Release the link; safe to call twice and after any failure."""


class Inbox:
    """Bytes that came, to be taken in exact pieces."""

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self._size = 0

    def put(self, data: bytes | bytearray) -> None:
        """Add what came."""
        if data:
            self._pieces.append(memoryview(data))
            self._size += len(data)

    def take(self, size: int) -> memoryview | None:
        """Take exactly `size` bytes, or None when they are not there yet; copied only where they came in pieces.

        A size below zero is the least: all that is there is taken.
        """
        if size < 0:
            size = max(-size, self._size)
        if size > self._size:
            return None
        self._size -= size
        taken = [self._next(size)] if size else []
        while (left := size - sum(map(len, taken))) > 0:
            taken.append(self._next(left))
        return taken[0] if len(taken) == 1 else memoryview(b"".join(taken))

    def _next(self, most: int) -> memoryview:
        first = self._pieces.popleft()
        if len(first) > most:
            self._pieces.appendleft(first[most:])
        return first[:most]


class Conversation(Generic[T]):
    """What `out` gives is sent while `answers` is fed what comes, step by step.

    `out` may give b"" when it has nothing to send before more answers came, and the same buffer again and again: it is
    asked for more when all of it is sent. `answers` yields how many bytes it needs next, below zero where more than
    these are welcome.
    """

    def __init__(
        self, stream: Duplex, out: Iterator[bytes | memoryview], answers: Generator[int, memoryview, T]
    ) -> None:
        self._stream = stream
        self._out = out
        self._answers = answers
        self._inbox = Inbox()
        self._pending = memoryview(b"")
        self._need: int | None = None

    def step(self, seconds: float) -> None:
        """Wait until something moves, `seconds` at most; StopIteration with what `answers` returned at the end.

        Raises PhoneGone after that long a silence, and when the stream ends before `answers` does.
        """
        need = next(self._answers) if self._need is None else self._need
        while (piece := self._inbox.take(need)) is not None:
            need = self._answers.send(piece)
        self._need = need
        pending = self._pending or memoryview(next(self._out, b""))
        sent, got = self._stream.exchange(pending, seconds)
        if not sent and not got:
            raise PhoneGone("the phone ended the conversation early, or the link was lost")
        self._pending = pending[sent:]
        self._inbox.put(got)


def converse(talk: Conversation[T], *, patience: float, seconds: float | None = None) -> T:
    """Hold a conversation to its end, and return what came of it.

    Raises PhoneGone after `patience` seconds of silence, after `seconds` in all, and when the stream ends early.
    """
    until = time.monotonic() + seconds if seconds is not None else None
    try:
        while True:
            talk.step(_left(patience, until))
    except StopIteration as end:
        result: T = end.value
        return result


def converse_by_turns(talks: Iterable[Conversation[None]], *, patience: float) -> None:
    """Hold several conversations over one link, a step of each in turn; raises as `converse`.

    One that waits lets the others wait, whose streams are full of what they were told: the phone works on at all of them.
    """
    talking = deque(talks)
    while talking:
        with suppress(StopIteration):
            talking[0].step(patience)
            talking.rotate(-1)
            continue
        talking.popleft()


def _left(patience: float, until: float | None) -> float:
    if until is None:
        return patience
    left = until - time.monotonic()
    if left <= 0:
        raise Silence("the phone did not finish in time")
    return min(patience, left)
