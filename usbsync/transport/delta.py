"""Moving only the blocks of a file that differ, with what every Android has: its shell, `head` and `sha1sum`.

`head -c N` of toybox reads exactly N bytes, so that a row of them walks through an open file; to skip 100 MB takes it
0.05 s. Blocks of 1 MiB are hashed first and smaller ones only where those differ, for each hash costs two processes.
A phone whose `head` does otherwise gives wrong hashes, or a result that its receiver cannot prove: then the file is
copied whole.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from itertools import accumulate
from typing import TYPE_CHECKING

from usbsync.transport import durable, shell
from usbsync.transport.base import Kind
from usbsync.transport.blocks import Part, Span, cut, differing, joined, parts
from usbsync.transport.paths import checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from usbsync.transport.base import Base, Completed, FileInfo, OnBytes, Pull, Push
    from usbsync.transport.duplex import Opener

COARSE = 1 << 20
FINE = 1 << 16
PAGE = 1 << 12
"""SQLite's page in a collection (rslib storage/sqlite.rs): what a local comparison goes by."""
GAP = 4 * PAGE
MOST_SPANS = 400
FEW_COARSE, MOST_COARSE = 4, 64
"""A quarter of the coarse blocks is looked into, these at least and at most: hashing many small ones takes longer
than copying them (32 processes for each MiB).
"""
SLOWEST = 2_000_000
"""Bytes a second that the slowest phone hashes or writes; only deadlines depend on it."""

_ROW = re.compile(rb"([0-9a-f]{40})  -")
# Not `r`, nor `hash`: those are aliases or builtins of mksh's
_HASH = b"""set -e
hash_() { [ $1 = 0 ] || head -c $1 >/dev/null; i=$2; while [ $i -gt 0 ]; do head -c %d | sha1sum; i=$((i-1)); done; }
exec <%s
"""
_READ = b"""set -e
read_() { [ $1 = 0 ] || head -c $1 >/dev/null; head -c $2; }
exec <%s
"""
# A new file each time, never one that an earlier, cut-off run still writes to
_MAKE = b"""t=%s
rm -f "$t"
set -eC
make_() {
  [ $1 = 0 ] || head -c $1 <&3
  [ $2 = 0 ] || head -c $2
  [ $3 = 0 ] || head -c $3 <&3 >/dev/null
}
exec 3<%s
exec >"$t"
"""
_DONE = b"""chmod 660 "$t" 2>/dev/null || :
touch -d @%d "$t" 2>/dev/null || :
"""


class Delta:
    """Pulls and pushes by blocks over any way to open streams; each says whether it was done."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener

    def pull(self, wanted: Pull, info: FileInfo | None, on_bytes: OnBytes) -> bool:
        """Make a local file of its base and of what differs on the phone; False where a whole copy is cheaper."""
        base = wanted.base
        if base is None or info is None or info.kind is not Kind.FILE or not _alike(base, info.size):
            return False
        source = checked(wanted.source)
        if (spans := self._changed(source, info.size, base)) is None:
            return False
        data = self._read(source, info.size, spans)
        if data is None:
            return False
        on_bytes(len(data))
        _assemble(base, wanted.target, info.size, spans, data)
        return True

    def push(self, push: Push, on_bytes: OnBytes) -> bool:
        """Make a file on the phone of another there and of what differs; False where a whole copy is cheaper.

        What a failure leaves behind under the target's name a whole push replaces.
        """
        base = push.base
        if base is None or not _alike(base.local, size := push.source.stat().st_size):
            return False
        spans = _local_changes(base.local, push.source)
        if len(spans) > MOST_SPANS or 2 * sum(map(len, spans)) > size:
            return False
        data = _taken(push.source, spans)
        steps = parts(spans, base.local.stat().st_size, size)
        if self._make(push.target, base, steps, data, push.mtime).exit_code:
            return False
        on_bytes(len(data))
        return True

    def _changed(self, source: str, size: int, base: Path) -> list[Span] | None:
        """Find what differs from the base, coarsely, then finely; None where that is too much to look into."""
        every = list(cut([Span(0, size)], COARSE))
        coarse = self._differing(source, size, every, base)
        if coarse is None or len(coarse) > min(max(FEW_COARSE, len(every) // 4), MOST_COARSE):
            return None
        fine = self._differing(source, size, list(cut(coarse, FINE)), base) if coarse else []
        return None if fine is None else joined(fine)

    def _differing(self, source: str, size: int, blocks: Sequence[Span], base: Path) -> list[Span] | None:
        theirs = self._hashes(source, size, blocks)
        return None if theirs is None else differing(blocks, _hashes(base, blocks), theirs)

    def _hashes(self, source: str, size: int, blocks: Sequence[Span]) -> list[str] | None:
        """Hash equal blocks on the phone; the last one of the file may be shorter."""
        block = max(map(len, blocks))
        walk = [b"hash_ %d %d\n" % (skip, -(-len(run) // block)) for skip, run in _walk(joined(blocks))]
        script = _HASH % (block, shell.quoted_word(source)) + b"".join(walk)
        rows = self._run(script, size).stdout.splitlines()
        found = [match[1].decode() for row in rows if (match := _ROW.fullmatch(row))]
        return found if len(found) == len(rows) == len(blocks) else None

    def _read(self, source: str, size: int, spans: Sequence[Span]) -> bytes | None:
        walk = [b"read_ %d %d\n" % (skip, len(span)) for skip, span in _walk(spans)]
        data = self._run(_READ % shell.quoted_word(source) + b"".join(walk), size).stdout if spans else b""
        return data if len(data) == sum(map(len, spans)) else None

    def _make(self, target: str, base: Base, steps: Sequence[Part], data: bytes, mtime: int) -> Completed:
        names = (shell.quoted_word(checked(target)), shell.quoted_word(checked(base.path)))
        walk = [b"make_ %d %d %d\n" % (part.keep, part.insert, part.skip) for part in steps]
        script = _MAKE % names + b"".join(walk) + _DONE % mtime
        return self._run(script, sum(part.keep + part.insert for part in steps), data)

    def _run(self, script: bytes, size: int, stdin: bytes = b"") -> Completed:
        return shell.run(self._opener, script, stdin=stdin, seconds=60 + size / SLOWEST)


def _alike(base: Path, size: int) -> bool:
    """Whether two files can be much like each other, and are large enough to care."""
    had = base.stat().st_size
    return min(had, size) >= COARSE and max(had, size) <= 2 * min(had, size)


def _walk(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Yield each span with the bytes to be skipped before it."""
    ends = accumulate((span.end for span in spans), max, initial=0)
    return ((span.start - end, span) for span, end in zip(spans, ends, strict=False))


def _hashes(path: Path, blocks: Sequence[Span]) -> Iterator[str]:
    return (hashlib.sha1(data, usedforsecurity=False).hexdigest() for data in _blocks(path, blocks))


def _blocks(path: Path, blocks: Sequence[Span]) -> Iterator[bytes]:
    with path.open("rb") as file:
        for block in blocks:
            file.seek(block.start)
            yield file.read(len(block))


def _local_changes(old: Path, new: Path) -> list[Span]:
    """Compare two local files page by page, in pieces."""
    coarse = _compared(old, new, list(cut([Span(0, new.stat().st_size)], COARSE)))
    return joined(_compared(old, new, list(cut(coarse, PAGE))), GAP)


def _compared(old: Path, new: Path, blocks: Sequence[Span]) -> list[Span]:
    return differing(blocks, _blocks(old, blocks), _blocks(new, blocks))


def _taken(path: Path, spans: Sequence[Span]) -> bytes:
    return b"".join(_blocks(path, spans))


def _assemble(base: Path, target: Path, size: int, spans: Sequence[Span], data: bytes) -> None:
    shutil.copyfile(base, target)
    with target.open("r+b") as file:
        file.truncate(size)
        at = 0
        for span in spans:
            file.seek(span.start)
            file.write(data[at : at + len(span)])
            at += len(span)
    durable.flush_files([target])
