"""The commit record of an apply as a value: all that is needed to finish it, or to give it up, after a cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from usbsync.core.conflict import Side
from usbsync.errors import DamagedData
from usbsync.state.ancestor import Ancestor, as_record, from_record
from usbsync.state.journal import Journal
from usbsync.state.pair import Pair
from usbsync.state.records import part, texts
from usbsync.transport.base import Remove, Rename, Step

PENDING = "pending"
"""The folder in a pair's for what a commit record needs; it outlives the process that wrote it."""
_STEPS = ("early", "flip", "late")
NONE = ""
"""Stands for the SHA-256 of a collection that is not there."""


@dataclass(frozen=True, slots=True)
class SideRecord:
    """What is to be done on one side, and how to tell whether it was."""

    before: str  # the fingerprint of the collection that is replaced
    folded: str | None  # SHA-256 of the same with its `-wal` folded in
    after: str | None  # SHA-256 of the new one; NONE where it goes, None where it stays
    old: Path | None  # a local copy of what was there before
    early: tuple[Step, ...]  # media that comes before the flip
    flip: tuple[Step, ...]
    late: tuple[Step, ...]  # media that goes after it
    mark: str | None = None  # SHA-256 of the mark that lies there as long as nobody else tidied up
    brings: Mapping[str, str] = field(default_factory=dict)  # path -> SHA-1 of each media file that comes
    takes: Mapping[str, str] = field(
        default_factory=dict
    )  # path -> SHA-1 of each that is replaced or removed
    bare: bool = False  # the media folder goes, too, if that leaves it empty

    @property
    def untouched(self) -> frozenset[str]:
        """The fingerprints that read as the old collection, between the first step of the flip and the last."""
        if self.folded is None:  # a damaged one's -wal, or of an older usbsync an empty one, goes first
            return frozenset({self.before, self.before.partition("+")[0]})
        wal = self.before.partition("+")[2]
        return frozenset({self.before, self.folded, f"{self.folded}+{wal}"})


@dataclass(frozen=True, slots=True)
class Cut:
    """A commit record: both sides' steps, and what is remembered when they are done."""

    backup: str
    sides: Mapping[Side, SideRecord]
    ancestor: Ancestor | None
    media_before: Mapping[str, str]
    contained: tuple[
        Side, ...
    ] = ()  # the sides whose old collection is part of the other's new one, ids and all
    rewinds: bool = False  # an undo: `ancestor` is older than what was remembered before


def pending_ancestor(folder: Path) -> Path:
    """Name the file of the ancestor that is to be remembered; `folder` is the pair's."""
    return folder / PENDING / "ancestor.anki2"


def pending_old(folder: Path, side: Side) -> Path:
    """Name the file of what a side held before."""
    return folder / PENDING / f"{side}.anki2"


def write_cut(pair: Pair, cut: Cut) -> None:
    """Commit: from here on the work is to be finished."""
    Journal(pair).write(
        {
            "backup": cut.backup,
            "sides": {side.value: _side_out(record) for side, record in cut.sides.items()},
            "ancestor": as_record(cut.ancestor) if cut.ancestor else None,
            "media_before": dict(cut.media_before),
            "contained": [side.value for side in cut.contained],
            "rewinds": cut.rewinds,
        }
    )


def read_cut(pair: Pair) -> Cut | None:
    """Return the record of an apply that was cut off, or None.

    Raises DamagedData where it makes no sense.
    """
    journal = Journal(pair)
    record = journal.read()
    if record is None:
        return None
    try:
        old = record["ancestor"]
        sides = part(record, "sides", dict, journal.path)
        return Cut(
            backup=part(record, "backup", str, journal.path),
            sides={
                side: _side_in(side, part(sides, side.value, dict, journal.path), journal.path)
                for side in Side
            },
            ancestor=_pending(from_record(old, journal.path), pair) if old else None,
            media_before=texts(record, "media_before", journal.path),
            contained=tuple(map(Side, record["contained"])),
            rewinds=part(record, "rewinds", bool, journal.path),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedData(
            f"the commit record {journal.path} makes no sense ({error}); nothing was changed"
        ) from error


def _side_out(record: SideRecord) -> dict[str, Any]:
    parts = {name: [_step_out(step) for step in getattr(record, name)] for name in _STEPS}
    return {
        "before": record.before,
        "folded": record.folded,
        "after": record.after,
        "old": str(record.old) if record.old else None,
        "mark": record.mark,
        "brings": dict(record.brings),
        "takes": dict(record.takes),
        "bare": record.bare,
        **parts,
    }


def _pending(ancestor: Ancestor, pair: Pair) -> Ancestor:
    """Look for its collection where a commit keeps it, whatever folder is named."""
    return replace(ancestor, collection=pending_ancestor(pair.folder))


def _side_in(side: Side, record: Mapping[str, Any], path: Path) -> SideRecord:
    early, flip, late = (tuple(map(_step_in, part(record, name, list, path))) for name in _STEPS)
    return SideRecord(
        before=part(record, "before", str, path),
        folded=_optional(record, "folded", path),
        after=_optional(record, "after", path),
        old=pending_old(path.parent, side) if _optional(record, "old", path) else None,
        early=early,
        flip=flip,
        late=late,
        mark=_optional(record, "mark", path),
        brings=texts(record, "brings", path),
        takes=texts(record, "takes", path),
        bare=record.get("bare") is True,
    )


def _optional(record: Mapping[str, Any], key: str, path: Path) -> str | None:
    return None if record.get(key) is None else part(record, key, str, path)


def _step_out(step: Step) -> list[str]:
    return ["rename", step.source, step.target] if isinstance(step, Rename) else ["remove", step.path]


def _step_in(step: object) -> Step:
    match step:
        case ["rename", str(source), str(target)]:
            return Rename(source, target)
        case ["remove", str(path)]:
            return Remove(path)
    raise ValueError(step)
