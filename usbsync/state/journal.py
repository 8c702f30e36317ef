"""The journal: the commit record of an apply. While it is there, what it says is to be finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usbsync.state.files import fsync_folder, speaking, sweep_temporaries
from usbsync.state.records import read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from usbsync.state.pair import Pair

_VERSION = 1
_NAME = "journal.json"


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
