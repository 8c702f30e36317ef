"""Notes that have another notetype on each side: one type stands, and the note's fields and cards are that type's.

Fields are known by their place, so where one side gave the note another notetype, what the other side wrote
is put where it was written, as far as the standing type has such a place; what has none is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from usbsync.core.conflict import Conflict, Side, Weight
from usbsync.core.contest import Contest, merge_units
from usbsync.core.names import unit_name
from usbsync.core.units import Units
from usbsync.core.values import show


@dataclass(frozen=True, slots=True)
class Fitted:
    """A note's units, with the fields that the standing notetype has, and what found no place among them."""

    desktop: Units
    phone: Units
    conflicts: tuple[Conflict, ...]


def standing(contest: Contest, ancestor: Units | None, desktop: Units, phone: Units) -> Side:
    """Say whose notetype stands."""
    merged, _conflicts = merge_units(contest, ancestor, desktop, phone)
    return Side.DESKTOP if merged["notetype"] == desktop["notetype"] else Side.PHONE


def fitted(contest: Contest, side: Side, ancestor: Units | None, desktop: Units, phone: Units) -> Fitted:
    """Bring a note's units into the fields of the notetype that `side` gave it."""
    units = {Side.DESKTOP: desktop, Side.PHONE: phone}
    places = _fields(units[side])
    before = {} if ancestor is None else _fields(ancestor)
    kept = {name: text for name, text in (units[side.other]).items() if not _is_field(name)}
    own = _fields(units[side.other])
    fields = {name: own.get(name, before.get(name, text)) for name, text in places.items()}
    sides = {side: units[side], side.other: kept | fields}
    left = {name: text for name, text in own.items() if name not in places and text != before.get(name, "")}
    return Fitted(
        desktop=sides[Side.DESKTOP],
        phone=sides[Side.PHONE],
        conflicts=tuple(_left_over(contest, side, before, left)),
    )


def _is_field(name: str) -> bool:
    return name.startswith("field:")


def _fields(units: Units) -> dict[str, str]:
    return {name: text for name, text in units.items() if _is_field(name)}


def _left_over(contest: Contest, side: Side, before: Units, left: Units) -> Iterator[Conflict]:
    """Report what was written in fields that the standing notetype does not have."""
    reason = "the notetype that the note was given has no such field"
    for name, text in left.items():
        shown = {side: None, side.other: show(text)}
        yield Conflict(
            contest.table.value,
            contest.id,
            contest.title,
            unit_name(contest.table, name, contest.fields),
            show(before.get(name)),
            shown[Side.DESKTOP],
            shown[Side.PHONE],
            side,
            reason,
            Weight.LOST,
        )
