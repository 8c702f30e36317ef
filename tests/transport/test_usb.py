"""USB cannot be plugged in here: adb-shell's real UsbTransport runs over a libusb that is played.

The played phone behaves as FunctionFS and adbd do: transfers come in packets of wMaxPacketSize, a read of 16 KiB ends
only when it is full or with a short packet, and what it reads is passed to a real adbd.
"""

from __future__ import annotations

import importlib
import socket
import sys
from typing import TYPE_CHECKING

import pytest
import usb1

from usbsync.errors import NoPhone, PhoneClaimed, PhoneFailed, PhoneGone, WhichPhone
from usbsync.transport import adb_usb
from usbsync.transport.adb_phone import AdbTransport
from usbsync.transport.base import Pull, Push
from usbsync.transport.ways import Seen, State, list_charging, list_usb, open_usb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rigs.phone import TestPhone

PACKET = 512
READ = 16 * 1024


class Endpoint:
    def __init__(self, address: int) -> None:
        self._address = address

    def getAddress(self) -> int:  # noqa: N802
        return self._address

    def getMaxPacketSize(self) -> int:  # noqa: N802
        return PACKET


class Setting:
    def __init__(self, kind: tuple[int, int, int] = (0xFF, 0x42, 1)) -> None:
        self.kind = kind

    def getClass(self) -> int:  # noqa: N802
        return self.kind[0]

    def getSubClass(self) -> int:  # noqa: N802
        return self.kind[1]

    def getProtocol(self) -> int:  # noqa: N802
        return self.kind[2]

    def getNumber(self) -> int:  # noqa: N802
        return 0

    def iterEndpoints(self) -> list[Endpoint]:  # noqa: N802
        return [Endpoint(0x81), Endpoint(0x01)]


class Device:
    """A phone on the bus; `broken` maps a call to the libusb error that it ends in."""

    def __init__(self, serial: str = "USB1", port: int | None = None, stale: bytes = b"") -> None:
        self.serial, self.port, self.stale = serial, port, stale
        self.broken: dict[str, type[usb1.USBError]] = {}
        self.writes: list[int] = []
        self.claims = 0
        self.hiccup = False  # time out once in the middle of a payload
        self.settings = [Setting()]

    def iterSettings(self) -> list[Setting]:  # noqa: N802
        return self.settings

    def getSerialNumber(self) -> str:  # noqa: N802
        self.check("serial")
        return self.serial

    def open(self) -> Handle:
        self.check("open")
        return Handle(self)

    def check(self, call: str) -> None:
        if call in self.broken:
            raise self.broken[call]


class Handle:
    def __init__(self, device: Device) -> None:
        self._device = device
        self._socket = socket.create_connection(("127.0.0.1", device.port)) if device.port else None
        self._held = bytearray()  # what a read of the phone's has got so far
        self._out = bytearray()  # what the phone has written: header and payload, each its own transfer
        self._short = 0
        self._stale = device.stale
        self._again = b""  # what a read that timed out has left to the next
        self.is_closed = False

    def kernelDriverActive(self, _: int) -> bool:  # noqa: N802
        return False

    def claimInterface(self, _: int) -> None:  # noqa: N802
        self._device.check("claim")
        self._device.claims += 1

    def releaseInterface(self, _: int) -> None:  # noqa: N802
        self._device.check("release")
        self._device.claims -= 1

    def getProduct(self) -> str:  # noqa: N802
        return "Pixel\x1b 8"

    def close(self) -> None:
        self.is_closed = True
        if self._socket:
            self._socket.close()

    def bulkWrite(self, _: int, data: bytes, timeout: int) -> int:  # noqa: N802
        self._device.check("write")
        self._device.writes.append(len(data))
        self._held += data
        whole = len(self._held) - len(self._held) % READ
        if len(data) % PACKET or not data:  # a short packet ends the read
            whole = len(self._held)
        self._socket.sendall(self._held[:whole])
        del self._held[:whole]
        return len(data)

    def bulkRead(self, _: int, length: int, timeout: int) -> bytearray:  # noqa: N802
        self._device.check("read")
        if self._stale:
            stale, self._stale = self._stale, b""
            return bytearray(stale)
        self._socket.settimeout(timeout / 1000)
        got, self._again = bytearray(self._again), b""
        try:
            while len(got) < length:
                piece = self._socket.recv(min(length - len(got), 16384))
                if not piece:
                    raise usb1.USBErrorNoDevice
                got += piece
                if self._device.hiccup and length != 24:
                    self._device.hiccup = False
                    got, rest = got[:1], got[1:]
                    self._again = bytes(rest)
                    raise timed_out(got)
        except TimeoutError:
            raise timed_out(got) from None
        return got


def timed_out(received: bytearray) -> usb1.USBErrorTimeout:
    error = usb1.USBErrorTimeout()
    error.received = received
    return error


class Context:
    """What adb-shell sees as libusb."""

    bus: list[Device] = []  # noqa: RUF012

    def open(self) -> Context:
        return self

    def getDeviceIterator(self, *, skip_on_error: bool) -> Iterator[Device]:  # noqa: N802
        return iter(self.bus)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Device]]:
    module = "adb_shell.transport.usb_transport"
    monkeypatch.setattr(usb1, "USBContext", Context)
    monkeypatch.setattr(Context, "bus", [])
    monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.import_module(module)
    yield Context.bus
    sys.modules.pop(module, None)


@pytest.fixture
def plugged(bus: list[Device], phone: TestPhone) -> Device:
    bus.append(Device(port=phone.port))
    return bus[0]


def ignore(_: int) -> None:
    pass


@pytest.mark.adbd
@pytest.mark.parametrize("size", [0, 1, 504, 512, READ, READ - 8, 65536 * 3 + 7, 3 << 20])
def test_every_size_crosses_usb(plugged: Device, tmp_path: Path, size: int):
    data = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "f").write_bytes(data[:size])
    transport = open_usb("USB1", patience=5)
    transport.push([Push(tmp_path / "f", "/sdcard/f", 7)], ignore)
    transport.pull([Pull("/sdcard/f", tmp_path / "g")], ignore)
    assert (tmp_path / "g").read_bytes() == data[:size]
    transport.close()
    assert plugged.claims == 0


@pytest.mark.adbd
def test_transfers_that_fill_their_last_packet_are_ended(plugged: Device):
    transport = open_usb(patience=2)
    base = len(b"shell,v2,raw:") + len("'printf' '%s' ''") + 1
    done = transport.run(["printf", "%s", "x" * (2 * PACKET - base)], seconds=5)
    assert len(done.stdout) == 2 * PACKET - base
    at = plugged.writes.index(2 * PACKET)
    assert plugged.writes[at - 1 : at + 2] == [24, 2 * PACKET, 0]
    transport.close()


@pytest.mark.adbd
def test_what_a_session_before_left_is_drained(plugged: Device):
    plugged.stale = b"CLSE" + bytes(20)
    transport = open_usb(patience=5)
    assert transport.run(["echo", "x"]).stdout == b"x\n"
    transport.close()


@pytest.mark.adbd
def test_what_came_before_a_timeout_is_kept(plugged: Device):
    transport = AdbTransport(open_usb(patience=5)._opener.inner)  # the link alone: nobody gives it up
    plugged.hiccup = True
    with pytest.raises(PhoneGone):
        transport.run(["echo", "torn"])
    assert not plugged.hiccup
    assert transport.run(["echo", "x"]).stdout == b"x\n"
    transport.close()


@pytest.mark.adbd
@pytest.mark.parametrize("call", ["read", "write"])
@pytest.mark.parametrize(
    "error", [usb1.USBErrorIO, usb1.USBErrorNoDevice, usb1.USBErrorPipe, usb1.USBErrorTimeout]
)
def test_an_unplugged_phone_is_gone(plugged: Device, call: str, error: type[usb1.USBError]):
    transport = open_usb(patience=3)
    plugged.broken = {call: error, "release": error}
    with pytest.raises(PhoneGone):
        transport.stat("/sdcard")
    transport.close()


@pytest.mark.parametrize(
    ("call", "error", "expected"),
    [
        ("claim", usb1.USBErrorBusy, PhoneClaimed),
        ("open", usb1.USBErrorAccess, PhoneFailed),
        ("open", usb1.USBErrorNoDevice, PhoneGone),
        ("claim", usb1.USBErrorIO, PhoneGone),
    ],
)
def test_a_phone_that_cannot_be_opened_says_why(
    bus: list[Device], call: str, error: type[usb1.USBError], expected: type[PhoneFailed]
):
    bus.append(Device())
    bus[0].broken = {call: error}
    with pytest.raises(expected) as caught:
        open_usb()
    assert type(caught.value) is expected
    assert error is not usb1.USBErrorAccess or "udev-rules" in caught.value.hint


@pytest.mark.parametrize(
    ("broken", "state"),
    [
        ({}, State.READY),
        ({"claim": usb1.USBErrorBusy}, State.CLAIMED),
        ({"open": usb1.USBErrorAccess, "serial": usb1.USBErrorAccess}, State.FORBIDDEN),
        ({"open": usb1.USBErrorIO, "serial": usb1.USBErrorIO}, State.OFFLINE),
    ],
)
def test_the_list_tells_the_state(bus: list[Device], broken: dict[str, type[usb1.USBError]], state: State):
    bus.append(Device("S\x00 1"))
    bus[0].broken = broken
    seen = Seen("usb", "", state) if "open" in broken else Seen("usb:S? 1", "S? 1", state, "Pixel? 8")
    assert list_usb() == [seen]
    assert bus[0].claims == 0


def test_which_of_two(bus: list[Device]):
    with pytest.raises(NoPhone):
        open_usb()
    bus += [Device("A"), Device("B")]
    with pytest.raises(WhichPhone, match="usb:A, usb:B"):
        open_usb()
    with pytest.raises(NoPhone, match="C"):
        open_usb("C")


def test_without_libusb_there_is_no_usb(monkeypatch: pytest.MonkeyPatch):
    def fail(_: object) -> None:
        raise FileNotFoundError("cannot find a suitable libusb-1.0")

    monkeypatch.setattr(usb1.USBContext, "open", fail)
    monkeypatch.delitem(sys.modules, "adb_shell.transport.usb_transport", raising=False)
    assert list_usb() == []
    with pytest.raises(NoPhone, match="libusb") as caught:
        open_usb()
    assert caught.value.hint == adb_usb.NO_LIBUSB


MTP = (6, 1, 1)


def test_a_phone_without_debugging_is_told_from_a_phone_and_from_a_mouse(bus: list[Device]):
    phone, charging, mouse, unread = Device("1"), Device("2"), Device("3"), Device("4")
    phone.settings = [Setting(MTP), Setting()]
    charging.settings = [Setting(MTP)]
    mouse.settings = [Setting((3, 1, 2))]
    unread.settings = [Setting(MTP)]
    unread.broken["open"] = usb1.USBErrorAccess
    bus += [phone, charging, mouse, unread]
    assert list_charging() == [Seen("usb", "", State.CHARGING, model) for model in ("Pixel? 8", "")]
    assert [seen.serial for seen in list_usb()] == ["1"]
    assert all(device.claims == 0 for device in bus)
