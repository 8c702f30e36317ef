"""The only way to change a replica: stage, verify, back up, commit; then `finish` flips and remembers.

Up to the commit record nothing is under a final name, and a failure leaves both sides as they were. From
then on the record says what is to be done, every step of it can be done twice, and whoever comes next
(`recover`) finishes it. The ancestor is remembered last.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from usbsync.core.conflict import Side
from usbsync.core.media import Add, Delete, MediaPlan, Replace
from usbsync.errors import Busy, NoSpace, PhoneFailed, PhoneGone, PhoneRefused, UsbsyncError
from usbsync.media.move import backup_media, bytes_to_lose, bytes_to_move, check_targets, fetch
from usbsync.session.commit import cut_of
from usbsync.session.finish import carry_out, conclude, unstage, unstage_collection, unstage_media
from usbsync.session.journal import write_cut
from usbsync.session.meet import Meeting
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk, filling
from usbsync.session.work import Work, bytes_for, folded_of, mark_of
from usbsync.state.ancestor import as_record
from usbsync.state.backups import Backups
from usbsync.state.files import link_or_copy, sha256_of
from usbsync.state.journal import Journal
from usbsync.transport.base import Base, OnBytes, Push

ABSENT, BARE = "absent", "bare"
"""The facts of a backup that name the sides which had no collection, and no media folder."""
ROOM = 16 << 20
"""Bytes of free space left over on every disk."""


def apply(meeting: Meeting, work: Work, talk: Talk) -> str:
    """Carry the work out on both sides; returns the id of the backup of what was there before.

    Raises what the transports raise. Before the commit record nothing was changed; after it the next run
    finishes what this one could not.
    """
    _make_room(meeting, work)
    backups = Backups(meeting.pair)
    backups.sweep()
    folder = backups.begin()
    with ExitStack() as still:
        try:
            on_bytes = talk.stage("copying what is new, and what it replaces", _bytes_to_copy(work))
            facts = back_up(meeting, work, folder, on_bytes)
            with _in_words(meeting):
                _stage(meeting, work, on_bytes)
            # not before: a backup of which nothing came would be offered for undo
            backups.finish(folder.name, note=work.note, facts=facts)
            for replica in meeting.replicas.values():
                still.enter_context(replica.still())
            _look_again(meeting, work)
            _settle(meeting)
            cut = cut_of(meeting, work, folder.name)
            write_cut(meeting.pair, cut)
        except BaseException as error:
            _clean_up_unless_committed(meeting, folder.name, error)
            raise
        carry_out(meeting, cut, talk)
        conclude(meeting, cut.ancestor)
    return folder.name


def _make_room(meeting: Meeting, work: Work) -> None:
    """Check that all fits, if need be without what a cut-off run has brought already."""
    try:
        check_space(meeting, work)
    except NoSpace:
        for replica in meeting.replicas.values():
            unstage_media(replica)
        check_space(meeting, work)


def check_space(meeting: Meeting, work: Work) -> None:
    """Refuse, while nothing is written, what would not fit."""
    for side, replica in meeting.replicas.items():
        need = bytes_for(work, side) + bytes_to_move(work.media, side)
        free = replica.transport.free_space(replica.folder)
        if need and need + ROOM > free:
            raise NoSpace(
                f"the {side} has {free >> 20:,} MiB free, and {(need + ROOM) >> 20:,} MiB are needed; nothing was changed"
            )


def _bytes_to_copy(work: Work) -> int:
    """Return all that the bar will count."""
    media = sum(bytes_to_move(work.media, side) + bytes_to_lose(work.media, side) for side in Side)
    return media + sum(bytes_for(work, side) for side in Side)


def back_up(meeting: Meeting, work: Work, folder: Path, on_bytes: OnBytes) -> dict[str, Any]:
    """Keep both originals, the media that will go, and the ancestor they had; returns the facts for the manifest."""
    for side, held in work.held.items():
        link_or_copy(held.snapshot.raw, folder / side / "collection.anki2")
        if held.snapshot.wal:
            link_or_copy(held.snapshot.wal, folder / side / "collection.anki2-wal")
    facts: dict[str, Any] = {**work.facts, **meeting.memory.facts()}
    facts |= {"media": _media_facts(work.media), **_lacked(meeting, work)}
    if work.old is not None:
        link_or_copy(work.old.collection, folder / "ancestor.anki2")
        facts["ancestor"] = as_record(work.old)
    backup_media(work.media, _places(meeting), folder, on_bytes)
    for side in Side:  # as old as they were: undone, the newer of two edits is still the newer
        for step in work.media.of(side):
            if isinstance(step, Replace | Delete):
                os.utime(folder / side / "media" / step.name, (step.old.mtime, step.old.mtime))
    return facts


def _media_facts(plan: MediaPlan) -> dict[str, dict[str, list[Any]]]:
    """Note which files each side is brought: undo takes them away again, or puts the old ones back."""
    return {
        side.value: {
            step.name: [step.file.sha1, step.file.size]
            for step in plan.of(side)
            if isinstance(step, Add | Replace)
        }
        for side in Side
    }


def _lacked(meeting: Meeting, work: Work) -> dict[str, list[str]]:
    """Note which sides had no collection, and no media folder: undo takes away what these have since."""
    replicas = meeting.replicas.items()
    bare = [side.value for side, replica in replicas if replica.transport.stat(replica.media) is None]
    return {ABSENT: [side.value for side, before in work.before.items() if not before], BARE: bare}


def _places(meeting: Meeting) -> dict[Side, Any]:
    return {side: replica.place for side, replica in meeting.replicas.items()}


def _stage(meeting: Meeting, work: Work, on_bytes: OnBytes) -> None:
    """Stage media, of which a cut loses nothing, then the collections."""
    if work.stage_media:
        work.stage_media(on_bytes)
    else:
        scratch = meeting.scratch / "media"
        scratch.mkdir(exist_ok=True)
        fetch(work.media, _places(meeting), scratch, on_bytes)
    for side in (*work.new, *work.gone):
        with filling(on_bytes, bytes_for(work, side)) as counted:
            _stage_collection(meeting, work, side, counted)


@contextmanager
def _in_words(meeting: Meeting) -> Iterator[None]:
    """Say which folder may not be written, not which file of ours could not be."""
    try:
        yield
    except PhoneRefused as error:
        for side, replica in meeting.replicas.items():
            if reason := _forbidden(replica):
                where = replica.local.parent if replica.local else replica.folder
                raise PhoneRefused(
                    f"the {side}'s folder {where} cannot be written to ({reason}); nothing was changed",
                    hint="make that folder writable, then run the command again",
                ) from error
        raise


def _forbidden(replica: Replica) -> str | None:
    """Return a side's own words for that its folder may not be written; None where it may."""
    try:
        replica.transport.make_folder(replica.place.stage)
    except PhoneRefused as error:
        return str(error).rpartition(": ")[2]
    return None


def _stage_collection(meeting: Meeting, work: Work, side: Side, on_bytes: OnBytes) -> None:
    replica, now = meeting.replicas[side], int(time.time())
    pushes = [Push(mark_of(meeting, side), replica.mark, now)]
    base = Base(replica.collection, work.held[side].snapshot.raw) if side in work.held else None
    if folded := folded_of(work, side):
        pushes.append(Push(folded, replica.folded, now, base))
        base = Base(replica.folded, folded)
    if side in work.new:
        pushes.append(Push(work.new[side], replica.new, now, base))
    _stage_files(replica, pushes, on_bytes)


def _stage_files(replica: Replica, pushes: Sequence[Push], on_bytes: OnBytes) -> None:
    """Copy files and prove them; what came of a base and is not right is copied whole."""
    replica.transport.push(pushes, on_bytes)
    wrong = _not_whole(replica, pushes)
    if based := [replace(push, base=None) for push in wrong if push.base]:
        replica.transport.push(based, on_bytes)
        wrong = _not_whole(replica, wrong)
    if wrong:
        raise PhoneFailed(f"what was copied to the {replica.side} did not arrive whole; nothing was changed")


def _not_whole(replica: Replica, pushes: Sequence[Push]) -> list[Push]:
    found = replica.transport.hash([push.target for push in pushes], "sha256")
    return [push for push in pushes if found.get(push.target) != sha256_of(push.source)]


def _look_again(meeting: Meeting, work: Work) -> None:
    """Make sure, just before the commit, that both sides are what the plan was made for."""
    look_for_app(meeting)
    for side, before in work.before.items():
        if (meeting.replicas[side].fingerprint() or "") != before:
            meeting.looks.forget()
            raise Busy(
                f"the {side}'s collection changed meanwhile; nothing was changed",
                hint="run the command again",
            )
    if work.stage_media is None:
        check_targets(work.media, _places(meeting))


def _settle(meeting: Meeting) -> None:
    """Let what was staged survive a dead battery before a record says that it is there."""
    for replica in meeting.replicas.values():
        replica.transport.apply([])


def look_for_app(meeting: Meeting) -> None:
    """Make sure that AnkiDroid is still stopped."""
    if running := meeting.app.running():
        raise Busy(
            f"{', '.join(running)} was started on the phone meanwhile; nothing was changed",
            hint="leave AnkiDroid closed for a moment and run the command again",
        )


def _clean_up_unless_committed(meeting: Meeting, backup: str, error: BaseException) -> None:
    """Clean up after a failure; once the record is written, what is staged is needed to finish.

    Where the cable went, media that has arrived stays staged: the next run brings only the rest.
    """
    if Journal(meeting.pair).path.exists():
        return
    with suppress(UsbsyncError, OSError):  # the first failure is the one to tell
        Backups(meeting.pair).drop(backup)
    for replica in meeting.replicas.values():
        with suppress(UsbsyncError):
            (unstage_collection if isinstance(error, PhoneGone) else unstage)(replica)
