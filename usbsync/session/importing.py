"""Taking a package in: a deck's is added to a collection, a collection's replaces it; after a backup, as every change."""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from usbsync.collection.decks import DeckImport, import_decks
from usbsync.collection.descent import readable, trace
from usbsync.collection.diff import count_notes, tally
from usbsync.collection.package_check import COLLECTION_SUFFIX, MEDIA, Package, examine, is_package
from usbsync.collection.packages import unpack
from usbsync.collection.snapshot import MAIN, take
from usbsync.core.conflict import Side
from usbsync.core.media import Add, MediaFile, MediaPlan, MediaStep, Replace
from usbsync.core.media_names import is_synced
from usbsync.errors import ChoiceNeeded, DamagedData, UsageError
from usbsync.media.move import Place, fetch
from usbsync.session.alone import AFTER, AloneMemory, meet_alone, states_of
from usbsync.session.apply import apply
from usbsync.session.levels import as_it_was
from usbsync.session.meet import Meeting, meet
from usbsync.session.options import Options
from usbsync.session.recover import recover
from usbsync.session.replica import Held, held
from usbsync.session.report import Report, Result, media_counts
from usbsync.session.talk import Talk
from usbsync.session.work import Work
from usbsync.state.ancestor import Ancestor
from usbsync.state.files import sha1_of, sha256_of
from usbsync.transport.base import OnBytes, Pull
from usbsync.transport.ways import open_folder


@dataclass(frozen=True, slots=True)
class Taken:
    """What an import did: the report, and of a deck's package what became of its notes."""

    report: Report
    notes: Mapping[str, int] | None


def import_package(
    options: Options,
    talk: Talk,
    path: Path,
    how: DeckImport,
    *,
    into: Side = Side.DESKTOP,
    sure: bool = False,
) -> Taken:
    """Take a package into the desktop's or the phone's collection, after a backup.

    Raises DamagedData where the package is not whole, ChoiceNeeded where a collection would be replaced and nobody
    is `sure`, and what meeting the phone raises.
    """
    if not is_package(path):
        raise UsageError(f"{path.name} is no package", hint="import takes .apkg and .colpkg files")
    talk.stage("looking into the package")
    package = examine(path)
    with _meeting(options, talk, into) as meeting:
        recover(meeting, talk)
        own = _own(meeting, into, talk)
        folder = meeting.scratch / "import"
        folder.mkdir()
        if _replaces(path):
            notes, new = None, _unpacked(package, folder, own, sure=sure)
            gone = _outlived(meeting, into, new, talk)
        else:
            notes, new = _added(package, folder, own, how, talk)
            gone = frozenset()
        return Taken(_carry_out(meeting, own, new, gone, folder / MEDIA, talk), notes)


def _replaces(path: Path) -> bool:
    return path.suffix.lower() == COLLECTION_SUFFIX


def _meeting(options: Options, talk: Talk, into: Side) -> AbstractContextManager[Meeting]:
    return meet(options, talk) if into is Side.PHONE else meet_alone(options)


def _own(meeting: Meeting, side: Side, talk: Talk) -> Held:
    """Copy the collection that is to take something in."""
    replica, scratch = meeting.replicas[side], meeting.scratch / side
    if replica.fingerprint() is None:
        raise UsageError(
            f"there is no collection on the {side} yet", hint=f"open Anki on the {side} once, and close it"
        )
    on_bytes = talk.stage(f"reading the {side}'s collection", replica.size())
    with replica.still():
        return held(replica, replica.fetch(scratch / "raw", on_bytes), scratch)


def _unpacked(package: Package, folder: Path, own: Held, *, sure: bool) -> Path:
    """Unpack the collection that is to replace one; that it is sound is proven as of any phone's."""
    collection, _media = unpack(package, folder)
    new = take(collection, folder / "whole", "package").path
    if not sure:
        here, there = count_notes(own.snapshot.path), count_notes(new)
        raise ChoiceNeeded(
            f"{package.path.name} ({there:,} notes) would replace the {own.replica.side}'s collection ({here:,} notes); "
            "nothing was changed",
            hint=f"import --yes does it, after a backup; {_instead(own.replica.side)}",
        )
    return new


def _instead(side: Side) -> str:
    """Say how a collection's package is merged; a phone gets it by way of the desktop."""
    merges = "usbsync sync --device package:FILE merges it with the desktop's"
    return f"{merges} instead" + (
        ", and a sync with the phone then brings it there" if side is Side.PHONE else ""
    )


def _outlived(meeting: Meeting, side: Side, new: Path, talk: Talk) -> frozenset[str]:
    """Name the remembered states that a collection does not descend from, by their SHA-256.

    With one of these as the ancestor, what the collection never held would look as if it had been deleted there.
    """
    if side is Side.PHONE:
        old = meeting.ancestor()
        states = [(meeting.pair, old)] if old else []
    else:
        states = list(states_of(meeting.pair))
    gone = frozenset(state.sha256 for _pair, state in states if not _descends(meeting, state, new))
    if gone:
        talk.note(
            "it lacks what was synced last: the next sync asks how to begin; --first merge keeps everything of both"
        )
    return gone


def _descends(meeting: Meeting, state: Ancestor, new: Path) -> bool:
    try:
        state.check()
        was = readable(state.collection, meeting.scratch / "lineage" / state.sha256)
    except DamagedData:
        return False
    return trace(new, was, state.when).whole


def _added(
    package: Package, folder: Path, own: Held, how: DeckImport, talk: Talk
) -> tuple[Mapping[str, int], Path]:
    """Let Anki add a deck's package to a copy, beside those media files that it could collide with."""
    new, media = folder / MAIN, folder / MEDIA
    shutil.copyfile(own.snapshot.path, new)
    media.mkdir()
    place = own.replica.place
    if place.transport.stat(place.media):
        there = {info.name: info for info in place.transport.list(place.media)}
        same = [
            each.name
            for each in package.media
            if each.name in there and is_synced(each.name, there[each.name].size)
        ]
        place.transport.pull([Pull(place.path(name), media / name) for name in same], lambda _count: None)
    before = {path.name for path in media.iterdir()}
    talk.stage("importing")
    notes = import_decks(new, package.path, how)
    _check_hashes(package, [path for path in media.iterdir() if path.name not in before])
    return notes, new


def _check_hashes(package: Package, came: Iterable[Path]) -> None:
    """Compare what Anki unpacked with what the package lists; it takes only what its notes use, and may rename it."""
    listed = {each.name: each.sha1 for each in package.media if each.sha1}
    for path in came if listed else ():
        if sha1_of(path) not in ({listed[path.name]} if path.name in listed else {*listed.values()}):
            raise DamagedData(
                f"the package {package.path.name!a} cannot be used: its media file {path.name!a} is not what its hash "
                "says; nothing was changed",
                hint="get the package again",
            )


def _carry_out(
    meeting: Meeting, own: Held, new: Path, gone: frozenset[str], media: Path, talk: Talk
) -> Report:
    side = own.replica.side
    if isinstance(meeting.memory, AloneMemory):
        meeting.memory.outlived = gone
    steps = tuple(_steps(own.replica.place, media))
    plan = MediaPlan(steps if side is Side.DESKTOP else (), steps if side is Side.PHONE else (), (), (), {})
    written = as_it_was(own, new)
    before = {each: replica.fingerprint() or "" for each, replica in meeting.replicas.items()}
    old = meeting.ancestor()
    forgotten = side is Side.PHONE and bool(gone)
    work = Work(
        before={**before, side: own.fingerprint},
        held={side: own},
        new={side: written},
        media=plan,
        old=old,
        ancestor=None if forgotten else old,  # what both hold is what it was: the next sync finds the import
        rewinds=bool(gone),
        note="imported",
        facts={AFTER: {side.value: sha256_of(written)}},
        stage_media=lambda on_bytes: _stage(meeting, own.replica.place, side, plan, media.parent, on_bytes),
    )
    backup = apply(meeting, work, talk)
    return Report(
        Result.IMPORTED,
        meeting.names,
        changes={side: tally(new, own.snapshot.path)},
        media={each: media_counts(plan, each) for each in Side},
        pulled_bytes=meeting.wire.pulled_bytes,
        pushed_bytes=meeting.wire.pushed_bytes,
        backup=backup,
        sides=(side,),
    )


def _steps(place: Place, media: Path) -> Iterator[MediaStep]:
    """Say what the files that lie in `media` mean for a side: those it lacks, and those it has in another version."""
    found = {path.name: path for path in sorted(media.iterdir()) if is_synced(path.name, path.stat().st_size)}
    there = (
        {info.name: info for info in place.transport.list(place.media)}
        if place.transport.stat(place.media)
        else {}
    )
    hashes = place.transport.hash([place.path(name) for name in found if name in there], "sha1")
    for name, path in found.items():
        info = path.stat()
        file = MediaFile(sha1_of(path), info.st_size, int(info.st_mtime))
        sha1 = hashes.get(place.path(name))
        if name not in there:
            yield Add(name, file, "imported")
        elif sha1 is not None and sha1 != file.sha1:
            yield Replace(name, file, MediaFile(sha1, there[name].size, there[name].mtime), "imported")


def _stage(
    meeting: Meeting, place: Place, side: Side, plan: MediaPlan, folder: Path, on_bytes: OnBytes
) -> None:
    scratch = meeting.scratch / "media"
    scratch.mkdir(exist_ok=True)
    source = Place(open_folder(folder), posixpath.join("/", MEDIA))
    fetch(plan, {side: place, side.other: source}, scratch, on_bytes)
