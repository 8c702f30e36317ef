"""Streams over one link: several at once, none loses a packet that came while another was waited for.

Whoever waits for its own stream reads the link and hands each packet to the stream it is for; there are no threads,
and a link belongs to one thread at a time. Where the phone offers `delayed_ack` each side may send as much as the other
has room for, and each OKAY says how much that has become again; an older one waits for the OKAY of each WRTE, and so do
we. What comes in meanwhile is kept, and acknowledged while little is waiting, so memory is bounded.
(AOSP `packages/modules/adb/docs/dev/delayed_ack.md`.)
"""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from usbsync.errors import DamagedData, PhoneGone, PhoneRefused
from usbsync.transport.adb_link import DELAYED_ACK
from usbsync.transport.duplex import Silence
from usbsync.transport.paths import said

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbsync.transport.adb_link import Link, Packet

T = TypeVar("T")

WAITING_MOST = 4 << 20
"""Bytes of a stream that may wait here before the phone is left without its OKAY."""
AHEAD_MOST = 4 << 20
"""Bytes of a stream that are sent before the phone said that it took them; it may offer room for more."""
_ACK_EACH = 256 * 1024
_COUNT = struct.Struct("<i")


class Stream:
    """One open service (a Duplex)."""

    def __init__(self, streams: Streams, number: int) -> None:
        self._streams = streams
        self._inbox: deque[bytes | bytearray] = deque()
        self._waiting = 0
        self._owed = 0  # bytes that came and are not acknowledged
        self._room = 0  # bytes that may be sent; where each WRTE waits for its OKAY, all or none
        self._offered = 0  # what that was at first
        self.number = number
        self.peer = 0
        self.is_closed = False

    @property
    def is_open(self) -> bool:
        """Whether the phone has accepted it."""
        return self.peer != 0

    def exchange(self, out: memoryview, seconds: float) -> tuple[int, bytes | bytearray]:
        """Send some of `out`, or take what came; see Duplex."""
        until = time.monotonic() + seconds
        while True:
            sent = self._send(out, until)
            got = self._take(until)
            if sent or got or self.is_closed:
                return sent, got
            self._streams.pump(until)

    def close(self) -> None:
        """Tell the phone, unless it closed first; a lost link is no error here."""
        self._streams.forget(self)

    def accept(self, packet: Packet, until: float) -> None:
        """Take a packet that is for this stream."""
        if packet.command == b"WRTE":
            self._inbox.append(packet.payload)
            self._waiting += len(packet.payload)
            self._owed += len(packet.payload)
            self._pay(until)
        elif packet.command == b"OKAY":
            self._room = self._room_after(packet)
            self._offered = self._offered or self._room
            self.peer = self.peer or packet.arg0
        else:
            self.is_closed = True

    def _send(self, out: memoryview, until: float) -> int:
        worth_it = min(
            len(out), self._offered, _ACK_EACH
        )  # many small packets cost more than waiting for room
        if not out or self._room < worth_it or self.is_closed:
            return 0
        piece = out[: min(self._streams.link.payload_most, self._room)]
        self._room = self._room - len(piece) if self._streams.delays else 0
        self._streams.send(b"WRTE", self.number, self.peer, piece, until)
        return len(piece)

    def _room_after(self, okay: Packet) -> int:
        if not self._streams.delays:
            return self._streams.link.payload_most
        if len(okay.payload) != _COUNT.size:
            raise DamagedData("the phone does not say how much it took")
        (more,) = _COUNT.unpack(okay.payload)
        # what it offers at first may be more than we would send ahead
        return int(self._room + more if self.is_open else max(1, min(more, AHEAD_MOST)))

    def _take(self, until: float) -> bytes | bytearray:
        if not self._inbox:
            return b""
        data = self._inbox.popleft()
        self._waiting -= len(data)
        self._pay(until)
        return data

    def _pay(self, until: float) -> None:
        least = _ACK_EACH if self._streams.delays else 1
        if self._owed >= least and self._waiting <= WAITING_MOST and not self.is_closed:
            count = _COUNT.pack(self._owed) if self._streams.delays else b""
            self._owed = 0
            self._streams.send(b"OKAY", self.number, self.peer, count, until)


class Streams:
    """All streams of one link (an Opener)."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.delays = DELAYED_ACK in link.features
        self._open: dict[int, Stream] = {}
        self._last = 0
        self._lost: PhoneGone | None = None

    @property
    def name(self) -> str:
        """The link's."""
        return self.link.name

    @property
    def features(self) -> frozenset[str]:
        """What the phone's banner offered."""
        return self.link.features

    @property
    def lanes(self) -> int:
        """The phone writes small files slower than they come, and with two streams on two of its cores."""
        return 2

    @property
    def shares_link(self) -> bool:
        """There is one, and no threads."""
        return True

    def open(self, service: bytes, seconds: float) -> Stream:
        """Open a service; PhoneRefused when the phone closes it at once."""
        self._last += 1
        stream = self._open[self._last] = Stream(self, self._last)
        until = time.monotonic() + seconds
        self.send(b"OPEN", stream.number, WAITING_MOST if self.delays else 0, service + b"\0", until)
        while not stream.is_open and not stream.is_closed:
            self.pump(until)
        if not stream.is_open:
            self.forget(stream)
            raise PhoneRefused(f"the phone does not offer {said(service, most=60)}")
        return stream

    def pump(self, until: float) -> None:
        """Receive one packet and give it to its stream."""
        packet = self._guarded(lambda: self.link.receive(until), may_be_late=True)
        stream = self._open.get(packet.arg1)
        if packet.command == b"OPEN":  # the phone's idea (reverse); we offer nothing
            self.send(b"CLSE", 0, packet.arg0, b"", until)
        elif stream is not None and packet.command in {b"OKAY", b"WRTE", b"CLSE"}:
            stream.accept(packet, until)

    def send(self, command: bytes, arg0: int, arg1: int, payload: bytes | memoryview, until: float) -> None:
        """Send a packet."""
        self._guarded(lambda: self.link.send(command, arg0, arg1, payload, until))

    def forget(self, stream: Stream) -> None:
        """Close a stream; packets still under way for it are dropped when they come."""
        if self._open.pop(stream.number, None) and self._lost is None:
            try:
                self.send(b"CLSE", stream.number, stream.peer, b"", time.monotonic() + 1.0)
            except PhoneGone:
                stream.is_closed = True

    def close(self) -> None:
        """Close all streams and the link."""
        for stream in [*self._open.values()]:
            stream.close()
        self._lost = self._lost or PhoneGone(f"the link to {self.name} was closed")
        self.link.close()

    def _guarded(self, action: Callable[[], T], *, may_be_late: bool = False) -> T:
        """Once the link is lost it stays lost; a packet that was sent in part has lost it too."""
        if self._lost is not None:
            raise PhoneGone(str(self._lost)) from self._lost
        try:
            return action()
        except PhoneGone as error:
            if not (may_be_late and isinstance(error, Silence)):
                self._lost = error
            raise
