"""The full test of a phone's folder: everything that a sync does there, done to files of our own, and undone.

A folder of Android/data takes files from ADB on most phones, not on all, and on some takes them so that AnkiDroid cannot
write them afterwards: reference/ankidroid.md 8.
"""

from __future__ import annotations

import posixpath
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from usbsync.device.ankidroid import OWNED, PUBLIC, PhoneReplica
from usbsync.device.shell import shell_of
from usbsync.errors import PhoneFailed, PhoneRefused, UsbsyncError
from usbsync.transport.base import Kind, Pull, Push, Remove, Rename, Shell, Step, Transport
from usbsync.transport.paths import said

NAME = ".usbsync-test-"
GUARD_SECONDS = 90
"""After these the phone itself removes what was written there, whatever became of the cable and of us."""
_TEXTS = b"usbsync may remove this file\n", b"usbsync may remove this file, too\n"
_GROUP, _OWNER = 0o060, 0o600
ELSEWHERE = (
    "this phone keeps others out of AnkiDroid's folder: in AnkiDroid choose a folder of the shared storage "
    f"(Settings, Advanced, AnkiDroid directory), such as {PUBLIC}"
)
_HERE = "make that folder writable, then run the command again"
_GUARD = 'sleep "$1"; shift; rm -rf "$@"'
_BESIDE = 'setsid sh -c "$0" sh "$@" </dev/null >/dev/null 2>&1 & echo $!'


def write_test(transport: Transport, replica: PhoneReplica) -> None:
    """Make, read back, rename, replace and remove files and a folder there.

    Raises PhoneRefused with what could not be done, NoSpace, PhoneGone. Nothing is left behind: where we cannot
    remove it any more the phone does, after GUARD_SECONDS; from a mere folder the next test does.
    """
    first = posixpath.join(replica.folder, f"{NAME}{secrets.token_hex(8)}")
    second, folder = f"{first}-2", f"{first}-folder"
    with _left_clean(transport, replica, [first, second], folder):
        try:
            _files(transport, replica, first, second)
            _folder(transport, folder)
        except PhoneRefused as error:
            text = f"{replica.folder} cannot be written: {error}; nothing was changed"
            raise PhoneRefused(text, hint=ELSEWHERE if shell_of(transport) else _HERE) from error


def _files(transport: Transport, replica: PhoneReplica, first: str, second: str) -> None:
    for path, text in zip((first, second), _TEXTS, strict=True):
        _make(transport, path, text)
    if OWNED.search(replica.folder):
        _see_mode(transport, first)
    before = transport.hash([second], "sha256")[second]
    _step(transport, "renamed", Rename(second, first), gone=second)
    if transport.hash([first], "sha256").get(first) != before:
        raise PhoneRefused(f"the phone says that {first} was replaced, and it was not")
    _step(transport, "removed", Remove(first), gone=first)


def _folder(transport: Transport, folder: str) -> None:
    transport.make_folder(folder)
    _make(transport, f"{folder}/file", _TEXTS[0])
    transport.remove_folder(folder)
    if transport.stat(folder) is not None:
        raise PhoneRefused(f"the phone says that {folder} was removed, and it was not")


def _make(transport: Transport, path: str, text: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="usbsync-") as scratch:
        source, back = Path(scratch, "source"), Path(scratch, "back")
        source.write_bytes(text)
        transport.push([Push(source, path, mtime=int(time.time()))], lambda _moved: None)
        if path not in transport.hash([path], "sha256"):
            raise PhoneRefused(f"the phone says that {path} was made, and it was not")
        transport.pull([Pull(path, back)], lambda _moved: None)
        if back.read_bytes() != text:
            raise PhoneRefused(f"{path} does not hold what was written into it")


def _step(transport: Transport, done: str, step: Step, *, gone: str) -> None:
    """Apply one step and look: a shell may say that it was done when it was not."""
    transport.apply([step])
    if transport.stat(gone) is not None:
        raise PhoneRefused(f"the phone says that {gone} was {done}, and it was not")


def _see_mode(transport: Transport, path: str) -> None:
    """See that the app's group may write the file: 0644 makes AnkiDroid's database read-only."""
    shell = shell_of(transport)
    if shell is None:
        return
    mode = said(shell.run(["stat", "-c", "%a", path]).stdout, most=6)
    if not set(mode) <= set("01234567") or int(mode or "0", 8) & _GROUP != _GROUP:
        raise PhoneRefused(f"AnkiDroid could not write the files that are made there (their mode is {mode})")


def keeps_us_out(transport: Transport, path: str) -> bool:
    """Say whether a file in an app's own folder is the app's to read, and not ours: not one that nobody may read."""
    shell = shell_of(transport)
    if shell is None or not OWNED.search(path):
        return False
    mode = said(shell.run(["stat", "-c", "%a", path]).stdout, most=6)
    return set(mode) <= set("01234567") and int(mode or "0", 8) & _OWNER == _OWNER


@contextmanager
def _left_clean(transport: Transport, replica: PhoneReplica, files: list[str], folder: str) -> Iterator[None]:
    """Remove what was made, however it ends."""
    shell = shell_of(transport)
    guard = _guarded(shell, [*files, folder]) if shell else None
    if shell is None:
        _sweep(transport, replica.folder)
    try:
        yield
    finally:
        cleaned = False
        with suppress(UsbsyncError):
            transport.apply([Remove(path) for path in files])
            transport.remove_folder(folder)
            cleaned = True
        if shell and guard and cleaned:
            with suppress(UsbsyncError):
                shell.run(["kill", "-9", f"-{guard}", guard])  # it may not lead its group yet


def _guarded(shell: Shell, paths: list[str]) -> str | None:
    """Let the phone remove these after a while; returns the process group that will."""
    argv = ["sh", "-c", _BESIDE, _GUARD, str(GUARD_SECONDS), *paths]
    pid = shell.run(argv).stdout.strip()
    return pid.decode() if pid.isdigit() and int(pid) > 1 else None


def _sweep(transport: Transport, folder: str) -> None:
    """Remove what a test left in a mere folder when it was killed."""
    with suppress(PhoneFailed):
        for entry in transport.list(folder):
            path = posixpath.join(folder, entry.name)
            if entry.name.startswith(NAME) and entry.kind is Kind.FOLDER:
                transport.remove_folder(path)
            elif entry.name.startswith(NAME):
                transport.apply([Remove(path)])
