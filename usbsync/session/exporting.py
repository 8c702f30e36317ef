"""Making a package of one side's collection, or of some of its decks, by Anki's own exporter."""

from __future__ import annotations

import posixpath
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from usbsync.collection.decks import DeckExport, export_decks
from usbsync.collection.package_check import COLLECTION_SUFFIX, DECKS_SUFFIX, MEDIA, is_package
from usbsync.collection.packages import pack
from usbsync.collection.snapshot import take
from usbsync.core.conflict import Side
from usbsync.core.media_names import is_synced
from usbsync.device.detect import open_phone
from usbsync.device.shell import shell_of
from usbsync.device.spec import parse
from usbsync.errors import NoSpace, PhoneFailed, UsageError
from usbsync.session.desktop import desktop_meant, home_of
from usbsync.session.meet import closing, desktop_replica, meet
from usbsync.session.options import Options
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.files import durable_copy, sha256_of
from usbsync.transport.base import Kind, Pull, Push, Remove, Rename, Transport
from usbsync.transport.ways import open_folder

DOWNLOADS = "/storage/emulated/0/Download"
"""The folder of a phone's shared storage that every file manager and every app's file chooser shows."""
_ROOM = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Exported:
    """The package that was made."""

    path: str  # here, or on the phone
    size: int  # bytes
    notes: int | None  # of decks, how many went in
    on_phone: bool = False


def export(
    options: Options,
    talk: Talk,
    target: Path,
    how: DeckExport,
    *,
    of: Side = Side.DESKTOP,
    over: bool = False,
) -> Exported:
    """Write a package of the desktop's or the phone's collection: `.colpkg` all of it, `.apkg` decks of it.

    Raises UsageError for a target of another name, or one that is there already unless `over`, or a deck that is not
    there, and what reading the side raises.
    """
    _check(target, how)
    if not target.parent.is_dir():
        raise UsageError(
            f"there is no folder {target.parent}", hint="make it, or name another; nothing was written"
        )
    if target.exists() and not over:
        raise _there(target)
    with TemporaryDirectory(prefix="usbsync-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        with _reading(options, talk, of) as replica:
            collection = _copied(replica, scratch, talk, with_media=how.with_media)
        packed = scratch / f"packed{target.suffix.lower()}"
        talk.stage("packing")
        notes = _packed(collection, packed, how)
        durable_copy(packed, target)
        return Exported(str(target), packed.stat().st_size, notes)


def export_to_phone(
    options: Options, talk: Talk, name: str, how: DeckExport, *, of: Side = Side.DESKTOP, over: bool = False
) -> Exported:
    """Put a package into the phone's Download folder, whole or not at all, for a person to open it there.

    Raises UsageError where the phone is a folder, and what reaching it raises.
    """
    if posixpath.basename(name) != name:
        raise UsageError(f"{name!r} is no file's name", hint=f"it goes into {DOWNLOADS}")
    with TemporaryDirectory(prefix="usbsync-", ignore_cleanup_errors=True) as folder:
        made = export(options, talk, Path(folder, name), how, of=of)
        with phone_link(options, talk) as link:
            if link.stat(f"{DOWNLOADS}/{name}") and not over:
                raise _there(f"{DOWNLOADS}/{name} on the phone")
            _put(link, Path(made.path), f"{DOWNLOADS}/{name}", talk)
    return Exported(f"{DOWNLOADS}/{name}", made.size, made.notes, on_phone=True)


@contextmanager
def phone_link(options: Options, talk: Talk) -> Iterator[Transport]:
    """Open a phone for its shared storage; AnkiDroid need not be stopped for that."""
    link = open_phone(parse(options.device) if options.device else None, on_waiting=talk.waiting)
    with closing(link):
        if shell_of(link) is None:
            raise UsageError(
                "the phone is a folder here, with no Download folder of its own",
                hint="name a file instead, and copy it to where the phone's app finds it",
            )
        yield link


def _there(target: object) -> UsageError:
    return UsageError(
        f"{target} is there already; nothing was written", hint="name another file, or replace it with --yes"
    )


def _check(target: Path, how: DeckExport) -> None:
    if not is_package(target):
        raise UsageError(
            f"{target.name} is no package's name",
            hint=f"{COLLECTION_SUFFIX} for all, {DECKS_SUFFIX} for decks",
        )
    whole = target.suffix.lower() == COLLECTION_SUFFIX
    if whole and (how.decks or not how.with_scheduling):
        raise UsageError(
            f"a {COLLECTION_SUFFIX} is a whole collection, with its scheduling",
            hint=f"decks, or notes without scheduling, go into an {DECKS_SUFFIX}",
        )


@contextmanager
def _reading(options: Options, talk: Talk, side: Side) -> Iterator[Replica]:
    """Give one side to be read; nothing is written to it."""
    with ExitStack() as stack:
        if side is Side.PHONE:
            yield stack.enter_context(meet(options, talk, dry=True)).phone
            return
        found = desktop_meant(options)
        home = stack.enter_context(closing(open_folder(home_of(found))))
        desktop = desktop_replica(found, home)
        with desktop.still():
            pass  # "close Anki" comes before all else
        yield desktop


def _copied(replica: Replica, scratch: Path, talk: Talk, *, with_media: bool) -> Path:
    """Copy a collection, and the media that Anki would sync, into a folder of ours; returns the collection."""
    if replica.fingerprint() is None:
        raise UsageError(
            f"there is no collection on the {replica.side} yet", hint="there is nothing to export"
        )
    on_bytes = talk.stage(f"reading the {replica.side}'s collection", replica.size())
    with replica.still():
        raw = replica.fetch(scratch / "raw", on_bytes)
    collection = take(raw, scratch, replica.side).path
    media = scratch / MEDIA
    media.mkdir()
    if with_media and replica.transport.stat(replica.media):
        _copy_media(replica, media, talk)
    return collection


def _copy_media(replica: Replica, media: Path, talk: Talk) -> None:
    infos = [
        info
        for info in replica.transport.list(replica.media)
        if info.kind is Kind.FILE and is_synced(info.name, info.size)
    ]
    total = sum(info.size for info in infos)
    if 2 * total + _ROOM > shutil.disk_usage(media).free:
        raise NoSpace(f"{media.parent} has no room for {total >> 20:,} MiB of media; nothing was written")
    wanted = [Pull(replica.place.path(info.name), media / info.name) for info in infos]
    replica.transport.pull(wanted, talk.stage(f"reading the {replica.side}'s media", total))


def _packed(collection: Path, target: Path, how: DeckExport) -> int | None:
    if target.suffix == DECKS_SUFFIX:
        return export_decks(collection, target, how)
    pack(collection, collection.with_name(MEDIA), target, legacy=how.legacy, with_media=how.with_media)
    return None


def _put(link: Transport, source: Path, target: str, talk: Talk) -> None:
    staged = f"{target}.usbsync-part"
    push = Push(source, staged, int(time.time()))
    link.push([push], talk.stage("copying the package to the phone", source.stat().st_size))
    if link.hash([staged], "sha256").get(staged) != sha256_of(source):
        link.apply([Remove(staged)])
        raise PhoneFailed("the package did not arrive whole on the phone; it was removed again")
    link.apply([Rename(staged, target)])
