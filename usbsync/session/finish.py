"""What follows a commit record: both sides' steps, in which order, and the end; each of them can be done twice.

The record says what is to be done (`commit`); whoever comes next after a cut finishes it (`recover`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from usbsync.core.conflict import Side
from usbsync.errors import PhoneFailed
from usbsync.session.journal import NONE, PENDING, Cut, SideRecord
from usbsync.session.meet import WORK, Meeting
from usbsync.session.replica import Look, Replica
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor
from usbsync.state.backups import Backups
from usbsync.state.journal import Journal
from usbsync.transport.base import Remove, Rename, Step


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
