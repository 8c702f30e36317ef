"""What each side lacks: the reconciled rows against what that side holds, as a value ready to carry out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from usbsync.core.changes import Changes, Key, Row, Table
from usbsync.core.conflict import Conflict, Side
from usbsync.core.reconcile import Reconciled
from usbsync.core.stamps import stamped


class Source(Enum):
    """Where the row that a side lacks is found."""

    OTHER = "the other side holds it"
    MERGED = "neither side holds it: it is made of both"


@dataclass(frozen=True, slots=True)
class Put:
    """A row to be written on one side."""

    key: Key
    row: Row
    source: Source
    new: bool  # this side has no such row


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What is to be done to one table of one side."""

    puts: tuple[Put, ...] = ()
    deletions: tuple[Key, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Count the rows added, updated and deleted."""
        added = sum(put.new for put in self.puts)
        return {"added": added, "updated": len(self.puts) - added, "deleted": len(self.deletions)}


@dataclass(frozen=True, slots=True)
class SidePlan:
    """What is to be done to one side's collection; nothing at all where `empty`."""

    tables: Mapping[Table, TablePlan] = field(default_factory=dict)
    crt: int | None = None
    scm: int | None = None

    @property
    def empty(self) -> bool:
        """Whether this side already holds the result."""
        return not self.tables and self.crt is None

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Count what is done, table by table."""
        return {table.value: plan.counts for table, plan in self.tables.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to both collections, and what could not be kept."""

    desktop: SidePlan
    phone: SidePlan
    conflicts: tuple[Conflict, ...] = ()
    grow: frozenset[int] = frozenset()  # notes for which Anki is to make the cards they now need

    def side(self, side: Side) -> SidePlan:
        """Return one side's part."""
        return self.desktop if side is Side.DESKTOP else self.phone

    @property
    def empty(self) -> bool:
        """Whether both sides already hold the result."""
        return self.desktop.empty and self.phone.empty


def make_plan(desktop: Changes, phone: Changes, result: Reconciled) -> Plan:
    """Compare the result with what each side holds."""
    sides = {Side.DESKTOP: desktop, Side.PHONE: phone}
    result = replace(result, rows=stamped(result.rows, desktop, phone))
    plans = {side: _side_plan(sides[side], sides[side.other], result) for side in Side}
    return Plan(plans[Side.DESKTOP], plans[Side.PHONE], result.conflicts, result.grow)


def _side_plan(own: Changes, other: Changes, result: Reconciled) -> SidePlan:
    tables = {table: _table_plan(table, own, other, rows) for table, rows in result.rows.items()}
    lacking = {table: plan for table, plan in tables.items() if plan.puts or plan.deletions}
    return SidePlan(
        tables=lacking,
        crt=result.crt if own.col.crt != result.crt else None,
        scm=result.scm if result.scm is not None and lacking and own.col.scm != result.scm else None,
    )


def _table_plan(table: Table, own: Changes, other: Changes, rows: Mapping[Key, Any]) -> TablePlan:
    puts, deletions = [], []
    for key, row, held in _differing(table, own, other, rows):
        if row is None:
            deletions.append(key)
        else:
            source = Source.OTHER if row == _held(table, other, own, key) else Source.MERGED
            puts.append(Put(key, row, source, new=held is None))
    return TablePlan(tuple(puts), tuple(deletions))


def _differing(
    table: Table, own: Changes, other: Changes, rows: Mapping[Key, Any]
) -> Iterator[tuple[Key, Any, Any]]:
    """Yield key, wanted row and held row wherever the two differ."""
    for key, row in rows.items():
        held = _held(table, own, other, key)
        if row != held:
            yield key, row, held


def _held(table: Table, own: Changes, other: Changes, key: Key) -> Any:
    """Return the row a side holds: its own change, or what the ancestor had; None where it has none."""
    if (change := own.of(table).get(key)) is not None:
        return change.now
    change = other.of(table).get(key)
    return None if change is None else change.ancestor
