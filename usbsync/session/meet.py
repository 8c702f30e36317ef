"""Bringing both replicas together: found, opened, kept still, and locked against a second usbsync."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from usbsync.collection.lock import hold
from usbsync.core.conflict import Side
from usbsync.device.ankidroid import PhoneReplica, find_phone
from usbsync.device.app import AppControl
from usbsync.device.desktop import DesktopReplica
from usbsync.device.spec import Folder, Package, Spec, parse
from usbsync.errors import AnkiOpen, AtWork, Busy, NoPhone, UsageError
from usbsync.session.descent import CableMemory
from usbsync.session.desktop import desktop_meant, home_of
from usbsync.session.looks import Looks
from usbsync.session.memory import Memory, PairMemory
from usbsync.session.options import Options
from usbsync.session.phone import open_phone
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor
from usbsync.state.files import private_folder, speaking
from usbsync.state.home import state_home
from usbsync.state.pair import Pair, at_work, known_pairs, lock
from usbsync.transport.base import Mendable, Transport
from usbsync.transport.ways import open_folder
from usbsync.transport.wrap import Metered, ReadOnly

LOCK_SECONDS = 5.0
"""How long to wait for another usbsync at work on the same."""
WORK = "work"
"""The folder in a pair's where runs have their scratch folders."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Both replicas, side by side and still."""

    pair: Pair
    replicas: Mapping[Side, Replica]
    app: AppControl
    wire: Metered
    scratch: Path
    dry: bool
    names: Mapping[Side, str]
    memory: Memory
    looks: Looks

    @property
    def desktop(self) -> Replica:
        """The computer's side."""
        return self.replicas[Side.DESKTOP]

    @property
    def phone(self) -> Replica:
        """The phone's side."""
        return self.replicas[Side.PHONE]

    def ancestor(self) -> Ancestor | None:
        """Return what both held after the last sync."""
        return self.memory.load()


@contextmanager
def meet(options: Options, talk: Talk, *, dry: bool = False, stop_app: bool = True) -> Iterator[Meeting]:
    """Open both replicas and keep them still until the block ends.

    A dry meeting writes nothing anywhere: its transports refuse to, its scratch folder is a temporary one.

    Raises what finding and opening them raises; Busy where another usbsync has this pair.
    """
    found = desktop_meant(options)
    refuse_open(found, options)  # "close Anki" comes before anything is asked of the phone
    spec = parse(options.device) if options.device else None
    with ExitStack() as stack:
        if isinstance(spec, Package):
            from usbsync.session.packages import meet_package  # noqa: PLC0415 - it builds on this module

            yield stack.enter_context(meet_package(spec, found, options, talk, dry=dry))
            return
        talk.stage("looking for the phone")
        link = open_phone(spec, talk)
        stack.callback(link.close)
        wire = Metered(link)
        place = place_of(link, spec, options)
        pair = pair_of(options, found, link, place)
        stack.enter_context(nullcontext() if dry else lock(pair, seconds=LOCK_SECONDS))
        _mend(link, talk, dry=dry)
        home = stack.enter_context(closing(open_folder(home_of(found))))
        app = AppControl(link, place)
        local = local_of(spec, link, place.collection)
        replicas = {
            Side.DESKTOP: desktop_replica(found, ReadOnly(home) if dry else home),
            Side.PHONE: phone_replica(found, place, ReadOnly(wire) if dry else wire, local),
        }
        with replicas[Side.PHONE].still():
            pass  # a collection that another program of this computer has open is refused before all else
        if stop_app:
            stack.enter_context(_stopped(app, talk))
        scratch = stack.enter_context(scratch_folder(pair, dry=dry))
        names = {Side.DESKTOP: found.name, Side.PHONE: link.identity}
        looks = stack.enter_context(_kept(Looks(pair), dry=dry))
        with speaking(scratch):
            memory = CableMemory(PairMemory(pair), replicas, scratch)
            yield Meeting(pair, replicas, app, wire, scratch, dry, names, memory, looks)


def refuse_open(found: DesktopReplica, options: Options) -> None:
    """Raise AnkiOpen where Anki has the collection open, AtWork where it is another usbsync, with its name."""
    try:
        with hold(found.collection):
            return
    except (AnkiOpen, AtWork) as error:
        who = at_work(state_home(options.environ), str(found.collection))
        if who is None:
            raise
        raise AtWork(f"{who} is at work on this collection; nothing was changed") from error


def place_of(link: Transport, spec: Spec | None, options: Options) -> PhoneReplica:
    """Find AnkiDroid's folder; of an empty folder that was synced before say what that is: nothing is mounted there."""
    try:
        return find_phone(link, app=options.app, phone_dir=options.phone_dir)
    except NoPhone as error:
        if isinstance(spec, Folder) and not link.list("/") and _was_synced(link.identity, options):
            raise NoPhone(
                f"{spec.path} is empty, and was synced before: the phone or card is not mounted there",
                hint="mount it there and run the command again",
            ) from error
        raise


def _was_synced(phone: str, options: Options) -> bool:
    known = {pair.phone for pair in known_pairs(state_home(options.environ))}
    return any(name == phone or name.startswith(f"{phone}:") for name in known)


@contextmanager
def _kept(looks: Looks, *, dry: bool) -> Iterator[Looks]:
    """Keep what a run learnt of the collections, however it ended: they are facts."""
    try:
        yield looks
    finally:
        if not dry:
            looks.save()


def _mend(link: Transport, talk: Talk, *, dry: bool) -> None:
    """Bring a phone that knows no atomic rename into a state that a sync may have left; say what it does not know."""
    if not isinstance(link, Mendable):
        return
    talk.note(link.limits)
    if dry and link.unfinished():
        raise Busy("an earlier sync was interrupted", hint="run usbsync sync: it finishes that first")
    if not dry:
        link.mend()


@contextmanager
def _stopped(app: AppControl, talk: Talk) -> Iterator[None]:
    """Keep AnkiDroid stopped, and start it again afterwards if it ran."""
    try:
        app.stop()
        yield
    finally:
        for text in app.start_again():
            talk.note(text)


def desktop_replica(found: DesktopReplica, home: Transport) -> Replica:
    """Return the computer's side, on the transport of its folder."""
    return Replica(
        Side.DESKTOP, home, f"/{found.collection.name}", f"/{found.media_folder.name}", local=found.collection
    )


def phone_replica(found: DesktopReplica, place: PhoneReplica, link: Transport, local: Path | None) -> Replica:
    """Return the phone's side; UsageError where it is the desktop's own."""
    if local is not None and local.resolve() == found.collection:
        raise UsageError(f"{local} is the desktop's own collection", hint="name the phone's with --device")
    return Replica(Side.PHONE, link, place.collection, place.media_folder, local)


def local_of(spec: Spec | None, link: Transport, collection: str) -> Path | None:
    """Return a phone's collection as a file of this computer, where its folder is one; what is mounted by MTP is none."""
    if isinstance(link, Mendable) or not isinstance(spec, Folder):
        return None
    return spec.path / collection.lstrip("/")


def pair_of(options: Options, found: DesktopReplica, link: Transport, place: PhoneReplica) -> Pair:
    """Name the memory of a desktop and a phone."""
    return Pair(state_home(options.environ), str(found.collection), _joined(link.identity, place.folder))


def _joined(identity: str, folder: str) -> str:
    """Name a phone's replica: the device, and the folder on it."""
    return identity if folder == "/" else f"{identity}:{posixpath.normpath(folder)}"


@contextmanager
def closing(transport: Transport) -> Iterator[Transport]:
    """Close a transport when the block ends."""
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def scratch_folder(pair: Pair, *, dry: bool) -> Iterator[Path]:
    """Give a folder to work in: below the pair's own, so that files can be linked; elsewhere on a dry run."""
    if not dry:
        private_folder(pair.create() / WORK)
    with TemporaryDirectory(
        prefix="usbsync-", dir=None if dry else pair.folder / WORK, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)
