"""Packages that lie about on a phone: in its Download folder, where apps put what they export, and in AnkiDroid's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from usbsync.collection.package_check import is_package
from usbsync.device.ankidroid import find_phone
from usbsync.errors import ChoiceNeeded, NoPhone, NoSpace, PhoneFailed, PhoneRefused, UsageError
from usbsync.session.exporting import DOWNLOADS, phone_link
from usbsync.session.options import Options
from usbsync.session.talk import Talk
from usbsync.state.files import sha256_of
from usbsync.transport.base import Kind, Pull, Transport
from usbsync.transport.paths import shown

_ROOM = 64 << 20  # bytes left free on the disk
_PLAIN = re.compile(r"[\w()+,-][\w()+,. -]{,59}")  # what any disk takes for a file's name


@dataclass(frozen=True, slots=True)
class Lying:
    """A package on the phone; its name is the phone's word for it."""

    path: str
    size: int  # bytes
    mtime: int  # seconds since 1970

    @property
    def name(self) -> str:
        """The last component."""
        return self.path.rpartition("/")[2]


def lying(options: Options, talk: Talk) -> list[Lying]:
    """List the packages on the phone, newest first."""
    with phone_link(options, talk) as link:
        return _look(link, options)


@contextmanager
def fetched(options: Options, talk: Talk, name: str) -> Iterator[Path]:
    """Fetch one of them into a folder that goes when the block ends; UsageError where none has that name.

    Where the block raises ChoiceNeeded, that says of the file that it is not on this computer.
    """
    with TemporaryDirectory(prefix="usbsync-") as folder:
        with phone_link(
            options, talk
        ) as link:  # closed before the package is used: a phone on USB has one owner
            target = _fetch(link, options, talk, name, Path(folder))
        try:
            yield target
        except ChoiceNeeded as error:
            hint = f"{error.hint} (copy {shown(name)} from the phone to this computer for that)"
            raise ChoiceNeeded(str(error), hint=hint) from error


def _fetch(link: Transport, options: Options, talk: Talk, name: str, folder: Path) -> Path:
    found = [each for each in _look(link, options) if name in {each.name, each.path}]
    if not found:
        raise UsageError(
            f"there is no package {shown(name)} on the phone", hint="import --from phone lists them"
        )
    one, target = found[0], folder / _file_name(found[0].name)
    if one.size + _ROOM > shutil.disk_usage(folder).free:
        raise NoSpace(f"{folder.parent} has no room for {one.size >> 20:,} MiB; nothing was changed")
    link.pull([Pull(one.path, target)], talk.stage("reading the package", one.size))
    if link.hash([one.path], "sha256").get(one.path) != sha256_of(target):
        raise PhoneFailed("the package changed while it was being copied; nothing was changed")
    return target


def _file_name(name: str) -> str:
    """Return the phone's name for a package where it is harmless on any disk, else one of our own."""
    return name if _PLAIN.fullmatch(name) else f"fetched{Path(name).suffix.lower()}"


def _look(link: Transport, options: Options) -> list[Lying]:
    folders = [DOWNLOADS]
    with suppress(NoPhone):
        folders.append(find_phone(link, app=options.app, phone_dir=options.phone_dir).folder)
    found = [each for folder in folders for each in _in(link, folder)]
    return sorted(found, key=lambda each: each.mtime, reverse=True)


def _in(link: Transport, folder: str) -> Iterator[Lying]:
    with suppress(PhoneRefused):  # absent, or not ours to read
        for info in link.list(folder):
            if info.kind is Kind.FILE and info.name.isprintable() and is_package(Path(info.name)):
                yield Lying(f"{folder}/{info.name}", info.size, info.mtime)
