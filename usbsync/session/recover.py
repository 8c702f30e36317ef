"""Finishing, or giving up without loss, what an earlier run was cut off from after its commit.

Since then people may have studied, the phone may have met another computer, the desktop another phone, and files of
ours may be gone. What is remembered as the ancestor is one of both sides at every moment, so giving up is always
safe; finishing, or building on a side's old state, is merely more exact, and is done where all that it needs is proven.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from usbsync.core.conflict import Side
from usbsync.core.recovery import Recovery, Standing, recovery
from usbsync.errors import DamagedData, NewerState
from usbsync.session.apply import look_for_app
from usbsync.session.finish import carry_out, conclude, holds, sweep_work, unstage, unstage_collection
from usbsync.session.journal import NONE, Cut, SideRecord, read_cut
from usbsync.session.lawful import check_steps
from usbsync.session.meet import Meeting
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor
from usbsync.state.backups import Backups
from usbsync.state.files import sha256_of, sweep_temporaries
from usbsync.state.journal import Journal
from usbsync.state.pair import Pair
from usbsync.transport.base import Rename, Step


def interrupted(pair: Pair) -> bool:
    """Whether an earlier run was cut off after its commit."""
    return Journal(pair).path.exists()


def recover(meeting: Meeting, talk: Talk) -> Recovery | None:
    """Bring a cut-off apply to its end; None where there was none, only its leavings to sweep.

    A side that somebody worked with after the cut is never flipped: what they did would be lost.
    """
    if not interrupted(meeting.pair):
        _sweep(meeting)
        return None
    if meeting.memory.passing:  # its phone's side was a copy, gone with that run
        _give_up(meeting)
        return Recovery.GIVE_UP
    cut = _readable(meeting, talk)
    if cut is None:
        _give_up(meeting)
        return Recovery.GIVE_UP
    with meeting.desktop.still(), meeting.phone.still():
        look_for_app(meeting)
        what, moved = _decide(meeting, cut)
        match what:
            case Recovery.FINISH:
                talk.note("an earlier sync was interrupted: finishing it")
                _finish(meeting, cut, talk)
            case Recovery.GIVE_UP:
                talk.note("an earlier sync was interrupted and cannot be finished: starting over")
                _remember_arrived(meeting, cut)
                _give_up(meeting)
            case Recovery.REBASE if moved:
                talk.note(f"an earlier sync was interrupted, and the {moved} was used since: merging both")
                conclude(meeting, _rebased(meeting, cut, moved))
    return what


def _readable(meeting: Meeting, talk: Talk) -> Cut | None:
    try:
        return _lawful(meeting)
    except NewerState:
        raise
    except DamagedData as error:
        talk.note(f"{error}; starting over")
        return None


def _lawful(meeting: Meeting) -> Cut | None:
    cut = read_cut(meeting.pair)
    if cut:
        check_steps(cut, meeting.replicas)
    return cut


def _decide(meeting: Meeting, cut: Cut) -> tuple[Recovery, Side | None]:
    standing = {side: _standing(meeting.replicas[side], cut.sides[side]) for side in Side}
    what, moved = recovery(standing)
    if what is Recovery.FINISH and not _whole(cut.ancestor):
        return Recovery.GIVE_UP, None
    if what is Recovery.REBASE and not (moved in cut.contained and _old_is_whole(cut.sides[moved])):
        return Recovery.GIVE_UP, None
    return what, moved


def _whole(ancestor: Ancestor | None) -> bool:
    return ancestor is None or (
        ancestor.collection.is_file() and sha256_of(ancestor.collection) == ancestor.sha256
    )


def _old_is_whole(record: SideRecord) -> bool:
    wanted = record.folded or record.before.partition("+")[0]
    return record.old is not None and record.old.is_file() and sha256_of(record.old) == wanted


def _standing(replica: Replica, record: SideRecord) -> Standing:
    if record.after is None or record.mark is None:
        return Standing.DONE
    now = replica.fingerprint() or ""
    if now == record.after:
        return Standing.DONE
    if now in record.untouched:
        if record.after == NONE:
            return Standing.PENDING  # to take it away nothing is needed
        # what is not there, or not whole, cannot be finished
        return Standing.PENDING if holds(replica, replica.new, record.after) else Standing.MOVED
    if record.after == NONE:
        return Standing.MOVED
    # worked with: after the flip, or before it? If the mark is gone somebody tidied up, and that says nothing
    flipped = replica.transport.stat(replica.new) is None and holds(replica, replica.mark, record.mark)
    return Standing.DONE if flipped else Standing.MOVED


def _give_up(meeting: Meeting) -> None:
    for replica in meeting.replicas.values():
        unstage(replica)
    Journal(meeting.pair).clear()
    _sweep(meeting)


def _rebased(meeting: Meeting, cut: Cut, moved: Side) -> Ancestor | None:
    """Return the moved side's old state as the ancestor: the flipped side's collection contains it."""
    old = cut.sides[moved].old
    if cut.ancestor is None or old is None:
        return None
    return replace(
        cut.ancestor,
        collection=old,
        sha256=sha256_of(old),
        desktop_sha256="",
        media={**cut.media_before, **_arrived(meeting, cut)},
        seen_desktop={},
        seen_phone={},
        info={},
    )


def _remember_arrived(meeting: Meeting, cut: Cut) -> None:
    with suppress(DamagedData):  # a memory that is damaged is told of by the sync that follows
        old, arrived = meeting.ancestor(), _arrived(meeting, cut)
        if old and arrived:
            meeting.memory.keep(replace(old, media={**old.media, **arrived}))


def _arrived(meeting: Meeting, cut: Cut) -> dict[str, str]:
    """Return the media that a sync brought to one side from the other: who lacks it now has deleted it since."""
    if cut.rewinds or cut.ancestor is None:
        return {}
    found: dict[str, str] = {}
    for side, record in cut.sides.items():
        here = meeting.replicas[side].transport.hash(sorted(record.brings), "sha1")
        found |= {
            path.rpartition("/")[2]: sha1 for path, sha1 in record.brings.items() if here.get(path) == sha1
        }
    return {name: sha1 for name, sha1 in found.items() if cut.ancestor.media.get(name) == sha1}


def _sweep(meeting: Meeting) -> None:
    """Remove what a run left that was cut off before its commit, but for media that has arrived: it is of use."""
    for replica in meeting.replicas.values():
        if any(map(replica.transport.stat, (replica.new, replica.folded, replica.mark))):
            unstage_collection(replica)
    sweep_work(meeting.pair.folder, meeting.scratch)
    sweep_temporaries(meeting.pair.folder)
    Backups(meeting.pair).sweep()


# ---- finishing


def _finish(meeting: Meeting, cut: Cut, talk: Talk) -> None:
    """Do what is left, but for media that somebody changed since; remember only what did come about."""
    sides = {side: _still_ours(meeting.replicas[side], record) for side, record in cut.sides.items()}
    carry_out(meeting, replace(cut, sides=sides), talk, again=True)
    conclude(meeting, _as_it_came(meeting, cut))


def _still_ours(replica: Replica, record: SideRecord) -> SideRecord:
    staged = {step.source for step in record.early if isinstance(step, Rename)}
    here = replica.transport.hash(sorted({*record.brings, *record.takes, *staged}), "sha1")

    def ours(step: Step) -> bool:
        path = step.target if isinstance(step, Rename) else step.path
        whole = not isinstance(step, Rename) or here.get(step.source) in {None, record.brings[path]}
        return whole and here.get(path) in {None, record.brings.get(path), record.takes.get(path)}

    return replace(record, early=tuple(filter(ours, record.early)), late=tuple(filter(ours, record.late)))


def _as_it_came(meeting: Meeting, cut: Cut) -> Ancestor | None:
    """Let the next sync look again at each media file that is not what it was to become."""
    if cut.ancestor is None:
        return None
    astray = {
        path.rpartition("/")[2]
        for side, record in cut.sides.items()
        for path in _astray(meeting.replicas[side], record)
    }
    media = {name: sha1 for name, sha1 in cut.ancestor.media.items() if name not in astray}
    media |= {name: sha1 for name, sha1 in cut.media_before.items() if name in astray}
    return replace(cut.ancestor, media=media)


def _astray(replica: Replica, record: SideRecord) -> list[str]:
    here = replica.transport.hash(sorted(record.brings), "sha1")
    return [path for path, sha1 in record.brings.items() if here.get(path) != sha1]
