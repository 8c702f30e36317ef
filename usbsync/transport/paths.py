"""What may be a path of a replica's, checked on the way in and on the way out."""

from __future__ import annotations

from pathlib import Path

from usbsync.errors import DamagedData, PhoneRefused

LONGEST = 1024
"""Bytes of a path that adbd takes (`file_sync_service.cpp`: "path too long"); the same for all transports."""


def checked(path: str) -> str:
    """Return the path if it is absolute, plain and short enough; PhoneRefused otherwise.

    Plain: no NUL, no `.` or `..`, no empty component; `/` itself is allowed.
    """
    parts = path.split("/")
    plain = path == "/" or (path.startswith("/") and not {"", ".", ".."} & set(parts[1:]))
    if not plain or "\0" in path or len(encoded(path)) > LONGEST:
        raise PhoneRefused(f"not a path that usbsync would use: {shown(path)}")
    return path


def checked_name(name: bytes) -> str:
    """Return a listed entry's name as text; DamagedData when it cannot be one component."""
    if name in {b"", b".", b".."} or b"/" in name or b"\0" in name:
        raise DamagedData(f"the phone listed an impossible file name: {name!r}")
    return name.decode("utf-8", "surrogateescape")


def encoded(path: str) -> bytes:
    """Return the path's bytes; PhoneRefused for text that no listing can have produced."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise PhoneRefused(f"not a path that usbsync would use: {shown(path)}") from None


def shown(path: str) -> str:
    """Return a path for a message: one line, printable, whatever the phone put into it."""
    return ascii(path) if not path.isprintable() else path


def found_at(identity: str, path: str) -> str:
    """Say where a person finds a replica's file: a folder's paths go on from where it is, a phone's are whole."""
    return shown(f"{identity.rstrip('/')}{path}" if Path(identity).is_absolute() else path)


def parent(path: str) -> str:
    """Return the folder that holds a checked path."""
    return path.rpartition("/")[0] or "/"


def said(message: bytes, *, most: int = 300) -> str:
    """Return a phone's own words for a message: one printable line, not too long."""
    text = " ".join(message.decode("utf-8", "replace").split())
    return "".join(c if c.isprintable() else "?" for c in text)[:most]
