"""Two usbsyncs never work on one replica at a time; one that died is no obstacle."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from contextlib import contextmanager

import pytest
from session.scenes import World, assert_alike, both_work, in_child, strays, study, texts, tree, with_past

from usbsync.collection import lock
from usbsync.errors import AtWork, Busy
from usbsync.session import apply, meet
from usbsync.session.status import status
from usbsync.session.talk import Silent


@pytest.fixture
def at_work(world, monkeypatch):
    """A sync of another process, stopped when all is staged; `go` lets it end."""
    with stopped_after(world, monkeypatch, "_stage") as go:
        yield world, go


@pytest.fixture
def in_place(world, monkeypatch):
    """One that is stopped when it holds both collections, to put the new ones in place."""
    with stopped_after(world, monkeypatch, "_look_again") as go:
        yield world, go


@contextmanager
def stopped_after(world, monkeypatch, step):
    both_work(world)
    shutil.copytree(world.phone.parent, world.root / "second")
    shutil.copytree(world.desktop.parent, world.root / "computer")
    there_read, there_write = os.pipe()
    go_read, go_write = os.pipe()

    def other() -> None:
        real = getattr(apply, step)

        def wait(*args):
            real(*args)
            os.write(there_write, b"!")
            os.read(go_read, 1)

        setattr(apply, step, wait)
        world.sync()

    ended = []
    thread = threading.Thread(target=lambda: ended.append(in_child(other)))
    thread.start()
    assert os.read(there_read, 1) == b"!"
    monkeypatch.setattr(meet, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(lock, "OURS_SECONDS", 0.1)

    def go() -> int:
        os.write(go_write, b"!")
        thread.join(30)
        return ended[0]

    yield go
    if thread.is_alive():
        go()


class Elsewhere(World):
    """Another desktop collection of the same user."""

    @property
    def desktop(self):
        return self.root / "computer" / "collection.anki2"


@pytest.mark.parametrize(
    "other",
    [
        lambda world: world,
        lambda world: World(world.root, "second"),
        lambda world: Elsewhere(world.root),
    ],
    ids=["the same pair", "another phone", "another desktop"],
)
def test_a_second_one_waits_and_then_says_who_is_at_work(at_work, other) -> None:
    world, go = at_work
    second = other(world)
    before = tree(second.desktop.parent), tree(second.phone.parent)
    for work in (second.sync, second.undo):
        with pytest.raises(Busy, match=r"process \d+") as told:
            work()
        assert told.value.exit_code == 5
    assert before == (tree(second.desktop.parent), tree(second.phone.parent))
    assert go() == 0
    assert_alike(world)
    assert not strays(world)


@pytest.mark.parametrize("other", [lambda world: world, lambda world: World(world.root, "second")])
def test_one_that_holds_the_collection_is_not_taken_for_anki(in_place, other) -> None:
    world, go = in_place
    second = other(world)
    for work in (second.sync, second.undo, lambda: status(second.options(), Silent())):
        with pytest.raises(AtWork, match=r"another usbsync \(process \d+"):
            work()
    assert go() == 0
    assert_alike(world)


def test_looking_is_not_kept_waiting(at_work) -> None:
    world, go = at_work
    assert status(world.options(), Silent()).state == "changes to sync"
    assert world.sync(dry=True).result == "planned"
    assert go() == 0
    assert_alike(world)


def test_one_that_was_killed_is_no_obstacle(world) -> None:
    both_work(world)

    def killed() -> None:
        def die(*_args):
            os.kill(os.getpid(), signal.SIGKILL)

        apply._look_again = die
        world.sync()

    assert in_child(killed) == -signal.SIGKILL
    assert [path for path in world.phone.parent.iterdir() if ".usbsync" in path.name]  # it was staged
    assert world.sync().result == "merged"
    assert_alike(world)
    assert not strays(world)


def test_two_phones_and_one_desktop_share_everything(tmp_path) -> None:
    world = with_past(tmp_path / "w")
    shutil.copytree(world.phone.parent, world.root / "second")
    other = World(world.root, "second")
    other.sync()
    study(world.phone, "on the first")
    study(other.phone, "on the second", field=0)
    study(world.desktop, "on the desktop")
    for pair in (world, other, world):
        pair.sync()
    for side in (*world.both, other.phone):
        assert all(text in texts(side) for text in ("on the first", "on the second", "on the desktop"))
    assert_alike(world)
    assert_alike(other)
