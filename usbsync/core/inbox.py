"""When a file that appears in a watched folder is whole: it stays as it is for a while, and reads as a package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

QUIET = 2.0
"""Seconds for which a file must not change."""
SLOW = 10.0
"""Seconds after which a file that stands still and is not whole is worth a word."""
LATE = 120.0
"""Seconds after which it is refused: whoever copied it has given up."""


@dataclass(frozen=True, slots=True)
class Look:
    """A file as it was found: size in bytes, mtime in nanoseconds, and since when it is so, by the watcher's clock."""

    size: int
    mtime: int
    since: float

    @property
    def is_as(self) -> tuple[int, int]:
        """What tells one state of a file from another."""
        return self.size, self.mtime


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a look at the folder comes to."""

    looks: Mapping[str, Look]  # to be remembered until the next look
    still: tuple[str, ...]  # have not changed for long enough: they may be whole; the oldest first
    waiting: bool  # others may become so: look again soon


def sight(
    before: Mapping[str, Look],
    found: Mapping[str, tuple[int, int]],
    done: Mapping[str, tuple[int, int]],
    now: float,
) -> Sighting:
    """Compare what is there (name -> size, mtime) with the last look; `done` was dealt with and stays as it was."""
    looks: dict[str, Look] = {}
    for name, state in found.items():
        old = before.get(name)
        looks[name] = old if old and old.is_as == state else Look(*state, since=now)
    open_ = [name for name in looks if done.get(name) != looks[name].is_as]
    still = (name for name in open_ if now - looks[name].since >= QUIET)
    oldest_first = tuple(sorted(still, key=lambda name: (looks[name].mtime, name)))
    return Sighting(looks, oldest_first, waiting=len(oldest_first) < len(open_))
