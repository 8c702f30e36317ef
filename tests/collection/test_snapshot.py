"""A copied pair becomes one sound file, or a named error; the pair itself is never opened."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from anki.collection import Collection
from worlds import answer, clone, editing, table

from usbsync.collection.diff import compare
from usbsync.collection.snapshot import file_fingerprint, is_empty, take
from usbsync.errors import DamagedData, UnsupportedCollection

TESTS = Path(__file__).parents[1]
KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from anki.collection import Collection
from worlds import answer
col = Collection(sys.argv[2])
answer(col, 5)
print("answered", flush=True)
sys.stdin.read()
"""


def kill_while_open(path: Path) -> None:
    """Answer five cards in another process and kill it, as AnkiDroid is stopped."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(TESTS), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "answered\n"
    process.kill()
    process.wait(30)
    process.stdin.close()
    process.stdout.close()


def wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def reviews(path: Path) -> int:
    return table(path, "select count() from revlog")[0][0]


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def sqlite(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.create_collation("unicase", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
        db.executescript(script)


@pytest.fixture
def raw(base, tmp_path) -> Path:
    return clone(base, tmp_path / "raw" / "collection.anki2")


@pytest.fixture
def snap(raw, tmp_path):
    """Take a snapshot, and see that the pair stayed as it was, with nothing new beside it."""

    def snap():
        before = everything(raw.parent)
        try:
            return take(raw, tmp_path / "scratch", "phone")
        finally:
            assert everything(raw.parent) == before

    return snap


def test_what_a_killed_app_left_in_its_wal_is_in_the_snapshot(raw, snap, tmp_path):
    kill_while_open(raw)
    assert wal_of(raw).stat().st_size > 0
    alone = clone(raw, tmp_path / "alone" / "collection.anki2")
    taken = snap()
    assert (reviews(alone), reviews(taken.path)) == (10, 15)
    assert taken.wal == wal_of(raw)
    assert reviews(taken.folded) == 15
    assert not wal_of(taken.path).exists()
    assert not wal_of(taken.folded).exists()


def test_a_closed_collection_is_copied_byte_for_byte(raw, snap):
    taken = snap()
    assert taken.path.read_bytes() == raw.read_bytes()
    assert (taken.raw, taken.wal, taken.folded, taken.schema) == (raw, None, None, 18)


def test_an_empty_wal_says_nothing(raw, snap):
    wal_of(raw).touch()
    taken = snap()
    assert taken.path.read_bytes() == raw.read_bytes()
    assert (taken.wal, taken.folded) == (wal_of(raw), None)


@pytest.mark.parametrize("cut", [1, 100, 4096 * 3, 4096 * 3 + 100])
def test_a_wal_that_was_cut_short_counts_up_to_its_last_whole_commit(raw, snap, cut):
    kill_while_open(raw)
    whole = wal_of(raw).read_bytes()
    wal_of(raw).write_bytes(whole[:-cut])
    assert 10 <= reviews(snap().path) <= 15


def test_a_wal_of_rubbish_says_nothing(raw, snap):
    wal_of(raw).write_bytes(b"rubbish" * 10_000)
    assert reviews(snap().path) == 10


def test_the_wal_of_another_collection_is_noticed(raw, snap, tmp_path):
    """SQLite itself would fold it in: nothing in it says to which file it belongs."""
    other = tmp_path / "other" / "collection.anki2"
    shutil.copytree(raw.parent, other.parent)
    with editing(other) as col:
        for _ in range(40):
            col.tags.rename("seed", "a-much-longer-tag-that-moves-rows-to-other-pages-" * 20)
            answer(col, 20)
    with editing(raw) as col:
        col.remove_notes(list(col.find_notes("")))
        col._backend.db_query("vacuum", [], first_row_only=False)
    kill_while_open(other)
    shutil.copyfile(wal_of(other), wal_of(raw))
    with pytest.raises(DamagedData):
        snap()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"S",
        b"SQLite format 3\0",
        b"<html>not found</html>" * 1000,
        b"SQLite format 3\0" + bytes(100_000),
    ],
)
def test_what_is_no_collection_is_refused(raw, snap, content):
    raw.write_bytes(content)
    with pytest.raises(DamagedData, match="phone"):
        snap()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(raw, snap, share):
    whole = raw.read_bytes()
    raw.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DamagedData):
        snap()


def test_a_page_that_was_overwritten_is_noticed(raw, snap):
    with closing(sqlite3.connect(raw)) as db:
        ((page,),) = db.execute("select rootpage from sqlite_master where name = 'cards'")
    with raw.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 2048)
    with pytest.raises(DamagedData):
        snap()


@pytest.mark.parametrize(
    ("ver", "error"),
    [
        ("10", UnsupportedCollection),
        ("19", UnsupportedCollection),
        ("'text'", UnsupportedCollection),
        ("18.5", UnsupportedCollection),
    ],
)
def test_a_schema_that_is_not_known_is_refused(raw, snap, ver, error):
    sqlite(raw, f"update col set ver = {ver}")
    with pytest.raises(error, match="schema"):
        snap()


def test_an_older_schema_is_brought_up_on_the_copy(base, raw, snap):
    with_version_11 = clone(base, raw.parent / "old" / "collection.anki2")
    Collection(str(with_version_11)).close(downgrade=True)
    shutil.copyfile(with_version_11, raw)
    shutil.rmtree(with_version_11.parent)
    assert snap().schema == 11
    taken = snap()
    assert table(taken.path, "select ver from col") == [[18]]
    assert reviews(taken.path) == 10


def test_parts_of_a_notetype_that_is_gone_are_left_out(raw, snap):
    """As Anki leaves them in what it exports as decks, and takes for a collection all the same."""
    sqlite(raw, "delete from notetypes where id = (select max(id) from notetypes)")
    taken = snap()
    for part in ("fields", "templates"):
        sql = f"select count() from {part} where ntid not in (select id from notetypes)"
        assert table(raw, sql) != [[0]]
        assert table(taken.path, sql) == [[0]]


def hidden(statement: str) -> str:
    """Write a statement into the schema under another type; SQLite goes by the statement."""
    return (
        "pragma writable_schema = on; "
        f"insert into sqlite_master values ('index', 'ix_t', 'notes', 0, '{statement}')"
    )


@pytest.mark.parametrize(
    "strange",
    [
        "create trigger t after update on col begin delete from notes; end",
        "create trigger t after insert on cards begin delete from notes; end",
        "create view v as select * from notes",
        "alter table notes rename to n; create view notes as select * from n",
        "create virtual table v using fts4(x)",
        (
            "alter table col rename to c; create view col as with recursive n as (select 18 as ver union all select ver from n) "
            "select ver from n where ver > 18"
        ),
        hidden("create/**/trigger t after update on col begin delete from notes; end"),
        hidden("create trigger t after update on col begin delete from notes; end"),
        hidden("create view if not exists v as select 1"),
        hidden("create\tvirtual table v using fts4(x)"),
    ],
)
def test_what_could_run_is_refused_before_it_runs(raw, snap, strange, tmp_path):
    sqlite(raw, strange)
    with pytest.raises(DamagedData, match=r"which no Anki makes|malformed database schema"):
        snap()


def test_a_schema_that_does_not_parse_is_refused(raw, snap):
    sqlite(
        raw,
        "pragma writable_schema = on; update sqlite_master set sql = 'create table notes (' where name = 'notes'",
    )
    with pytest.raises(DamagedData, match="cannot be read"):
        snap()


@pytest.mark.parametrize("missing", ["notes", "cards", "revlog", "decks", "notetypes", "graves", "tags"])
def test_a_collection_that_lacks_a_table_does_not_get_far(raw, snap, base, missing, tmp_path):
    sqlite(raw, f"drop table {missing}")
    with pytest.raises(DamagedData):
        compare(base, base, snap().path)


def test_a_collection_without_its_one_row_is_refused(raw, snap):
    sqlite(raw, "delete from col")
    with pytest.raises(DamagedData):
        snap()


def test_the_fingerprint_tells_main_and_wal_apart(raw):
    alone = file_fingerprint(raw)
    wal_of(raw).write_bytes(b"")
    empty = file_fingerprint(raw)
    wal_of(raw).write_bytes(b"x")
    assert empty == alone  # any reader leaves one
    assert file_fingerprint(raw) != alone


def test_a_collection_is_empty_without_notes_and_cards(raw, snap):
    assert not is_empty(snap().path)
    with editing(raw) as col:
        col.remove_notes(list(col.find_notes("")))
    assert is_empty(snap().path)
