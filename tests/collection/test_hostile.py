"""A damaged or hostile phone can make a merge fail with a named error; what it does not break is merged soundly."""

from __future__ import annotations

import random

import pytest
from merging import Pair, merge
from oracle.edits import EDITS, Hand, work
from raw import raw
from worlds import editing, table

from usbsync.core.conflict import Side
from usbsync.errors import UsbsyncError

TABLES = (
    "notes",
    "cards",
    "revlog",
    "decks",
    "deck_config",
    "config",
    "tags",
    "notetypes",
    "fields",
    "templates",
    "graves",
    "col",
)
VALUES = [
    None, "", "text", "\x1f", "a\x1fb\x1fc", "::", "\x1f\x1f", "x" * 100_000, "é" * 99, "' or 1=1 --", "\ud83c\udfe0", b"", b"\x00",
    b"\xff" * 20, bytes(range(256)), 0, 1, -1, 2**31, 2**63 - 1, -(2**63), 0.5, float("inf"), 1e300, "1e999", "{", "[]", "-1",
]  # fmt: skip


def vandalise(path, rng: random.Random) -> list[str]:
    """Write rubbish over a few values, as no app would; what the file itself forbids is left."""
    done = []
    with raw(path) as db:
        for _ in range(rng.randint(1, 4)):
            name = rng.choice(TABLES)
            column = rng.choice([row[1] for row in db.execute(f"pragma table_info({name})")])
            value = rng.choice(VALUES)
            try:
                some = (
                    ""
                    if rng.random() < 0.3
                    else f" where {column} = (select {column} from {name} order by random() limit 1)"
                )
                db.execute(f"update or ignore {name} set {column} = ?{some}", (value,))
            except Exception as error:  # noqa: BLE001 - the file's own constraints
                done.append(str(error))
            else:
                done.append(f"{name}.{column} = {value!r:.30}")
    return done


@pytest.mark.parametrize("seed", range(100))
def test_rubbish_from_a_phone_is_refused_by_name_or_merged(base, tmp_path, seed):
    pair, rng = Pair(tmp_path, base), random.Random(seed)
    for side in Side:
        with pair.editing(side) as col:
            work(Hand(col, rng, str(side)), list(EDITS), 4)
    before = pair.desktop_path.read_bytes()
    done = vandalise(pair.phone_path, rng)
    named = True
    try:
        merged = merge(tmp_path / "merge", pair.ancestor, pair.desktop_path, pair.phone_path)
    except UsbsyncError as error:
        named = error.exit_code in {4, 7}
    else:
        with editing(merged.desktop) as col:
            col.sched.deck_due_tree()
        assert table(merged.desktop, "pragma integrity_check") == [["ok"]]
    assert named, done
    assert pair.desktop_path.read_bytes() == before
