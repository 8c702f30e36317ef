"""The last look before anything is written: whatever is unequal or unsound is caught, each by itself."""

from __future__ import annotations

import pytest
from raw import change, raw
from worlds import clone

from usbsync.collection.verify import first_difference, verify
from usbsync.errors import DamagedData

UNEQUAL = {
    "notes": [
        "guid = 'x'",
        "mod = 5",
        "tags = ' x '",
        "flds = 'x' || char(31)",
        "sfld = 5",
        "csum = 5",
        "data = 'x'",
        "flags = 5",
    ],
    "cards": [
        "ord = 5",
        "mod = 5",
        "type = 3",
        "queue = 9",
        "due = 999",
        "ivl = 99",
        "reps = 99",
        "data = '{}x'",
        "flags = 7",
    ],
    "revlog": ["cid = 5", "ease = 9", "ivl = 99", "lastIvl = 99", "factor = 9", "time = 9", "type = 9"],
    "decks": ["name = 'x'", "name = upper(name)", "mtime_secs = 5", "common = x'1807'", "kind = x'0a025001'"],
    "deck_config": ["name = upper(name)", "mtime_secs = 5", "config = x''"],
    "config": ["val = x'31'"],
    "tags": ["tag = upper(tag)", "collapsed = not collapsed"],
    "notetypes": ["name = upper(name)", "mtime_secs = 5", "config = x''"],
    "fields": ["name = 'x'", "name = upper(name)", "config = x''"],
    "templates": ["name = 'x'", "name = upper(name)", "config = x''"],
}
KEYS = {"config": "key", "tags": "tag", "fields": "ntid", "templates": "ntid"}
FAULTS = {
    "delete from notes where id = (select max(id) from notes)": "cards without a note",
    "update cards set did = 5": "cards without a deck",
    "update cards set odid = 5, did = 1 where id = (select max(id) from cards)": "cards without a deck",
    "update notes set mid = 5": "notes without a notetype",
    "update notes set flds = 'one'": "wrong number of fields",
    "update notes set flds = 'a' || char(31) || 'b' || char(31) || 'c'": "wrong number of fields",
}


@pytest.fixture
def four(base, tmp_path):
    """Two originals and two results, all equal."""
    return [clone(base, tmp_path / str(at) / "collection.anki2") for at in range(4)]


def check(four):
    verify(four[2], four[3], (four[0], four[1]))


def test_equal_and_sound_passes(four):
    check(four)


@pytest.mark.parametrize("where", [2, 3])
@pytest.mark.parametrize(
    ("table", "value"), [(table, value) for table, values in UNEQUAL.items() for value in values]
)
def test_one_value_that_differs(four, table, value, where):
    key = KEYS.get(table, "id")
    order = "ntid desc, ord desc" if key == "ntid" else f"{key} desc"
    with raw(four[where]) as db:
        ((chosen,),) = db.execute(f"select {key} from {table} order by {order} limit 1")
        more = " and ord = 0" if key == "ntid" else ""
        done = db.execute(f"update {table} set {value} where {key} = ?{more}", (chosen,))
        assert done.rowcount == 1
    with pytest.raises(DamagedData, match=f"differ in {table}|would have"):
        check(four)


@pytest.mark.parametrize("where", [2, 3])
@pytest.mark.parametrize("table", UNEQUAL)
def test_one_row_too_few(four, table, where):
    key = KEYS.get(table, "id")
    change(four[where], f"delete from {table} where {key} = (select max({key}) from {table})")
    assert first_difference(four[2], four[3]).startswith(table)
    with pytest.raises(DamagedData):
        check(four)


def test_the_first_day(four):
    change(four[3], "update col set crt = crt + 1")
    with pytest.raises(DamagedData, match=r"col\.crt"):
        check(four)


def test_bookkeeping_with_ankiweb_may_differ(four):
    with raw(four[3]) as db:
        for table in (
            "notes",
            "cards",
            "revlog",
            "decks",
            "deck_config",
            "config",
            "tags",
            "notetypes",
            "templates",
        ):
            db.execute(f"update {table} set usn = 77")
        db.execute("update config set mtime_secs = 77")
        db.execute("update templates set mtime_secs = 77")
        db.execute("insert into graves values (5, 1, -1)")
        db.execute("update col set usn = 77, ls = 77, mod = 77, scm = 77")
    check(four)


@pytest.mark.parametrize(("planted", "named"), FAULTS.items())
def test_a_fault_in_both_results_is_caught(four, planted, named):
    """Equal results can be equally wrong."""
    for path in four[2:]:
        change(path, planted)
    with pytest.raises(DamagedData, match=named):
        check(four)


@pytest.mark.parametrize(
    "planted",
    [
        "update decks set mtime_secs = 1.5",
        "update decks set kind = 'text'",
        "update decks set common = x'ff'",
        "update deck_config set config = x'ff'",
        "update config set val = 'text'",
        "update notetypes set config = x'ff'",
        "update fields set config = x'ff'",
        "update templates set config = 'text'",
    ],
)
def test_what_anki_could_not_load_is_caught(four, planted):
    for path in four[2:]:
        change(path, planted)
    with pytest.raises(DamagedData, match="Anki cannot read"):
        check(four)


@pytest.mark.parametrize("planted", FAULTS)
@pytest.mark.parametrize("whose", [0, 1])
def test_a_fault_that_was_there_before_is_no_fault_of_the_merge(four, planted, whose):
    for path in (four[whose], *four[2:]):
        change(path, planted)
    check(four)


@pytest.mark.parametrize("where", [2, 3])
@pytest.mark.parametrize("table", ["notes", "cards", "revlog", "decks"])
def test_a_damaged_page_is_caught(four, table, where):
    with raw(four[where]) as db:
        ((page,),) = db.execute("select rootpage from sqlite_master where name = ?", (table,))
    with four[where].open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(DamagedData):
        check(four)


def test_verifying_leaves_all_as_it_was(four):
    before = [path.read_bytes() for path in four]
    check(four)
    assert [path.read_bytes() for path in four] == before
    assert [
        path.name for one in four for path in one.parent.iterdir() if path.name.endswith(("-wal", "-shm"))
    ] == []
