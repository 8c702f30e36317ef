"""A person who lost the desktop's collection file is told of it, and each way to bring it back needs nothing but its name."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from session.scenes import assert_alike, both_work, by_profile, content, dump, strays, study, texts

from usbsync.core.conflict import Side
from usbsync.errors import GuardRefused, UsageError
from usbsync.session.conflicts import kept
from usbsync.session.options import OneWay
from usbsync.session.restore import extract, restore
from usbsync.session.sync import sync
from usbsync.session.talk import Silent


@pytest.fixture(params=["by its name", "by its profile"])
def lost(request, world):
    """A pair in step whose desktop's collection is gone, how it is named, and what a backup has of it."""
    both_work(world)
    was = dump(world.desktop)
    world.sync()
    study(world.phone, "since, on the phone")
    world.desktop.unlink()
    options = by_profile(world) if request.param == "by its profile" else world.options()
    return world, options, was


def test_what_happened_and_each_way_on_is_said(lost) -> None:
    world, options, _ = lost
    with pytest.raises(GuardRefused, match="desktop's collection is gone") as told:
        sync(options, Silent())
    assert "--one-way download" in told.value.hint
    assert "usbsync restore ID --side desktop" in told.value.hint
    assert not world.desktop.exists()


def test_it_is_brought_back_from_the_phone(lost) -> None:
    world, options, _ = lost
    assert sync(replace(options, one_way=OneWay.DOWNLOAD), Silent()).result == "downloaded"
    assert content(world.desktop) == content(world.phone)
    assert_alike(world)


def test_it_is_brought_back_from_a_backup_and_the_next_sync_has_everything(lost) -> None:
    world, options, was = lost
    ((_, backup),) = kept(options)
    restore(options, Silent(), backup.id, (Side.DESKTOP,))  # nothing is there that could be lost
    assert dump(world.desktop) == was
    sync(options, Silent())
    assert_alike(world)
    assert {"made on the desktop", "made on the phone", "since, on the phone"} <= {
        *texts(world.desktop).replace("\x1f", "\n").split("\n")
    }
    assert not strays(world)


def test_it_is_taken_out_of_a_backup(lost, tmp_path) -> None:
    _, options, was = lost
    ((_, backup),) = kept(options)
    extract(options, backup.id, tmp_path / "out")
    assert dump(tmp_path / "out" / "desktop" / "collection.anki2") == was


def test_even_where_its_folder_is_gone(world, tmp_path) -> None:
    both_work(world)
    was = dump(world.desktop)
    world.sync()
    shutil.rmtree(world.desktop.parent)
    ((_, backup),) = kept(world.options())
    extract(world.options(), backup.id, tmp_path / "out")
    assert dump(tmp_path / "out" / "desktop" / "collection.anki2") == was
    for work in (world.sync, world.undo):
        with pytest.raises(UsageError, match="is gone") as told:
            work()
        assert "make that folder again" in told.value.hint
    world.desktop.parent.mkdir()
    restore(world.options(), Silent(), backup.id, (Side.DESKTOP,))
    assert dump(world.desktop) == was


def test_a_misspelt_name_is_told(world) -> None:
    """Of a file that nothing is known of there is nothing to bring back."""
    wrong = replace(world.options(), collection=world.desktop.with_name("colection.anki2"))
    for work in (lambda: sync(wrong, Silent()), lambda: kept(wrong)):
        with pytest.raises(UsageError, match="there is no collection file"):
            work()
