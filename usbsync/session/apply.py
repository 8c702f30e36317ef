"""The only module that changes a replica: stage, verify, back up, commit, flip, remember.

Up to the commit record nothing is under a final name, and a failure leaves both sides as they were. From
then on the record says what is to be done, every step of it can be done twice, and whoever comes next
(`recover`) finishes it. The ancestor is remembered last.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from usbsync.core.conflict import Side
from usbsync.core.media import Add, Delete, MediaPlan, Replace
from usbsync.errors import Busy, NoSpace, PhoneFailed, PhoneGone, PhoneRefused, UsbsyncError
from usbsync.media.move import backup_media, bytes_to_lose, bytes_to_move, check_targets, fetch, steps
from usbsync.session.journal import NONE, PENDING, Cut, SideRecord, pending_ancestor, pending_old, write_cut
from usbsync.session.meet import WORK, Meeting
from usbsync.session.replica import Held, Look, Replica
from usbsync.session.talk import Talk, filling
from usbsync.state.ancestor import Ancestor, as_record
from usbsync.state.backups import Backups
from usbsync.state.files import fsync_file, fsync_folder, private_folder, sha256_of
from usbsync.state.journal import Journal
from usbsync.transport.base import Base, OnBytes, Push, Remove, Rename, Step

ABSENT, BARE = "absent", "bare"
"""The facts of a backup that name the sides which had no collection, and no media folder."""
_ROOM = 16 << 20  # free space left over on every disk, bytes

StageMedia = Callable[[OnBytes], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be changed: new collections (none for a side that stays), media, and what is then remembered."""

    before: Mapping[Side, str]  # the fingerprints that the work was made for; "" where there is no collection
    held: Mapping[Side, Held]  # the collections that were copied to make it
    new: Mapping[Side, Path]
    media: MediaPlan
    old: Ancestor | None
    ancestor: Ancestor | None  # what is then remembered; None: nothing, the next sync is a first one
    note: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    contained: tuple[
        Side, ...
    ] = ()  # the sides whose old collection is part of the other's new one, ids and all
    rewinds: bool = False  # the new collections are older than what is remembered now
    gone: Collection[Side] = ()  # the sides whose collection is taken away: before, they had none
    bare: Collection[Side] = ()  # the sides whose media folder goes with its last file
    stage_media: StageMedia | None = None  # where the media does not come from the other side


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
            cut = _cut(meeting, work, folder.name)
            write_cut(meeting.pair, cut)
        except BaseException as error:
            _clean_up_unless_committed(meeting, folder.name, error)
            raise
        carry_out(meeting, cut, talk)
        conclude(meeting, cut.ancestor)
    return folder.name


def carry_out(meeting: Meeting, cut: Cut, talk: Talk, *, again: bool = False) -> None:
    """Do what the commit record says; again, what of it is not done yet.

    Only then may what was staged be gone. Raises PhoneFailed where it is not as it should be.
    """
    talk.stage("putting everything in place")
    if cut.rewinds:  # an older ancestor is one of both sides at every moment from here on; a newer one is not
        meeting.memory.keep(cut.ancestor)
    for side in (Side.PHONE, Side.DESKTOP):  # the phone first: it is the one that can go away
        if look := _flip(meeting.replicas[side], cut.sides[side], again=again):
            meeting.looks.note(side, look)
    for side in (Side.PHONE, Side.DESKTOP):
        if late := cut.sides[side].late:
            _done(meeting.replicas[side], late)
        if cut.sides[side].bare:
            _remove_if_empty(meeting.replicas[side])


def conclude(meeting: Meeting, ancestor: Ancestor | None) -> None:
    """Remember what both now hold, and leave nothing lying about."""
    meeting.memory.keep(ancestor)
    Journal(meeting.pair).clear()
    for replica in meeting.replicas.values():
        unstage(replica)
    sweep_work(meeting.pair.folder, meeting.scratch)
    Backups(meeting.pair).prune()


def unstage(replica: Replica) -> None:
    """Remove whatever is staged on one side."""
    unstage_collection(replica)
    unstage_media(replica)


def unstage_collection(replica: Replica) -> None:
    """Remove a staged collection, and the mark last: while it is there, all that is gone we moved."""
    replica.transport.apply([Remove(replica.new), Remove(replica.folded), Remove(replica.mark)])


def unstage_media(replica: Replica) -> None:
    """Remove staged media."""
    replica.transport.remove_folder(replica.place.stage)


def sweep_work(folder: Path, using: Path) -> None:
    """Remove what earlier runs of this pair left, once no commit record needs it."""
    work = folder / WORK
    for old in [folder / PENDING, *(work.iterdir() if work.is_dir() else ())]:
        if old.is_dir() and not old.is_symlink():
            if old != using:
                shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(OSError):
                old.unlink()


# ---- before the commit


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
        need = _bytes_for(work, side) + bytes_to_move(work.media, side)
        free = replica.transport.free_space(replica.folder)
        if need and need + _ROOM > free:
            raise NoSpace(
                f"the {side} has {free >> 20:,} MiB free, and {(need + _ROOM) >> 20:,} MiB are needed; nothing was changed"
            )


def _bytes_for(work: Work, side: Side) -> int:
    staged = [work.new[side]] if side in work.new else []
    if side in (*work.new, *work.gone) and (folded := _folded(work, side)):
        staged.append(folded)
    return sum(path.stat().st_size for path in staged)


def _folded(work: Work, side: Side) -> Path | None:
    return work.held[side].snapshot.folded if side in work.held else None


def _bytes_to_copy(work: Work) -> int:
    """Return all that the bar will count."""
    media = sum(bytes_to_move(work.media, side) + bytes_to_lose(work.media, side) for side in Side)
    return media + sum(_bytes_for(work, side) for side in Side)


def back_up(meeting: Meeting, work: Work, folder: Path, on_bytes: OnBytes) -> dict[str, Any]:
    """Keep both originals, the media that will go, and the ancestor they had; returns the facts for the manifest."""
    for side, held in work.held.items():
        _link(held.snapshot.raw, folder / side / "collection.anki2")
        if held.snapshot.wal:
            _link(held.snapshot.wal, folder / side / "collection.anki2-wal")
    facts: dict[str, Any] = {**work.facts, **meeting.memory.facts()}
    facts |= {"media": _media_facts(work.media), **_lacked(meeting, work)}
    if work.old is not None:
        _link(work.old.collection, folder / "ancestor.anki2")
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


def _link(source: Path, target: Path) -> None:
    """Keep a file under a second name, or as a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    target.chmod(0o600)


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
        with filling(on_bytes, _bytes_for(work, side)) as counted:
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
    pushes = [Push(_mark(meeting, side), replica.mark, now)]
    base = Base(replica.collection, work.held[side].snapshot.raw) if side in work.held else None
    if folded := _folded(work, side):
        pushes.append(Push(folded, replica.folded, now, base))
        base = Base(replica.folded, folded)
    if side in work.new:
        pushes.append(Push(work.new[side], replica.new, now, base))
    _stage_files(replica, pushes, on_bytes)


def _mark(meeting: Meeting, side: Side) -> Path:
    """Make a file that no other apply has: it is how this one knows its own work again."""
    mark = meeting.scratch / f"{side}.mark"
    if not mark.exists():
        mark.write_text(f"usbsync may remove this file\n{secrets.token_hex(16)}\n")
    return mark


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


# ---- the commit record, and after it


def _cut(meeting: Meeting, work: Work, backup: str) -> Cut:
    """Write down all that is to be done, with the files that this needs kept where they outlive this process."""
    pending = private_folder(meeting.pair.folder / PENDING)
    ancestor = work.ancestor
    if ancestor:
        ancestor = replace(
            ancestor, collection=_kept(ancestor.collection, pending_ancestor(meeting.pair.folder))
        )
    olds = {
        side: _kept(held.whole, pending_old(meeting.pair.folder, side)) for side, held in work.held.items()
    }
    fsync_folder(pending)
    return Cut(
        backup=backup,
        sides={side: _side_record(meeting, side, work, olds.get(side)) for side in Side},
        ancestor=ancestor,
        media_before=dict(work.old.media) if work.old else {},
        contained=work.contained,
        rewinds=work.rewinds,
    )


def _kept(source: Path, target: Path) -> Path:
    target.unlink(missing_ok=True)
    _link(source, target)
    fsync_file(target)
    return target


def _side_record(meeting: Meeting, side: Side, work: Work, old: Path | None) -> SideRecord:
    replica = meeting.replicas[side]
    plan, path = work.media.of(side), replica.place.path
    media = steps(work.media, replica.side, replica.place)
    folded = _folded(work, side)
    return SideRecord(
        before=work.before[replica.side],
        folded=sha256_of(folded) if folded else None,
        after=_after(work, side),
        mark=None if _after(work, side) is None else sha256_of(_mark(meeting, side)),
        old=old,
        early=media.before,
        flip=_flip_steps(replica, work),
        late=media.after,
        brings={path(step.name): step.file.sha1 for step in plan if isinstance(step, Add | Replace)},
        takes={path(step.name): step.old.sha1 for step in plan if isinstance(step, Replace | Delete)},
        bare=side in work.bare,
    )


def _after(work: Work, side: Side) -> str | None:
    """Return the SHA-256 of what a side's collection is to be; "" where it goes, None where it stays."""
    if side in work.new:
        return sha256_of(work.new[side])
    return NONE if side in work.gone else None


def _flip_steps(replica: Replica, work: Work) -> tuple[Step, ...]:
    if replica.side not in (*work.new, *work.gone):
        return ()
    tidy = tuple(Remove(f"{replica.collection}{sidecar}") for sidecar in ("-shm", "-journal"))
    there = replica.side in work.new
    last = Rename(replica.new, replica.collection) if there else Remove(replica.collection)
    return (*_wal_steps(replica, work), *tidy, last)


def _wal_steps(replica: Replica, work: Work) -> tuple[Step, ...]:
    """Get rid of a `-wal`: at no moment does a main file lie beside a `-wal` that is not its own.

    The folded main reads the same with its old `-wal` and without, so each of the states between reads right.
    """
    if "+" not in work.before[replica.side]:
        wal = replica.transport.stat(replica.wal)  # an empty one, where somebody only read the old collection
        return (Remove(replica.wal),) if wal and not wal.size else ()
    if _folded(work, replica.side) is None:  # a damaged collection's
        return (Remove(replica.wal),)
    return Rename(replica.folded, replica.collection), Remove(replica.wal)


def _flip(replica: Replica, record: SideRecord, *, again: bool) -> Look | None:
    """Do what is left of a side's steps, and return what it holds then; again, one whose source is gone was done before."""
    _place_media(replica, record.early, again=again)
    if record.after is None:
        return None
    if record.after == NONE:
        return _take_away(replica, record)
    if replica.transport.stat(replica.new) is None:
        if not again:
            raise _gone(replica)
        return None  # flipped: since then the app may have a `-wal` that is none of ours
    if not holds(replica, replica.new, record.after):
        if holds(replica, replica.collection, record.after):
            return None  # flipped, and what is staged is somebody else's
        raise PhoneFailed(
            f"what was staged on the {replica.side} is not whole any more; both sides are as they were"
        )
    _apply_flip(replica, record)
    look = replica.look()
    if look.fingerprint is None or look.fingerprint.partition("+")[0] != record.after:
        raise PhoneFailed(
            f"the {replica.side}'s new collection did not take its place; run the command again"
        )
    return look


def _apply_flip(replica: Replica, record: SideRecord) -> None:
    """Do a flip's steps, but for that with the folded collection where it was done before."""
    done = replica.folded if replica.transport.stat(replica.folded) is None else None
    replica.transport.apply(
        [step for step in record.flip if not (isinstance(step, Rename) and step.source == done)]
    )


def _take_away(replica: Replica, record: SideRecord) -> Look | None:
    """Remove a side's collection, unless somebody made another or worked with it since."""
    now = replica.fingerprint()
    if now is not None and now not in record.untouched:
        return None
    _apply_flip(replica, record)
    look = replica.look()
    if look.fingerprint is not None:
        raise PhoneFailed(f"the {replica.side}'s collection did not go; run the command again")
    return look


def holds(replica: Replica, path: str, sha256: str) -> bool:
    """Whether a side's file is there and whole."""
    return replica.transport.hash([path], "sha256").get(path) == sha256


def _gone(replica: Replica) -> PhoneFailed:
    return PhoneFailed(f"what was staged on the {replica.side} is gone; run the command again")


def _place_media(replica: Replica, early: tuple[Step, ...], *, again: bool) -> None:
    """Move staged media into place; removals among the steps come before all moves, so some done means all are."""
    moves = [step for step in early if isinstance(step, Rename)]
    if not moves:
        return
    stage = replica.place.stage
    there = {info.name for info in replica.transport.list(stage)} if replica.transport.stat(stage) else set()
    left = [move for move in moves if move.source.rpartition("/")[2] in there]
    if len(left) != len(moves) and not again:
        raise _gone(replica)
    if left:
        _done(replica, early if len(left) == len(moves) else left)


def _done(replica: Replica, steps: Sequence[Step]) -> None:
    """Do steps with media, and see that they are: what did not arrive would count as deleted at the next sync.

    But for removals before a move, which may be of the same file in other capitals.
    """
    replica.transport.apply(steps)
    moved = [step.source for step in steps if isinstance(step, Rename)]
    gone = moved or [step.path for step in steps if isinstance(step, Remove)]
    if replica.transport.hash(gone, "sha1"):
        raise PhoneFailed(f"the {replica.side} did not move or remove all media files; run the command again")


def _remove_if_empty(replica: Replica) -> None:
    """Remove a media folder that was made for files which are gone again."""
    if replica.transport.stat(replica.media) and not replica.transport.list(replica.media):
        replica.transport.remove_folder(replica.media)
