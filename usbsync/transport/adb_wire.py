"""adb-shell's TCP transport with what it lacks (reference/adb.md 2 and 3), and every error of both as one of ours.

It gets no delay, sends that are looped to their end, and an end that is noticed.
"""

from __future__ import annotations

import socket
import time
from typing import NoReturn, Protocol

import usb1
from adb_shell.exceptions import TcpTimeoutException, UsbReadFailedError, UsbWriteFailedError
from adb_shell.transport.tcp_transport import TcpTransport

from usbsync.errors import NoPhone, PhoneClaimed, PhoneFailed, PhoneGone
from usbsync.transport.duplex import Silence

_READ = 256 * 1024
LOST = (OSError, usb1.USBError, UsbReadFailedError, UsbWriteFailedError, TcpTimeoutException)
RIGHTS = "install the rules in udev-rules/ as README says, then plug the phone in again"


class Wire(Protocol):
    """Bytes of ADB packets to and from one adbd; `until` is a time.monotonic()."""

    name: str

    def read(self, size: int, until: float) -> bytes:
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
        self._buffer = bytearray()
        try:
            self._tcp.connect(seconds)
        except OSError as error:
            raise NoPhone(f"nothing answers at {self.name}: {error}") from error
        # adb-shell's own object; without this every message waits 40 ms for the other side's delayed ACK
        self._tcp._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # noqa: SLF001

    def read(self, size: int, until: float) -> bytes:
        """Read exactly `size` bytes; PhoneGone at the end of the stream and of the time."""
        while len(self._buffer) < size:
            try:
                data = self._tcp.bulk_read(max(size - len(self._buffer), _READ), left(until))
            except LOST as error:
                raise_ours(self.name, error)
            if not data:
                raise PhoneGone(f"{self.name} closed the connection")
            self._buffer += data
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken

    def write(self, header: bytes, payload: bytes | memoryview, until: float) -> None:
        """Send one packet whole; adb-shell's bulk_write may send a part only."""
        rest = memoryview(header + bytes(payload))
        while rest:
            try:
                rest = rest[self._tcp.bulk_write(rest, left(until)) :]
            except LOST as error:
                raise_ours(self.name, error)

    def close(self) -> None:
        """Close the socket."""
        self._tcp.close()


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
