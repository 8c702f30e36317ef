"""Notetypes and their shape: which fields and templates they have, and in which order.

A shape that changed on one side crosses as a whole where the other side did nothing with notes of that
type. Where it did, its notes would have to follow; that is refused until it can be done right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from usbsync.core import wire
from usbsync.core.changes import Change, Changes, Field, Key, Notetype, Table, Template
from usbsync.core.conflict import Side

_SORT_FIELD, _FIELD_ID, _TEMPLATE_ID = 2, 9, 8  # field numbers in proto/anki/notetypes.proto


@dataclass(frozen=True, slots=True)
class Refusal:
    """A notetype whose shape changed where the other side worked with it."""

    notetype: str
    side: Side

    def __str__(self) -> str:
        return f'the fields or templates of notetype "{self.notetype}" changed on the {self.side}'


Shape = tuple[tuple[object, ...], tuple[object, ...]]


def shape(notetype: Notetype) -> Shape:
    """Return who a notetype's fields and templates are, in order; a renamed one is still itself."""
    return (
        tuple(_identity(part, _FIELD_ID) for part in notetype.fields),
        tuple(_identity(part, _TEMPLATE_ID) for part in notetype.templates),
    )


def _identity(part: Field | Template, number: int) -> object:
    """Return the part's own random id, or its name where an older Anki gave it none."""
    return wire.split(part.config).get(number) or part.name


def reshaped(change: Change) -> bool:
    """Whether a change altered an existing notetype's shape."""
    return change.ancestor is not None and change.now is not None and differ(change.ancestor, change.now)


def differ(one: Notetype, other: Notetype) -> bool:
    """Whether two states of a notetype differ in shape."""
    old, new = shape(one), shape(other)
    renamed_without_ids = all(len(o) == len(n) and _one_by_one(o, n) for o, n in zip(old, new, strict=True))
    return old != new and not renamed_without_ids


def _one_by_one(old: tuple[object, ...], new: tuple[object, ...]) -> bool:
    """Whether parts that have no id were only renamed where they stand."""
    return all(
        o == n or (isinstance(o, str) and o not in new and n not in old)
        for o, n in zip(old, new, strict=True)
    )


def refusals(desktop: Changes, phone: Changes) -> tuple[Refusal, ...]:
    """Name the notetypes whose new shape the other side's work would have to follow."""
    sides = {Side.DESKTOP: desktop, Side.PHONE: phone}
    found = []
    for side, changes in sides.items():
        other = sides[side.other]
        for mid, change in changes.of(Table.NOTETYPES).items():
            across = other.of(Table.NOTETYPES).get(mid)
            if across is not None and across.now == change.now:
                continue  # both did the same
            if _made_apart(change, across) or (reshaped(change) and _works_with(other, mid)):
                found.append(Refusal(change.now.name, side))
    return tuple(found)


def _made_apart(change: Change, across: Change | None) -> bool:
    """Whether both sides made a notetype (imported it, say), and it has not the same shape on both."""
    both_made = across is not None and change.ancestor is None and across.ancestor is None
    return both_made and across is not None and differ(change.now, across.now)


def _works_with(changes: Changes, mid: int) -> bool:
    """Whether a side changed a notetype, or any note of it, or a card of such a note."""
    notes = {
        key for key, c in changes.of(Table.NOTES).items() if mid in {r.mid for r in (c.ancestor, c.now) if r}
    }
    return mid in changes.of(Table.NOTETYPES) or bool(notes)


def sort_field_moved(changes: Changes) -> frozenset[int]:
    """Return the notetypes whose sort field a side changed."""
    return frozenset(
        mid
        for mid, c in changes.of(Table.NOTETYPES).items()
        if c.ancestor and c.now and _sort_field(c.ancestor) != _sort_field(c.now)
    )


def sort_field_apart(own: Changes, other: Changes) -> frozenset[int]:
    """Return the notetypes whose sort field the other side has elsewhere: `sfld` of a side's notes must follow."""
    pairs = ((mid, own.of(Table.NOTETYPES).get(mid), c) for mid, c in other.of(Table.NOTETYPES).items())
    return frozenset(
        mid
        for mid, mine, theirs in pairs
        if theirs.now
        and (held := (mine.now if mine else theirs.ancestor))
        and _sort_field(held) != _sort_field(theirs.now)
    )


def _sort_field(notetype: Notetype) -> int:
    return wire.varint(wire.split(notetype.config).get(_SORT_FIELD, b""))


def schema_moved(desktop: Changes, phone: Changes, merged: Mapping[Table, Mapping[Key, Any]]) -> bool:
    """Whether something crosses for which AnkiWeb asks a one-way sync: a new shape, a removed type or options."""
    for changes in (desktop, phone):
        types, options = changes.of(Table.NOTETYPES), changes.of(Table.DECK_CONFIG)
        removed = any(
            change.now is None and merged[table].get(key) is None
            for table, rows in ((Table.NOTETYPES, types), (Table.DECK_CONFIG, options))
            for key, change in rows.items()
        )
        if removed or any(map(reshaped, types.values())) or sort_field_moved(changes):
            return True
    return False
