"""Notetypes: whether their shape changed, where their sort field is, and what of that AnkiWeb will ask about.

How two shapes are merged, and how notes and cards follow, is in `shape.py` and `follow.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from usbsync.core import wire
from usbsync.core.changes import Change, Changes, Key, Notetype, Table
from usbsync.core.shape import FIELD_ID, TEMPLATE_ID, matched
from usbsync.core.unicase import unicase

_SORT_FIELD = 2  # field number in proto/anki/notetypes.proto


def reshaped(change: Change) -> bool:
    """Whether a change altered an existing notetype's shape."""
    return change.ancestor is not None and change.now is not None and differ(change.ancestor, change.now)


def akin(one: Notetype, other: Notetype) -> bool:
    """Whether two notetypes of one id are one, which may have been renamed or reshaped, rather than strangers."""
    known = any(key.startswith("a") for key in matched(one.fields, other.fields, FIELD_ID, "n"))
    return known or unicase(one.name) == unicase(other.name)


def differ(one: Notetype, other: Notetype) -> bool:
    """Whether two states of a notetype differ in shape: which fields and templates it has, in which order."""
    return any(
        matched(before, after, number, "n") != tuple(f"a{at}" for at in range(len(before)))
        for before, after, number in (
            (one.fields, other.fields, FIELD_ID),
            (one.templates, other.templates, TEMPLATE_ID),
        )
    )


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
