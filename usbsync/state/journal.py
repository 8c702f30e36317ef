"""The journal: the commit record of an apply. While it is there, what it says is to be finished."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from usbsync.state.files import fsync_folder, speaking, sweep_temporaries
from usbsync.state.records import damaged, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from usbsync.state.pair import Pair

_VERSION = 1
_NAME = "journal.json"
_STEP_KEYS = {"rename": ({"op", "source", "target"}, {"sha256"}), "remove": ({"op", "path"}, set[str]())}

StepRecord: TypeAlias = "Mapping[str, str]"


@dataclass(frozen=True, slots=True)
class Record:
    """What an apply is to do: each replica's steps in order, and what to remember when they are done.

    A step is `{"op": "rename", "source": ..., "target": ...}` (perhaps with the `sha256` of what is moved) or
    `{"op": "remove", "path": ...}`.
    """

    id: str
    created: str
    desktop: tuple[StepRecord, ...]
    phone: tuple[StepRecord, ...]
    staged: Mapping[str, str] = field(default_factory=dict)  # replica -> the folder of what was staged there
    backup: str | None = None
    remember: Mapping[str, Any] = field(default_factory=dict)  # an ancestor, as `ancestor.as_record` gives it

    def as_record(self) -> dict[str, Any]:
        """Turn it into JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Journal:
    """A pair's journal: at most one record."""

    pair: Pair

    @property
    def path(self) -> Path:
        """Where the record is, while there is one."""
        return self.pair.folder / _NAME

    def write(self, record: Mapping[str, object]) -> None:
        """Write the record durably: from here on the apply is to be finished, not undone."""
        self.pair.create()
        write_record(self.path, record, version=_VERSION)

    def read(self) -> dict[str, Any] | None:
        """Return the record of an apply that was not finished, or None.

        A write that was cut off counts as none. Raises DamagedData when the record itself is damaged or a newer
        usbsync wrote it.
        """
        return read_record(self.path, version=_VERSION)

    def clear(self) -> None:
        """Remove the record durably; no error where there is none."""
        if self.path.parent.is_dir():
            with speaking(self.path):
                self.path.unlink(missing_ok=True)
                fsync_folder(self.path.parent)
                sweep_temporaries(self.path.parent)


def from_record(record: Mapping[str, Any], path: Path) -> Record:
    """Turn JSON values read from `path` back into a Record; DamagedData when they are none."""
    match record:
        case {
            "id": str(id_),
            "created": str(created),
            "desktop": [*desktop],
            "phone": [*phone],
            "staged": dict(staged),
            "backup": None | str() as backup,
            "remember": dict(remember),
        } if all(map(_is_step, [*desktop, *phone])):
            return Record(id_, created, tuple(desktop), tuple(phone), staged, backup, remember)
    raise damaged(path, "it is no commit record")


def _is_step(step: object) -> bool:
    if not isinstance(step, dict) or not all(isinstance(value, str) for value in step.values()):
        return False
    needed, allowed = _STEP_KEYS.get(step.get("op", ""), (None, set()))
    return needed is not None and needed <= step.keys() <= needed | allowed
