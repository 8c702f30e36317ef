"""Traces in rows: a version from before a state disproves it, work done since does not, whatever its stamp."""

from __future__ import annotations

import shutil

import pytest
from raw import raw
from worlds import new_collection

from usbsync.collection.descent import trace
from usbsync.core.lineage import Trace

WHEN = 1_800_000_000.9
"""When the state was known, in seconds since 1970."""


@pytest.fixture
def state(tmp_path):
    return new_collection(tmp_path / "state.anki2")


@pytest.mark.parametrize(
    ("was", "now", "older"),
    [
        (0, 0, 0),
        (0, 5, 0),
        (0, -1, 1),  # from before the state was known
        (3, 0, 0),  # stamped ahead by a merge, and worked on within the same second
        (3, -1, 1),
        (10, 0, 0),
        (11, 0, 1),  # no merge is so far ahead: a clock was
        (3600, 3599, 0),
        (3600, 3000, 1),  # a phone whose clock is ahead, set back
    ],
)
@pytest.mark.parametrize("table", ["notes", "cards"])
def test_a_row_is_older_by_its_stamp_but_for_work_done_since(state, tmp_path, table, was, now, older) -> None:
    collection = shutil.copyfile(state, tmp_path / "now.anki2")
    for path, stamp in ((state, was), (collection, now)):
        with raw(path) as db:
            db.execute(
                f"update {table} set mod = ? where id = (select min(id) from {table})", [int(WHEN) + stamp]
            )
    assert trace(collection, state, WHEN) == Trace(0, older, 0)
