"""Are both in step? Answered without stopping or changing anything, like the colour of Anki's sync button."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from usbsync.core.conflict import Side
from usbsync.errors import DamagedData, UsbsyncError
from usbsync.media.listing import listed
from usbsync.session.collection import known_fingerprints
from usbsync.session.meet import Meeting, meet
from usbsync.session.mishaps import refusal
from usbsync.session.options import Options
from usbsync.session.recover import interrupted
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor


class State(StrEnum):
    """How a pair stands."""

    IN_STEP = "in step"
    CHANGES = "changes to sync"
    CHOICE = "a choice is needed"  # a sync would refuse: what was there is gone
    DAMAGED = "damaged"  # a sync would find what it cannot read
    NEW = "never synced"


@dataclass(frozen=True, slots=True)
class Status:
    """How a pair stands, and since when it was last in step."""

    state: State
    changed: tuple[Side, ...]  # whose collection is not what it was after the last sync
    last_sync: float | None  # seconds since 1970
    app_running: bool
    interrupted: bool
    desktop: str
    phone: str
    refused: UsbsyncError | None = None  # what a sync would end with

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "state": self.state.value,
            "changed": [side.value for side in self.changed],
            "last_sync": self.last_sync,
            "app_running": self.app_running,
            "interrupted": self.interrupted,
            "refused": str(self.refused) if self.refused else None,
            "hint": self.refused.hint if self.refused else None,
        }


def status(options: Options, talk: Talk) -> Status:
    """Compare both collections with what was remembered, by their bytes, and say what a sync would refuse."""
    with meet(options, talk, dry=True, stop_app=False) as meeting:
        talk.stage("comparing")
        ancestor = meeting.ancestor()
        changed = _changed(meeting, ancestor)
        running = bool(meeting.app.running())
        cut = interrupted(meeting.pair)
        refused = None
        if ancestor and changed and not running and not cut:  # what an app writes just now is not read
            refused = refusal(meeting, ancestor, changed)
        return Status(
            state=_state(ancestor, changed, refused),
            changed=changed,
            last_sync=ancestor.when if ancestor else None,
            app_running=running,
            interrupted=cut,
            desktop=meeting.names[Side.DESKTOP],
            phone=meeting.names[Side.PHONE],
            refused=refused,
        )


def side_changed(replica: Replica, ancestor: Ancestor, seen: str | None = None) -> bool:
    """Say whether one side's collection or media is not what it was after the last sync; `seen` spares hashing."""
    known = known_fingerprints(ancestor)[replica.side]
    return (seen or replica.fingerprint()) != known or _media_changed(replica, replica.side, ancestor)


def _changed(meeting: Meeting, ancestor: Ancestor | None) -> tuple[Side, ...]:
    if ancestor is None:
        return tuple(Side)
    looks = meeting.looks
    return tuple(s for s, one in meeting.replicas.items() if side_changed(one, ancestor, looks.glance(one)))


def _media_changed(replica: Replica, side: Side, ancestor: Ancestor) -> bool:
    """Whether names, sizes or times of a side's media are not as they were; nothing is hashed for this."""
    listing = listed(replica.transport, replica.media)
    seen = ancestor.seen_desktop if side is Side.DESKTOP else ancestor.seen_phone
    fresh = ancestor.media.keys() - seen.keys()  # written too recently to be trusted by their times
    return {name: at for name, at in listing.items() if name not in fresh} != {
        name: (file.size, file.mtime) for name, file in seen.items() if name not in fresh
    } or not fresh <= listing.keys()


def _state(ancestor: Ancestor | None, changed: tuple[Side, ...], refused: UsbsyncError | None) -> State:
    if ancestor is None:
        return State.NEW
    if refused:
        return State.DAMAGED if isinstance(refused, DamagedData) else State.CHOICE
    return State.CHANGES if changed else State.IN_STEP
