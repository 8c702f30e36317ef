"""What a sync would refuse, found out by looking only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from usbsync.collection.diff import compare
from usbsync.collection.snapshot import NEWEST_SCHEMA, take
from usbsync.core.conflict import Side
from usbsync.errors import ChoiceNeeded, DamagedData, UsbsyncError
from usbsync.media.listing import entries
from usbsync.session.collection import refuse_gone, refuse_lost
from usbsync.session.media import refuse_lost_media
from usbsync.session.meet import Meeting
from usbsync.session.replica import Replica, held
from usbsync.state.ancestor import Ancestor

_SMALL = 1 << 20  # bytes of a phone's collection that cross a cable for a mere look


def refusal(meeting: Meeting, ancestor: Ancestor, changed: Collection[Side]) -> UsbsyncError | None:
    """Return what a sync would end with before it writes, where that can be seen without much reading.

    A collection on a cable is read only where it is small, or much smaller than it was: a new installation's.
    """
    try:
        refuse_gone(
            [side for side, one in meeting.replicas.items() if not one.transport.stat(one.collection)]
        )
        refuse_lost_media(
            meeting.replicas,
            ancestor.media,
            {side: _names(meeting, one) for side, one in meeting.replicas.items()},
        )
        _look_into(meeting, ancestor, changed)
    except (ChoiceNeeded, DamagedData) as error:
        return error
    return None


def _names(meeting: Meeting, replica: Replica) -> Collection[str]:
    known = meeting.memory.phone_media()
    if replica.side is Side.PHONE and known is not None:
        return known.keys()
    return [info.name for info in entries(replica.transport, replica.media)]


def _look_into(meeting: Meeting, ancestor: Ancestor, changed: Collection[Side]) -> None:
    if paths := dict(_read(meeting, ancestor, changed)):
        refuse_what_is_lost(ancestor, paths, meeting.scratch)


def refuse_what_is_lost(ancestor: Ancestor, paths: Mapping[Side, Path], scratch: Path) -> None:
    """Raise GuardRefused where a snapshot of a side's collection is hardly what it was; one that lacks counts as it was."""
    ancestor.check()
    base = take(ancestor.collection, scratch / "ancestor", "last sync").path
    desktop, phone, _ = compare(base, paths.get(Side.DESKTOP, base), paths.get(Side.PHONE, base))
    refuse_lost(base, paths, desktop, phone)


def _read(meeting: Meeting, ancestor: Ancestor, changed: Collection[Side]) -> Iterator[tuple[Side, Path]]:
    sizes: Mapping[Side, int] = {side: meeting.replicas[side].size() for side in changed}
    for side, size in sizes.items():
        replica, scratch = meeting.replicas[side], meeting.scratch / side
        near = replica.local is not None
        if near or size <= _SMALL or size * 2 < ancestor.collection.stat().st_size:
            with replica.still():
                raw = replica.fetch(scratch / "raw", lambda _count: None)
            snapshot = held(replica, raw, scratch).snapshot
            if snapshot.schema == NEWEST_SCHEMA:
                yield side, snapshot.path
