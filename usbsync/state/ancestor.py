"""The ancestor: what both replicas held after the last sync, which tells a change from a difference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, NamedTuple

from usbsync.errors import DamagedData
from usbsync.state.files import durable_copy, sha256_of, sweep_temporaries
from usbsync.state.records import damaged, part, read_record, texts, write_record

if TYPE_CHECKING:
    from usbsync.state.pair import Pair

_VERSION = 1
_NAME = "ancestor.json"
_SEEN = [int, int, str]
_SHA256 = re.compile("[0-9a-f]{64}", re.ASCII)
_LATEST = 253_402_300_800.0  # the year 10000, in seconds since 1970
_INFO: Mapping[str, tuple[type, UnionType | type]] = {
    "phone": (str, str),
    "answer": (str, str),
    "left": (dict, str),
    "brought": (dict, str | None),
    "old": (list, str),
}
"""The session's notes: what each is, and what is in it."""
_HINT = "nothing was changed; choose with --first merge, upload or download, and a new memory is begun"


class Seen(NamedTuple):
    """What a file was when it was last hashed: size in bytes, mtime in whole seconds since 1970."""

    # a frozen dataclass takes three times as long to make, and there are tens of thousands

    size: int
    mtime: int
    sha1: str


@dataclass(frozen=True, slots=True)
class Ancestor:
    """What both held after the last sync."""

    collection: Path
    sha256: str  # of the phone's main file as we left it, which `collection` is byte for byte
    desktop_sha256: str
    media: Mapping[str, str]  # name -> sha1, of what both held
    seen_desktop: Mapping[str, Seen]
    seen_phone: Mapping[str, Seen]
    when: float  # seconds since 1970
    info: Mapping[str, Any] = field(default_factory=dict)  # the session's own notes; JSON

    def check(self) -> None:
        """Hash the collection file; DamagedData when it is not what was remembered."""
        if sha256_of(self.collection) != self.sha256:
            raise damaged(self.collection, "its content has changed", hint=_HINT)


def load_ancestor(pair: Pair) -> Ancestor | None:
    """Return what was remembered last, or None before the first sync; `check` compares the content.

    Raises DamagedData when the memory is damaged, or its collection file is gone.
    """
    path = pair.folder / _NAME
    try:
        record = read_record(path, version=_VERSION)
        return None if record is None else _placed(from_record(record, path), pair.folder)
    except DamagedData as error:
        raise DamagedData(str(error), hint=_HINT if "newer" not in str(error) else error.hint) from error


def _placed(ancestor: Ancestor, folder: Path) -> Ancestor:
    collection = folder / ancestor.collection.name
    if not collection.is_file():
        raise damaged(collection, "it is missing")
    return replace(ancestor, collection=collection)


def remember(pair: Pair, new: Ancestor) -> Ancestor:
    """Make `new` the ancestor, copying its collection file in; return it as it is now kept.

    At every instant `load_ancestor` gives the old one or the new one, whole. Doing it again does no harm, so
    recovery may. Raises DamagedData when the file does not have the sha256 that `new` says.
    """
    folder = pair.create()
    kept = replace(new, collection=folder / f"ancestor-{new.sha256}.anki2")
    if new.collection != kept.collection and durable_copy(new.collection, kept.collection) != new.sha256:
        raise damaged(new.collection, "it changed while it was being remembered")
    write_record(folder / _NAME, as_record(kept), version=_VERSION)
    _sweep(folder, kept.collection)
    return kept


def forget(pair: Pair) -> None:
    """Remove the ancestor: the next sync is a first sync."""
    (pair.folder / _NAME).unlink(missing_ok=True)
    _sweep(pair.folder, None)


def _sweep(folder: Path, kept: Path | None) -> None:
    with suppress(OSError):  # the new one is in place: what cannot be removed now goes next time
        sweep_temporaries(folder)
        for old in folder.glob("ancestor-*.anki2"):
            if old != kept:
                old.unlink(missing_ok=True)


def as_record(ancestor: Ancestor) -> dict[str, Any]:
    """Turn it into JSON values, as the journal keeps it too."""
    return {
        "collection": str(ancestor.collection),
        "sha256": ancestor.sha256,
        "desktop_sha256": ancestor.desktop_sha256,
        "media": dict(ancestor.media),
        "seen_desktop": _seen_out(ancestor.seen_desktop),
        "seen_phone": _seen_out(ancestor.seen_phone),
        "when": float(ancestor.when),
        "info": dict(ancestor.info),
    }


def from_record(record: Mapping[str, Any], path: Path) -> Ancestor:
    """Turn JSON values read from `path` back; DamagedData when they are not an ancestor's."""
    return Ancestor(
        collection=Path(part(record, "collection", str, path)),
        sha256=_hash_in(part(record, "sha256", str, path), path),
        desktop_sha256=part(record, "desktop_sha256", str, path),
        media=texts(record, "media", path),
        seen_desktop=_seen_in(part(record, "seen_desktop", dict, path), path),
        seen_phone=_seen_in(part(record, "seen_phone", dict, path), path),
        when=_when_in(part(record, "when", float, path), path),
        info=_info_in(part(record, "info", dict, path), path),
    )


def _hash_in(sha256: str, path: Path) -> str:
    """Check what becomes part of a file's name."""
    if not _SHA256.fullmatch(sha256):
        raise damaged(path, "a hash is none")
    return sha256


def _when_in(when: float, path: Path) -> float:
    if not 0 <= when < _LATEST:  # nor is it NaN
        raise damaged(path, "a time is none")
    return when


def _info_in(info: dict[str, Any], path: Path) -> dict[str, Any]:
    """Check the session's own notes, by what kind each of them is."""
    for name, kinds in _INFO.items():
        value = info.get(name)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        outer, within = kinds
        if not isinstance(value, outer | None) or not all(isinstance(each, within) for each in inner):
            raise damaged(path, f"its note {name!r} makes no sense")
    return info


def _seen_out(seen: Mapping[str, Seen]) -> dict[str, list[int | str]]:
    return {name: [file.size, file.mtime, file.sha1] for name, file in seen.items()}


def _seen_in(record: Mapping[str, Any], path: Path) -> dict[str, Seen]:
    return {name: _one_seen(value, path) for name, value in record.items()}


def _one_seen(value: object, path: Path) -> Seen:
    # by hand: a `match` takes five times as long, and there are tens of thousands
    if type(value) is list and list(map(type, value)) == _SEEN:
        return Seen(*value)
    raise damaged(path, "a seen file is not size, mtime and hash")
