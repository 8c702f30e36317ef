"""What a person may name as the phone: `usb[:SERIAL]`, `adb[:SERIAL]`, `tcp:HOST[:PORT]`, `folder:PATH`, `package:FILE`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import TypeAlias

from usbsync.errors import UsageError

ADB_PORT = 5555

FORMS = "give --device usb, usb:SERIAL, adb, adb:SERIAL, tcp:HOST, tcp:HOST:PORT, folder:PATH or package:FILE"

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")
_PORT = re.compile(r"[0-9]{1,5}")
_LONGEST_SERIAL = 255


@dataclass(frozen=True, slots=True)
class Usb:
    """A phone on the cable, with no adb server between; the only one when no serial is given."""

    serial: str | None = None

    def __str__(self) -> str:
        return "usb" if self.serial is None else f"usb:{self.serial}"


@dataclass(frozen=True, slots=True)
class Adb:
    """A device of the adb server that is running; the only one when no serial is given."""

    serial: str | None = None

    def __str__(self) -> str:
        return "adb" if self.serial is None else f"adb:{self.serial}"


@dataclass(frozen=True, slots=True)
class Tcp:
    """An adbd that listens on the network; `host` of IPv6 is without its brackets."""

    host: str
    port: int = ADB_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is, or holds, an AnkiDroid folder."""

    path: Path

    def __str__(self) -> str:
        return f"folder:{self.path}"


@dataclass(frozen=True, slots=True)
class Package:
    """A phone's own export, carried here by hand."""

    path: Path

    def __str__(self) -> str:
        return f"package:{self.path}"


Spec: TypeAlias = Usb | Adb | Tcp | Folder | Package


def parse(text: str) -> Spec:
    """Read a SPEC; `str()` of the answer is a SPEC for the same device. Raises UsageError that says the forms."""
    way, colon, rest = text.partition(":")
    match way:
        case "usb":
            return Usb(_serial(text, rest) if colon else None)
        case "adb":
            return Adb(_serial(text, rest) if colon else None)
        case "tcp":
            return _tcp(text, rest)
        case "folder":
            return Folder(_path(text, rest))
        case "package":
            return Package(_path(text, rest))
    raise _bad(text, "no such way to a phone")


def _bad(text: str, why: str) -> UsageError:
    return UsageError(f"--device {text!r}: {why}", hint=FORMS)


def _serial(text: str, serial: str) -> str:
    """Check a serial; one of an adb server may hold `:` (an address) and spaces (a name found by mDNS)."""
    if not serial.strip() or not serial.isprintable() or len(serial) > _LONGEST_SERIAL:
        raise _bad(text, "a serial is missing or has impossible characters; usbsync devices lists them")
    return serial


def _tcp(text: str, rest: str) -> Tcp:
    host, port = _bracketed(text, rest) if rest.startswith("[") else _plain(text, rest)
    return Tcp(host, ADB_PORT if port is None else _port(text, port))


def _plain(text: str, rest: str) -> tuple[str, str | None]:
    if rest.count(":") > 1:
        raise _bad(text, "an IPv6 address goes in brackets, as in tcp:[fe80::1]:5555")
    host, colon, port = rest.partition(":")
    if not _HOST.fullmatch(host):
        raise _bad(text, "that is no name or address of a host")
    return host, port if colon else None


def _bracketed(text: str, rest: str) -> tuple[str, str | None]:
    host, bracket, port = rest[1:].partition("]")
    try:
        IPv6Address(host)
    except ValueError:
        raise _bad(text, "that is no IPv6 address in brackets") from None
    if not bracket or (port and not port.startswith(":")):
        raise _bad(text, "after the bracket comes nothing, or :PORT")
    return host, port[1:] if port else None


def _port(text: str, port: str) -> int:
    if not _PORT.fullmatch(port) or not 0 < int(port) < 1 << 16:
        raise _bad(text, "a port is a number from 1 to 65535")
    return int(port)


def _path(text: str, rest: str) -> Path:
    if not rest or "\0" in rest:
        raise _bad(text, "the folder or file is missing")
    try:
        return Path(rest).expanduser()  # no shell expands the ~ after a colon
    except RuntimeError:
        raise _bad(text, "there is no home folder of that name") from None
