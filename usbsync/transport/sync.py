"""The SYNC service of adbd: list, stat, send and receive files, with many requests in flight both ways.

A round trip per file is what makes `adb pull` slow (20 s for 5,000 small files, 0.3 s here: reference/adb.md 2), so
requests are sent without waiting for answers; adbd answers in order. Formats: AOSP `file_sync_protocol.h`.
After FAIL adbd ends the service (`file_sync_service.cpp`), so the stream is given up and opened again when needed.
"""

from __future__ import annotations

import errno
import struct
from io import FileIO
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar

from usbsync.errors import DamagedData, NoSpace, PhoneFailed, PhoneRefused
from usbsync.transport import durable
from usbsync.transport.base import FileInfo, Kind
from usbsync.transport.duplex import Conversation, converse
from usbsync.transport.folder import kind_of
from usbsync.transport.paths import checked, checked_name, encoded, said, shown

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from usbsync.transport.base import OnBytes, Pull, Push
    from usbsync.transport.duplex import Duplex, Opener

T = TypeVar("T")

DATA_MOST = 64 * 1024
"""The largest DATA that adbd takes or gives (SYNC_DATA_MAX)."""
BATCH = 1 << 20
IN_FLIGHT = 512
"""RECV requests sent ahead: enough to hide any latency, few enough to fit any buffer."""
AT_ONCE = 128
NAME_MOST = 4096
LISTING_MOST = 256 << 20
"""Bytes of the names of one folder, AN_ENTRY more counted for each: a million files pass, and a listing without end does not."""
AN_ENTRY = 128
SANE = 1 << 60

_HEAD = struct.Struct("<4sI")
_STAT1 = struct.Struct("<4sIII")
_STAT2 = struct.Struct("<4sIQQIIIIQqqq")
_DENT1 = struct.Struct("<4sIIII")
_DENT2 = struct.Struct("<4sIQQIIIIQqqqI")
_ABSENT = {errno.ENOENT, errno.ENOTDIR}


class _Look(NamedTuple):
    """What a stat says; mode 0 where nothing is."""

    mode: int
    size: int
    mtime: int


class Sync:
    """One SYNC stream, opened when needed; `patience` is the longest silence in seconds."""

    def __init__(self, opener: Opener, *, patience: float) -> None:
        self._opener = opener
        self._patience = patience
        self._stream: Duplex | None = None

    def stat(self, paths: Sequence[str]) -> list[FileInfo | None]:
        """Describe files without following symlinks; None for each that is not there."""
        out = _batched([_request(self._stat_id, checked(path)) for path in paths])
        return self._talk(out, self._stats(paths))

    def modes(self, paths: Sequence[str]) -> list[int]:
        """Return the POSIX modes of files, 0 for each that is not there."""
        out = _batched([_request(self._stat_id, checked(path)) for path in paths])
        return [found.mode for found in self._talk(out, self._looks(paths))]

    def are_folders(self, paths: Sequence[str]) -> list[bool]:
        """Tell of each path whether it is a folder, or a symlink to one."""
        inside = [_inside(path) for path in paths]
        out = _batched(_request(self._stat_id, path) for path in inside)
        found = self._talk(out, self._stats(inside))
        return [info is not None and info.kind is Kind.FOLDER for info in found]

    def entries(self, folder: str) -> list[FileInfo]:
        """List a folder; PhoneRefused when it is not there or not a folder.

        adbd lists what it cannot open as empty: see `AdbTransport.list`. `.` and `..` are kept here.
        """
        v2 = "ls_v2" in self._opener.features
        inside = _inside(folder)
        out = _request(self._stat_id, inside) + _request(b"LIS2" if v2 else b"LIST", folder)
        info, entries = self._talk(iter([out]), self._listing(inside, folder, v2=v2))
        if info is None or info.kind is not Kind.FOLDER:
            raise PhoneRefused(f"{shown(folder)} is not a folder on the phone")
        return entries

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """Copy files from the phone; all are made durable together at the end."""
        pulling = _Pulling([*wanted], on_bytes)
        self._talk(pulling.requests(), pulling.answers())
        durable.flush_files([pull.target for pull in pulling.wanted])

    def push(self, files: Iterable[Push], on_bytes: OnBytes, *, mode: int) -> None:
        """Copy files to the phone. adbd unlinks the target first, and on failure what it wrote."""
        pushes = [*files]
        self._talk(_sends(pushes, on_bytes, mode), _statuses(pushes))

    def pushing(self, files: Sequence[Push], on_bytes: OnBytes, *, mode: int) -> Conversation[None]:
        """Begin a push that somebody else holds to its end, or closes this."""
        return self._conversation(_sends(files, on_bytes, mode), _statuses(files))

    def close(self) -> None:
        """Give the stream up; it is opened again when needed."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    @property
    def _stat_id(self) -> bytes:
        return b"LST2" if "stat_v2" in self._opener.features else b"STAT"

    def _talk(self, out: Iterator[bytes | memoryview], answers: Generator[int, memoryview, T]) -> T:
        try:
            return converse(self._conversation(out, answers), patience=self._patience)
        except BaseException:
            self.close()
            raise

    def _conversation(
        self, out: Iterator[bytes | memoryview], answers: Generator[int, memoryview, T]
    ) -> Conversation[T]:
        if self._stream is None:
            self._stream = self._opener.open(b"sync:", self._patience)
        return Conversation(self._stream, out, answers)

    def _stats(self, paths: Sequence[str]) -> Generator[int, memoryview, list[FileInfo | None]]:
        looks = yield from self._looks(paths)
        named = zip(paths, looks, strict=True)
        return [_info(path.rpartition("/")[2], *look) if look.mode else None for path, look in named]

    def _looks(self, paths: Sequence[str]) -> Generator[int, memoryview, list[_Look]]:
        found: list[_Look] = []
        for path in paths:
            found += [(yield from self._look(path))]
        return found

    def _look(self, path: str) -> Generator[int, memoryview, _Look]:
        if self._stat_id == b"STAT":
            kind, mode, size, mtime = _STAT1.unpack((yield _STAT1.size))
            _expect(kind, b"STAT")
            return _Look(mode, size, mtime)
        kind, error, _, _, mode, _, _, _, size, _, mtime, _ = _STAT2.unpack((yield _STAT2.size))
        _expect(kind, b"LST2")
        if error and error not in _ABSENT:
            raise PhoneRefused(f"{shown(path)}: the phone cannot look at it ({_word(error)})")
        return _Look(0, 0, 0) if error else _Look(mode, size, mtime)

    def _listing(
        self, inside: str, folder: str, *, v2: bool
    ) -> Generator[int, memoryview, tuple[FileInfo | None, list[FileInfo]]]:
        (whole,) = yield from self._stats([inside])
        entries: list[FileInfo] = []
        form, kind = (_DENT2, b"DNT2") if v2 else (_DENT1, b"DENT")
        left, raw, at = LISTING_MOST, b"", 0
        while (
            True
        ):  # over all that came: folders of 20,000 files are not rare, and asking for each row takes its time
            if len(raw) < at + form.size:
                raw, at = raw[at:] + bytes((yield len(raw) - at - form.size)), 0
            row = form.unpack_from(raw, at)
            if row[0] == b"DONE":
                break
            _expect(row[0], kind)
            end = at + form.size + _bounded(row[-1], NAME_MOST)
            if len(raw) < end:
                raw, at, end = raw[at:] + bytes((yield len(raw) - end)), 0, end - at
            name, at = raw[at + form.size : end], end
            if (left := left - len(name) - AN_ENTRY) < 0:
                raise DamagedData(f"{shown(folder)}: the phone's listing has no end")
            if info := _entry(folder, name, *((row[1], row[4], row[8], row[10]) if v2 else (0, *row[1:4]))):
                entries.append(info)
        if len(raw) > at + form.size:
            raise DamagedData(f"{shown(folder)}: the phone's listing goes on after its end")
        return whole, entries


class _Pulling:
    """The two halves of a pull: requests go out at most IN_FLIGHT ahead of the answers."""

    def __init__(self, wanted: Sequence[Pull], on_bytes: OnBytes) -> None:
        self.wanted = wanted
        self._on_bytes = on_bytes
        self._done = 0

    def requests(self) -> Iterator[bytes]:
        asked = 0
        while asked < len(self.wanted):
            ahead = self.wanted[asked : self._done + IN_FLIGHT]
            if len(ahead) < AT_ONCE and asked + len(ahead) < len(self.wanted):
                ahead = []  # a packet for each would cost more than it brings
            asked += len(ahead)
            yield b"".join(_request(b"RECV", checked(pull.source)) for pull in ahead)

    def answers(self) -> Generator[int, memoryview, None]:
        for pull in self.wanted:
            with pull.target.open("wb", buffering=0) as file:
                while size := (yield from _data_size(pull.source)):
                    file.write((yield size))
                    self._on_bytes(size)
            self._done += 1


def _data_size(path: str) -> Generator[int, memoryview, int]:
    """Return the size of the next DATA, 0 at DONE; skips DATA of no bytes."""
    while True:
        kind, size = _HEAD.unpack((yield _HEAD.size))
        if kind == b"DONE":
            return 0
        if kind == b"FAIL":
            yield from _fail(path, size)
        _expect(kind, b"DATA")
        if size > DATA_MOST:
            raise DamagedData(f"{shown(path)}: the phone sent a piece of {size} bytes")
        if size:
            return int(size)


def _sends(pushes: Sequence[Push], on_bytes: OnBytes, mode: int) -> Iterator[memoryview]:
    """Yield all pushes in pieces of up to BATCH, in one buffer that is used again: each piece costs a packet, often a round trip.

    One loop, for five thousand files through three generators take longer to pack than the phone takes to write them.
    """
    buffer, used = memoryview(bytearray(BATCH)), 0
    for push in pushes:
        target = encoded(checked(push.target)) + b",%d" % mode
        head, size = _HEAD.pack(b"SEND", len(target)) + target, DATA_MOST
        with FileIO(push.source) as file:
            while size == DATA_MOST:  # a read that is shorter was the last
                if used + len(head) + _HEAD.size + DATA_MOST + _HEAD.size > BATCH:
                    yield buffer[:used]
                    used = 0
                start = used + len(head) + _HEAD.size
                buffer[used : used + len(head)] = head
                size = file.readinto(buffer[start : start + DATA_MOST])
                if size:
                    _HEAD.pack_into(buffer, start - _HEAD.size, b"DATA", size)
                used, head = start + size if size else start - _HEAD.size, b""
                on_bytes(size)
        _HEAD.pack_into(buffer, used, b"DONE", push.mtime & 0xFFFFFFFF)
        used += _HEAD.size
    yield buffer[:used]


def _statuses(pushes: Sequence[Push]) -> Generator[int, memoryview, None]:
    for push in pushes:
        kind, size = _HEAD.unpack((yield _HEAD.size))
        if kind == b"FAIL":
            yield from _fail(push.target, size)
        _expect(kind, b"OKAY")


def _fail(path: str, size: int) -> Generator[int, memoryview, NoReturn]:
    message = yield from _text(size, DATA_MOST)
    raise refusal(path, message)


def refusal(path: str, message: bytes) -> PhoneFailed:
    """Return the error for what the phone said about a path."""
    if b"No space left" in message or b"Disk quota exceeded" in message:
        return NoSpace(f"no space left on the phone for {shown(path)}")
    return PhoneRefused(f"{shown(path)}: {said(message)}")


def _text(size: int, most: int) -> Generator[int, memoryview, bytes]:
    return bytes((yield _bounded(size, most)))


def _bounded(size: int, most: int) -> int:
    """Return the size of a text, where it makes sense."""
    if size > most:
        raise DamagedData(f"the phone sent a text of {size} bytes where at most {most} make sense")
    return size


def _request(kind: bytes, path: str) -> bytes:
    raw = encoded(path)
    return _HEAD.pack(kind, len(raw)) + raw


def _inside(folder: str) -> str:
    """Return a path that is there only if this is a folder, or a symlink to one."""
    return f"{checked(folder).rstrip('/')}/."


def _batched(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces: each piece that is sent costs a packet, often a round trip."""
    batch = bytearray()
    for piece in pieces:
        batch += piece
        if len(batch) >= BATCH:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)


def _entry(folder: str, name: bytes, error: int, mode: int, size: int, mtime: int) -> FileInfo | None:
    """Return an entry of a listing, None for one that went away meanwhile."""
    if error and error not in _ABSENT:  # left out it would look deleted
        raise PhoneRefused(f"{shown(folder)}: cannot look at {said(name)} ({_word(error)})")
    return None if error else _info(_entry_name(name), mode, size, mtime)


def _entry_name(name: bytes) -> str:
    return name.decode() if name in {b".", b".."} else checked_name(name)


def _info(name: str, mode: int, size: int, mtime: int) -> FileInfo:
    if size > SANE or abs(mtime) > SANE:
        raise DamagedData(f"{shown(name)}: the phone says size {size}, time {mtime}")
    return FileInfo(name, kind_of(mode), size, mtime)


def _expect(kind: bytes, wanted: bytes) -> None:
    if kind != wanted:
        raise DamagedData(f"the phone answered {kind!r} where {wanted!r} was due")


def _word(error: int) -> str:
    return errno.errorcode.get(error, str(error))
