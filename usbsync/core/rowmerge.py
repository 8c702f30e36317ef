"""Any table, row by row: what becomes of a row that one side changed, or both, or one deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from usbsync.core import titles
from usbsync.core.align import Aligned
from usbsync.core.changes import Card, Change, Changes, Context, Deck, Key, Note, Table
from usbsync.core.conflict import Conflict, Settlement, Side, Weight
from usbsync.core.contest import Contest, merge_units
from usbsync.core.forest import Forest
from usbsync.core.retyped import fitted, standing
from usbsync.core.reviews import forgotten, last_acts, shared_answers
from usbsync.core.rules import rule_for
from usbsync.core.units import (
    JOIN,
    SPLIT,
    Units,
    touched,
    with_last_review,
    without_blanks,
    without_last_review,
)

Rows: TypeAlias = dict[Key, Any]
Pair: TypeAlias = Mapping[Side, Mapping[Key, Change]]
Split: TypeAlias = Callable[[Side | None, Any], Units]
"""How a side's row of a table is taken apart."""


class RowMerge:
    """What all tables of one merge have in common."""

    def __init__(
        self, held: Mapping[Side, Changes], both: Aligned, context: Context, settlement: Settlement
    ) -> None:
        self.held = held  # in each side's own ids and shapes
        self.sides = {Side.DESKTOP: both.desktop, Side.PHONE: both.phone}
        self.dropped = both.dropped
        self.context = context
        self.settlement = settlement
        self.rows: dict[Table, Rows] = {table: {} for table in Table}
        self.conflicts: list[Conflict] = []
        self.stands: Mapping[int, Side] = {}  # whose templates count, by notetype
        self.forest = Forest(context.ancestor_decks, self.sides)
        self.retyped: dict[int, Side] = {}  # notes that have two notetypes, and whose stands
        reviews = self.pair(Table.REVLOG)
        self.acts = {side: last_acts(reviews[side], reviews[side.other]) for side in Side}
        self.shared = shared_answers(reviews[Side.DESKTOP], reviews[Side.PHONE])

    def pair(self, table: Table) -> Pair:
        """Return the changes of one table by side."""
        return {side: changes.of(table) for side, changes in self.sides.items()}

    def living(self, table: Table) -> Iterable[Any]:
        """Return the rows that changed and live on."""
        return (row for row in self.rows[table].values() if row is not None)

    def merge_table(self, table: Table, split: Split) -> Rows:
        """Merge a table row by row."""
        pair = self.pair(table)
        return {key: self.merge_row(table, key, pair, split) for key in keys_of(pair)}

    def merge_row(self, table: Table, key: Key, pair: Pair, split: Split) -> Any:
        """Decide what becomes of one row."""
        mine, theirs = pair[Side.DESKTOP].get(key), pair[Side.PHONE].get(key)
        if mine is None or theirs is None:
            return (mine or theirs).now  # type: ignore[union-attr]  # only one side touched it
        if mine.now == theirs.now and not (table is Table.CARDS and self.answered_on_both(key)):
            return mine.now  # both did the same
        if mine.now is None:
            return self.deletion(table, key, Side.DESKTOP, theirs, split)  # deleted here, changed there
        if theirs.now is None:
            return self.deletion(table, key, Side.PHONE, mine, split)
        return self.contest(table, key, mine, theirs, split)  # changed on both

    def answered_on_both(self, key: int) -> bool:
        """Whether each side has answers of its own to a card; it may look the same after them, but counts both."""
        return all(self.acts[side].get(key, (0, False))[1] for side in Side)

    def deletion(self, table: Table, key: Key, deleter: Side, other: Change, split: Split) -> Any:
        """Decide between a deletion and a change: work that someone wrote beats it, a mere review does not."""
        before, after = split(None, other.ancestor), split(deleter.other, other.now)
        units = touched(before, after)
        written = any(rule_for(table, unit).content for unit in units)
        where = (table.value, key, "deletion")
        if written:
            chosen, reason = self.settlement.settle(where, deleter.other)
            reason = "an edit beats a deletion" if chosen is not deleter else reason
        else:
            chosen = self.settlement.answers.get(where, deleter)
            reason = "deleted there, only studied or filed here; answers stay in the review history"
        weight = Weight.LOST if written or units & {"deck", "flag", "suspended"} else Weight.COUNTED
        weight = Weight.QUIET if table is Table.TAGS else weight  # a folded tag list
        self.report(table, key, other, deleter, chosen, reason, weight)
        return None if chosen is deleter else other.now

    def report(
        self,
        table: Table,
        key: Key,
        other: Change,
        deleter: Side,
        chosen: Side,
        reason: str,
        weight: Weight,
    ) -> None:
        """Note a conflict between a deletion and a change."""
        shown = {deleter: "deleted", deleter.other: self.shown(table, other.now)}
        self.conflicts.append(
            Conflict(
                table.value,
                key,
                self.title(table, other.now),
                "deletion",
                self.shown(table, other.ancestor) if other.ancestor else None,
                shown[Side.DESKTOP],
                shown[Side.PHONE],
                chosen,
                reason,
                weight,
            )
        )

    def contest(self, table: Table, key: Key, mine: Change, theirs: Change, split: Split) -> Any:
        """Merge a row that both sides changed, unit by unit."""
        about = self.about(table, key, mine.now, theirs.now)
        ancestor = split(None, mine.ancestor) if mine.ancestor else None
        three = ancestor, split(Side.DESKTOP, mine.now), split(Side.PHONE, theirs.now)
        if table is Table.NOTES and mine.now.mid != theirs.now.mid:
            self.retyped[key] = side = standing(about, *three)
            mid = (mine if side is Side.DESKTOP else theirs).now.mid
            about = replace(about, fields=self.context.fields.get(mid, ()))
            fit = fitted(about, side, *three)
            self.conflicts += fit.conflicts
            three = fit.ancestor, fit.desktop, fit.phone
        elif table is Table.NOTES and ancestor is None:
            three = None, *without_blanks(*three[1:])
        units, conflicts = merge_units(about, *three)
        self.conflicts += conflicts
        row = JOIN[table](units, mine.now)
        if isinstance(row, Note):
            return _settled_note(row, mine.now, theirs.now)
        if isinstance(row, Card):
            return self.reviewed(row, mine.now, theirs.now)
        if isinstance(row, Deck):
            self.forest.place(key, units)
        return row

    def reviewed(self, row: Card, mine: Card, theirs: Card) -> Card:
        """Let a card say when it was last reviewed, as the history of both has it."""
        reviews = self.pair(Table.REVLOG)
        if row.id in forgotten(*(reviews[side] for side in Side)):
            return without_last_review(row)
        return with_last_review(row, mine, theirs)

    def about(self, table: Table, key: Key, mine: Any, theirs: Any) -> Contest:
        """Gather what is known of a row that both changed."""
        edited = {Side.DESKTOP: _edited(mine), Side.PHONE: _edited(theirs)}
        acts = {side: self.acts[side].get(key, (edited[side] * 1000, False)) for side in Side}
        if table is not Table.CARDS:
            acts = dict.fromkeys(Side, (0, False))
        return Contest(
            table=table,
            id=key,
            title=self.title(table, mine),
            settlement=self.settlement,
            edited=edited,
            acted={side: at for side, (at, _) in acts.items()},
            answered=frozenset(side for side, (_, answered) in acts.items() if answered),
            shared=self.shared.get(key, (0, 0)) if table is Table.CARDS else (0, 0),
            fields=self.context.fields.get(mine.mid, ()) if table is Table.NOTES else (),
            known=self.context.known,
        )

    def title(self, table: Table, row: Any) -> str:
        """Name a row as a person knows it: a card by its note."""
        return titles.card(row, self.text_of(row.nid)) if table is Table.CARDS else titles.of(table, row)

    def shown(self, table: Table, row: Any) -> str:
        """Show a whole row in a report."""
        return self.title(table, row) if table is Table.CARDS else titles.shown(table, row)

    def text_of(self, nid: int) -> str:
        """Return the fields of a note, as far as they are known."""
        changes = [change for side in Side if (change := self.sides[side].of(Table.NOTES).get(nid))]
        rows = (row for change in changes for row in (change.now, change.ancestor) if row)
        return next((row.flds for row in rows), self.context.known.notes.get(nid, ""))

    def restore(self, table: Table, needed: Iterable[Key]) -> None:
        """Bring back rows that one side deleted and the other's work needs."""
        for key in sorted(needed):
            if key in self.rows[table] and self.rows[table][key] is None:
                self.rows[table][key] = self.brought_back(table, key)

    def brought_back(self, table: Table, key: Key) -> Any:
        """Return a deleted row as the side that still has it holds it, and report that."""
        pair = self.pair(table)
        deleter = next(side for side in Side if key in pair[side] and pair[side][key].now is None)
        other = pair[deleter.other].get(key) or Change(
            pair[deleter][key].ancestor, pair[deleter][key].ancestor
        )
        row = other.now or other.ancestor
        kept = Change(other.ancestor, row)
        self.conflicts = [c for c in self.conflicts if c.where != (table.value, key, "deletion")]
        reason = "deleted there, but what was done here needs it"
        self.report(table, key, kept, deleter, deleter.other, reason, Weight.LOST)
        return row


def plain(table: Table) -> Split:
    """Return a table's splitter, the same for every side."""
    return lambda _whose, row: SPLIT[table](row)


def keys_of(pair: Pair) -> list[Key]:
    """Return the keys of all rows that some side changed."""
    return sorted(pair[Side.DESKTOP].keys() | pair[Side.PHONE].keys())


def _edited(row: Any) -> int:
    """Return when a row was last written, in s; rows that do not say so are all equally old."""
    return int(row.mod if hasattr(row, "mod") else getattr(row, "mtime", 0))


def _settled_note(row: Note, mine: Note, theirs: Note) -> Note:
    """Take a side's own row where the merge came out as it, with the sort field that goes with it."""
    for own in sorted((mine, theirs), key=lambda own: str(own.derived)):
        if row[:-1] == own[:-1]:
            return own
    return row
