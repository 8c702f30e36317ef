"""Finishing, or giving up without loss, what an earlier run was cut off from after its commit."""

from __future__ import annotations

from dataclasses import replace

from usbsync.core.conflict import Side
from usbsync.core.recovery import Recovery, Standing, recovery
from usbsync.session.apply import conclude, finish, sweep_work, unstage
from usbsync.session.journal import Cut, SideRecord, read_cut
from usbsync.session.meet import Meeting
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor
from usbsync.state.files import sha256_of
from usbsync.state.journal import Journal
from usbsync.state.pair import Pair


def interrupted(pair: Pair) -> bool:
    """Whether an earlier run was cut off after its commit."""
    return Journal(pair).read() is not None


def recover(meeting: Meeting, talk: Talk) -> Recovery | None:
    """Bring a cut-off apply to its end; None where there was none, only its leavings to sweep.

    A side that somebody worked with after the cut is never flipped: what they did would be lost.
    """
    cut = read_cut(meeting.pair)
    if cut is None:
        _sweep(meeting)
        return None
    with meeting.desktop.still():
        standing = {side: _standing(meeting.replicas[side], cut.sides[side]) for side in Side}
        what, moved = recovery(standing)
        match what:
            case Recovery.FINISH:
                talk.note("an earlier sync was interrupted: finishing it")
                finish(meeting, cut, talk)
            case Recovery.GIVE_UP:
                talk.note("an earlier sync was interrupted before it changed anything: starting over")
                _give_up(meeting)
            case Recovery.REBASE if moved:
                talk.note(f"an earlier sync was interrupted, and the {moved} was used since: merging both")
                conclude(meeting, _rebased(cut, moved))
    return what


def _standing(replica: Replica, record: SideRecord) -> Standing:
    if record.after is None:
        return Standing.DONE
    untouched = (replica.fingerprint() or "") in record.untouched
    if replica.transport.stat(replica.new):
        return Standing.PENDING if untouched else Standing.MOVED
    # flipped; or somebody tidied away what was staged, and it cannot be finished
    return Standing.MOVED if untouched and record.before != record.after else Standing.DONE


def _give_up(meeting: Meeting) -> None:
    for replica in meeting.replicas.values():
        unstage(replica)
    Journal(meeting.pair).clear()
    _sweep(meeting)


def _rebased(cut: Cut, moved: Side) -> Ancestor | None:
    """Return the moved side's old state as the ancestor: the flipped side's collection contains it."""
    old = cut.sides[moved].old
    if cut.ancestor is None or old is None:
        return None
    return replace(
        cut.ancestor,
        collection=old,
        sha256=sha256_of(old),
        desktop_sha256="",
        media=cut.media_before,
        seen_desktop={},
        seen_phone={},
        info={},
    )


def _sweep(meeting: Meeting) -> None:
    """Remove what a run left that was cut off before its commit."""
    for replica in meeting.replicas.values():
        left = [
            path
            for path in (replica.new, replica.folded, replica.place.stage)
            if replica.transport.stat(path)
        ]
        if left:
            unstage(replica)
    sweep_work(meeting.pair.folder, meeting.scratch)
