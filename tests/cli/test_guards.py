"""What looks like a mishap is exit 4 with what is seen, nothing changes, and each way on that is named leads on."""

from __future__ import annotations

import json
import shutil

import pytest
from anki._backend import RustBackend
from cli.program import Program
from raw import change, raw
from session.scenes import (
    assert_alike,
    files,
    fresh,
    media,
    notes,
    put,
    study,
    texts,
    with_past,
)
from worlds import answer, clone, edit_field, editing, note_ids


@pytest.fixture
def program(tmp_path, monkeypatch, capsys) -> Program:
    """A pair in step whose only memory is its ancestor."""
    world = with_past(tmp_path / "w")
    with editing(world.phone) as col:
        answer(col, 4)
    world.sync()
    shutil.rmtree(world.backups.folder)
    return Program(world, monkeypatch, capsys)


SIDES = pytest.mark.parametrize("side", ["desktop", "phone"])


def instead(side: str) -> str:
    """Name the way on by which the other side stands."""
    return "download" if side == "desktop" else "upload"


@SIDES
def test_all_notes_gone_however_few(program, side) -> None:
    with editing(getattr(program.world, side)) as col:
        col.remove_notes(note_ids(col))
        study_one(col, "the only one")
    said = program.refused(because=f"the {side} lost 9 of 9 notes")
    assert "--allow-mass-deletion" in said
    assert f"--one-way {instead(side)}" in said
    program.run("sync", "--allow-mass-deletion")
    assert_alike(program.world)
    assert len(notes(program.world.desktop)) == 1
    program.run("undo")
    assert len(notes(program.world.desktop if side == "phone" else program.world.phone)) == 9


def study_one(col, text: str) -> None:
    note = col.new_note(col.models.by_name("Basic"))
    note.fields[0] = text
    col.add_note(note, col.decks.id("Geography"))


@SIDES
def test_another_collection_in_the_same_place(program, side) -> None:
    """A phone swapped for another that is mounted in the same place, a profile moved to where another was."""
    place = getattr(program.world, side)
    shutil.rmtree(place.parent)
    fresh(place, 3)
    change(place, "update col set crt = crt - 86400 * 400")
    for name, data in files(program.world.desktop if side == "phone" else program.world.phone).items():
        put(place, name, data.decode())
    theirs = texts(place)
    said = program.refused(because=f"the {side} lost 9 of 9 notes")
    assert f"--one-way {instead(side)}" in said
    program.run("sync", "--one-way", instead(side))
    assert_alike(program.world)
    assert len(notes(place)) == 9
    program.run("undo")
    assert texts(place) == theirs


@SIDES
def test_an_older_state_that_was_brought_back(program, side) -> None:
    """The app's own backup, or a phone that was last synced long ago: what was done since is not taken for deleted."""
    place = getattr(program.world, side)
    old = clone(place, program.world.root / "old.anki2")
    with editing(place) as col:
        edit_field(col, note_ids(col)[0], 1, "written since")
        for nid in note_ids(col)[1:3]:
            edit_field(col, nid, 1, "also written since")
    with raw(place) as db:
        ((cid,),) = db.execute("select id from cards limit 1")
        rows = [(1_700_000_000_000 + at, cid, -1, 3, 1, 1, 2500, 900, 1) for at in range(25)]
        db.executemany("insert into revlog values (?,?,?,?,?,?,?,?,?)", rows)
    program.world.sync()
    shutil.rmtree(program.world.backups.folder)
    shutil.copyfile(old, place)
    said = program.refused(because=f"the {side} lost 25 answers")
    assert f"--one-way {instead(side)}" in said
    program.run("sync", "--one-way", instead(side))
    assert_alike(program.world)
    assert "written since" in texts(place)


@SIDES
def test_a_backup_of_ankis_own_that_was_restored_deletes_nothing_elsewhere(program, side, tmp_path) -> None:
    """However little was written since: the notes that it lacks were deleted by nobody."""
    place, old = getattr(program.world, side), str(tmp_path / "backup.colpkg")
    with editing(place) as col:
        col.export_collection_package(old, include_media=False, legacy=False)
    study(place, "written since")
    program.run("sync")
    shutil.rmtree(program.world.backups.folder)
    RustBackend().import_collection_package(
        col_path=str(place), backup_path=old, media_folder=str(media(place)), media_db=str(tmp_path / "m.db")
    )
    said = program.refused(because=f"the {side} lost 1 note that nobody deleted there")
    assert f"--one-way {instead(side)}" in said
    program.run("sync", "--one-way", instead(side))
    assert_alike(program.world)
    assert "written since" in texts(place)


@SIDES
def test_all_media_gone(program, side) -> None:
    """Whoever follows the hint, word by word, keeps what was done on that side besides."""
    place = getattr(program.world, side)
    with editing(place) as col:
        edit_field(col, note_ids(col)[0], 1, "done besides")
    for path in media(place).iterdir():
        path.unlink()
    had = files(program.world.phone if side == "desktop" else program.world.desktop)
    said = program.refused(because=f"the {side}'s media folder is empty, and 6 files were there")
    assert said.index("first --no-media") < said.index(f"--one-way {instead(side)}")
    program.run("sync", "--no-media")
    program.run("sync", "--one-way", instead(side))
    assert files(place) == had
    assert_alike(program.world)
    assert any("done besides" in text for text in notes(place).values())


@SIDES
def test_most_media_gone(program, side) -> None:
    place = getattr(program.world, side)
    for number in range(60):
        put(program.world.desktop, f"many-{number}.mp3", f"tune {number}")
    program.run("sync")
    shutil.rmtree(program.world.backups.folder)
    study(place, "done besides", field=0)
    for path in media(place).glob("many-*"):
        path.unlink()
    had = files(program.world.phone if side == "desktop" else program.world.desktop)
    said = program.refused(because=f"the {side} lost 60 of 66 media files")
    assert said.index("first --no-media") < said.index(f"--one-way {instead(side)}")
    program.run("sync", "--no-media")
    program.run("sync", "--one-way", instead(side))
    assert files(place) == had
    assert_alike(program.world)
    assert "done besides" in texts(place)


@SIDES
def test_a_media_folder_that_is_another_one(program, side) -> None:
    for path in media(getattr(program.world, side)).iterdir():
        path.unlink()
    put(getattr(program.world, side), "a holiday", "not Anki's")
    program.refused(because=f"the {side} lost 6 of 6 media files")
    program.run("sync", "--allow-mass-deletion")
    assert_alike(program.world)
    assert files(program.world.desktop) == {"a holiday": b"not Anki's"}


def test_an_ancestor_that_is_missing(program) -> None:
    """A memory that is lost or moved: both hold work, and nothing says what was deleted."""
    study(program.world.desktop, "on the desktop")
    study(program.world.phone, "on the phone", field=0)
    shutil.rmtree(program.world.pair.folder)
    said = program.refused(because="both hold work, and have never met")
    assert f"usbsync sync --device folder:{program.world.phone.parent} --first merge;" in said
    program.run("sync", "--first", "merge")
    assert_alike(program.world)
    assert {"on the desktop", "on the phone"} <= {
        *texts(program.world.desktop).replace("\x1f", "\n").split("\n")
    }


def test_a_card_that_is_not_mounted(program) -> None:
    phone = program.world.phone.parent
    phone.rename(phone.with_name("card"))
    phone.mkdir()
    said = program.run("sync", code=3)
    assert f"{phone} is empty, and was synced before" in said
    assert "mount it" in said
    assert "--phone-dir" not in said


def test_another_profile_meets_the_phone_for_the_first_time(program) -> None:
    other = fresh(program.world.root / "other" / "collection.anki2", 4)
    before = other.read_bytes()
    program.refused(because="desktop (4 notes) and phone (9 notes) both hold work", collection=other)
    assert other.read_bytes() == before
    program.run("sync", "--first", "download", collection=other)
    assert len(notes(other)) == 9
    program.run("sync")  # and the first pair goes on as ever
    assert_alike(program.world)


def test_a_backup_that_cannot_be_read_is_kept_and_named(program) -> None:
    for text in ("first", "second", "third"):
        study(program.world.desktop, text)
        program.run("sync")
    third, second, first = program.world.backups.list()
    (second.path / "manifest.json").unlink()
    (first.path / "manifest.json").write_text("junk")
    study(program.world.desktop, "fourth")
    program.run("sync")
    assert (second.path / "desktop" / "collection.anki2").exists()
    said = program.run("backups")
    assert third.id in said
    for lost in (first, second):
        assert f"kept, but it cannot be read: {lost.path}" in said
        for words in (["undo", lost.id], ["restore", lost.id], ["restore", lost.id, "--to", "/nowhere"]):
            assert str(lost.path) in program.run(*words, code=7)


def emptied_media(world, side) -> None:
    for path in media(getattr(world, side)).iterdir():
        path.unlink()


def lost_most(world, side) -> None:
    with editing(getattr(world, side)) as col:
        col.remove_notes(note_ids(col))
        study_one(col, "the only one")


def reset(world, side) -> None:
    place = getattr(world, side)
    place.unlink()
    fresh(place, 0)


def other_media(world, side) -> None:
    emptied_media(world, side)
    put(getattr(world, side), "a holiday", "not Anki's")


MISHAPS = {
    "gone": lambda world, side: getattr(world, side).unlink(),
    "no media": emptied_media,
    "other media": other_media,
    "most notes gone": lost_most,
    "reset": reset,
    "damaged": lambda world, side: getattr(world, side).write_bytes(b"damaged" * 999),
}


@pytest.mark.parametrize(
    ("mishap", "side"), [*zip(MISHAPS, ["desktop", "phone"] * 3, strict=True), ("gone", "phone")]
)
def test_status_says_what_a_sync_would_say(program, side, mishap) -> None:
    MISHAPS[mishap](program.world, side)
    where = ["--phone-dir", "/"]  # a phone without a collection has to be named
    code, said = program.ended("sync", *where)
    assert code in {4, 7}
    refusal = said.removeprefix("error: ")
    status = program.run("status", *where)
    assert status.startswith("a choice is needed" if code == 4 else "damaged")
    assert f"a sync would say: {refusal}" in status
    assert refusal.startswith(json.loads(program.run("status", "--json", *where))["refused"])
