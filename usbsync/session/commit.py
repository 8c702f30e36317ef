"""The commit record of an apply: all that is to be done, written down, with the files that this needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from usbsync.core.conflict import Side
from usbsync.core.media import Add, Delete, Replace
from usbsync.media.move import steps
from usbsync.session.journal import NONE, PENDING, Cut, SideRecord, pending_ancestor, pending_old
from usbsync.session.meet import Meeting
from usbsync.session.replica import Replica
from usbsync.session.work import Work, folded_of, mark_of
from usbsync.state.files import fsync_file, fsync_folder, link_or_copy, private_folder, sha256_of
from usbsync.transport.base import Remove, Rename, Step


def cut_of(meeting: Meeting, work: Work, backup: str) -> Cut:
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
    link_or_copy(source, target)
    fsync_file(target)
    return target


def _side_record(meeting: Meeting, side: Side, work: Work, old: Path | None) -> SideRecord:
    replica = meeting.replicas[side]
    plan, path = work.media.of(side), replica.place.path
    media = steps(work.media, replica.side, replica.place)
    folded, after = folded_of(work, side), _after(work, side)
    return SideRecord(
        before=work.before[replica.side],
        folded=sha256_of(folded) if folded else None,
        after=after,
        mark=None if after is None else sha256_of(mark_of(meeting, side)),
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
    if folded_of(work, replica.side) is None:  # a damaged collection's
        return (Remove(replica.wal),)
    return Rename(replica.folded, replica.collection), Remove(replica.wal)
