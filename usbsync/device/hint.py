"""What those who wake the watch say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hint:
    """Something may have happened: to phones (`fresh`: these were plugged in just now), or to a file."""

    fresh: frozenset[str] = frozenset()
    file: Path | None = None
