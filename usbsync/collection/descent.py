"""Does a collection descend from a state it was sent or held once? Marks in its preferences, and traces in its rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from usbsync.collection.backend import OpenCollection, opened
from usbsync.collection.snapshot import MARK_PREFIX, NEWEST_SCHEMA, take
from usbsync.core.lineage import Trace

_PREFIX = MARK_PREFIX
_LONGEST = 100
_AHEAD = 10  # seconds that merges may have stamped a row ahead: one for each that is made within a second
_GRAVED = {"notes": 1, "cards": 0, "decks": 2}
_STAMPED = {
    "notes": "mod",
    "cards": "mod",
    "decks": "mtime_secs",
    "deck_config": "mtime_secs",
    "notetypes": "mtime_secs",
}


def marks_of(path: Path) -> dict[str, str]:
    """Return the marks in a scratch copy: whose each is, and which answer it names."""
    with opened(path) as col:
        found = col.rows(
            f"select key, cast(val as text) from config where substr(key, 1, {len(_PREFIX)}) = ? order by key",
            _PREFIX,
        )
    marks = {key.removeprefix(_PREFIX): _mark(value) for key, value in found}
    return {whose: mark for whose, mark in marks.items() if mark and len(whose) <= _LONGEST}


def _mark(value: object) -> str | None:
    try:
        mark = json.loads(str(value))
    except ValueError:
        return None
    return mark if isinstance(mark, str) and len(mark) <= _LONGEST else None


def put_marks(path: Path, marks: Mapping[str, str]) -> None:
    """Put marks into a scratch copy, as preferences that no app looks at and all carry on."""
    with opened(path) as col:
        for whose, mark in marks.items():
            col.rows(
                "insert or replace into config (key, usn, mtime_secs, val) values (?, -1, ?, cast(? as blob))",
                f"{_PREFIX}{whose}",
                int(time.time()),
                json.dumps(mark),
            )


def readable(state: Path, scratch: Path) -> Path:
    """Return a state for the functions below: the file itself, or a copy of one with the old schema brought up."""
    with closing(sqlite3.connect(f"{state.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        (schema,) = db.execute("select ver from col").fetchone()
    return state if schema == NEWEST_SCHEMA else take(state, scratch, "last sync").path


def trace(collection: Path, state: Path, when: float) -> Trace:
    """Look in a scratch copy for what tells against its having been this state, which was known at `when`, once.

    Work that was done since is no older version, though its stamp is before the state's: of two versions in one second a
    merge stamps its own seconds ahead (`core/stamps.py`). Seconds only, for two clocks may disagree.
    """
    with opened(collection, {"was": state}) as col:
        lost = sum(_lost(col, table) for table in _GRAVED)
        older = sum(_older(col, table, stamp, int(when)) for table, stamp in _STAMPED.items())
        return Trace(lost, older, _answers_lost(col))


def keeps(collection: Path, state: Path) -> bool:
    """Whether a scratch copy holds all reviews of a state, and its notes but for those that were deleted.

    Less than `trace` asks for: a merge may give a desktop an older row, or a deck of that name with another id.
    """
    with opened(collection, {"was": state}) as col:
        return not (_answers_lost(col) or _lost(col, "notes"))


def _older(col: OpenCollection, table: str, stamp: str, when: int) -> int:
    """Count the rows that are in an older version than the state's."""
    return int(
        col.value(
            f"select count() from main.{table} m join was.{table} w on w.id = m.id "
            f"where m.{stamp} < w.{stamp} and (m.{stamp} < ? or m.{stamp} < w.{stamp} - ?)",
            when,
            _AHEAD,
        )
    )


def _lost(col: OpenCollection, table: str) -> int:
    """Count the rows that are gone without a grave."""
    return int(
        col.value(
            f"select count() from was.{table} where id not in (select id from main.{table}) "
            "and id not in (select oid from main.graves where type = ?)",
            _GRAVED[table],
        )
    )


def _answers_lost(col: OpenCollection) -> int:
    return int(col.value("select count() from was.revlog where id not in (select id from main.revlog)"))
