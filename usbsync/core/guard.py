"""Refusals before any write: what looks like a mishap rather than work is not carried across."""

from __future__ import annotations

from dataclasses import dataclass

from usbsync.core.changes import Changes, GraveType, Table
from usbsync.core.conflict import Side

_FEW = 20  # so small a loss needs no question
_SOME = 5  # so many are not all deleted by hand
_DAY = 86_400  # s


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a side lost since the last sync, and of how many where that matters."""

    side: Side
    what: str
    lost: int
    had: int | None = None

    def __str__(self) -> str:
        of = "" if self.had is None else f" of {self.had:,}"
        return f"the {self.side} lost {self.lost:,}{of} {self.what} since the last sync"


def losses(side: Side, changes: Changes, notes_before: int) -> tuple[Alarm, ...]:
    """Sound the alarm where a collection is hardly the one that was there, or an older state of it.

    Neither app deletes answers but by an undo: where many of them are gone, a backup was brought back, or this is
    another phone, and what was done since would count as taken back.
    """
    lost = {table: _gone(changes, table) for table in (Table.NOTES, Table.REVLOG)}
    other = changes.col.crt != changes.ancestor_col.crt and 0 < notes_before == lost[Table.NOTES]
    notes = (Alarm(side, "notes", notes_before, notes_before),) if other else ()
    answers = (Alarm(side, "answers", lost[Table.REVLOG]),) if lost[Table.REVLOG] > _FEW else ()
    return (
        notes or alarm(side, "notes", lost[Table.NOTES], notes_before) or _undeleted(side, changes)
    ) + answers


def _undeleted(side: Side, changes: Changes) -> tuple[Alarm, ...]:
    """Sound the alarm where notes are gone and lie in no grave: an older state was brought back, and nobody deleted them.

    Both apps bury what they delete, and what AnkiWeb says was deleted (rslib `sync/collection/graves.rs`); a full sync with
    AnkiWeb clears the graves, and then this asks in vain.
    """
    graves = changes.of(Table.GRAVES)
    gone = sum(
        change.now is None and (id_, GraveType.NOTE) not in graves
        for id_, change in changes.of(Table.NOTES).items()
    )
    notes = "note" if gone == 1 else "notes"
    return (Alarm(side, f"{notes} that nobody deleted there", gone),) if gone else ()


def alarm(side: Side, what: str, lost: int, had: int) -> tuple[Alarm, ...]:
    """Sound the alarm where more than half, and more than a few, are gone; or all, and more than one deletes by hand."""
    mishap = (lost > _FEW and lost * 2 > had) or _SOME <= lost == had
    return (Alarm(side, what, lost, had),) if mishap else ()


def _gone(changes: Changes, table: Table) -> int:
    return sum(change.now is None for change in changes.of(table).values())


def misdated(side: Side, changes: Changes, now: int) -> str | None:
    """Say that a side's clock was wrong by more than a day: dates to come, or before the version that they replace.

    `now` in seconds since 1970, by this computer's clock, which may be the wrong one.
    """
    pairs = [
        (change.ancestor, change.now)
        for table in (Table.NOTES, Table.CARDS)
        for change in changes.of(table).values()
        if change.now and change.now != change.ancestor
    ]
    ahead = sum(row.mod > now + _DAY for _, row in pairs)
    behind = sum(old is not None and row.mod + _DAY < old.mod <= now + _DAY for old, row in pairs)
    if not ahead and not behind:
        return None
    when = "in the future" if ahead else "before what it replaces"
    return (
        f"work on the {side} is dated {when} ({ahead + behind:,} of {len(pairs):,} changes): look at the clocks of both; "
        "where both changed the same thing, the newer may not be the one that stands"
    )
