"""Listing a media folder, hashing only what changed since it was last seen."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usbsync.core.media import MediaFile, Skipped
from usbsync.core.media_names import file_problem, name_problem
from usbsync.errors import DamagedData
from usbsync.state.ancestor import Seen
from usbsync.transport.base import Kind
from usbsync.transport.paths import found_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from usbsync.core.conflict import Side
    from usbsync.transport.base import FileInfo, Transport

MAX_FILES = 1_000_000
MAX_SIZE = 1 << 50
RACY_SECONDS = 2
BATCH = 1000

_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Listing:
    """A replica's media: what can be synced, what is left alone and why, and the cache for the next time."""

    files: Mapping[str, MediaFile]
    skipped: tuple[Skipped, ...]
    seen: Mapping[str, Seen]

    @property
    def others(self) -> frozenset[str]:
        """The names there that are not `files`; reconcile_media must know of them."""
        return frozenset(skip.name for skip in self.skipped)


def list_media(
    transport: Transport,
    folder: str,
    seen: Mapping[str, Seen],
    *,
    where: Side,
    now: Callable[[], float] = time.time,
    on_file: Callable[[int], None] = lambda _count: None,
) -> Listing:
    """List and hash a media folder; one that is missing is empty.

    A file is hashed unless size and mtime are those of `seen`. One younger than two seconds (mtimes are whole
    seconds) could change again unseen, so the returned cache leaves it out. `on_file` gets counts of files just
    hashed. Raises DamagedData for a listing that makes no sense, and what the transport raises.
    """
    infos = entries(transport, folder)
    listed_at = now()
    skipped = [Skipped(info.name, where, why) for info in infos if (why := _problem(info))]
    out = {skip.name for skip in skipped}
    good = [info for info in infos if info.name not in out]
    known = {info.name: seen[info.name].sha1 for info in good if _is_known(info, seen)}
    hashes = known | _hashes(transport, folder, [info for info in good if info.name not in known], on_file)
    files: dict[str, MediaFile] = {}
    for info in good:
        if sha1 := hashes.get(info.name):
            files[info.name] = MediaFile(sha1, info.size, info.mtime)
        else:  # not "deleted": that would be passed on to the other replica
            skipped.append(Skipped(info.name, where, "it went away while it was being read"))
    fresh = {name: file for name, file in files.items() if name not in known}
    kept = {name: seen[name] for name in known}
    return Listing(files, tuple(skipped), kept | trusted(fresh, listed_at))


def trusted(files: Mapping[str, MediaFile], listed_at: float) -> dict[str, Seen]:
    """Return the cache of those files that are too old to change within the second of their mtime."""
    return {
        name: Seen(file.size, file.mtime, file.sha1)
        for name, file in files.items()
        if file.mtime < listed_at - RACY_SECONDS
    }


def entries(transport: Transport, folder: str) -> Sequence[FileInfo]:
    """List all that is in a media folder, by name; one that is missing is empty. Raises DamagedData where it makes no sense."""
    there = transport.stat(folder)
    if there is None:
        return ()
    if there.kind is not Kind.FOLDER:
        where = found_at(transport.identity, folder)
        raise DamagedData(f"{where} is no folder", hint=f"nothing was changed; make {where} a plain folder")
    infos = transport.list(folder)
    if len(infos) > MAX_FILES:
        raise _nonsense(folder, f"it names {len(infos)} files")
    if len({info.name for info in infos}) < len(infos):
        raise _nonsense(folder, "it names a file twice")
    if any(not 0 <= info.size <= MAX_SIZE for info in infos):
        raise _nonsense(folder, "it names a file of an impossible size")
    return sorted(infos, key=lambda info: info.name)


def _nonsense(folder: str, why: str) -> DamagedData:
    return DamagedData(f"the listing of {folder} makes no sense: {why}; nothing was changed")


def _problem(info: FileInfo) -> str | None:
    if problem := name_problem(info.name):
        return problem
    if info.kind is not Kind.FILE:
        return "it is a folder" if info.kind is Kind.FOLDER else "it is no plain file"
    return file_problem(info.size)


def _is_known(info: FileInfo, seen: Mapping[str, Seen]) -> bool:
    known = seen.get(info.name)
    return known is not None and known.size == info.size and known.mtime == info.mtime


def _hashes(
    transport: Transport, folder: str, infos: Sequence[FileInfo], on_file: Callable[[int], None]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for batch in batches([info.name for info in infos], BATCH):
        paths = {f"{folder}/{name}": name for name in batch}
        for path, sha1 in transport.hash(tuple(paths), "sha1").items():
            if path not in paths or not _SHA1.fullmatch(sha1):
                raise _nonsense(folder, "a hash is none, or is of a file that was not asked for")
            found[paths[path]] = sha1
        on_file(len(batch))
    return found


def batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut a sequence into pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def listed(transport: Transport, folder: str) -> dict[str, tuple[int, int]]:
    """List size and mtime of the files that can be synced, hashing none; raises as `list_media`."""
    return {info.name: (info.size, info.mtime) for info in entries(transport, folder) if not _problem(info)}
