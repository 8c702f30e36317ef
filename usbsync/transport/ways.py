"""Every way to open a transport, and what can be seen before opening one.

`spec` is what the command line calls a device: `usb:SERIAL`, `adb:SERIAL`, `tcp:HOST:PORT` or `folder:PATH`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from usbsync.errors import NoPhone
from usbsync.transport.base import Shell, Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Phone(Transport, Shell, Protocol):
    """A replica on a phone: files and commands."""


class State(StrEnum):
    """What a device that was seen would answer; only READY ones are worth opening."""

    READY = "ready"
    UNAUTHORIZED = "unauthorized"  # an adb server says so; over USB it is known only after opening
    OFFLINE = "offline"
    CLAIMED = "claimed"  # another program (mostly an adb server) holds the USB interface
    FORBIDDEN = "forbidden"  # no rights to the USB device: udev rules are missing
    OTHER = "other"  # recovery, sideload, bootloader, ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A device that is there, not opened; `serial` and `model` are hostile text made printable."""

    spec: str
    serial: str
    state: State
    model: str = ""


def list_usb() -> list[Seen]:
    """List the USB devices that have an ADB interface; empty where libusb is missing or sees none."""
    raise NoPhone("not built yet")


def list_server() -> list[Seen]:
    """List what a running adb server knows; empty when none is running. Never starts one."""
    raise NoPhone("not built yet")


def open_usb(serial: str | None = None, *, on_waiting: Callable[[], None] | None = None) -> Phone:
    """Open a phone over USB without an adb server; `on_waiting` is called when a person must tap Allow.

    Raises NoPhone, WhichPhone, PhoneClaimed, PhoneUnauthorized, PhoneFailed.
    """
    raise NoPhone(f"not built yet: {serial} {on_waiting}")


def open_tcp(host: str, port: int = 5555, *, on_waiting: Callable[[], None] | None = None) -> Phone:
    """Open a phone whose adbd listens on TCP; errors as `open_usb`."""
    raise NoPhone(f"not built yet: {host} {port} {on_waiting}")


def open_server(serial: str | None = None) -> Phone:
    """Open a phone through the adb server that is running; NoPhone, with a hint, when none is."""
    raise NoPhone(f"not built yet: {serial}")


def open_folder(path: Path) -> Transport:
    """Open a folder as a replica's root; NoPhone when it is not a folder."""
    raise NoPhone(f"not built yet: {path}")
