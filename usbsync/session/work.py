"""What an apply is to do, as a value; `sync` and `undo` make it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usbsync.core.conflict import Side
from usbsync.core.media import MediaPlan
from usbsync.session.meet import Meeting
from usbsync.session.replica import Held
from usbsync.state.ancestor import Ancestor
from usbsync.transport.base import OnBytes

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


def bytes_for(work: Work, side: Side) -> int:
    """Return the bytes of the collections that are staged on a side."""
    staged = [work.new[side]] if side in work.new else []
    if side in (*work.new, *work.gone) and (folded := folded_of(work, side)):
        staged.append(folded)
    return sum(path.stat().st_size for path in staged)


def folded_of(work: Work, side: Side) -> Path | None:
    """Return a side's old collection with its `-wal` folded in, where it has one."""
    return work.held[side].snapshot.folded if side in work.held else None


def mark_of(meeting: Meeting, side: Side) -> Path:
    """Make a file that no other apply has: it is how this one knows its own work again."""
    mark = meeting.scratch / f"{side}.mark"
    if not mark.exists():
        mark.write_text(f"usbsync may remove this file\n{secrets.token_hex(16)}\n")
    return mark
