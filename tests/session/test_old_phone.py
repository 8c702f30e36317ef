"""A phone (or a desktop) whose app keeps schema 11 syncs as any other, and is never given what it could not open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from old_app import aged, by_hand, enrich, made_old, old_app, schema_of, unknown_fields
from raw import change
from session.scenes import World, assert_alike, content, fresh, notes, put, strays, texts, tree
from worlds import add_note, answer, database_check, edit_field, editing, note_ids, table

from usbsync.collection.schema11 import lift
from usbsync.collection.snapshot import take
from usbsync.core.conflict import Side
from usbsync.core.first import First
from usbsync.errors import UnsupportedCollection
from usbsync.session.conflicts import take_other
from usbsync.session.options import OneWay
from usbsync.session.talk import Silent


@pytest.fixture
def root(quick) -> Iterator[Path]:
    with TemporaryDirectory(dir=quick) as folder:
        yield Path(folder, "w")


def old_world(root, age=made_old, *, old="phone") -> World:
    """Make a pair in step of which one side has an old app, and the other what schema 11 cannot say."""
    world = World(root)
    fresh(world.desktop)
    shutil.copytree(world.desktop.parent, world.phone.parent)
    for name in ("stays", "goes"):
        put(world.desktop, name, name)
    age(getattr(world, old))
    world.sync(first=First.MERGE)
    enrich(world.desktop if old == "phone" else world.phone)
    world.sync()
    return world


def in_step(world: World) -> None:
    """Both hold the same as far as schema 11 can, each in its schema, and a second sync changes nothing."""
    assert (schema_of(world.desktop), schema_of(world.phone)) == (18, 11)
    scratch = world.root.with_name("looked-at")
    phone, desktop = (
        take(path, scratch / path.parent.name, "side").path for path in (world.phone, world.desktop)
    )
    lift(desktop, phone)
    assert content(phone) == content(desktop)
    assert database_check(phone) == database_check(desktop) == []
    shutil.rmtree(scratch)
    before = tree(world.root / "desktop"), tree(world.phone.parent)
    assert world.sync().result == "unchanged"
    assert before == (tree(world.root / "desktop"), tree(world.phone.parent))
    assert strays(world) == []


def desktop_works(world: World, turn: int) -> None:
    with editing(world.desktop) as col:
        nids = note_ids(col)
        add_note(col, "Basic", [f"desktop {turn}", "new"], col.decks.id(f"Desk {turn}"), [f"desk{turn}"])
        edit_field(col, nids[turn], 1, f"desktop wrote {turn}")
        kind = col.models.by_name("Basic")
        kind["css"] += f"/* desktop {turn} */"
        col.models.update_dict(kind)
        answer(col, 2)


def phone_works(world: World, turn: int) -> None:
    with old_app(world.phone) as col:
        nids = note_ids(col)
        add_note(
            col, "Cloze", [f"{{{{c1::phone}}}} {turn}", ""], col.decks.id(f"Phone {turn}"), [f"phone{turn}"]
        )
        edit_field(col, nids[turn + 3], 1, f"phone wrote {turn}")
        col.remove_notes([nids[-turn - 1]])
        answer(col, 2)
    with by_hand(world.phone) as col:
        deck = col.named("decks", "Spanish")
        deck["desc"] = f"phone {turn}"
        options = col.named("dconf", "Default")
        options["new"]["perDay"] = 30 + turn
        kind = col.named("models", "Basic")
        kind["tmpls"][0]["qfmt"] = f"{{{{Front}}}} phone {turn}"
        for row in (deck, options, kind):
            col.touch(row)
        col.json["conf"]["collapseTime"] = 100 + turn


@pytest.mark.parametrize("age", [made_old, lambda path: aged(made_old(path))], ids=["today's", "of 2015"])
def test_three_rounds_of_work_on_both_sides(root, age):
    world = old_world(root, age)
    in_step(world)
    for turn in range(3):
        desktop_works(world, turn)
        rich = unknown_fields(world.desktop)  # Anki itself drops them from what it writes anew
        phone_works(world, turn)
        report = world.sync()
        assert [c.unit for c in report.conflicts if c.weight == "lost"] == []
        in_step(world)
        for words in (f"desktop {turn}", f"desktop wrote {turn}", f"phone wrote {turn}", f"phone}}}} {turn}"):
            assert words in texts(world.desktop)
            assert words in texts(world.phone)
        with editing(world.desktop) as col:
            kind = col.models.by_name("Basic")
            assert f"/* desktop {turn} */" in kind["css"]
            assert kind["tmpls"][0]["qfmt"] == f"{{{{Front}}}} phone {turn}"
            assert col.decks.by_name("Spanish")["desc"] == f"phone {turn}"
            assert col.decks.get_config(1)["new"]["perDay"] == 30 + turn
            assert col.get_config("collapseTime") == 100 + turn
        assert unknown_fields(world.desktop) == rich  # even of what the phone edited


def test_what_is_lost_on_the_way_is_no_change_of_the_phones(root):
    world = old_world(root)
    before = unknown_fields(world.desktop)
    with old_app(world.phone) as col:
        edit_field(col, note_ids(col)[0], 1, "the only edit")
    report = world.sync()
    assert report.changes[Side.PHONE] == {}
    assert report.changes[Side.DESKTOP] == {"notes": {"added": 0, "updated": 1, "deleted": 0}}
    assert unknown_fields(world.desktop) == before


def test_what_only_the_desktop_can_hold_writes_nothing_to_the_phone(root):
    world = old_world(root)
    phone = world.phone.read_bytes()
    change(world.desktop, "update tags set collapsed = not collapsed")
    report = world.sync()
    assert not any(report.changes.values())
    assert world.phone.read_bytes() == phone
    in_step(world)


def test_a_deck_that_the_old_phone_deleted_is_gone(root):
    """What the desktop's deck holds beyond the phone's is no edit that would bring it back."""
    world = old_world(root)
    with old_app(world.phone) as col:
        col.decks.remove([col.decks.id("Old")])
    assert world.sync().conflicts == ()
    assert table(world.desktop, "select count() from decks where name = 'Old'") == [[0]]
    in_step(world)


def test_a_phone_that_got_a_new_ankidroid_did_no_mass_of_edits(root):
    world = old_world(root, lambda path: aged(made_old(path)))
    with editing(world.phone) as col:  # the new app brings it up for good
        edit_field(col, note_ids(col)[0], 1, "first edit in the new app")
        col.decks.remove([col.decks.id("Old")])
    rich = unknown_fields(world.desktop)
    report = world.sync()
    assert report.conflicts == ()
    assert report.changes[Side.DESKTOP]["decks"] == {"added": 0, "updated": 0, "deleted": 1}
    assert report.changes[Side.DESKTOP].keys() <= {"notes", "decks", "cards", "graves", "config"}
    assert unknown_fields(world.desktop) == {**rich, "decks": rich["decks"] - 1}
    assert unknown_fields(world.phone) == unknown_fields(world.desktop)
    assert_alike(world)


def test_an_old_phone_is_given_a_collection_it_can_open(root):
    world = World(root)
    fresh(world.desktop)
    enrich(world.desktop)
    made_old(fresh(world.phone, notes=0))
    assert world.sync().result == "uploaded"
    in_step(world)
    with old_app(world.phone) as col:
        add_note(col, "Basic", ["phone's", "new"], 1)
    world.sync()
    in_step(world)
    world.sync(one_way=OneWay.UPLOAD)
    in_step(world)


def test_an_old_phone_fills_a_new_desktop(root):
    world = World(root)
    fresh(world.desktop, notes=0)
    aged(made_old(fresh(world.phone)))
    assert world.sync().result == "downloaded"
    in_step(world)


def test_an_old_phone_that_holds_the_same_is_adopted(root):
    world = World(root)
    fresh(world.desktop)
    shutil.copytree(world.desktop.parent, world.phone.parent)
    enrich(world.desktop)
    made_old(world.phone)
    before = world.phone.read_bytes()
    assert world.sync().result == "unchanged"
    assert world.phone.read_bytes() == before
    in_step(world)


def test_an_old_phone_and_a_desktop_that_never_met(root):
    world = World(root)
    fresh(world.desktop, notes=6)
    enrich(world.desktop)
    rich = unknown_fields(world.desktop)
    aged(made_old(fresh(world.phone, notes=5)))
    with editing(world.desktop) as col:
        edit_field(col, note_ids(col)[0], 0, "only on the desktop")
    with old_app(world.phone) as col:
        edit_field(col, note_ids(col)[0], 0, "only on the phone")
    world.sync(first=First.MERGE)
    in_step(world)
    assert "only on the desktop" in texts(world.phone)
    assert "only on the phone" in texts(world.desktop)
    assert all(unknown_fields(world.desktop)[what] >= rich[what] for what in rich)


def test_undo_brings_the_old_file_back(root):
    world = old_world(root)
    desktop_works(world, 0)
    phone_works(world, 0)
    before = [path.read_bytes() for path in world.both]
    world.sync()
    world.undo()
    assert [path.read_bytes() for path in world.both] == before
    world.sync()
    in_step(world)


def test_what_lost_is_taken_after_all(root):
    world = old_world(root)
    rich = unknown_fields(world.desktop)
    with editing(world.desktop) as col:
        nid = note_ids(col)[0]
        edit_field(col, nid, 1, "desktop's")
    with old_app(world.phone) as col:
        edit_field(col, nid, 1, "phone's")
    (lost,) = world.sync().conflicts
    take_other(world.options(), Silent(), 1)
    wanted = "desktop's" if lost.chosen is Side.PHONE else "phone's"
    assert wanted in notes(world.desktop)[nid]
    assert wanted in notes(world.phone)[nid]
    in_step(world)
    assert unknown_fields(world.desktop) == rich


def test_an_old_desktop_stays_old(root):
    world = old_world(root, old="desktop")
    rich = unknown_fields(world.phone)
    with old_app(world.desktop) as col:
        edit_field(col, note_ids(col)[0], 1, "by an old Anki")
    with editing(world.phone) as col:
        edit_field(col, note_ids(col)[1], 1, "by a new AnkiDroid")
    assert world.sync().changes[Side.PHONE].keys() == {"notes"}
    assert (schema_of(world.desktop), schema_of(world.phone)) == (11, 18)
    assert unknown_fields(world.phone) == rich
    assert "by a new AnkiDroid" in texts(world.desktop)
    assert world.sync().result == "unchanged"


def test_two_old_sides(root):
    world = World(root)
    made_old(fresh(world.desktop))
    shutil.copytree(world.desktop.parent, world.phone.parent)
    world.sync()
    for path, text in ((world.desktop, "old desktop"), (world.phone, "old phone")):
        with old_app(path) as col:
            add_note(col, "Basic", [text, ""], 1)
    world.sync()
    assert [schema_of(path) for path in world.both] == [11, 11]
    assert texts(world.desktop) == texts(world.phone)
    assert world.sync().result == "unchanged"


@pytest.mark.parametrize("schema", [19, 17, 14, 10])
def test_a_schema_that_could_not_be_written_back_is_refused_and_nothing_touched(root, schema):
    world = old_world(root)
    change(world.phone, f"update col set ver = {schema}")
    before = tree(world.root / "desktop"), tree(world.phone.parent)
    with pytest.raises(UnsupportedCollection, match=f"schema {schema}"):
        world.sync()
    assert before == (tree(world.root / "desktop"), tree(world.phone.parent))
