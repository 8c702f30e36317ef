"""How a pair begins, what is one-way, and what looks too much like a mishap to be carried across."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from session.scenes import (
    assert_alike,
    both_work,
    content,
    dump,
    files,
    fresh,
    kept,
    kept_media,
    media,
    notes,
    one_name,
    put,
    strays,
    study,
    texts,
    tree,
    with_past,
)
from worlds import clone, edit_field, editing, note_ids

from usbsync.core.conflict import Policy
from usbsync.core.first import First
from usbsync.errors import ChoiceNeeded, DamagedData, GuardRefused
from usbsync.session.options import OneWay
from usbsync.session.sync import sync
from usbsync.session.talk import Silent


def sides(world):
    return tree(world.desktop.parent), tree(world.phone.parent)


@pytest.mark.parametrize(("full", "result"), [("desktop", "uploaded"), ("phone", "downloaded")])
def test_a_new_installation_is_filled_from_the_other_side(bare, full, result) -> None:
    for side in ("desktop", "phone"):
        fresh(getattr(bare, side), 9 if side == full else 0)
    source = getattr(bare, full)
    put(source, "picture", "a picture")
    before = content(source)
    assert bare.sync().result == result
    assert content(source) == before
    assert_alike(bare)
    assert files(bare.desktop) == {"picture": b"a picture"}
    assert not strays(bare)


def test_two_new_installations_become_one(bare) -> None:
    fresh(bare.desktop, 0)
    fresh(bare.phone, 0)
    bare.sync()
    assert_alike(bare)


def test_a_profile_without_a_collection_is_given_one(bare, tmp_path) -> None:
    fresh(bare.phone)
    put(bare.phone, "picture", "a picture")
    base = tmp_path / "Anki2"
    (base / "Me").mkdir(parents=True)
    with closing(sqlite3.connect(base / "prefs21.db")) as db:
        db.execute("create table profiles (name text primary key, data blob not null)")
        rows = [("_global", {"last_loaded_profile_name": "Me"}), ("Me", {})]
        db.executemany(
            "insert into profiles values (?, ?)", [(n, pickle.dumps(d, protocol=4)) for n, d in rows]
        )
        db.commit()
    environ = {**bare.environ, "ANKI_BASE": str(base), "HOME": str(tmp_path)}
    options = replace(bare.options(), collection=None, environ=environ)
    assert sync(options, Silent()).result == "downloaded"
    made = base / "Me" / "collection.anki2"
    assert content(made) == content(bare.phone)
    assert files(made) == {"picture": b"a picture"}
    assert sync(options, Silent()).result == "unchanged"


def test_the_same_on_both_is_adopted_and_remembered(bare) -> None:
    fresh(bare.desktop)
    clone(bare.desktop, bare.phone)
    before = sides(bare)
    assert bare.sync().result == "unchanged"
    assert sides(bare) == before
    with editing(bare.phone) as col:
        gone = note_ids(col)[0]
        col.remove_notes([gone])
    assert bare.sync().result == "merged"
    assert gone not in notes(bare.desktop)  # a deletion, not a difference: there was an ancestor


@pytest.fixture
def strangers(bare):
    fresh(bare.desktop, 9)
    fresh(bare.phone, 6)
    put(bare.desktop, "both", "the desktop's", 1_600_000_000)
    put(bare.phone, "both", "the phone's", 1_600_000_100)
    put(bare.desktop, "desktop", "d")
    put(bare.phone, "phone", "p")
    return bare


def test_two_that_both_hold_work_need_a_choice(strangers) -> None:
    before = sides(strangers)
    with pytest.raises(
        ChoiceNeeded, match=r"desktop \(9 notes\) and phone \(6 notes\) both hold work"
    ) as told:
        strangers.sync()
    assert told.value.exit_code == 4
    assert "--first" in told.value.hint
    assert sides(strangers) == before
    assert not strays(strangers)


@pytest.mark.parametrize("first", [True, False], ids=["--first", "--one-way"])
@pytest.mark.parametrize("way", ["upload", "download"])
def test_one_side_replaces_the_other_and_media_is_merged(strangers, way, first) -> None:
    stands, goes = strangers.both if way == "upload" else strangers.both[::-1]
    before, old = content(stands), [dump(side) for side in strangers.both]
    chosen = {"first": First(way)} if first else {"one_way": OneWay(way)}
    assert strangers.sync(**chosen).result == f"{way}ed"
    assert content(stands) == before
    assert_alike(strangers)
    assert files(goes) == {"both": b"the phone's", "desktop": b"d", "phone": b"p"}
    assert kept(strangers, old)
    assert kept_media(strangers) == {"the desktop's"}


@pytest.mark.parametrize("way", ["upload", "download"])
def test_one_way_later_on_replaces_what_both_did(world, way) -> None:
    both_work(world)
    stands, _ = world.both if way == "upload" else world.both[::-1]
    before, old = content(stands), [dump(side) for side in world.both]
    assert world.sync(one_way=OneWay(way)).result == f"{way}ed"
    assert content(stands) == before
    assert_alike(world)
    assert {"desktop-new", "phone-new"} <= files(world.desktop).keys()
    assert kept(world, old)


def test_asking_without_anybody_there_changes_nothing(world) -> None:
    for side in world.both:
        with editing(side) as col:
            edit_field(col, note_ids(col)[0], 1, f"at {side.parent.name}")
    before = sides(world)
    with pytest.raises(ChoiceNeeded, match="nobody to ask") as told:
        world.sync(prefer=Policy.ASK)
    assert told.value.exit_code == 4
    assert sides(world) == before
    assert not strays(world)


@pytest.fixture
def many(bare):
    fresh(bare.desktop, 45)
    for at in range(45):
        put(bare.desktop, f"m{at}", f"m{at}")
    clone(bare.desktop, bare.phone)
    for at in range(45):
        put(bare.phone, f"m{at}", f"m{at}")
    bare.sync()
    return bare


@pytest.mark.parametrize("side", ["desktop", "phone"])
@pytest.mark.parametrize("what", ["notes", "media"])
def test_a_side_that_lost_most_is_not_followed(many, side, what) -> None:
    collection = getattr(many, side)
    if what == "notes":
        with editing(collection) as col:
            col.remove_notes(note_ids(col)[:30])
    else:
        for at in range(30):
            (media(collection) / f"m{at}").unlink()
    before = sides(many)
    with pytest.raises(GuardRefused, match=f"the {side} lost 30 of 45") as told:
        many.sync()
    assert told.value.exit_code == 4
    assert sides(many) == before
    assert not strays(many)
    assert many.sync(allow_mass_deletion=True).result == "merged"
    assert_alike(many)
    assert len(notes(many.desktop)) == (15 if what == "notes" else 45)


def remembered(world):
    (found,) = world.pair.folder.glob("ancestor-*.anki2")
    return found


@pytest.mark.parametrize("harm", ["damaged", "gone", "cut short", "its record is damaged"])
def test_a_damaged_memory_is_said_and_can_be_begun_anew(world, harm) -> None:
    both_work(world)
    one_name(world)
    match harm:
        case "damaged":
            data = bytearray(remembered(world).read_bytes())
            data[5000] ^= 255
            remembered(world).write_bytes(data)
        case "gone":
            remembered(world).unlink()
        case "cut short":
            remembered(world).write_bytes(remembered(world).read_bytes()[:9000])
        case _:
            (world.pair.folder / "ancestor.json").write_text("{")
    before = sides(world)
    with pytest.raises(DamagedData) as told:
        world.sync()
    assert told.value.exit_code == 7
    assert "--first" in told.value.hint
    assert sides(world) == before
    assert not strays(world)
    old = [dump(side) for side in world.both]
    assert world.sync(first=First.DOWNLOAD).result == "downloaded"
    assert_alike(world)
    assert kept(world, old)


def test_a_damaged_memory_does_not_stand_in_for_an_unchanged_phone(world) -> None:
    """The phone is what was remembered, so no byte of it is read: then the memory must be proven."""
    study(world.desktop, "since")
    data = bytearray(remembered(world).read_bytes())
    data[5000] ^= 255
    remembered(world).write_bytes(data)
    before = [dump(side) for side in world.both]
    with pytest.raises(DamagedData):
        world.sync()
    assert [dump(side) for side in world.both] == before
    assert world.sync(one_way=OneWay.UPLOAD).result == "uploaded"
    assert_alike(world)
    world.undo()  # what was damaged before is not relied on after
    assert [dump(side) for side in world.both] == before
    with pytest.raises(ChoiceNeeded):
        world.sync()


def test_a_pair_without_its_folder_begins_anew(world) -> None:
    both_work(world)
    one_name(world)
    shutil.rmtree(world.pair.folder)
    before = sides(world)
    with pytest.raises(ChoiceNeeded):
        world.sync()
    assert sides(world) == before
    assert world.sync(first=First.UPLOAD).result == "uploaded"
    assert_alike(world)
    assert "made on the desktop" in texts(world.phone)


def test_a_collection_that_is_gone_is_not_taken_for_emptied(tmp_path) -> None:
    world = with_past(tmp_path / "w")
    study(world.desktop, "since")
    world.phone.unlink()
    with pytest.raises(GuardRefused, match="the phone's collection is gone"):
        world.sync(phone_dir="/")


@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_a_side_that_was_installed_anew_is_not_taken_for_a_great_tidying(world, side) -> None:
    """However few the notes were."""
    collection = getattr(world, side)
    collection.unlink()
    fresh(collection, 0)
    before = sides(world)
    with pytest.raises(GuardRefused, match=f"the {side}'s collection is empty") as told:
        world.sync()
    assert sides(world) == before
    assert "--one-way" in told.value.hint
    world.sync(one_way=OneWay.UPLOAD if side == "phone" else OneWay.DOWNLOAD)
    assert_alike(world)
    assert len(notes(world.desktop)) == 9


@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_a_media_folder_that_is_gone_is_not_a_deletion_of_each_file(world, side) -> None:
    folder = getattr(world, side).with_suffix(".media")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(GuardRefused, match=f"the {side}'s media folder is gone"):
        world.sync()
    folder.with_name("elsewhere").rename(folder)
    assert world.sync().result == "unchanged"


@pytest.mark.parametrize("side", ["desktop", "phone"])
@pytest.mark.parametrize("folder", ["empty", "gone"])
def test_a_side_that_begins_anew_is_given_all_media_again(world, side, folder) -> None:
    had = files(world.desktop)
    collection = getattr(world, side)
    shutil.rmtree(collection.parent)
    fresh(collection, 0)
    if folder == "gone":
        shutil.rmtree(media(collection))
    world.sync(one_way=OneWay.UPLOAD if side == "phone" else OneWay.DOWNLOAD)
    assert files(world.desktop) == had
    assert_alike(world)
