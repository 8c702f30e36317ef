"""Every way to open a transport, and what can be seen before opening one.

`spec` is what the command line calls a device: `usb:SERIAL`, `adb:SERIAL`, `tcp:HOST:PORT` or `folder:PATH`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from usbsync.errors import NoPhone, PhoneGone, WhichPhone
from usbsync.transport.base import Shell, Transport
from usbsync.transport.duplex import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from usbsync.transport.adb_keys import Signer
    from usbsync.transport.adb_server import Following
    from usbsync.transport.adb_wire import Wire
    from usbsync.transport.duplex import Opener

PATIENCE = 60.0
"""Seconds that a phone may say nothing while it still answers (pulse.py); one that does not is given up sooner."""
CONNECT_SECONDS = 10.0
"""How long a connection may take, and each answer while it is made."""
PAUSES = (0.1, 0.7)
"""Seconds between tries to open a phone."""
ALLOW_SECONDS = 60.0
"""How long a person may take to tap Allow."""

# ADB's libraries are imported where they are used: folders and --help need none of them, and they take 0.2 s.


class Phone(Transport, Shell, Protocol):
    """A replica on a phone: files and commands."""


class State(StrEnum):
    """What a device that was seen would answer; only READY ones are worth opening."""

    READY = "ready"
    UNAUTHORIZED = "unauthorized"  # an adb server says so; over USB it is known only after opening
    OFFLINE = "offline"
    CLAIMED = "claimed"  # another program (mostly an adb server) holds the USB interface
    FORBIDDEN = "forbidden"  # no rights to the USB device: udev rules are missing
    CHARGING = "charging"  # it has no ADB interface: USB debugging is off
    OTHER = "other"  # recovery, sideload, bootloader, ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A device that is there, not opened; `serial` and `model` are hostile text made printable."""

    spec: str
    serial: str
    state: State
    model: str = ""


_SERVER_STATES = {"device": State.READY, "unauthorized": State.UNAUTHORIZED, "offline": State.OFFLINE}


def list_usb() -> list[Seen]:
    """List the USB devices that have an ADB interface; empty where libusb is missing or sees none."""
    from usbsync.transport.adb_usb import look, phones  # noqa: PLC0415

    with suppress(NoPhone):
        return [_seen_usb(*look(usb)) for usb in phones()]
    return []


def list_charging() -> list[Seen]:
    """List the USB devices that offer files as phones do, and no ADB; empty where libusb is missing."""
    from usbsync.transport.adb_usb import without_adb  # noqa: PLC0415

    with suppress(NoPhone):
        return [Seen("usb", "", State.CHARGING, model) for model in without_adb()]
    return []


def on_the_bus() -> frozenset[tuple[int, int]]:
    """Return bus and address of every USB device that has an ADB interface; opens none, so nobody is disturbed."""
    from usbsync.transport.adb_usb import address, phones  # noqa: PLC0415

    with suppress(NoPhone):
        return frozenset(map(address, phones()))
    return frozenset()


def check_usb() -> None:
    """Raise NoPhone where USB cannot be used at all."""
    from usbsync.transport.adb_usb import phones  # noqa: PLC0415

    next(iter(phones()), None)


def server_devices() -> int:
    """Count what a running adb server knows; NoPhone when none is running."""
    from usbsync.transport.adb_server import devices  # noqa: PLC0415

    return len(devices())


def list_server() -> list[Seen]:
    """List what a running adb server knows; empty when none is running. Never starts one."""
    from usbsync.transport.adb_server import devices  # noqa: PLC0415

    with suppress(NoPhone):
        return [
            Seen(f"adb:{serial}", serial, _SERVER_STATES.get(state, State.OTHER), model)
            for serial, state, model in devices()
        ]
    return []


def follow_server() -> Following:
    """Follow what a running adb server knows; NoPhone when none is running, PhoneFailed when it cannot be followed."""
    from usbsync.transport.adb_server import Following  # noqa: PLC0415

    return Following()


def open_usb(
    serial: str | None = None, *, on_waiting: Callable[[], None] | None = None, patience: float = PATIENCE
) -> Phone:
    """Open a phone over USB without an adb server; `on_waiting` is called when a person must tap Allow.

    Raises NoPhone, WhichPhone, PhoneClaimed, PhoneUnauthorized, PhoneFailed.
    """
    from usbsync.transport.adb_usb import UsbWire, phones, serial_of  # noqa: PLC0415

    def wire() -> Wire:
        found = [usb for usb in phones() if serial in {None, serial_of(usb)}]
        one: Any = _only(found, [serial_of(usb) for usb in found], "usb", serial)
        return UsbWire(one, seconds=CONNECT_SECONDS)

    return _tried(lambda: _direct(wire(), on_waiting, patience))


def open_tcp(
    host: str, port: int = 5555, *, on_waiting: Callable[[], None] | None = None, patience: float = PATIENCE
) -> Phone:
    """Open a phone whose adbd listens on TCP; errors as `open_usb`."""
    from usbsync.transport.adb_wire import TcpWire  # noqa: PLC0415

    return _tried(lambda: _direct(TcpWire(host, port, seconds=_connect(patience)), on_waiting, patience))


def open_server(serial: str | None = None, *, patience: float = PATIENCE) -> Phone:
    """Open a phone through the adb server that is running; NoPhone, with a hint, when none is."""
    from usbsync.transport.adb_server import Server, devices  # noqa: PLC0415

    known = [found for found, *_ in devices() if serial in {None, found}]
    one = _only(known, known, "adb", serial)
    return _tried(lambda: _phone(Server(one), patience))


def open_folder(path: Path) -> Transport:
    """Open a folder as a replica's root, a phone mounted by MTP with its limits; NoPhone when it is not a folder."""
    from usbsync.transport.folder import FolderTransport  # noqa: PLC0415
    from usbsync.transport.mtp import MtpTransport, is_mtp  # noqa: PLC0415

    return MtpTransport(path) if is_mtp(path) else FolderTransport(path)


def _seen_usb(serial: str, model: str, word: str) -> Seen:
    return Seen(f"usb:{serial}" if serial else "usb", serial, State(word), model)


def _only(found: Sequence[Any], names: Sequence[str], way: str, serial: str | None) -> Any:
    if not found:
        raise NoPhone(f"no phone {serial} by {way}" if serial else f"no phone is seen by {way}")
    if len(found) > 1:
        raise WhichPhone(f"several phones: {', '.join(f'{way}:{name}' for name in names)}")
    return found[0]


def _tried(opened: Callable[[], Phone]) -> Phone:
    """Try again where a link breaks while it is made, for nothing was asked of the phone yet.

    adbd may reset a connection that comes while it gives up the one before; over USB it may leave the bus for a moment.
    """
    try:
        return opened()
    except Silence:
        raise
    except PhoneGone as error:
        for pause in PAUSES:
            time.sleep(pause)
            try:
                return opened()
            except Silence:
                break
            except (PhoneGone, NoPhone):
                continue
        raise error  # noqa: TRY201  # the first: that it is not found again says less


def _direct(wire: Wire, on_waiting: Callable[[], None] | None, patience: float) -> Phone:
    from usbsync.transport.adb_link import Link  # noqa: PLC0415
    from usbsync.transport.adb_stream import Streams  # noqa: PLC0415

    try:
        link = Link(
            wire,
            _known_keys,
            _own_key,
            on_waiting=on_waiting,
            patience=_connect(patience),
            allow_seconds=ALLOW_SECONDS,
        )
        return _phone(Streams(link), patience)
    except BaseException:
        wire.close()
        raise


def _known_keys() -> list[Signer]:
    from usbsync.transport.adb_keys import known  # noqa: PLC0415  # 0.05 s, and an emulator asks for none

    return known()


def _own_key() -> Signer:
    from usbsync.transport.adb_keys import own  # noqa: PLC0415

    return own()


def _connect(patience: float) -> float:
    return min(patience, CONNECT_SECONDS)


def _phone(opener: Opener, patience: float) -> Phone:
    from usbsync.transport.adb_phone import AdbTransport  # noqa: PLC0415
    from usbsync.transport.pulse import Pulsed  # noqa: PLC0415

    return AdbTransport(Pulsed(opener), patience=patience)
