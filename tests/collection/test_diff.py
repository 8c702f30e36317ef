"""What changed is found: in every table, of every kind, to the letter, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from raw import change, raw
from worlds import clone, editing

from usbsync.collection.diff import compare, count_notes, same, tally
from usbsync.core.changes import Change, Table
from usbsync.core.conflict import Side
from usbsync.errors import DamagedData

INSERTS = {
    Table.NOTES: "insert into notes values (1, 'g', (select min(id) from notetypes), 5, -1, ' t ', 'a\x1fb', 'a', 7, 0, '')",
    Table.CARDS: "insert into cards select 1, nid, did, 9, mod, -1, type, queue, due, ivl, factor, reps, lapses, left, "
    "odue, odid, flags, data from cards limit 1",
    Table.REVLOG: "insert into revlog values (1, 2, -1, 3, 4, 5, 6, 7, 0)",
    Table.DECKS: "insert into decks select 2, 'Δ\x1fx', mtime_secs, -1, common, kind from decks where id = 1",
    Table.DECK_CONFIG: "insert into deck_config select 2, name, mtime_secs, -1, config from deck_config",
    Table.CONFIG: "insert into config values ('new', -1, 5, cast('{\"a\":[1]}' as blob))",
    Table.TAGS: "insert into tags values ('ΐ::new', -1, 1, null)",
    Table.GRAVES: "insert into graves values (77, 1, -1)",
    Table.NOTETYPES: "insert into notetypes select 3, 'New', mtime_secs, -1, config from notetypes limit 1",
}
KEYS = {Table.CONFIG: "key", Table.TAGS: "tag", Table.GRAVES: "oid"}
COLUMNS = [
    *(
        (Table.NOTES, name)
        for name in ("guid", "mid", "mod", "tags", "flds", "sfld", "csum", "flags", "data")
    ),
    *(
        (Table.CARDS, name)
        for name in [
            "nid",
            "did",
            "ord",
            "mod",
            "type",
            "queue",
            "due",
            "ivl",
            "factor",
            "reps",
            "lapses",
            "left",
            "odue",
            "odid",
            "flags",
            "data",
        ]
    ),
    *((Table.REVLOG, name) for name in ("cid", "ease", "ivl", "lastIvl", "factor", "time", "type")),
    *((Table.DECKS, name) for name in ("name", "mtime_secs", "common")),
    *((Table.DECK_CONFIG, name) for name in ("name", "mtime_secs", "config")),
    (Table.CONFIG, "val"),
    (Table.TAGS, "collapsed"),
    *((Table.NOTETYPES, name) for name in ("name", "mtime_secs", "config")),
]
VALUES = {"common": b"\x18\x07", "config": b"\x1d\x00\x00\x00\x00", "val": b"false", "collapsed": 0}


class Trio:
    """Three equal collections; the phone is the one that is changed, if nothing else is said."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.paths = [
            clone(base, folder / name / "collection.anki2") for name in ("ancestor", "desktop", "phone")
        ]
        self.desktop, self.phone = self.paths[1:]

    def changes(self):
        desktop, phone, _ = compare(*self.paths)
        assert desktop.empty
        return phone

    def found(self) -> dict[Table, dict]:
        return {table: dict(rows) for table, rows in self.changes().rows.items() if rows}


@pytest.fixture
def trio(base, tmp_path):
    return Trio(base, tmp_path)


def test_nothing_changed(trio):
    assert trio.changes().empty
    assert same(*trio.paths[:2])


@pytest.mark.parametrize("table", Table)
def test_a_new_row(trio, table):
    change(trio.phone, INSERTS[table])
    ((found, rows),) = trio.found().items()
    assert found is table
    ((_, one),) = rows.items()
    assert one.ancestor is None
    assert one.now is not None


@pytest.mark.parametrize("table", [table for table in Table if table is not Table.GRAVES])
def test_a_row_that_is_gone(trio, table):
    key = KEYS.get(table, "id")
    change(trio.phone, f"delete from {table} where {key} = (select max({key}) from {table})")
    ((found, rows),) = trio.found().items()
    assert found is table
    ((_, one),) = rows.items()
    assert one.now is None
    assert one.ancestor is not None


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_one_value(trio, table, column):
    key = KEYS.get(table, "id")
    value = VALUES.get(column, "77")
    change(
        trio.phone, f"update {table} set {column} = ? where {key} = (select max({key}) from {table})", value
    )
    ((found, rows),) = trio.found().items()
    assert found is table
    ((_, one),) = rows.items()
    assert one.now != one.ancestor


def test_a_decks_kind(trio):
    change(
        trio.phone,
        "update decks set kind = (select cast(kind || x'5000' as blob) from decks where id = 1) where id = 1",
    )
    assert list(trio.found()) == [Table.DECKS]


@pytest.mark.parametrize("part", ["fields", "templates"])
@pytest.mark.parametrize(
    "done",
    ["update {} set name = 'x' where {}", "update {} set config = x'' where {}", "delete from {} where {}"],
)
def test_a_part_of_a_notetype_is_its_change(trio, part, done):
    with raw(trio.phone) as db:
        ((mid,),) = db.execute("select min(id) from notetypes")
    change(trio.phone, done.format(part, f"ntid = {mid} and ord = 0"))
    found = trio.found()
    assert list(found) == [Table.NOTETYPES]
    assert list(found[Table.NOTETYPES]) == [mid]


def test_names_that_differ_in_case_only(trio):
    change(trio.phone, "update decks set name = 'SPANISH' where name = 'Spanish'")
    change(trio.phone, "update tags set tag = 'SEED' where tag = 'seed'")
    change(trio.phone, "update notetypes set name = 'BASIC' where name = 'Basic'")
    found = trio.found()
    assert list(found) == [Table.DECKS, Table.TAGS, Table.NOTETYPES]
    ((key, tag),) = found[Table.TAGS].items()
    assert (key, tag.ancestor.tag, tag.now.tag) == ("seed", "seed", "SEED")


def test_bookkeeping_with_ankiweb_is_no_change(trio):
    with raw(trio.phone) as db:
        for table in Table:
            db.execute(f"update {table} set usn = 99")
        db.execute("update col set usn = 99, ls = 99, mod = 99, dty = 1")
        db.execute("update templates set usn = 99, mtime_secs = 99")
        db.execute("update config set mtime_secs = 99")
    assert trio.changes().empty


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7", "007"),
        ("1", "1.0"),
        ("inf", "1e999"),
        ("12345678901234567890", "12345678901234567891"),
        ("", "0"),
        ("1", " 1"),
    ],
)
def test_fields_that_sqlite_takes_for_the_same_number(trio, one, other):
    """`sfld` has the affinity of a number; the field itself tells them apart, and what is sorted by is kept."""
    for path, text in zip(trio.paths, (one, one, other), strict=True):
        with raw(path) as db:
            db.execute("update notes set flds = ?, sfld = ?", (f"{text}\x1fx", text))
    for one_change in trio.found()[Table.NOTES].values():
        assert one_change.now.flds.split("\x1f")[0] == other
        assert one_change.ancestor.flds.split("\x1f")[0] == one


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**53 + 1, 0, -1])
def test_numbers_of_any_size_arrive_whole(trio, number):
    change(trio.phone, "update cards set due = ?", number)
    rows = trio.found()[Table.CARDS]
    assert {one.now.due for one in rows.values()} == {number}


def test_bytes_and_texts_of_any_kind_arrive_whole(trio):
    text = "\U0001f3e0 家 ''\"\\ \x01\u2028 e\u0301"
    change(trio.phone, "update notes set data = ?", text)
    blob = bytes([0x9A, 0x06, 0x03, 0x00, 0xFF, 0x80])  # field 99, which no Anki knows
    change(trio.phone, "update decks set common = ? where id = 1", blob)
    found = trio.found()
    assert {one.now.data for one in found[Table.NOTES].values()} == {text}
    assert [one.now.common for one in found[Table.DECKS].values()] == [blob]


def test_the_first_day_and_the_schema_are_told(trio):
    change(trio.phone, "update col set crt = crt + 86400, scm = scm + 5")
    found = trio.changes()
    assert (found.col.crt - found.ancestor_col.crt, found.col.scm - found.ancestor_col.scm) == (86400, 5)
    assert not found.empty
    assert not same(*trio.paths[1:])


@pytest.mark.parametrize("changed", Side)
def test_each_side_has_its_own_changes(base, tmp_path, changed):
    paths = {name: clone(base, tmp_path / name / "c.anki2") for name in ("ancestor", "desktop", "phone")}
    change(paths[changed], INSERTS[Table.TAGS])
    found = dict(zip(Side, compare(*paths.values())[:2], strict=True))
    assert not found[changed].empty
    assert found[changed.other].empty


def test_the_compared_files_stay_as_they_are(trio):
    change(trio.phone, INSERTS[Table.REVLOG])
    before = [path.read_bytes() for path in trio.paths]
    trio.changes()
    assert [path.read_bytes() for path in trio.paths] == before
    assert [wal for path in trio.paths for wal in path.parent.glob("*-wal")] == []


def test_a_folder_with_a_strange_name(base, tmp_path):
    odd = clone(base, tmp_path / "a b?c#d%41'\"é" / "collection.anki2")
    shutil.copytree(odd.parent, tmp_path / "2 ?")
    change(tmp_path / "2 ?" / "collection.anki2", INSERTS[Table.TAGS])
    _, phone, _ = compare(odd, odd.with_name("collection.anki2"), tmp_path / "2 ?" / "collection.anki2")
    assert not phone.empty


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("cards", "mod", "text"),
        ("cards", "reps", b"blob"),
        ("cards", "data", b"blob"),
        ("notes", "flds", b"blob"),
        ("notes", "mod", "1e999"),
        ("decks", "kind", b"\xff"),
        ("decks", "common", b"\x1a\xff\xff"),
        ("decks", "mtime_secs", "x"),
        ("decks", "kind", b"\x0a\x02\xff\xff"),
        ("deck_config", "config", b"\x07"),
        ("notetypes", "config", b"\x00"),
        ("fields", "config", b"\x0b"),
        ("templates", "config", b"\xff" * 12),
        ("revlog", "ease", "again"),
        ("decks", "mtime_secs", 1.5),
        ("decks", "common", "text"),
        ("templates", "config", "text"),
        ("fields", "ntid", "text"),
        ("notetypes", "mtime_secs", 0.5),
        ("config", "val", "text"),
        ("col", "crt", b"x"),
        ("col", "scm", "x"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(trio, table, column, value):
    change(trio.phone, f"update or ignore {table} set {column} = ?", value)
    with pytest.raises(DamagedData):
        trio.changes()


def test_an_old_ankis_numbers_with_a_point_are_let_pass(trio):
    change(trio.phone, "update cards set due = 1.5")
    assert {one.now.due for one in trio.found()[Table.CARDS].values()} == {1.5}


def test_counting_what_a_replacement_would_do(trio):
    with editing(trio.phone) as col:
        nid, other = list(col.find_notes("tag:t0"))[:2]
        col.remove_notes([nid])
        note = col.get_note(other)
        note.fields[0] = "x"
        col.update_note(note)
    counts = tally(trio.phone, trio.paths[0])
    assert counts["notes"] == {"added": 0, "updated": 1, "deleted": 1}
    assert tally(trio.phone, None)["notes"] == {"added": count_notes(trio.phone), "updated": 0, "deleted": 0}


def test_two_answers_of_one_moment_find_out_which_moments_are_free(base, tmp_path):
    paths = [clone(base, tmp_path / name / "c.anki2") for name in ("ancestor", "desktop", "phone")]
    at = 1_700_000_000_000
    for path, ease in zip(paths[1:], (1, 4), strict=True):
        with raw(path) as db:
            db.execute("insert into revlog values (?, 2, -1, ?, 4, 5, 6, 7, 0)", (at, ease))
            db.execute("insert into revlog values (?, 2, -1, 2, 4, 5, 6, 7, 0)", (at + 1,))
    desktop, phone, context = compare(*paths)
    assert {at, at + 1} <= context.taken_reviews
    assert desktop.of(Table.REVLOG)[at] != phone.of(Table.REVLOG)[at]
    assert isinstance(phone.of(Table.REVLOG)[at], Change)


@pytest.mark.parametrize("buried_on", ["ancestor", "desktop", "phone"])
def test_a_free_id_lies_above_all_that_live_and_all_that_are_buried(
    base: Path, tmp_path: Path, buried_on
) -> None:
    three = {
        side: clone(base, tmp_path / side / "collection.anki2") for side in ("ancestor", "desktop", "phone")
    }
    far = 9_000_000_000_000
    change(three[buried_on], "insert into graves values (?, 2, -1)", far)
    _, _, context = compare(three["ancestor"], three["desktop"], three["phone"])
    assert context.free_ids[Table.DECKS] == far + 1
    assert context.free_ids[Table.NOTES] > 1


# ---- what nobody changed, and what was done to others may reach


def _retype(trio) -> tuple[int, set[int]]:
    change(
        trio.phone,
        "update notes set mid = (select max(id) from notetypes) where id = (select min(id) from notes)",
    )
    (nid,) = column(trio.phone, "select min(id) from notes")
    return nid, set(column(trio.phone, f"select id from cards where nid = {nid}"))


def column(path: Path, sql: str) -> list:
    with editing(path) as col:
        return col.db.list(sql)


def test_the_cards_of_a_note_with_another_notetype_are_listed_where_some_notetype_changed(trio):
    nid, cids = _retype(trio)
    assert not trio.changes().of(Table.CARDS)
    change(trio.desktop, "update notetypes set name = 'other' where id = (select min(id) from notetypes)")
    desktop, phone, context = compare(*trio.paths)
    assert not desktop.of(Table.CARDS)
    cards = phone.of(Table.CARDS)
    assert cards.keys() == cids
    assert all(one.ancestor == one.now for one in cards.values())
    assert nid in context.mids
    change(trio.phone, "update cards set flags = 3 where nid = ?", nid)
    _, phone, _ = compare(*trio.paths)
    assert {(one.ancestor.flags, one.now.flags) for one in phone.of(Table.CARDS).values()} == {(0, 3)}


def test_notes_that_lost_cards_on_both_sides_are_listed_with_all_that_are_left(trio):
    with_two = "select nid from cards group by nid having count() > 1 order by nid"
    one, two, three, *_ = column(trio.phone, with_two)
    for at, path in enumerate((trio.desktop, trio.phone)):
        for nid in (one, two):
            change(
                path,
                f"delete from cards where id = (select id from cards where nid = ? order by id limit 1 offset {at})",
                nid,
            )
    change(trio.desktop, "delete from cards where nid = ?", three)
    change(trio.phone, "delete from notes where id = ?", two)
    desktop, phone, context = compare(*trio.paths)
    assert context.cards == {one: frozenset(column(trio.desktop, f"select id from cards where nid = {one}"))
                             | frozenset(column(trio.phone, f"select id from cards where nid = {one}"))}  # fmt: skip
    for side in (desktop, phone):
        assert side.of(Table.NOTES)[one].ancestor == side.of(Table.NOTES)[one].now
    assert desktop.of(Table.NOTES).keys() == {one}


def test_the_fields_of_a_notetype_that_only_the_phone_has_have_names(trio):
    change(trio.phone, INSERTS[Table.NOTETYPES])
    change(
        trio.phone,
        "insert into fields select 3, ord, name, config from fields where ntid = (select min(id) from notetypes where id > 3)",
    )
    _, _, context = compare(*trio.paths)
    assert context.fields[3] == ("Front", "Back")
