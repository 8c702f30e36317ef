"""Conflicts are values: what each side had, who stands, and why. A policy settles them; nothing is raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class Side(StrEnum):
    """One of the two replicas."""

    DESKTOP = "desktop"
    PHONE = "phone"

    @property
    def other(self) -> Side:
        """The replica across the cable."""
        return Side.PHONE if self is Side.DESKTOP else Side.DESKTOP


class Policy(StrEnum):
    """Who stands where two edits of one thing cannot both."""

    NEWEST = "newest"
    DESKTOP = "desktop"
    PHONE = "phone"
    ASK = "ask"


class Logic(StrEnum):
    """By whose logic two edits of one row meet."""

    FINE = "fine"  # part by part
    ANKIWEB = "ankiweb"  # the whole row of whoever wrote it last, and a deletion always wins


class Weight(StrEnum):
    """How much a person needs to hear of it."""

    LOST = "lost"  # something that a person wrote does not stand: named in the report
    COUNTED = "counted"  # both are kept in what matters (answers): told as a number
    QUIET = "quiet"  # the apps' own bookkeeping: in the JSON, not in the talk


NEWER_STANDS = "the newer edit stands"

Where: TypeAlias = tuple[str, int | str, str]
"""A conflict's address: (kind, id, unit)."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two edits that cannot both stand."""

    kind: str  # note, card, deck, ...
    id: int | str
    title: str  # as a person knows it: a note's first field, a deck's name
    unit: str  # a field's name, "schedule", "deletion", ...
    ancestor: str | None
    desktop: str | None
    phone: str | None
    chosen: Side
    reason: str
    weight: Weight = Weight.LOST

    @property
    def where(self) -> Where:
        """Its address, by which an answer finds it."""
        return self.kind, self.id, self.unit


@dataclass(frozen=True, slots=True)
class Settlement:
    """How conflicts are to be settled: a policy, a person's answers to single ones, and what a conflict is."""

    policy: Policy = Policy.NEWEST
    answers: Mapping[Where, Side] = field(default_factory=dict)
    logic: Logic = Logic.FINE

    def settle(self, where: Where, newer: Side) -> tuple[Side, str]:
        """Say who stands at this place, and why."""
        if where in self.answers:
            return self.answers[where], "you chose it"
        if self.policy in {Policy.DESKTOP, Policy.PHONE}:
            return Side(self.policy), f"the {self.policy} is preferred"
        return newer, NEWER_STANDS
