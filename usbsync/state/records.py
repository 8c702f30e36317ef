"""JSON records: written whole with a version and a checksum, read back checked."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

from usbsync.errors import DamagedData, NewerState
from usbsync.state.files import durable_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")
_HINT = (
    "move that file away (do not delete it yet) and run the command again: what it remembered is begun anew"
)


def write_record(path: Path, record: Mapping[str, object], *, version: int) -> None:
    """Write a record durably; it is there whole, or the one before it is."""
    body = _text(record)
    whole = {"version": version, "sha256": _sum(body), "record": json.loads(body)}
    with durable_write(path) as file:
        file.write(_text(whole).encode())


def read_record(path: Path, *, version: int) -> dict[str, Any] | None:
    """Read a record, or None where there is none.

    Raises DamagedData when it is torn or garbled, or was written by a newer usbsync.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _opened(json.loads(raw), raw, version, path)
    except (ValueError, RecursionError) as error:  # ValueError: neither UTF-8 nor JSON
        raise damaged(path, "it cannot be read") from error


def _opened(whole: object, raw: bytes, version: int, path: Path) -> dict[str, Any]:
    match whole:
        case {"version": int(found)} if found > version:
            raise NewerState(f"{path} was written by a newer usbsync (format {found})")
        case {"version": int(), "sha256": str(checksum), "record": dict(record)} if checksum in _sums(
            raw, record
        ):
            return record
    raise damaged(path, "its checksum is wrong")


def part(record: Mapping[str, Any], key: str, kind: type[T], path: Path) -> T:
    """Take one value out of a record; DamagedData when it is missing or of another type."""
    value = record.get(key) if isinstance(record, dict) else None  # it may lie within a record
    if not isinstance(value, kind):
        raise damaged(path, f"{key!r} is missing or of the wrong type")
    return value


def texts(record: Mapping[str, Any], key: str, path: Path) -> dict[str, str]:
    """Take names and texts out of a record; raises as `part`."""
    found = part(record, key, dict, path)
    if not all(isinstance(value, str) for value in found.values()):
        raise damaged(path, f"{key!r} is not names and texts")
    return found


def damaged(path: Path, why: str, *, hint: str | None = None) -> DamagedData:
    """Make the error for a state file that is not what we wrote."""
    return DamagedData(
        f"usbsync's own file {path} is damaged: {why}; both collections are untouched", hint=hint or _HINT
    )


def _text(value: object) -> str:
    # ASCII, so that any str survives: a lone surrogate is no UTF-8, but is JSON
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _sums(raw: bytes, record: Mapping[str, object]) -> Iterator[str]:
    """Yield the checksum of the record as it lies there, then as we would write it: to write it anew takes longer."""
    text = raw.removeprefix(b'{"record":').rpartition(b',"sha256":')[0]
    yield hashlib.sha256(text).hexdigest()
    yield _sum(_text(record))


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
