"""What a session did, as a value; the command line renders it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from usbsync.core.conflict import Conflict, Side
from usbsync.core.media import Add, Delete, MediaConflict, MediaPlan, Replace, Skipped


class Result(StrEnum):
    """What became of it."""

    MERGED = "merged"
    UNCHANGED = "unchanged"
    UPLOADED = "uploaded"
    DOWNLOADED = "downloaded"
    PLANNED = "planned"
    FINISHED = "finished"  # what an earlier run was cut off from, and nothing else
    UNDONE = "undone"
    RESTORED = "restored"
    IMPORTED = "imported"


Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Report:
    """What was done (or, when planned, would be) to both sides."""

    result: Result
    names: Mapping[Side, str]
    changes: Mapping[Side, Counts] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    media: Mapping[Side, Mapping[str, int]] = field(default_factory=dict)
    media_conflicts: tuple[MediaConflict, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    pulled_bytes: int = 0
    pushed_bytes: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    backup: str | None = None
    answer: str | None = None  # the package that is to be imported on the phone
    sides: tuple[Side, ...] = tuple(Side)  # those that it is about
    emptied: tuple[Side, ...] = ()  # those that have no collection any more

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints (its schema is in README)."""
        return {
            "result": self.result.value,
            "changes": {side.value: self.changes.get(side, {}) for side in Side},
            "conflicts": [
                *map(conflict_as_json, self.conflicts),
                *map(media_conflict_as_json, self.media_conflicts),
            ],
            "media": {side.value: self.media.get(side, _NO_MEDIA) for side in Side},
            "skipped": [{"name": s.name, "where": s.where.value, "reason": s.reason} for s in self.skipped],
            "wire": {"pulled_bytes": self.pulled_bytes, "pushed_bytes": self.pushed_bytes},
            "seconds": {stage: round(spent, 3) for stage, spent in self.seconds.items()},
            "backup": self.backup,
            "answer": self.answer,
        }


_NO_MEDIA = {"added": 0, "updated": 0, "deleted": 0}


def media_counts(plan: MediaPlan, side: Side) -> dict[str, int]:
    """Count what is done to one side's media."""
    steps = plan.of(side)
    kinds = {"added": Add, "updated": Replace, "deleted": Delete}
    return {name: sum(isinstance(step, kind) for step in steps) for name, kind in kinds.items()}


def conflict_as_json(conflict: Conflict) -> dict[str, Any]:
    """Return a conflict as `--json` prints it."""
    return {
        "kind": conflict.kind,
        "id": conflict.id,
        "title": conflict.title,
        "unit": conflict.unit,
        "ancestor": conflict.ancestor,
        "desktop": conflict.desktop,
        "phone": conflict.phone,
        "chosen": conflict.chosen.value,
        "reason": conflict.reason,
        "weight": conflict.weight.value,
    }


def media_conflict_as_json(conflict: MediaConflict) -> dict[str, Any]:
    """Return a media file's conflict as `--json` prints it."""
    return {
        "kind": "media",
        "id": conflict.name,
        "title": conflict.name,
        "unit": "file",
        "ancestor": conflict.ancestor,
        "desktop": conflict.desktop.sha1 if conflict.desktop else None,
        "phone": conflict.phone.sha1 if conflict.phone else None,
        "chosen": conflict.chosen.value,
        "reason": conflict.reason,
        "weight": "lost",
    }


class Clock:
    """How long each stage took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; one that comes twice is added up."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
