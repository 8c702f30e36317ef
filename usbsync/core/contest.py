"""One row that both sides changed: its units merged, each clash settled by its rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from usbsync.core.changes import Known, Table
from usbsync.core.conflict import Conflict, Settlement, Side, Weight, Where
from usbsync.core.merge3 import Outcome, merge3
from usbsync.core.names import unit_name
from usbsync.core.rules import How, rule_for
from usbsync.core.units import Units, at_home
from usbsync.core.values import shown


@dataclass(frozen=True, slots=True)
class Contest:
    """What is known of a row that both sides changed."""

    table: Table
    id: int | str
    title: str
    settlement: Settlement
    edited: Mapping[Side, int]  # when each side last wrote the row, s
    acted: Mapping[Side, int]  # when each side last acted on the card, ms
    answered: frozenset[Side] = frozenset()  # the sides that have answers of their own to the card
    shared: tuple[int, int] = (0, 0)  # answers and lapses that both sides hold already
    fields: tuple[str, ...] = ()
    known: Known = field(default_factory=Known)

    @property
    def both_answered(self) -> bool:
        """Whether each side has answers of its own."""
        return len(self.answered) == len(Side)

    def where(self, unit: str) -> Where:
        """Return a unit's address, by the name that people know it by."""
        return self.table.value, self.id, unit_name(self.table, unit, self.fields)

    def newer(self, desktop: object, phone: object) -> Side:
        """Say whose edit is newer; of two in the same second, the greater value's (the same on both sides)."""
        return _greater((self.edited[Side.DESKTOP], desktop), (self.edited[Side.PHONE], phone))

    def later(self, desktop: object, phone: object) -> Side:
        """Say whose act on the card is later."""
        return _greater((self.acted[Side.DESKTOP], desktop), (self.acted[Side.PHONE], phone))


def _greater(desktop: tuple[int, object], phone: tuple[int, object]) -> Side:
    one, two = (desktop[0], repr(desktop[1])), (phone[0], repr(phone[1]))
    return Side.DESKTOP if one >= two else Side.PHONE


def merge_units(
    contest: Contest, ancestor: Units | None, desktop: Units, phone: Units
) -> tuple[Units, tuple[Conflict, ...]]:
    """Merge the units of a row; `ancestor` is None where both sides made it.

    No unit's value is None: that stands for a unit that is not there.
    """
    merged: dict[str, Any] = {}
    conflicts: list[Conflict] = []
    for unit in sorted(desktop.keys() | phone.keys() | (ancestor or {}).keys()):
        old, mine, theirs = (units.get(unit) for units in (ancestor or {}, desktop, phone))
        outcome = merge3(old, mine, theirs)
        if (
            outcome is Outcome.SAME
            and contest.both_answered
            and rule_for(contest.table, unit).how is How.COUNTED
        ):
            outcome = Outcome.CONFLICT  # an answer on each side leaves the same count as one answer on both
        match outcome:
            case Outcome.SAME | Outcome.DESKTOP:
                merged[unit] = mine
            case Outcome.PHONE:
                merged[unit] = theirs
            case Outcome.CONFLICT:
                merged[unit], conflict = _clash(contest, unit, old, mine, theirs, (desktop, phone))
                conflicts += [conflict] if conflict else []
    return merged, tuple(conflicts)


def _clash(
    contest: Contest, unit: str, old: Any, mine: Any, theirs: Any, rows: tuple[Units, Units]
) -> tuple[Any, Conflict | None]:
    match rule_for(contest.table, unit).how:
        case How.HIGHEST:
            return highest(mine, theirs), None
        case How.TODAY:
            return add_today(old, mine, theirs), None
        case How.COUNTED:
            schedules = (row.get("schedule") for row in rows)
            return add_counts(old, mine, theirs, contest.later(*schedules), contest.shared), None
        case How.NEWER:
            return (mine if contest.newer(mine, theirs) is Side.DESKTOP else theirs), None
        case How.LATER:
            return _later(contest, unit, old, mine, theirs)
        case How.POLICY:
            return _by_policy(contest, unit, old, mine, theirs)


def _by_policy(contest: Contest, unit: str, old: Any, mine: Any, theirs: Any) -> tuple[Any, Conflict]:
    chosen, reason = contest.settlement.settle(contest.where(unit), contest.newer(mine, theirs))
    conflict = conflict_of(contest, unit, (old, mine, theirs), chosen, reason, Weight.LOST)
    return (mine if chosen is Side.DESKTOP else theirs), conflict


def _later(contest: Contest, unit: str, old: Any, mine: Any, theirs: Any) -> tuple[Any, Conflict]:
    versions = {Side.DESKTOP: mine, Side.PHONE: theirs}
    filed = [side for side in Side if only_filed(contest, side, old, versions)]
    later = contest.later(mine, theirs)
    acted = (
        filed[0].other if len(filed) == 1 else later
    )  # studying a card, and setting its day, beats filing it
    chosen = contest.settlement.answers.get(contest.where(unit)) or acted
    weight = Weight.QUIET if filed else Weight.COUNTED if contest.answered else Weight.LOST
    reason = FILED if filed else _acts(contest)
    conflict = conflict_of(contest, unit, (old, mine, theirs), chosen, reason, weight)
    return versions[chosen], conflict


FILED = "only gathered into a filtered deck, or sent home; nothing of its schedule is lost"


def only_filed(contest: Contest, side: Side, old: Any, versions: Mapping[Side, Any]) -> bool:
    """Whether all that a side did to a card's schedule is to put it into a filtered deck, or to send it home."""
    like = [at_home(each) for each in (old, versions[side.other]) if each]
    return side not in contest.answered and at_home(versions[side]) in like


def _acts(contest: Contest) -> str:
    """Say why the later of two acts on a card stands."""
    if contest.both_answered:
        return "answered on both; the later answer sets the schedule, all answers are kept"
    return "answered on one side, rescheduled on the other; the later act sets the schedule"


def conflict_of(
    contest: Contest, unit: str, versions: tuple[Any, Any, Any], chosen: Side, reason: str, weight: Weight
) -> Conflict:
    """Name a clash of two versions of a unit; `versions` are the ancestor's, the desktop's and the phone's."""
    kind, key, name = contest.where(unit)
    old, mine, theirs = (shown(contest.table, unit, value, contest.known) for value in versions)
    return Conflict(kind, key, contest.title, name, old, mine, theirs, chosen, reason, weight)


def highest(mine: Any, theirs: Any) -> Any:
    """Return the higher of two numbers; JSON texts of numbers (config values) are read as such."""
    return max(mine, theirs, key=_number)


def _number(value: Any) -> tuple[int, Any]:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace").strip()
        return (int(text), value) if re.fullmatch(r"-?\d{1,18}", text) else (0, value)
    return value, 0


def add_counts(
    old: tuple[int, int] | None,
    mine: tuple[int, int],
    theirs: tuple[int, int],
    later: Side,
    shared: tuple[int, int] = (0, 0),
) -> tuple[int, ...]:
    """Add what both sides counted since the ancestor, but once what both hold already.

    After a reset the later act's count stands.
    """
    if old is None:  # both made the card, so each count may hold the same answers already
        return tuple(map(max, mine, theirs))
    last = mine if later is Side.DESKTOP else theirs
    return tuple(
        max(m, t, m + t - o - s) if m >= o and t >= o else stands
        for o, m, t, s, stands in zip(old, mine, theirs, shared, last, strict=True)
    )


def add_today(old: tuple[int, ...] | None, mine: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    """Add up the day's counts (day, new, review, learning, ms); of two days the later one's counts stand."""
    if mine[0] != theirs[0]:
        return max(mine, theirs)
    before = old[1:] if old and old[0] == mine[0] else (0,) * (len(mine) - 1)
    return mine[0], *(m + t - o for m, t, o in zip(mine[1:], theirs[1:], before, strict=True))
