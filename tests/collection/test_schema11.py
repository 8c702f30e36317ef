"""Schema 11 is read, lifted to what the other side holds, and written back; nothing is lost and nothing invented."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from old_app import aged, by_hand, enrich, made_old, old_app, schema_of, unknown_fields
from worlds import add_note, clone, database_check, edit_field, editing, note_ids, table

from usbsync.collection import schema11
from usbsync.collection.diff import compare, same
from usbsync.collection.schema11 import lift, lower
from usbsync.collection.snapshot import take
from usbsync.core.changes import Table
from usbsync.errors import DamagedData


@pytest.fixture
def rich(base, tmp_path) -> Path:
    path = clone(base, tmp_path / "rich" / "collection.anki2")
    enrich(path)
    return path


@pytest.fixture
def up(tmp_path):
    """Bring a file up on a scratch copy."""
    count = iter(range(100))
    return lambda path: take(path, tmp_path / f"up-{next(count)}", "phone").path


def changes(ancestor: Path, now: Path) -> dict[Table, int]:
    found, _, _ = compare(ancestor, now, clone(ancestor, ancestor.with_name("other.anki2")))
    return {name: len(rows) for name, rows in found.rows.items() if rows}


def test_what_the_way_down_and_up_loses_is_given_back(rich, up, tmp_path):
    poor = up(lower(rich, tmp_path / "old.anki2"))
    assert not same(poor, rich)
    assert not any(unknown_fields(poor).values())
    assert lift(rich, poor)
    assert same(poor, rich)
    assert unknown_fields(poor) == unknown_fields(rich)


def test_lifting_where_nothing_is_lost_changes_nothing(base, up, tmp_path):
    poor = up(lower(base, tmp_path / "old.anki2"))
    before = poor.read_bytes()
    assert not lift(base, poor)
    assert poor.read_bytes() == before


def test_the_rich_side_is_left_alone(rich, up, tmp_path):
    poor = up(lower(rich, tmp_path / "old.anki2"))
    before = rich.read_bytes()
    lift(rich, poor)
    assert rich.read_bytes() == before


def test_a_lowered_collection_needs_no_collation_of_ankis(rich, tmp_path):
    """AnkiDroid's Java code knew none: an index that wants one could not even be read."""
    old = lower(rich, tmp_path / "old.anki2")
    assert schema_of(old) == 11
    with closing(sqlite3.connect(old)) as db:
        schema = db.execute("select group_concat(sql) from sqlite_master").fetchone()[0]
        assert "unicase" not in schema
        assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert db.execute("select count() from notes").fetchone()[0] == 20
    assert not old.with_name(f"{old.name}-wal").exists()
    assert database_check(old) == []


def test_standing_with_ankiweb_survives_the_way_down(rich, tmp_path):
    sql = "select usn, ls, scm, crt, mod from col"
    before = table(rich, sql)
    assert table(lower(rich, tmp_path / "old.anki2"), sql) == before


@pytest.mark.parametrize("age", [made_old, lambda path: aged(made_old(path))], ids=["today's", "of 2015"])
def test_one_old_file_read_twice_is_the_same(base, tmp_path, up, age):
    """Anki writes the keys that it does not know in another order each time."""
    old = age(clone(base, tmp_path / "old" / "collection.anki2"))
    first = up(old)
    assert all(same(first, up(old)) for _ in range(4))


def test_an_edit_in_the_old_file_is_all_that_is_found(rich, up, tmp_path):
    old = lower(rich, tmp_path / "old.anki2")
    ancestor = up(old)
    with by_hand(old) as col:
        deck = col.named("decks", "Spanish")
        deck["desc"] = "written by an old app"
        col.touch(deck)
        col.json["conf"]["collapseTime"] = 7
        col.db.execute(
            "update notes set flds = 'a' || char(31) || 'b' where id = (select min(id) from notes)"
        )
    now = up(old)
    lift(rich, now, ancestor)
    assert changes(ancestor, now) == {Table.DECKS: 1, Table.CONFIG: 1, Table.NOTES: 1}
    assert changes(rich, now) == {Table.DECKS: 1, Table.CONFIG: 1, Table.NOTES: 1}
    assert unknown_fields(now) == unknown_fields(rich)


def test_a_notetype_reshaped_in_the_old_file_keeps_what_its_parts_had(rich, up, tmp_path):
    old = lower(rich, tmp_path / "old.anki2")
    with old_app(old) as col:
        kind = col.models.by_name("Basic")
        col.models.reposition_field(kind, kind["flds"][1], 0)
        col.models.add_field(kind, col.models.new_field("Added"))
        col.models.update_dict(kind)
    now = up(old)
    lift(rich, now)
    held = unknown_fields(now)
    assert held == unknown_fields(rich)  # the added field has none, the moved ones kept theirs
    moved = (
        "select f.name from fields f join notetypes n on n.id = f.ntid where n.name = 'Basic' order by ord"
    )
    assert [name for (name,) in table(now, moved)] == ["Back", "Front", "Added"]


def test_a_deletion_in_the_old_file_is_of_an_unedited_row(rich, up, tmp_path):
    """What is lost on the way is no edit: an edit would bring back what the phone deleted."""
    old = lower(rich, tmp_path / "old.anki2")
    ancestor = up(old)
    with old_app(old) as col:
        col.decks.remove([col.decks.id("Old")])
    now = up(old)
    lift(rich, now, ancestor)
    found, other, _ = compare(ancestor, now, rich)
    assert [change.now for change in found.of(Table.DECKS).values()] == [None]
    assert other.empty


def test_many_edits_of_an_old_app_come_up_sound(base, up, tmp_path):
    old = aged(made_old(clone(base, tmp_path / "old" / "collection.anki2")))
    with old_app(old) as col:
        add_note(col, "Basic", ["new", "note"], col.decks.id("New::Deck"))
        edit_field(col, note_ids(col)[0], 0, "edited")
    now = up(old)
    assert table(now, "select ver from col") == [[18]]
    assert table(now, "select count() from notes") == [[21]]
    again = up(lower(now, tmp_path / "again.anki2"))
    lift(now, again)
    assert same(now, again)


def test_a_way_down_that_fails_is_an_error(rich, tmp_path):
    """Anki says so in its log only."""
    with closing(sqlite3.connect(rich)) as db:
        db.execute("update deck_config set config = config || 'text'")
        db.commit()
    with pytest.raises(DamagedData, match="schema 11"):
        lower(rich, tmp_path / "old.anki2")


def test_a_way_down_that_loses_a_note_is_an_error(rich, tmp_path, monkeypatch):
    def losing(path: Path) -> None:
        with editing(path) as col:
            col.db.execute("delete from notes where id = (select min(id) from notes)")
        made_old(path)

    monkeypatch.setattr(schema11, "downgrade", losing)
    with pytest.raises(DamagedData, match="notes"):
        lower(rich, tmp_path / "old.anki2")


def test_graves_that_are_there_twice_do_no_harm(base, up, tmp_path):
    old = made_old(clone(base, tmp_path / "old" / "collection.anki2"))
    with by_hand(old) as col:
        col.db.executemany("insert into graves (usn, oid, type) values (-1, ?, ?)", [(7, 1), (7, 1), (8, 2)])
    assert sorted(table(up(old), "select oid, type from graves")) == [[7, 1], [8, 2]]
    shutil.rmtree(old.parent)
