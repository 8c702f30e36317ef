"""adb-shell's USB transport with what it lacks (reference/adb.md 5, usb-phone.md 3), and the phones on the bus.

It gets a zero-length packet after transfers that fill their last packet (without it adbd waits for more), a drain after
connecting (what a session before left unread makes adbd drop off the bus), and keeps what came before a timeout.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import usb1
from adb_shell.exceptions import UsbReadFailedError

from usbsync.errors import NoPhone, PhoneFailed
from usbsync.transport.adb_wire import LOST, left, raise_ours
from usbsync.transport.paths import said

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADB, _FILES = (0xFF, 0x42, 1), (6, 1, 1)
"""Class, subclass and protocol of interfaces: adbd's, and "still image", which MTP and PTP are."""
NO_LIBUSB = "install libusb (on Debian: apt install libusb-1.0-0), or use --device adb"


class UsbWire:
    """A phone on a USB cable; `usb` is adb-shell's UsbTransport, not connected yet."""

    def __init__(self, usb: Any, *, seconds: float) -> None:
        self.name = serial_of(usb) or "usb"
        self._usb = usb
        self._buffer = bytearray()
        self._packet = packet_size(usb)
        try:
            usb.connect(seconds)
        except LOST as error:
            self.close()
            raise_ours(self.name, error)
        self._drain()

    def read(self, size: int, until: float) -> bytes:
        """Read exactly `size` bytes: a request larger than what is left of a packet would lose the rest."""
        while len(self._buffer) < size:
            try:
                self._buffer += self._usb.bulk_read(size - len(self._buffer), left(until))
            except UsbReadFailedError as error:
                self._buffer += getattr(error.usb_error, "received", b"")
                if len(self._buffer) < size:
                    raise_ours(self.name, error)
            except LOST as error:
                raise_ours(self.name, error)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def write(self, header: bytes, payload: bytes | memoryview, until: float) -> None:
        """Send header and payload as transfers of their own, each of which ends in a short packet, as adbd reads."""
        for part in (header, payload):
            self._write(memoryview(part), until)

    def close(self) -> None:
        """Release the interface; adb-shell leaves the device open when releasing fails, as after an unplug."""
        handle = self._usb._transport  # noqa: SLF001
        with suppress(*LOST):
            self._usb.close()
        with suppress(*LOST):
            if handle is not None:
                handle.close()

    def _write(self, part: memoryview, until: float) -> None:
        rest = part
        try:
            while rest:
                rest = rest[self._usb.bulk_write(bytes(rest), left(until)) :]
            if part and len(part) % self._packet == 0:
                self._usb.bulk_write(b"", left(until))
        except LOST as error:
            raise_ours(self.name, error)

    def _drain(self) -> None:
        """Read away what a session before us left unread."""
        with suppress(UsbReadFailedError):
            while True:
                self._usb.bulk_read(4096, 0.02)


def phones() -> Iterator[Any]:
    """Yield adb-shell's UsbTransport for each ADB interface; NoPhone when libusb is not there."""
    try:
        yield from _usb().find_all_adb_devices()
    except usb1.USBError as error:
        raise PhoneFailed(f"USB cannot be read: {error}") from error


def without_adb() -> Iterator[str]:
    """Yield the model ("" where it may not be read) of each device with MTP or PTP and no ADB interface."""
    with suppress(usb1.USBError):
        for device in _usb().USB1_CTX.getDeviceIterator(skip_on_error=True):
            kinds = {
                (each.getClass(), each.getSubClass(), each.getProtocol()) for each in device.iterSettings()
            }
            if _FILES in kinds and _ADB not in kinds:
                yield _model_of(device)


def _usb() -> Any:
    try:
        from adb_shell.transport.usb_transport import UsbTransport  # noqa: PLC0415  # loads libusb when imported
    except OSError as error:
        raise NoPhone(f"USB cannot be used: {error}", hint=NO_LIBUSB) from error
    return UsbTransport


def serial_of(usb: Any) -> str:
    """Return a USB phone's serial, made printable; "" when it has none or we may not read it."""
    with suppress(usb1.USBError):
        return said((usb.serial_number or "").encode("utf-8", "replace"), most=64)
    return ""


def address(usb: Any) -> tuple[int, int]:
    """Return the bus and the address of a USB phone; it gets another one at each plug."""
    return usb._device.getBusNumber(), usb._device.getDeviceAddress()  # noqa: SLF001


def packet_size(usb: Any) -> int:
    """Return wMaxPacketSize of the endpoint to the phone (512 for USB 2, 1024 for USB 3)."""
    endpoints = usb._setting.iterEndpoints()  # noqa: SLF001  # adb-shell has it and shows it nowhere
    sizes = [each.getMaxPacketSize() for each in endpoints if not each.getAddress() & usb1.ENDPOINT_DIR_MASK]
    return int(sizes[0]) if sizes and sizes[0] > 0 else 512


def look(usb: Any) -> tuple[str, str, str]:
    """Return (serial, model, state word) of a phone; claims its interface for a moment to know whether it is free."""
    try:
        handle = usb._device.open()  # noqa: SLF001
    except usb1.USBErrorAccess:
        return "", "", "forbidden"
    except usb1.USBError:
        return "", "", "offline"
    try:
        return serial_of(usb), _model(handle), _claim(handle, usb._setting.getNumber())  # noqa: SLF001
    finally:
        handle.close()


def _model_of(device: Any) -> str:
    try:
        handle = device.open()
    except usb1.USBError:
        return ""
    try:
        return _model(handle)
    finally:
        handle.close()


def _model(handle: Any) -> str:
    with suppress(usb1.USBError):
        return said((handle.getProduct() or "").encode("utf-8", "replace"), most=64)
    return ""


def _claim(handle: Any, interface: int) -> str:
    try:
        handle.claimInterface(interface)
        handle.releaseInterface(interface)
    except usb1.USBErrorBusy:
        return "claimed"
    except usb1.USBError:
        return "offline"
    return "ready"
