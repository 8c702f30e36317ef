"""A cut where only media was to be moved: no collection tells then how far it came."""

from __future__ import annotations

import shutil

import pytest
from session.scenes import assert_alike, files, media, put, strays

from usbsync.session import apply


class Died(BaseException):
    pass


@pytest.fixture
def cut(world, monkeypatch):
    """Committed, and not a file moved."""

    def die(*_args):
        raise Died

    put(world.desktop, "came", "from the desktop")
    put(world.phone, "stays", "edited on the phone", 1_650_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "carry_out", die)
        with pytest.raises(Died):
            world.sync()
    assert "came" not in files(world.phone)
    return world


def finished(world) -> None:
    world.sync()
    assert files(world.phone)["came"] == b"from the desktop"
    assert files(world.desktop)["stays"] == b"edited on the phone"
    assert_alike(world)
    assert not strays(world)


def test_it_is_finished(cut) -> None:
    finished(cut)


def test_what_was_staged_is_gone(cut) -> None:
    """What did not arrive was not deleted there either."""
    for side in cut.both:
        shutil.rmtree(side.parent / ".usbsync-stage")
    finished(cut)


def test_what_was_staged_is_damaged(cut) -> None:
    for side in cut.both:
        for staged in (side.parent / ".usbsync-stage").iterdir():
            staged.write_bytes(b"damaged")
    finished(cut)


def test_someone_made_it_there_too(cut) -> None:
    put(cut.phone, "came", "made on the phone", 1_700_000_000)
    cut.sync()
    assert files(cut.desktop)["came"] == b"made on the phone"  # the newer; the other is in the backup
    assert_alike(cut)
    (media(cut.desktop) / "came").unlink()
    cut.sync()
    assert "came" not in files(cut.phone)
