"""`restore` takes out of a backup what is asked for, and loses nothing by it."""

from __future__ import annotations

import pytest
from session.scenes import (
    assert_alike,
    both_work,
    dump,
    files,
    kept,
    killed_while,
    media,
    strays,
    study,
    study_in,
    texts,
    wal_of,
)

from usbsync.core.conflict import Side
from usbsync.errors import DamagedData, GuardRefused, UsageError
from usbsync.session.restore import extract, restore
from usbsync.session.talk import Silent


def look(world):
    return {side: (dump(path), files(path)) for side, path in zip(Side, world.both, strict=True)}


def put_back(world, id_, *sides, sure=False):
    return restore(world.options(), Silent(), id_, sides or tuple(Side), sure=sure)


@pytest.fixture
def synced(world):
    """A pair just synced, what it was before, and the backup's id."""
    both_work(world)
    before = look(world)
    world.sync()
    return world, before, world.backups.list()[0].id


def test_both_sides_hold_what_the_backup_holds(synced) -> None:
    world, before, id_ = synced
    merged = look(world)
    assert put_back(world, id_).result == "restored"
    assert look(world) == before
    assert not strays(world)
    world.undo()
    assert look(world) == merged
    assert_alike(world)


@pytest.mark.parametrize("side", Side)
def test_one_side_alone_goes_back_and_the_next_sync_has_everything(synced, side) -> None:
    world, before, id_ = synced
    merged = look(world)
    report = put_back(world, id_, side)
    assert look(world) == {side: before[side], side.other: merged[side.other]}
    assert {*report.changes} == {side}
    assert not strays(world)
    study(getattr(world, side.other), "since, on the other")
    assert world.sync().result == "merged"
    assert_alike(world)
    assert "since, on the other" in texts(getattr(world, side))
    assert {"made on the desktop", "made on the phone"} <= {
        part for line in texts(world.desktop).split("\n") for part in line.split("\x1f")
    }


@pytest.mark.parametrize("side", Side)
def test_media_that_a_restored_side_lacks_comes_back_from_the_other(synced, side) -> None:
    """Whoever restores a side has lost something there, and has not deleted it."""
    world, _, id_ = synced
    had = files(getattr(world, side.other))
    for path in media(getattr(world, side)).iterdir():
        path.unlink()
    put_back(world, id_, side, sure=True)
    world.sync()
    assert_alike(world)
    assert had.items() <= files(getattr(world, side)).items()


@pytest.mark.parametrize("side", Side)
def test_one_side_that_went_back_is_undone(synced, side) -> None:
    world, before, id_ = synced
    merged = look(world)
    put_back(world, id_, side)
    world.undo(sure=False)
    assert look(world) == merged
    assert_alike(world)
    world.undo(sure=False)
    assert look(world)[side] == before[side]


def test_it_takes_no_later_work_unasked_of_the_side_it_is_about(synced) -> None:
    world, before, id_ = synced
    study(world.phone, "studied later")
    later = look(world)
    with pytest.raises(GuardRefused, match="the phone changed"):
        put_back(world, id_)
    assert look(world) == later
    put_back(world, id_, Side.DESKTOP)  # the phone's work is not in its way
    assert look(world) == {Side.DESKTOP: before[Side.DESKTOP], Side.PHONE: later[Side.PHONE]}
    put_back(world, id_, Side.PHONE, sure=True)
    assert look(world) == before
    world.undo()
    assert "studied later" in texts(world.phone)


@pytest.mark.parametrize("damage", ["garbage", "cut short", "empty", "a log that is none"])
@pytest.mark.parametrize("side", Side)
def test_a_damaged_collection_is_replaced_and_kept_as_it_is(synced, side, damage) -> None:
    world, before, id_ = synced
    path = getattr(world, side)
    if damage == "a log that is none":
        killed_while(path, lambda col: study_in(col, "in the log"))
        path.write_bytes(b"damaged" * 9000)
    else:
        whole = path.read_bytes()
        path.write_bytes(
            {"garbage": b"damaged" * 9000, "cut short": whole[: len(whole) // 2], "empty": b""}[damage]
        )
    damaged = path.read_bytes()
    with pytest.raises(DamagedData) as told:
        world.sync()
    assert "usbsync backups" in told.value.hint
    assert f"usbsync restore ID --side {side} --yes" in told.value.hint
    assert path.read_bytes() == damaged
    with pytest.raises(GuardRefused, match="cannot be read") as refused:
        put_back(world, id_, side)
    assert "keeps everything" not in refused.value.hint
    assert f"usbsync restore {id_} --side {side} --yes" in refused.value.hint
    put_back(world, id_, side, sure=True)
    assert look(world)[side] == before[side]
    assert not wal_of(path).exists()
    newest = world.backups.list()[0]
    assert (newest.path / side / "collection.anki2").read_bytes() == damaged
    world.sync()
    assert_alike(world)
    assert not strays(world)


@pytest.mark.parametrize("sides", [tuple(Side), (Side.DESKTOP,), (Side.PHONE,)])
def test_it_is_taken_out_into_a_folder_and_no_phone_is_needed(synced, sides, tmp_path) -> None:
    world, before, id_ = synced
    now = look(world)
    world.phone.parent.rename(world.root / "unplugged")
    found = extract(world.options(), id_, tmp_path / "out" / "side", sides)
    (world.root / "unplugged").rename(world.phone.parent)
    assert look(world) == now
    assert {path.name for path in (tmp_path / "out" / "side").iterdir()} == {*sides}
    for side in sides:
        folder = tmp_path / "out" / "side" / side
        assert dump(folder / "collection.anki2") == before[side][0]
        lost = {name for name, data in before[side][1].items() if now[side][1].get(name) != data}
        assert {path.name: path.read_bytes() for path in (folder / "media").iterdir()} == {
            name: before[side][1][name] for name in lost
        }
    assert found.files == sum(path.is_file() for path in (tmp_path / "out").rglob("*"))
    assert all(not path.stat().st_mode & 0o077 for path in (tmp_path / "out").rglob("*"))


def test_a_folder_in_use_is_not_written_to(synced, tmp_path) -> None:
    world, _, id_ = synced
    (tmp_path / "mine").write_text("mine")
    for there in (tmp_path, tmp_path / "mine"):
        with pytest.raises(UsageError, match="not an empty folder"):
            extract(world.options(), id_, there)
    for name in ("nonsense", "2020-01-01T00-00-00Z", "../../etc"):
        with pytest.raises(UsageError, match="no backup"):
            extract(world.options(), name, tmp_path / "out")
        with pytest.raises(UsageError):
            put_back(world, name)
    assert not (tmp_path / "out").exists()


def test_a_damaged_backup_is_taken_out_by_nobody(synced, tmp_path) -> None:
    world, _, id_ = synced
    path = world.backups.get(id_).path / "phone" / "collection.anki2"
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    now = look(world)
    for work in (
        lambda: extract(world.options(), id_, tmp_path / "out"),
        lambda: put_back(world, id_, Side.DESKTOP),
    ):
        with pytest.raises(DamagedData, match="damaged"):
            work()
    assert look(world) == now
    assert not (tmp_path / "out").exists()
    assert not strays(world)


def test_the_copies_are_its_own(synced, tmp_path) -> None:
    """What is taken out can be written to; the backup stays what it was."""
    world, before, id_ = synced
    extract(world.options(), id_, tmp_path / "out")
    study(tmp_path / "out" / "phone" / "collection.anki2", "in the copy")
    world.backups.verify(world.backups.get(id_))
    assert kept(world, [before[side][0] for side in Side])
