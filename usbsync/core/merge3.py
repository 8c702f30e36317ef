"""The three-way merge of one value."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

V = TypeVar("V")


class Outcome(Enum):
    """Whose value a three-way merge takes."""

    SAME = "both hold it"
    DESKTOP = "only the desktop changed it"
    PHONE = "only the phone changed it"
    CONFLICT = "both changed it, differently"


def merge3(ancestor: V, desktop: V, phone: V) -> Outcome:
    """Say whose value stands; every caller's decision begins here."""
    if desktop == phone:
        return Outcome.SAME
    if phone == ancestor:
        return Outcome.DESKTOP
    if desktop == ancestor:
        return Outcome.PHONE
    return Outcome.CONFLICT
