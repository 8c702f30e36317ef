"""The full test of a phone's folder: everything that a sync does there, done to files of our own, and undone."""

from __future__ import annotations

import posixpath
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from usbsync.device.ankidroid import probe_writable
from usbsync.device.shell import shell_of
from usbsync.errors import PhoneRefused
from usbsync.transport.base import Push, Remove

if TYPE_CHECKING:
    from usbsync.device.ankidroid import PhoneReplica
    from usbsync.transport.base import Transport

_TEXT = b"usbsync may remove this file\n"
_NAME = ".usbsync-test"
_GROUP = 0o060


def write_test(transport: Transport, replica: PhoneReplica) -> None:
    """Make, read back, rename and remove a file and a folder, see that the app could write it, and read the collection.

    What has to hold and why: reference/ankidroid.md 8. Raises PhoneRefused with what does not, NoSpace, PhoneGone.
    """
    made = posixpath.join(replica.folder, _NAME)
    try:
        _make(transport, made)
        _check_mode(transport, made)
    finally:
        with suppress(PhoneRefused):
            transport.apply([Remove(made)])
    probe_writable(transport, replica)
    transport.make_folder(made)
    transport.remove_folder(made)
    if transport.stat(made) is not None:
        raise PhoneRefused(f"the folder {made} was not removed")
    if transport.stat(replica.collection) and not transport.hash([replica.collection], "sha256"):
        raise PhoneRefused(f"{replica.collection} cannot be read")


def _make(transport: Transport, path: str) -> None:
    with tempfile.TemporaryDirectory(prefix="usbsync-") as scratch:
        source = Path(scratch, _NAME)
        source.write_bytes(_TEXT)
        transport.push([Push(source, path, mtime=int(time.time()))], lambda _moved: None)
    found = transport.stat(path)
    if found is None or found.size != len(_TEXT):
        raise PhoneRefused(f"{path} is not there as it was written")


def _check_mode(transport: Transport, path: str) -> None:
    """See that the app's group may write the file: 0644 makes AnkiDroid's database read-only."""
    shell = shell_of(transport)
    if shell is None:
        return
    answer = shell.run(["stat", "-c", "%a", path])
    mode = answer.stdout.decode("ascii", "replace").strip()
    if answer.exit_code or not set(mode) <= set("01234567") or int(mode or "0", 8) & _GROUP != _GROUP:
        raise PhoneRefused(
            f"AnkiDroid could not write what usbsync writes beside {path} (its mode is {mode[:8]!r})"
        )
