"""Which phone: what is seen, which of it is meant, and opening it.

A phone on the cable can be reached directly or through an adb server, never both: the server claims the USB
interface. So each phone that is seen is listed once, with the way that works now.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, assert_never

from usbsync.device.spec import FORMS, Adb, Folder, Package, Spec, Tcp, Usb, parse
from usbsync.errors import (
    NoDebugging,
    NoPhone,
    PhoneClaimed,
    PhoneFailed,
    PhoneOffline,
    PhoneUnauthorized,
    UsageError,
    UsbsyncError,
    WhichPhone,
)
from usbsync.transport import ways
from usbsync.transport.ways import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from usbsync.transport.base import Transport
    from usbsync.transport.ways import Seen


class How(StrEnum):
    """The way to a phone that was seen."""

    USB = "usb"
    SERVER = "adb server"


@dataclass(frozen=True, slots=True)
class SeenPhone:
    """A phone that is there: `spec` is what to give as --device; serial and model are printable, not trusted."""

    spec: str
    serial: str
    model: str
    state: State
    how: How

    def __str__(self) -> str:
        return f"{self.spec} ({', '.join(filter(None, (self.model, self.state.value)))})"


class Ways(Protocol):
    """The functions of `usbsync.transport.ways`; tests give their own."""

    def list_usb(self) -> list[Seen]:
        """List the USB devices that have an ADB interface."""

    def list_server(self) -> list[Seen]:
        """List what a running adb server knows."""

    def list_charging(self) -> list[Seen]:
        """List the phones on USB that have no ADB interface."""

    def open_usb(
        self, serial: str | None = None, *, on_waiting: Callable[[], None] | None = None
    ) -> Transport:
        """Open a phone over USB."""

    def open_tcp(
        self, host: str, port: int = ..., *, on_waiting: Callable[[], None] | None = None
    ) -> Transport:
        """Open a phone over TCP."""

    def open_server(self, serial: str | None = None) -> Transport:
        """Open a phone through the adb server."""

    def open_folder(self, path: Path) -> Transport:
        """Open a folder."""


def seen_phones(*, via: Ways = ways) -> list[SeenPhone]:
    """List every phone once, by the way that would be used; an adb server's phones are reached through it."""
    server = via.list_server()
    owned = {seen.serial for seen in server}
    loose = [seen for seen in via.list_usb() if not _is_servers(seen, owned)]
    return [_phone(seen, How.USB) for seen in loose] + [_phone(seen, How.SERVER) for seen in server]


def charging_phones(*, via: Ways = ways) -> list[SeenPhone]:
    """List what is plugged in and may be a phone, but cannot be reached: its USB debugging is off."""
    return [_phone(seen, How.USB) for seen in via.list_charging()]


class SeveralPhones(WhichPhone):
    """Several phones could be meant."""

    def __init__(self, phones: Sequence[SeenPhone]) -> None:
        listed = "; ".join(map(str, phones))
        super().__init__(f"several phones are there: {listed}", hint=_name_one(phones))
        self.phones = tuple(phones)


def open_phone(
    spec: Spec | None, *, on_waiting: Callable[[], None] | None = None, via: Ways = ways
) -> Transport:
    """Open the phone that is named, or the only one there is; `on_waiting` is called when a person must tap Allow.

    Raises SeveralPhones when several could be meant, NoPhone when none is there, NoDebugging when one only charges,
    and what opening it raises.
    """
    if spec is None:
        spec = _choose(seen_phones(via=via) or charging_phones(via=via))
    match spec:
        case Usb(serial):
            return via.open_usb(serial, on_waiting=on_waiting)
        case Adb(serial):
            return via.open_server(serial)
        case Tcp(host, port):
            return via.open_tcp(host, port, on_waiting=on_waiting)
        case Folder(path):
            return via.open_folder(path)
        case Package():
            raise UsageError("a package is no phone that could be reached", hint=FORMS)
        case _:
            assert_never(spec)


def _is_servers(seen: Seen, owned: set[str]) -> bool:
    """Say whether the adb server has this USB device; one whose serial we may not read is taken to be its."""
    return seen.serial in owned or (bool(owned) and not seen.serial)


def _phone(seen: Seen, how: How) -> SeenPhone:
    return SeenPhone(seen.spec, seen.serial, seen.model, seen.state, how)


def _choose(phones: Sequence[SeenPhone]) -> Spec:
    """Choose by the cable first: the one phone on USB, else the server's one device."""
    usb = [phone for phone in phones if phone.how is How.USB]
    likely = usb if len(usb) == 1 and usb[0].state is State.READY else _worth_asking_about(phones)
    if not likely:
        raise NoPhone("no phone is seen over USB, and none through an adb server")
    if len(likely) > 1 and any(phone.state is not State.CHARGING for phone in likely):
        raise SeveralPhones(likely)
    return _ready(likely[0])


def _worth_asking_about(phones: Sequence[SeenPhone]) -> list[SeenPhone]:
    """Leave out what cannot be meant (an emulator gone offline, a phone in recovery) when anything else is there."""
    dead = (State.OFFLINE, State.OTHER)
    return [phone for phone in phones if phone.state not in dead] or list(phones)


def _name_one(phones: Sequence[SeenPhone]) -> str:
    return "choose one with " + " or ".join(f"--device {phone.spec}" for phone in phones)


def _ready(phone: SeenPhone) -> Spec:
    """Return how to open it; else raise the error that says what a person can do about its state."""
    name = phone.model or phone.serial or "a phone"
    match phone.state:
        case State.READY:
            return spec_of(phone)
        case State.UNAUTHORIZED:
            raise PhoneUnauthorized(f"{name} has not allowed USB debugging from this computer")
        case State.OFFLINE:
            raise PhoneOffline(f"{name} is offline: it is plugged in and does not answer")
        case State.CLAIMED:
            raise PhoneClaimed(f"another program, mostly an adb server, holds the USB interface of {name}")
        case State.FORBIDDEN:
            raise PhoneFailed(
                f"this account has no rights to the USB device of {name}",
                hint="run usbsync setup, which installs a udev rule, then unplug the phone and plug it in again",
            )
        case State.CHARGING:
            raise NoDebugging(f"{name} is plugged in, and its USB debugging is off")
        case State.OTHER:
            raise NoPhone(
                f"{name} is plugged in, but Android is not running on it (recovery, bootloader, sideload)",
                hint="start the phone normally, unlock it, and run the command again",
            )
        case _:
            assert_never(phone.state)


def to_do(phone: SeenPhone) -> str:
    """Say what a person can do about a phone that is not ready; nothing about one that is."""
    try:
        _ready(phone)
    except UsbsyncError as error:
        return error.hint
    return ""


def spec_of(phone: SeenPhone) -> Spec:
    """Return how to name a phone that was seen; PhoneFailed where its serial cannot be a name."""
    try:
        return parse(phone.spec)
    except UsageError as error:
        raise PhoneFailed(f"a phone's serial makes no sense: {phone.serial!r}") from error
