"""What is plugged in, as the kernel tells it (Linux, sysfs): also devices that this account may not open."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from usbsync.transport.paths import said

_ADB = ("ff", "42", "01")
_FILES = ("06", "01", "01")  # PTP and MTP


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A USB device that is a phone, or could be one; `name` is its own word made printable."""

    name: str
    serial: str
    node: Path
    adb: bool

    @property
    def usable(self) -> bool:
        """Say whether this account may use it."""
        return os.access(self.node, os.R_OK | os.W_OK)


def plugged_in(root: Path = Path("/")) -> list[UsbDevice]:
    """List the devices that offer ADB, or files only; empty where there is no sysfs."""
    found = [_device(folder, root) for folder in sorted((root / "sys/bus/usb/devices").glob("*"))]
    return [device for device in found if device]


def _device(folder: Path, root: Path) -> UsbDevice | None:
    interfaces = {_interface(each) for each in folder.glob("*:*")}
    bus, number = _word(folder / "busnum"), _word(folder / "devnum")
    if not interfaces & {_ADB, _FILES} or not (bus.isdigit() and number.isdigit()):
        return None
    product, serial = (_word(folder / name) for name in ("product", "serial"))
    node = root / "dev/bus/usb" / f"{int(bus):03}" / f"{int(number):03}"
    return UsbDevice(f"{product} {serial}".strip() or "a phone", serial, node, _ADB in interfaces)


def _interface(folder: Path) -> tuple[str, ...]:
    return tuple(_word(folder / f"bInterface{part}") for part in ("Class", "SubClass", "Protocol"))


def _word(path: Path) -> str:
    try:
        return said(path.read_bytes(), most=64)
    except OSError:
        return ""
