"""Both sides' changes in, one result out: what every changed row becomes, and what could not be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from usbsync.core.align import align
from usbsync.core.changes import Changes, Context, Key, Row, Table
from usbsync.core.conflict import Conflict, Logic, Settlement, Side
from usbsync.core.follow import followed
from usbsync.core.merge3 import Outcome, merge3
from usbsync.core.merging import Merge
from usbsync.core.notetypes import schema_moved
from usbsync.core.whole import WholeMerge


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What becomes of every row that changed on some side (None: it is gone), and what lost."""

    rows: Mapping[Table, Mapping[Key, Row | None]]
    conflicts: tuple[Conflict, ...]
    crt: int
    scm: int | None  # to be set on both sides, where a change of schema crosses
    grow: frozenset[int] = frozenset()
    """Notes for which Anki is to make the cards that they now need."""


def reconcile(
    desktop: Changes, phone: Changes, context: Context, settlement: Settlement | None = None
) -> Reconciled:
    """Decide what becomes of everything that either side changed."""
    settlement = settlement or Settlement()
    shaped = followed(desktop, phone, context.mids, settlement)
    both = align(shaped.desktop, shaped.phone, context.free_ids)
    context = replace(context, fields={**context.fields, **shaped.fields})
    how = WholeMerge if settlement.logic is Logic.ANKIWEB else Merge
    merge = how({Side.DESKTOP: desktop, Side.PHONE: phone}, both, context, settlement)
    merge.drop_cards(shaped.dropped)
    merge.stands = shaped.stands
    merge.run()
    crt, conflicts = _merge_crt(desktop, phone)
    crossing = shaped.moved or schema_moved(desktop, phone, merge.rows)
    return Reconciled(
        rows=merge.rows,
        conflicts=(*shaped.conflicts, *merge.conflicts, *conflicts),
        crt=crt,
        scm=max(desktop.col.scm, phone.col.scm) if crossing else None,
        grow=merge.growing(shaped.grown),
    )


def _merge_crt(desktop: Changes, phone: Changes) -> tuple[int, tuple[Conflict, ...]]:
    """Merge the day the collection began; it moves only when someone sets it by force."""
    ancestor, mine, theirs = desktop.ancestor_col.crt, desktop.col.crt, phone.col.crt
    match merge3(ancestor, mine, theirs):
        case Outcome.SAME | Outcome.DESKTOP:
            return mine, ()
        case Outcome.PHONE:
            return theirs, ()
        case Outcome.CONFLICT:
            chosen = Side.DESKTOP if mine <= theirs else Side.PHONE
            shown = (str(ancestor), str(mine), str(theirs))
            reason = "the earlier day stands"
            return min(mine, theirs), (Conflict("col", 1, "first day", "crt", *shown, chosen, reason),)
