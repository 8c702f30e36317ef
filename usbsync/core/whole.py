"""The merge as Anki's own sync makes it (`--merge ankiweb`): whole rows, and a deletion always wins.

Where Anki's answer hangs on who syncs first, or leaves the sides apart, there is one fixed answer here:

- two edits of one second: the greater row stands, on both sides (Anki: each side keeps its own, or they swap)
- a deck under one that was renamed there moves along (Anki: it stays under a name that no deck has)
- what a deletion took and the other side's work needs (a deck, options, a notetype) is brought back
- decks, notetypes and cards that both sides made are one (Anki: `Name` and `Name+`, and two cards of one kind)
- a card says when it was last answered as the history of both has it (Anki's database check would mend that)
- shapes of notetypes that Anki would ask a one-way sync for are merged as in the fine merge

What the rows that lost held is reported, unit by unit, and can be taken after all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from usbsync.core.changes import Card, Change, Deck, Key, Note, Table
from usbsync.core.conflict import Conflict, Policy, Side, Weight
from usbsync.core.contest import FILED, Contest, conflict_of, only_filed
from usbsync.core.merging import Merge
from usbsync.core.rowmerge import Pair, Rows, Split, keys_of
from usbsync.core.rules import How, rule_for
from usbsync.core.units import JOIN, Units, touched


class WholeMerge(Merge):
    """One reconciliation by Anki's own logic (rslib `sync/collection/{graves,changes,chunks}.rs`)."""

    def merge_table(self, table: Table, split: Split) -> Rows:
        """Merge a table row by row; preferences all at once, from the side that wrote last."""
        return self.preferences(split) if table is Table.CONFIG else super().merge_table(table, split)

    def deletion(self, table: Table, key: Key, deleter: Side, other: Change, split: Split) -> Any:
        """Let the deletion win, unless a person chose otherwise."""
        if table is Table.TAGS:
            return super().deletion(table, key, deleter, other, split)
        chosen = self.settlement.answers.get((table.value, key, "deletion"), deleter)
        reason = "a deletion always wins, as in AnkiWeb" if chosen is deleter else "you chose it"
        before = split(None, other.ancestor) if other.ancestor else {}
        units = touched(before, split(deleter.other, other.now))
        missed = any(rule_for(table, unit).how is How.POLICY for unit in units)
        weight = Weight.LOST if missed else Weight.COUNTED
        self.report(table, key, other, deleter, chosen, reason, weight)
        return None if chosen is deleter else other.now

    def contest(self, table: Table, key: Key, mine: Change, theirs: Change, split: Split) -> Any:
        """Take the row of the side that wrote it last, whole but for what a person chose otherwise."""
        about = self.about(table, key, mine.now, theirs.now)
        rows = {Side.DESKTOP: mine.now, Side.PHONE: theirs.now}
        side = self.whose(table, key, about.newer(mine.now, theirs.now))
        if isinstance(mine.now, Note):
            about = replace(about, fields=self.context.fields.get(rows[side].mid, ()))
        before = split(None, mine.ancestor) if mine.ancestor else {}
        units = {whose: split(whose, row) for whose, row in rows.items()}
        lost = dict(_lost(about, before, units, side))
        self.conflicts += lost.values()
        taken = {
            unit: units[side.other].get(unit) for unit, told_ in lost.items() if told_.chosen is not side
        }
        if isinstance(mine.now, Note) and mine.now.mid != theirs.now.mid:
            self.retyped[key] = side.other if taken else side  # fields of two notetypes do not mix
            return rows[self.retyped[key]]
        if isinstance(mine.now, Deck):
            self.forest.place(key, {**units[side], **taken})
        row = JOIN[table]({**units[side], **taken}, rows[side]) if taken else rows[side]
        return self.reviewed(row, mine.now, theirs.now) if isinstance(row, Card) else row

    def whose(self, table: Table, key: Key, newer: Side) -> Side:
        """Say whose row stands."""
        return self.settlement.settle((table.value, key, "row"), newer)[0]

    def preferences(self, split: Split) -> Rows:
        """Take all preferences as that side has them which wrote anything last."""
        pair = self.pair(Table.CONFIG)
        side = self.speaker(pair)
        rows: Rows = {}
        for key in keys_of(pair):
            own, other = pair[side].get(key), pair[side.other].get(key)
            rows[key] = own.now if own else other.ancestor  # type: ignore[union-attr]  # one of them changed it
            if other and other.now != rows[key]:
                rows[key] = self.preference(key, rows[key], other, side, split)
        return rows

    def speaker(self, pair: Pair) -> Side:
        """Say whose preferences stand: who is preferred, if both have any to say, or whoever wrote anything last."""
        changed = [side for side in Side if pair[side]]
        if self.settlement.policy in {Policy.DESKTOP, Policy.PHONE} and len(changed) == 1:
            return changed[0]
        order = {side: (self.sides[side].col.mod, repr(sorted(pair[side].items()))) for side in Side}
        return self.whose(Table.CONFIG, "", max(Side, key=lambda side: order[side]))

    def preference(self, key: Key, row: Any, other: Change, side: Side, split: Split) -> Any:
        """Report a preference that the other side changed in vain, where a person set it."""
        unit = f"value:{key}"
        if rule_for(Table.CONFIG, unit).how is not How.POLICY:
            return row
        sides = {side: row, side.other: other.now}
        held = [
            split(None, each).get(unit) if each else None for each in (other.ancestor, *map(sides.get, Side))
        ]
        about = self.about(Table.CONFIG, key, row or other.now or other.ancestor, other.now)
        conflict = _told(about, unit, (held[0], held[1], held[2]), side)
        self.conflicts.append(conflict)
        return row if conflict.chosen is side else other.now


def _lost(
    about: Contest, before: Units, units: Mapping[Side, Units], side: Side
) -> Iterator[tuple[str, Conflict]]:
    """Name what the other side changed and the row that stands does not hold."""
    for unit in sorted(touched(before, units[side.other])):
        mine, theirs = (units[whose].get(unit) for whose in Side)
        told = rule_for(about.table, unit).how in {How.POLICY, How.LATER} or unit.startswith("tag:")
        if mine != theirs and told:
            yield unit, _told(about, unit, (before.get(unit), mine, theirs), side)


def _told(about: Contest, unit: str, versions: tuple[Any, Any, Any], side: Side) -> Conflict:
    """Report a unit of which the row that stands holds one version."""
    answer = about.settlement.answers.get(about.where(unit))
    studied = rule_for(about.table, unit).how is How.LATER
    answered = studied and side.other in about.answered
    newest = about.settlement.policy in {Policy.NEWEST, Policy.ASK}
    reason = (
        "the newer row stands, whole, as in AnkiWeb" if newest else f"the {side} is preferred, row by row"
    )
    reason = "you chose it" if answer else reason
    weight = Weight.COUNTED if answered else Weight.LOST
    if studied and only_filed(about, side.other, versions[0], dict(zip(Side, versions[1:], strict=True))):
        reason, weight = FILED, Weight.QUIET
    return conflict_of(about, unit, versions, answer or side, reason, weight)
