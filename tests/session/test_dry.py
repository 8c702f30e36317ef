"""`plan` and `--dry-run` write nothing anywhere; `status` neither."""

from __future__ import annotations

import pytest
from session.cuts import changes
from session.scenes import World, both_work, fresh, killed_while, study_in, tree, with_past

from usbsync.core.first import First
from usbsync.errors import Busy, ChoiceNeeded
from usbsync.session.options import OneWay
from usbsync.session.status import status
from usbsync.session.talk import Silent


def merged(root) -> World:
    world = with_past(root)
    both_work(world)
    return world


def with_wal(root) -> World:
    world = merged(root)
    for side in world.both:
        killed_while(side, lambda col: study_in(col, "in the log"))
    return world


def strangers(root) -> World:
    world = World(root)
    fresh(world.desktop)
    fresh(world.phone)
    return world


@pytest.mark.parametrize("make", [merged, with_wal, strangers], ids=lambda make: make.__name__)
@pytest.mark.parametrize("what", ["plan", "upload", "status"])
def test_it_changes_no_byte_and_no_date(tmp_path, make, what) -> None:
    world = make(tmp_path / "w")
    had = (world.root / "home").exists()
    before = tree(world.root)

    def look() -> None:
        match what:
            case "plan":
                first = None if had else First.UPLOAD
                assert world.sync(dry=True, first=first).result == "planned"
            case "upload":
                assert world.sync(dry=True, one_way=OneWay.UPLOAD).result == "planned"
            case "status":
                assert status(world.options(), Silent()).state != "in step"

    assert changes(world.root, None, look) == []  # not even a file made and removed again
    assert tree(world.root) == before
    assert (world.root / "home").exists() == had


def test_a_plan_that_needs_a_choice_leaves_nothing_either(tmp_path) -> None:
    world = strangers(tmp_path / "w")
    before = tree(world.root)
    with pytest.raises(ChoiceNeeded):
        world.sync(dry=True)
    assert tree(world.root) == before


@pytest.mark.parametrize("damaged", [False, True])
def test_a_plan_after_a_cut_says_so_and_leaves_the_record(world, damaged, monkeypatch) -> None:
    from usbsync.session import apply  # noqa: PLC0415

    class Died(BaseException):
        pass

    def die(*_args):
        raise Died

    both_work(world)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "carry_out", die)
        with pytest.raises(Died):
            world.sync()
    if damaged:
        world.journal.write_bytes(world.journal.read_bytes()[:100])
    before = tree(world.root)
    with pytest.raises(Busy, match="interrupted"):
        world.sync(dry=True)
    assert status(world.options(), Silent()).interrupted
    assert tree(world.root) == before
    assert world.sync().result in {"merged", "finished"}
    assert not status(world.options(), Silent()).interrupted
