"""What becomes of an apply that was cut off after its commit record: finished, or given up without loss."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from usbsync.core.conflict import Side


class Standing(StrEnum):
    """Where a cut-off apply left one side."""

    DONE = "done"  # flipped, or nothing was to be flipped
    PENDING = "pending"  # staged, and the old collection is untouched
    MOVED = "moved"  # staged, but someone has worked with the old collection since


class Recovery(StrEnum):
    """What to do about it."""

    FINISH = "finish"  # do the flips that are left, and remember the result
    GIVE_UP = "give up"  # neither side was flipped: drop what was staged, the old ancestor still holds
    REBASE = "rebase"  # one side was flipped, the other moved on: its old state is the new ancestor


def recovery(standing: Mapping[Side, Standing]) -> tuple[Recovery, Side | None]:
    """Decide how to go on; with REBASE, say which side moved on."""
    moved = [side for side in Side if standing[side] is Standing.MOVED]
    if not moved:
        return Recovery.FINISH, None
    if any(standing[side.other] is Standing.DONE for side in moved):
        # the flipped side's collection was made from the other's old state, so it contains it:
        # with that state as the ancestor a plain sync merges what was done since
        return Recovery.REBASE, moved[0]
    return Recovery.GIVE_UP, None
