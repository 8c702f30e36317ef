"""Notes that have another notetype on each side: one type stands, and the note's fields and cards are that type's.

Fields are known by their place, so where one side gave the note another notetype, what the other side wrote
is put where it was written, or where its field went, as far as the standing type has such a place; what has none
is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from usbsync.core.conflict import Conflict, Side, Weight
from usbsync.core.contest import Contest, conflict_of, merge_units
from usbsync.core.names import unit_name
from usbsync.core.units import Units
from usbsync.core.values import show


@dataclass(frozen=True, slots=True)
class Fitted:
    """A note's units, with the fields that the standing notetype has, and what found no place among them."""

    ancestor: Units | None
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
    other = units[side.other]
    before, places, own = map(_fields, (ancestor or {}, units[side], other))
    follows = ancestor is not None and other["notetype"] == ancestor["notetype"]
    ways = _ways(before, places) if follows else {}
    was, now = (
        {to: text for name, text in each.items() if (to := ways.get(name, name))} for each in (before, own)
    )
    fields = {name: now.get(name, was.get(name, text)) for name, text in places.items()}
    told = {} if follows else dict(_out_of_place(contest, side, before, (places, fields)))
    fields |= {name: before[name] for name, conflict in told.items() if conflict.chosen is side}
    sides = {side: units[side], side.other: _rest(other) | fields}
    kept = {name for name in own if ways.get(name, name) in places}
    left = {name: text for name, text in own.items() if name not in kept and text != before.get(name, "")}
    return Fitted(
        ancestor=None if ancestor is None else _rest(ancestor) | was,
        desktop=sides[Side.DESKTOP],
        phone=sides[Side.PHONE],
        conflicts=(*told.values(), *_left_over(contest, side, before, left)),
    )


def _ways(before: Mapping[str, str], places: Mapping[str, str]) -> dict[str, str | None]:
    """Return where fields went when their note was given another notetype, as far as their texts tell; None: nowhere.

    One whose text stands in its place stayed; one whose place another took, and that is nowhere else, is gone.
    """
    stayed = {name for name, text in before.items() if places.get(name) == text}
    texts = [*before.values()], [*places.values()]
    single = {text for text in texts[0] if text and all(each.count(text) == 1 for each in texts)}
    ways = {
        name: next(place for place, each in places.items() if each == text)
        for name, text in before.items()
        if text in single and name not in stayed
    }
    return {**dict.fromkeys(ways.values()), **{name: name for name in stayed}, **ways}


def _out_of_place(
    contest: Contest,
    side: Side,
    before: Mapping[str, str],
    fields: tuple[Mapping[str, str], Mapping[str, str]],
) -> Iterator[tuple[str, Conflict]]:
    """Report the fields into which only the type that does not stand brought the text of another, or none."""
    reason = "it had that place in the notetype that does not stand"
    stands, yields = fields
    for name, text in yields.items():
        if stands[name] == before.get(name) != text and text in {"", *before.values()}:
            shown = {side: before[name], side.other: text}
            versions = before[name], shown[Side.DESKTOP], shown[Side.PHONE]
            chosen = contest.settlement.answers.get(contest.where(name), side)
            yield name, conflict_of(contest, name, versions, chosen, reason, Weight.LOST)


def _rest(units: Units) -> dict[str, Any]:
    return {name: value for name, value in units.items() if not _is_field(name)}


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
            unit_name(contest.table, name),
            show(before.get(name)),
            shown[Side.DESKTOP],
            shown[Side.PHONE],
            side,
            reason,
            Weight.LOST,
        )
