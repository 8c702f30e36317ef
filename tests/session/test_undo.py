"""`undo` brings both sides back to what they held; nothing that it takes away is lost either."""

from __future__ import annotations

from contextlib import suppress

import pytest
from rigs.phone import ANKIDROID
from session import cuts
from session.enumerated import stride
from session.rigged import OnAdbd, Phones
from session.scenes import (
    LONG_AGO,
    World,
    assert_alike,
    both_work,
    by_profile,
    content,
    dump,
    files,
    fresh,
    kept,
    kept_media,
    killed_while,
    media,
    put,
    strays,
    study,
    study_in,
    texts,
    tree,
    wal_of,
)

from usbsync.core.conflict import Side
from usbsync.core.first import First
from usbsync.errors import ChoiceNeeded, DamagedData, GuardRefused, UsageError
from usbsync.session.sync import sync
from usbsync.session.talk import Silent
from usbsync.session.undo import undo


def look(world):
    return [dump(side) for side in world.both], [files(side) for side in world.both]


@pytest.fixture
def synced(world):
    """A pair just synced, with what it was before (as an attribute of the test: worlds are frozen)."""
    both_work(world)
    before = look(world)
    bytes_before = [side.read_bytes() for side in world.both]
    world.sync()
    return world, before, bytes_before


def test_it_brings_back_both_byte_for_byte(synced) -> None:
    world, before, bytes_before = synced
    merged = look(world)
    assert world.undo().result == "undone"
    assert look(world) == before
    assert [side.read_bytes() for side in world.both] == bytes_before
    assert not strays(world)
    assert kept(world, merged[0])


def test_a_sync_after_it_does_the_merge_again(synced) -> None:
    world, _, _ = synced
    merged = [content(side) for side in world.both], [files(side) for side in world.both]
    world.undo()
    assert world.sync().result == "merged"
    assert merged == ([content(side) for side in world.both], [files(side) for side in world.both])
    assert_alike(world)


def test_it_can_be_undone_itself(synced) -> None:
    world, before, _ = synced
    merged = look(world)
    world.undo()
    assert look(world) == before
    world.undo()
    assert look(world) == merged
    assert_alike(world)
    world.undo()
    assert look(world) == before
    world.sync()
    assert_alike(world)


def test_a_log_is_brought_back_by_what_it_says(world) -> None:
    both_work(world)
    for side in world.both:
        killed_while(side, lambda col: study_in(col, "in the log"))
    before = look(world)
    world.sync()
    world.undo()
    assert look(world) == before
    assert not any(wal_of(side).exists() for side in world.both)
    world.sync()
    assert_alike(world)
    assert "in the log" in texts(world.desktop)


def test_a_side_that_kept_its_log_is_undone_too(world) -> None:
    """Where only the desktop had to be changed the phone keeps its -wal, and undo leaves it reading the same."""
    killed_while(world.phone, lambda col: study_in(col, "in the log"))
    before = look(world)
    world.sync()
    assert wal_of(world.phone).exists()
    world.undo()
    assert look(world) == before
    world.sync()
    assert_alike(world)


def test_what_was_done_since_is_in_its_backup(synced) -> None:
    world, before, _ = synced
    study(world.phone, "done since")
    put(world.desktop, "phone-new", "edited since", 1_650_000_000)
    put(world.phone, "since", "made since", 1_650_000_000)
    since = look(world)
    world.undo()
    assert look(world)[0] == before[0]
    assert files(world.desktop)["phone-new"] == b"edited since"  # media that changed since is left alone
    assert files(world.phone)["since"] == b"made since"
    assert kept(world, since[0])
    world.undo()
    assert "done since" in texts(world.phone)
    assert dump(world.phone) == since[0][1]


def test_deleted_and_replaced_media_come_back_and_what_came_goes(synced) -> None:
    world, before, _ = synced
    world.undo()
    assert [files(side) for side in world.both] == before[1]
    assert {"phone made this", "desktop made this"} <= kept_media(world)


@pytest.mark.parametrize("first", [First.UPLOAD, First.DOWNLOAD])
def test_a_first_sync_is_undone_to_strangers(bare, first) -> None:
    fresh(bare.desktop, 9)
    fresh(bare.phone, 6)
    put(bare.desktop, "desktop", "d")
    before = look(bare)
    bare.sync(first=first)
    bare.undo()
    assert look(bare) == before
    bare.sync(first=first)
    assert_alike(bare)


def test_an_older_one_is_chosen_by_its_id(synced) -> None:
    world, before, _ = synced
    study(world.phone, "second")
    put(world.phone, "second", "came second")
    put(world.phone, "desktop-new", "replaced again", LONG_AGO + 900)
    (media(world.desktop) / "phone-new").unlink()
    world.sync()
    study(world.desktop, "third")
    (media(world.desktop) / "second").unlink()
    world.sync()
    newest, middle, oldest = world.backups.list()
    assert newest.id != middle.id
    latest = look(world)
    world.undo(oldest.id)
    assert look(world) == before
    world.undo()
    assert look(world) == latest
    world.undo(oldest.id)
    world.sync()
    assert_alike(world)


def test_nothing_to_undo_is_said(world) -> None:
    with pytest.raises(UsageError, match="nothing to undo"):
        world.undo()


@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_a_damaged_backup_changes_nothing(synced, side) -> None:
    world, _, _ = synced
    (backup,) = world.backups.list()
    path = backup.path / side / "collection.anki2"
    data = bytearray(path.read_bytes())
    data[9000] ^= 1
    path.write_bytes(data)
    before = look(world)
    with pytest.raises(DamagedData, match="damaged"):
        world.undo()
    assert look(world) == before
    assert not strays(world)
    assert world.sync().result == "unchanged"


def test_a_sync_that_failed_is_not_what_is_undone(synced, monkeypatch) -> None:
    from usbsync.errors import PhoneGone  # noqa: PLC0415
    from usbsync.session import apply  # noqa: PLC0415

    world, before, _ = synced

    def gone(*_args):
        raise PhoneGone("the link was lost")

    study(world.desktop, "since")
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(apply, "_stage", gone)
            with pytest.raises(PhoneGone):
                world.sync()
    assert len(world.backups.list()) == 1
    world.undo()
    assert look(world)[0] == before[0]


def test_an_undo_that_was_cut_while_someone_studied_loses_nothing(synced, monkeypatch) -> None:
    """The phone was brought back, the desktop not yet, and was studied with: all that the merge knew must stay."""
    from usbsync.core.conflict import Side  # noqa: PLC0415
    from usbsync.session import finish  # noqa: PLC0415

    class Died(BaseException):
        pass

    world, _, _ = synced
    merged = texts(world.desktop)
    real = finish._flip

    def flip(replica, record, **how):
        if replica.side is Side.DESKTOP:
            raise Died
        real(replica, record, **how)

    with monkeypatch.context() as patch:
        patch.setattr(finish, "_flip", flip)
        with pytest.raises(Died):
            world.undo()
    assert texts(world.phone) != merged
    study(world.desktop, "since, on the desktop", field=1)
    world.sync()
    assert_alike(world)
    assert "since, on the desktop" in texts(world.phone)
    assert {"made on the desktop", "made on the phone"} <= set(
        texts(world.phone).replace("\x1f", "\n").split("\n")
    )


def test_worlds_are_told_apart(tmp_path) -> None:
    """Undoing with one phone does not touch what another phone and the desktop remember."""
    import shutil  # noqa: PLC0415

    from session.scenes import with_past  # noqa: PLC0415

    world = with_past(tmp_path / "w")
    shutil.copytree(world.phone.parent, world.root / "second")
    other = World(world.root, "second")
    other.sync()
    study(world.phone, "on the first")
    world.sync()
    study(other.phone, "on the second")
    other.sync()
    assert {"on the first", "on the second"} <= set(texts(other.phone).replace("\x1f", "\n").split("\n"))
    world.undo()
    assert "on the second" not in texts(world.desktop)
    with pytest.raises(GuardRefused, match="that nobody deleted there"):
        other.sync()  # the desktop went back, and what this phone did would be gone from it, too
    other.sync(allow_mass_deletion=True)
    world.sync()
    other.sync()
    assert "on the first" in texts(other.phone)
    assert_alike(world)
    assert_alike(other)


def test_it_takes_no_later_work_unasked(synced) -> None:
    world, before, _ = synced
    study(world.phone, "studied later")
    later = look(world)
    with pytest.raises(GuardRefused):
        world.undo(sure=False)
    assert look(world) == later
    world.undo()
    assert look(world) == before
    world.undo(sure=False)  # an undo can be undone without more ado: nobody worked since
    assert look(world) == later


def test_it_says_what_it_changes(synced) -> None:
    world, _, _ = synced
    done = world.undo().changes
    assert set(done) == set(Side)
    assert all(done[side]["notes"]["deleted"] or done[side]["notes"]["updated"] for side in Side)


def test_a_damaged_newest_backup_is_told_of_and_no_other_is_taken(synced) -> None:
    world, _, _ = synced
    study(world.phone, "studied later")
    world.sync()
    newest = world.backups.list()[0]
    (newest.path / "manifest.json").write_bytes(b"")
    now = look(world)
    with pytest.raises(DamagedData):
        world.undo()
    assert look(world) == now


@pytest.mark.parametrize(("full", "wal"), [("desktop", False), ("desktop", True), ("phone", False)])
def test_a_side_that_had_nothing_has_nothing_again(bare, full, wal) -> None:
    """Its collection, its media and the folder of these go; undone again, all are back."""
    source = fresh(getattr(bare, full))
    other = next(side for side in bare.both if side != source)
    put(source, "picture", "a picture")
    before = tree(source.parent)
    options = by_profile(bare) if full == "phone" else bare.options(phone_dir="/")
    sync(options, Silent())
    if wal:
        killed_while(other, lambda col: study_in(col, "in the log"))
    filled = dump(other)
    done = undo(options, Silent(), sure=True)
    assert list(other.parent.iterdir()) == []
    assert tree(source.parent) == before
    assert [*done.emptied] == [Side(other.parent.name)]
    assert done.changes[done.emptied[0]]["notes"]["deleted"] >= 9
    undo(options, Silent())
    assert (dump(other), files(other)) == (filled, {"picture": b"a picture"})
    assert tree(source.parent) == before
    undo(options, Silent())
    assert list(other.parent.iterdir()) == []
    assert not strays(bare)
    sync(options, Silent())
    assert_alike(bare)


def test_what_was_done_since_is_not_taken_away_with_it_unasked(bare) -> None:
    fresh(bare.desktop)
    bare.sync(phone_dir="/")
    study(bare.phone, "done since")
    now = look(bare)
    with pytest.raises(GuardRefused, match="the phone changed"):
        bare.undo(sure=False)
    assert look(bare) == now
    bare.undo()
    assert not bare.phone.exists()
    bare.undo(phone_dir="/")
    assert look(bare) == now


@pytest.mark.parametrize("wal", [False, True])
def test_taking_away_dies_anywhere_and_is_finished(bare, wal) -> None:
    """At every moment the phone has its collection, as it reads, or none; a sync then brings both in step."""
    fresh(bare.desktop)
    put(bare.desktop, "picture", "a picture")
    bare.sync(phone_dir="/")
    if wal:
        killed_while(bare.phone, lambda col: study_in(col, "in the log"))
    full, saved = dump(bare.phone), bare.save()
    work = bare.pair.folder / "work"

    def goes() -> None:
        bare.undo(phone_dir="/")

    count, seen = len(cuts.changes(bare.root, work, goes)), set()
    assert not bare.phone.exists()
    for at in stride(count, 4):
        bare.restore(saved)
        cuts.dies(bare.root, work, goes, at)
        seen.add(bare.phone.exists())
        assert not bare.phone.exists() or dump(bare.phone) == full
        with suppress(ChoiceNeeded):  # both hold work, and what they had in common is undone
            bare.sync(phone_dir="/")
        if dump(bare.phone) != dump(bare.desktop):
            assert dump(bare.phone) == full
            bare.sync(first=First.MERGE)
        assert_alike(bare)
        assert not strays(bare)
    assert seen == {True, False}


@pytest.mark.adbd
def test_a_real_phone_that_had_nothing_has_nothing_again(adbd, tmp_path) -> None:
    phones = Phones(adbd, tmp_path)
    world = OnAdbd(tmp_path / "w", phones=phones)
    put(fresh(world.desktop), "picture", "a picture")
    media(world.phone).rmdir()
    assert list(world.phone.parent.iterdir()) == []
    where = {"phone_dir": f"/storage/emulated/0/{ANKIDROID}"}
    try:
        world.sync(**where)
        killed_while(world.phone, lambda col: study_in(col, "in the log"))
        full = dump(world.phone)
        for _ in range(2):
            assert world.undo(**where).emptied == (Side.PHONE,)
            assert list(world.phone.parent.iterdir()) == []
            world.undo(**where)
            assert (dump(world.phone), files(world.phone)) == (full, {"picture": b"a picture"})
        assert not strays(world)
    finally:
        phones.now.kill()


def test_back_to_before_the_first_fill_what_people_put_there_stays(bare) -> None:
    put(fresh(bare.desktop), "picture", "a picture")
    bare.sync(phone_dir="/")
    put(bare.phone, "phone's", "made on the phone")
    put(bare.desktop, "desktop's", "made on the desktop")
    study(bare.desktop, "since")
    bare.sync()
    now = look(bare)
    bare.undo(bare.backups.list()[-1].id)
    assert set(files(bare.desktop)) == {"picture", "desktop's"}  # nobody but a person put that there
    assert not bare.phone.exists()
    assert set(files(bare.phone)) == {"phone's"}
    bare.undo(phone_dir="/")
    assert look(bare) == now
