"""Refusals before any write: what looks like a mishap rather than work is not carried across."""

from __future__ import annotations

from dataclasses import dataclass

from usbsync.core.changes import Changes, Table
from usbsync.core.conflict import Side

_FEW = 20  # so small a loss needs no question


@dataclass(frozen=True, slots=True)
class Alarm:
    """A side lost more than half of something since the last sync."""

    side: Side
    what: str
    lost: int
    had: int

    def __str__(self) -> str:
        return f"the {self.side} lost {self.lost:,} of {self.had:,} {self.what} since the last sync"


def losses(side: Side, changes: Changes, notes_before: int) -> tuple[Alarm, ...]:
    """Sound the alarm where more than half of the notes are gone."""
    lost = sum(change.now is None for change in changes.of(Table.NOTES).values())
    return alarm(side, "notes", lost, notes_before)


def alarm(side: Side, what: str, lost: int, had: int) -> tuple[Alarm, ...]:
    """Sound the alarm where more than half, and more than a few, are gone."""
    return (Alarm(side, what, lost, had),) if lost > _FEW and lost * 2 > had else ()
