"""adb-shell's TCP transport with what it lacks (reference/adb.md 2 and 3), and every error of both as one of ours.

It gets no delay, sends that are looped to their end, an end that is noticed, and large payloads that are not copied.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, Protocol, TypeVar

import usb1
from adb_shell.exceptions import TcpTimeoutException, UsbReadFailedError, UsbWriteFailedError
from adb_shell.transport.tcp_transport import TcpTransport

from usbsync.errors import NoPhone, PhoneClaimed, PhoneFailed, PhoneGone
from usbsync.transport.duplex import Silence

_READ = 64 * 1024
LOST = (OSError, usb1.USBError, UsbReadFailedError, UsbWriteFailedError, TcpTimeoutException)
T = TypeVar("T")
RIGHTS = "install the rules in udev-rules/ as README says, then plug the phone in again"


class Wire(Protocol):
    """Bytes of ADB packets to and from one adbd; `until` is a time.monotonic()."""

    name: str

    def read(self, size: int, until: float) -> bytes | bytearray:
        """Read exactly `size` bytes; what came before a deadline is kept for the next read."""

    def write(self, header: bytes, payload: bytes | memoryview, until: float) -> None:
        """Send one packet whole."""

    def close(self) -> None:
        """Release the link; safe to call twice."""


class TcpWire:
    """An adbd that listens on TCP; `seconds` bounds connecting."""

    def __init__(self, host: str, port: int, *, seconds: float) -> None:
        self.name = f"{host}:{port}"
        self._tcp = TcpTransport(host, port)
        self._ahead = memoryview(b"")  # came with what was asked for before
        try:
            self._tcp.connect(seconds)
        except OSError as error:
            raise NoPhone(f"nothing answers at {self.name}: {error}") from error
        self._socket: socket.socket = self._tcp._connection  # noqa: SLF001  # adb-shell's, set not to block
        # without this every message waits 40 ms for the other side's delayed ACK
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, size: int, until: float) -> bytearray:
        """Read exactly `size` bytes; PhoneGone at the end of the stream and of the time."""
        whole, filled = bytearray(size), 0
        try:
            while filled < size:
                filled += self._receive(memoryview(whole)[filled:], until)
        except PhoneGone:
            self._ahead = memoryview(bytes(whole[:filled]) + bytes(self._ahead))
            raise
        return whole

    def write(self, header: bytes, payload: bytes | memoryview, until: float) -> None:
        """Send one packet whole."""
        apart = len(payload) > _READ  # a small one goes with its header, a large one is not copied
        for part in (header, payload) if apart else (header + bytes(payload),):
            rest = memoryview(part)
            while rest:
                rest = rest[self._send(rest, until) :]

    def close(self) -> None:
        """Close the socket."""
        self._tcp.close()

    def _receive(self, target: memoryview, until: float) -> int:
        """Put what came into `target`: for a large one straight from the socket, for a small one by reading ahead."""
        if not self._ahead and len(target) >= _READ:
            return self._received(self._when_ready(lambda: self._socket.recv_into(target), until))
        if not self._ahead:
            self._ahead = memoryview(self._when_ready(lambda: self._socket.recv(_READ), until))
            self._received(len(self._ahead))
        size = min(len(target), len(self._ahead))
        target[:size], self._ahead = self._ahead[:size], self._ahead[size:]
        return size

    def _received(self, size: int) -> int:
        if not size:
            raise PhoneGone(f"{self.name} closed the connection")
        return size

    def _send(self, part: memoryview, until: float) -> int:
        return self._when_ready(lambda: self._socket.send(part), until, sending=True)

    def _when_ready(self, action: Callable[[], T], until: float, *, sending: bool = False) -> T:
        """Try at once, then whenever the socket is ready."""
        while True:
            seconds = left(until)
            with suppress(BlockingIOError):
                try:
                    return action()
                except BlockingIOError:
                    raise
                except OSError as error:
                    raise_ours(self.name, error)
            waiting = ([], [self._socket]) if sending else ([self._socket], [])
            select.select(*waiting, [], seconds)


def left(until: float) -> float:
    """Return the seconds until then; Silence when there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise Silence("the phone did not answer in time")
    return seconds


def raise_ours(name: str, error: Exception) -> NoReturn:
    """Raise the error of ours that this one is; libusb's is inside adb-shell's."""
    inner = _usb_error(error)
    if isinstance(inner, usb1.USBErrorBusy):
        raise PhoneClaimed(f"another program holds the USB interface of {name}") from error
    if isinstance(inner, usb1.USBErrorAccess):
        raise PhoneFailed(f"this user may not open the USB device {name}", hint=RIGHTS) from error
    if isinstance(inner, usb1.USBErrorTimeout) or isinstance(error, TcpTimeoutException):
        raise Silence(f"{name} did not answer in time") from error
    raise PhoneGone(f"the link to {name} was lost: {inner or error}") from error


def _usb_error(error: BaseException) -> usb1.USBError | None:
    """Find libusb's error: itself, or an argument at any depth (UsbWriteFailedError keeps a tuple)."""
    if isinstance(error, usb1.USBError):
        return error
    inside = getattr(error, "args", ())
    flat = [part for each in inside for part in (each if isinstance(each, tuple) else (each,))]
    return next((part for part in flat if isinstance(part, usb1.USBError)), None)
