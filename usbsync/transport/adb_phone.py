"""A phone over ADB: SYNC for files, its own shell for the rest. The same over a direct link and an adb server."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from usbsync.errors import DamagedData, PhoneRefused
from usbsync.transport import shell
from usbsync.transport.base import Completed, Kind, Push, Rename
from usbsync.transport.delta import Delta
from usbsync.transport.lanes import Lanes
from usbsync.transport.paths import checked, encoded, parent, said, shown
from usbsync.transport.sync import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from usbsync.transport.base import Algorithm, FileInfo, OnBytes, Pull, Step
    from usbsync.transport.duplex import Opener

MODE = 0o100660
"""Pushed files: adbd gives user bits to all where it may; 0644 would keep the app from writing (ankidroid.md 8)."""
_GROUP_WRITES = 0o060
SCRATCH = "/data/local/tmp"
SLOWEST = 2_000_000
"""Bytes a second that the slowest phone hashes or writes; only deadlines depend on it."""

BUNDLE = 32 * 1024
"""Bytes of paths that one `rm` is given: Linux takes 128 KiB and more."""

_HELLO = b"""
for p in /data/local/tmp/.usbsync-*; do
  [ -e "$p" ] || continue
  b=${p%.*}
  for i in 1 2 3; do [ -e "$b.pid" -o -e "$b.done" ] && break; sleep 0.1; done
  while n=$(cat "$b.pid" 2>/dev/null) && kill -0 "$n" 2>/dev/null && grep -q -F -e "$b.sh" "/proc/$n/cmdline" 2>/dev/null
  do sleep 0.1; done
  rm -f "$b".*
done
getprop ro.serialno
"""
"""Wait for an apply whose cable was pulled, so that nobody reads a replica in mid-flip; then tell who this is.

A script that was pushed and has not begun gets a moment to; what is left of one that never did, or is over, goes.
"""

_PROLOGUE = b"""trap '' HUP INT PIPE
b=%s
echo $$ >$b.pid
exec </dev/null >/dev/null 2>$b.err
n=0
end() { sync; echo "$1 $n" >$b.part; mv -f $b.part $b.done; rm -f $b.pid; exit; }
# mksh's own rename(2); where that cannot be used (another file system) mv, which would move into a folder.
# (Not `r`: that is an alias of mksh's.)
move() {
  n=$((n+1)); [ -d "$2" ] && { echo "is a folder" >&2; end failed; }
  rename "$1" "$2" 2>/dev/null || mv -f "$1" "$2" || end failed
}
drop() { n=$((n+1)); [ ! -e "$1" -a ! -L "$1" ] || rm -f "$1" || end failed; }
# many by one rm; where that cannot be, one by one, to say which it is
drops() {
  for f; do [ ! -d "$f" -o -L "$f" ] || { each "$@"; return; }; done
  if rm -f "$@" 2>/dev/null; then n=$((n+$#)); else each "$@"; fi
}
each() { for f; do drop "$f"; done; }
"""
_AWAIT = b"""b=%s
setsid sh $b.sh </dev/null >/dev/null 2>&1
while [ ! -e $b.done ]; do sleep 0.05; done
cat $b.done
cat $b.err >&2
rm -f $b.*"""

_SERIAL = re.compile(rb"[\x21-\x7e]{1,64}")
_SPACE = re.compile(rb"(\d{1,18}) (\d{1,9})\s*")
_ENDED = re.compile(rb"(done|failed) (\d{1,9})\n")
_TIME = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.%s [-+]\d{4} "
_STAMP = re.compile(rb"\d+ [0-9a-f]+ \d+ " + _TIME % rb"\d{9}" + _TIME % rb"(?!0{9})\d{9}" + b"/")
_DIGEST = re.compile(rb"[0-9a-f]{40,64}")


class AdbTransport:
    """Transport and Shell over any way to open streams; for one thread at a time.

    `patience` is the longest silence of the link in seconds.
    """

    def __init__(self, opener: Opener, *, patience: float = 30.0) -> None:
        self._opener = opener
        self._patience = patience
        self._lanes = Lanes(opener, patience=patience)
        self._sync = self._lanes.first
        self._delta = Delta(opener)
        hello = shell.run(opener, _HELLO, seconds=max(60.0, patience)).stdout.strip()
        self._identity = hello.decode() if _SERIAL.fullmatch(hello) else opener.name

    @property
    def identity(self) -> str:
        """The phone's serial number (`ro.serialno`), over whatever link; else what the link calls it."""
        return self._identity

    def run(self, argv: Sequence[str], *, seconds: float = 30.0) -> Completed:
        """Run one command, quoted by us, and return its exit code and output."""
        return shell.run(self._opener, shell.quoted(argv), seconds=seconds)

    def stat(self, path: str) -> FileInfo | None:
        """Describe one file, or None when nothing is there."""
        return self._sync.stat([path])[0]

    def stamp(self, paths: Sequence[str]) -> str | None:
        """Return inodes, sizes and times to the nanosecond, as the phone's `stat` tells them; None where it does not."""
        done = self.run(["stat", "-c", "%i %f %s %y %z %n", *map(checked, paths)], seconds=self._patience)
        there = done.stdout.splitlines()
        gone = [line for line in done.stderr.splitlines() if line.endswith(b"No such file or directory")]
        if len(there) + len(gone) != len(paths) or not all(map(_STAMP.match, there)):
            return None
        return done.stdout.decode("utf-8", "replace")

    def list(self, folder: str) -> list[FileInfo]:
        """List a folder; PhoneRefused when it is not there, not a folder, or may not be read.

        adbd lists a folder that it may not read as empty, without a word. A listing that has not even `.` is not
        believed before the shell said that the folder can be read.
        """
        entries = self._sync.entries(folder)
        if not entries and self.run(["test", "-r", folder]).exit_code:
            raise PhoneRefused(f"{shown(folder)}: the phone does not let us read this folder")
        return [entry for entry in entries if entry.name not in {".", ".."}]

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """Copy files from the phone, by blocks where there is a base; each is complete and durable on return."""
        self._lanes.pull([pull for pull in wanted if not self._pull_blocks(pull, on_bytes)], on_bytes)

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> None:
        """Copy files to the phone, readable and writable by its app; parent folders must exist."""
        pushes = [*files]
        self._need_folders({parent(checked(push.target)) for push in pushes})
        self._push_whole([push for push in pushes if push.base is None], on_bytes)
        for push in pushes:
            if push.base and not self._delta.push(push, on_bytes):
                self._push_whole([push], on_bytes)

    def hash(self, paths: Sequence[str], algorithm: Algorithm) -> dict[str, str]:
        """Hash files on the phone; paths that are absent or no regular file are left out."""
        found = zip(paths, self._sync.stat(paths), strict=True)
        files = {path: info for path, info in found if info and info.kind is Kind.FILE}
        seconds = 60 + sum(info.size for info in files.values()) / SLOWEST
        odd = [path for path in files if not path.isprintable() or "\\" in path]
        hashed = self._hash_plain([path for path in files if path not in {*odd}], algorithm, seconds)
        hashed |= self._hash_odd(odd, algorithm, seconds)
        return {path: hashed[path] for path in files}

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry the steps out in one script that goes on when the cable is pulled, then `sync`; with none, only that."""
        if not steps:
            self.run(["sync"], seconds=60 + self._patience)
            return
        base = f"{SCRATCH}/.usbsync-{secrets.token_hex(8)}"
        # what is moved into place must be on the flash before its new name is, or a dead battery leaves an empty file
        settle = [b"sync\n"] if any(isinstance(step, Rename) for step in steps) else []
        lines = [_PROLOGUE % encoded(base), *settle, *_lines(steps), b"end done\n"]
        self._push_script(f"{base}.sh", b"".join(lines))
        seconds = 60 + self._patience + len(steps) / 20
        done = shell.run(self._opener, _AWAIT % encoded(base), seconds=seconds)
        self._judge(steps, done)

    def make_folder(self, path: str) -> None:
        """Make a folder where its parent exists; one that is there already is no error."""
        done = self.run(["mkdir", checked(path)], seconds=self._patience)
        if done.exit_code and not self._is_folder(path):
            raise refusal(path, done.stderr)

    def remove_folder(self, path: str) -> None:
        """Remove a folder and all in it, not following symlinks; an absent one is no error."""
        info = self.stat(path)
        if path == "/" or (info and info.kind is not Kind.FOLDER):
            raise PhoneRefused(f"{shown(path)} is not a folder that can be removed")
        done = self.run(["rm", "-rf", path], seconds=300)
        if done.exit_code:
            raise refusal(path, done.stderr)

    def free_space(self, folder: str) -> int:
        """Return the bytes that can still be written below this folder."""
        done = self.run(["stat", "-f", "-c", "%a %S", checked(folder)], seconds=self._patience)
        if done.exit_code:
            raise refusal(folder, done.stderr)
        if not (found := _SPACE.fullmatch(done.stdout)):
            raise DamagedData(f"the phone tells its free space as {said(done.stdout)}")
        return int(found[1]) * int(found[2])

    def close(self) -> None:
        """Release the link; safe to call twice and after any failure."""
        self._lanes.close()
        self._opener.close()

    def _pull_blocks(self, pull: Pull, on_bytes: OnBytes) -> bool:
        return pull.base is not None and self._delta.pull(pull, self.stat(pull.source), on_bytes)

    def _push_whole(self, pushes: Sequence[Push], on_bytes: OnBytes) -> None:
        if pushes:
            self._lanes.push(pushes, on_bytes, mode=MODE)
            self._let_group_in([push.target for push in pushes])

    def _is_folder(self, path: str) -> bool:
        return self._sync.are_folders([path])[0]

    def _need_folders(self, folders: set[str]) -> None:
        """Refuse to push below what is no folder: adbd would make it, with the wrong owner and mode for the app."""
        ordered = sorted(folders)
        for folder, is_there in zip(ordered, self._sync.are_folders(ordered), strict=True):
            if not is_there:
                raise PhoneRefused(f"{shown(folder)} is not a folder on the phone")

    def _let_group_in(self, paths: Sequence[str]) -> None:
        """Make pushed files the app's to write, too: Android up to 14 makes them 0644, newer ones as they were sent.

        One of each folder tells for all of it. FUSE refuses chmod, and has no need of it.
        """
        first = {parent(path): path for path in paths}
        if any(mode & _GROUP_WRITES != _GROUP_WRITES for mode in self._sync.modes([*first.values()])):
            self._over(paths, b"chmod 660 2>/dev/null", seconds=self._patience)

    def _over(self, paths: Sequence[str], command: bytes, *, seconds: float) -> Completed:
        """Run a command over any number of paths, however long, by xargs."""
        names = b"".join(encoded(path) + b"\0" for path in paths)
        return shell.run(self._opener, b"xargs -0 " + command, stdin=names, seconds=seconds)

    def _hash_plain(self, paths: Sequence[str], algorithm: str, seconds: float) -> dict[str, str]:
        if not paths:
            return {}
        done = self._over(paths, algorithm.encode() + b"sum", seconds=seconds)
        rows = (line.partition(b"  ") for line in done.stdout.split(b"\n") if line)
        names = {encoded(path): path for path in paths}
        hashed = {names.get(name, ""): _digest(digest, algorithm) for digest, _, name in rows}
        if hashed.keys() != {*paths}:
            raise PhoneRefused(f"the phone could not hash all files: {said(done.stderr or done.stdout)}")
        return hashed

    def _hash_odd(self, paths: Sequence[str], algorithm: str, seconds: float) -> dict[str, str]:
        """Hash names that would break a line, or that some Androids escape: by stdin, answers in order."""
        if not paths:
            return {}
        each = b"sh -c 'for f; do %ssum <\"$f\" || exit 255; done' sh" % algorithm.encode()
        done = self._over(paths, each, seconds=seconds)
        digests = [_digest(line.split(b" ")[0], algorithm) for line in done.stdout.splitlines()]
        if len(digests) != len(paths):
            raise PhoneRefused(f"the phone could not hash all files: {said(done.stderr)}")
        return dict(zip(paths, digests, strict=True))

    def _push_script(self, target: str, script: bytes) -> None:
        with TemporaryDirectory(prefix="usbsync-") as folder:
            source = Path(folder, "script")
            source.write_bytes(script)
            self._sync.push([Push(source, target, 0)], lambda _: None, mode=0o100600)

    def _judge(self, steps: Sequence[Step], done: Completed) -> None:
        """Read what the script left: how it ended, and at which step."""
        found = _ENDED.fullmatch(done.stdout)
        number = int(found[2]) if found else 0
        if found and found[1] == b"done" and number == len(steps):
            return
        if not found or not 0 < number <= len(steps):
            raise DamagedData(
                f"the phone answered {said(done.stdout)} to what was applied: {said(done.stderr)}"
            )
        step = steps[number - 1]
        path = step.source if isinstance(step, Rename) else step.path
        raise refusal(path, b"step %d of %d: %s" % (number, len(steps), done.stderr))


def _lines(steps: Sequence[Step]) -> Iterator[bytes]:
    """Yield the script's lines; removals that follow each other share one process."""
    for step in _bundled(steps):
        if isinstance(step, Rename):
            yield b"move " + shell.quoted([checked(step.source), checked(step.target)]) + b"\n"
        else:
            yield b"drops " + shell.quoted(step) + b"\n"


def _bundled(steps: Sequence[Step]) -> Iterator[Rename | list[str]]:
    """Yield renames as they are and what is to be removed between them in bundles."""
    removed: list[str] = []
    size = 0
    for step in steps:
        if removed and (isinstance(step, Rename) or size > BUNDLE):
            yield removed
            removed, size = [], 0
        if isinstance(step, Rename):
            yield step
        else:
            removed.append(checked(step.path))
            size += len(encoded(step.path))
    if removed:
        yield removed


def _digest(word: bytes, algorithm: str) -> str:
    if not _DIGEST.fullmatch(word) or len(word) != {"sha1": 40, "sha256": 64}[algorithm]:
        raise DamagedData(f"the phone answered {said(word)} where a hash was due")
    return word.decode()
