"""Anki's list of profiles, `prefs21.db` in its base folder, read as Anki does (qt/aqt/profiles.py) and never written."""

from __future__ import annotations

import io
import pickle
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usbsync.errors import Busy, DamagedData

if TYPE_CHECKING:
    from pathlib import Path

PREFS = "prefs21.db"
_GLOBAL = "_global"
_SELECT = "select cast(name as text), cast(data as blob) from profiles order by name collate nocase"
_DEVICES = frozenset(["CON", "PRN", "AUX", "NUL"]) if sys.platform == "win32" else frozenset[str]()


@dataclass(frozen=True, slots=True)
class Profiles:
    """The names that can be folders, sorted, and the one Anki opened last (None: unknown, or gone)."""

    names: tuple[str, ...]
    last_used: str | None


def read_profiles(base: Path) -> Profiles:
    """Read the profiles below Anki's base folder; none where Anki was never started.

    Raises Busy when Anki is just writing the list, DamagedData when it is no such list.
    """
    path = base / PREFS
    if not path.is_file():
        return Profiles((), None)
    rows = _rows(path)
    names = tuple(name for name, _ in rows if name != _GLOBAL and _is_folder_name(name))
    last = _last_used(dict(rows).get(_GLOBAL))
    return Profiles(names, last if last in names else None)


def _rows(path: Path) -> list[tuple[str, bytes]]:
    try:
        return _select(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise Busy(f"{path} is being written; nothing was changed") from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path) from error
    try:  # a read-only folder, or a journal left by a crash that read-only SQLite may not roll back
        return _select(path, "immutable=1")
    except sqlite3.DatabaseError as error:
        raise _damaged(path) from error


def _select(path: Path, how: str) -> list[tuple[str, bytes]]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as db:
        return [(str(name), bytes(data or b"")) for name, data in db.execute(_SELECT)]


def _damaged(path: Path) -> DamagedData:
    return DamagedData(
        f"Anki's list of profiles, {path}, cannot be read; nothing was changed",
        hint="name the collection itself with --collection FILE",
    )


def _is_folder_name(name: str) -> bool:
    """Say whether a profile's name is one folder below the base, and no way out of it."""
    bad = any(ord(char) < ord(" ") or char in "/\\" for char in name) or (
        sys.platform == "win32" and ":" in name
    )
    return bool(name) and not bad and name not in {".", ".."} and name.upper() not in _DEVICES


def _last_used(pickled: bytes | None) -> str | None:
    """Return the name that newer Ankis remember; None when there is none or the pickle is not readable."""
    try:
        meta = _PlainUnpickler(io.BytesIO(pickled or b""), errors="ignore").load()
    except Exception:  # noqa: BLE001 - a bad pickle can raise anything; Anki too starts afresh then
        return None
    name = meta.get("last_loaded_profile_name") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else None


class _Inert:
    """Whatever a pickle says is a class or a function (Qt's geometry, an add-on's settings): holds and does nothing."""

    def __new__(cls, *_args: object, **_kwargs: object) -> _Inert:  # noqa: PYI034 - never subclassed
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Take one more item, as a pickled list would."""

    extend = add = append


class _PlainUnpickler(pickle.Unpickler):
    """Read plain data only: a pickle can name any function of any module, and none is ever looked up."""

    def find_class(self, _module: str, _name: str, /) -> Any:
        return _Inert
