"""What changes between our look and our commit is noticed, and then nothing is changed and nothing is left lying about."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time

import pytest
from session.scenes import (
    both_work,
    content,
    files,
    killed_while,
    media,
    put,
    strays,
    study,
    study_in,
    texts,
    tree,
    wal_of,
    with_past,
)
from worlds import editing

from usbsync.errors import AnkiOpen, Busy, NoSpace, PhoneFailed
from usbsync.session import apply
from usbsync.transport.folder import FolderTransport


def sides(world):
    return tree(world.desktop.parent), tree(world.phone.parent)


@pytest.fixture
def ready(world):
    both_work(world)
    return world


def meanwhile(monkeypatch, act) -> None:
    """Act when everything is staged, just before the last look."""
    real = apply._look_again

    def looked(meeting, work):
        act(meeting)
        real(meeting, work)

    monkeypatch.setattr(apply, "_look_again", looked)


def settled(folder) -> dict:
    return {name: entry for name, entry in tree(folder).items() if ".usbsync" not in name}


def refused(world, monkeypatch, act, error) -> None:
    """The sync says why and stops; both sides are what they were after the act, and the next sync does it all."""
    seen = []

    def acted(meeting):
        act(meeting)
        seen.extend(settled(path.parent) for path in world.both)

    with monkeypatch.context() as patch:
        meanwhile(patch, acted)
        with pytest.raises(error, match="nothing was changed") as told:
            world.sync()
    assert told.value.exit_code == error.exit_code
    assert seen == [settled(path.parent) for path in world.both]
    assert not strays(world)
    assert world.backups.list() == ()  # one of which nothing came is not offered
    assert world.sync().result == "merged"


@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_a_collection_that_changes(ready, side, monkeypatch) -> None:
    collection = getattr(ready, side)
    # Anki cannot be opened then: both are held closed. Another program could write
    act = lambda _meeting: collection.write_bytes(collection.read_bytes() + b"\0" * 4096)  # noqa: E731
    with monkeypatch.context() as patch:
        meanwhile(patch, act)
        with pytest.raises(Busy, match=f"{side}'s collection changed meanwhile"):
            ready.sync()
    assert not strays(ready)


@pytest.mark.parametrize("side", ["desktop", "phone"])
@pytest.mark.parametrize("what", ["replaced", "gone", "there before it arrives"])
def test_media_that_changes(ready, side, what, monkeypatch) -> None:
    collection, other = getattr(ready, side), "phone" if side == "desktop" else "desktop"
    act = {
        "replaced": lambda _meeting: put(collection, f"{other}-edits", "replaced just now", 1_650_000_000),
        "gone": lambda _meeting: (media(collection) / f"{other}-drops").unlink(),
        "there before it arrives": lambda _meeting: put(
            collection, f"{other}-new", "just made", 1_650_000_000
        ),
    }[what]
    refused(ready, monkeypatch, act, PhoneFailed)


def test_the_app_that_is_started(ready, monkeypatch) -> None:
    """A folder's app cannot be seen; here it can."""

    def start(meeting) -> None:
        started.setattr(type(meeting.app), "running", lambda _self: ("com.ichi2.anki",))

    before = [content(path) for path in ready.both], [files(path) for path in ready.both]
    with monkeypatch.context() as started:
        meanwhile(started, start)
        with pytest.raises(Busy, match=r"com\.ichi2\.anki was started") as told:
            ready.sync()
    assert told.value.exit_code == 5
    assert before == ([content(path) for path in ready.both], [files(path) for path in ready.both])
    assert not strays(ready)
    assert ready.backups.list() == ()


ANKI = """
import sys
from anki.collection import Collection
col = Collection(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
col.close()
"""


def test_anki_that_has_the_collection_open(ready) -> None:
    before = sides(ready)[1]
    anki = subprocess.Popen(
        [sys.executable, "-c", ANKI, ready.desktop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert anki.stdout.readline() == "open\n"
        for work in (ready.sync, ready.undo, lambda: ready.sync(dry=True)):
            began = time.monotonic()
            with pytest.raises(AnkiOpen) as told:
                work()
            assert told.value.exit_code == 5
            assert time.monotonic() - began < 2
            assert f"process {anki.pid}" in str(told.value) or sys.platform != "linux"
        assert sides(ready)[1] == before
    finally:
        anki.communicate("")
    assert anki.returncode == 0
    assert ready.sync().result == "merged"


def test_anki_that_is_opened_while_both_are_changed_finds_the_door_shut(ready, monkeypatch) -> None:
    from anki.errors import DBError  # noqa: PLC0415

    knocked = []
    real = apply.carry_out

    def carried(meeting, cut, talk):
        with pytest.raises(DBError), editing(ready.desktop):
            pass
        knocked.append(True)
        real(meeting, cut, talk)

    monkeypatch.setattr(apply, "carry_out", carried)
    assert ready.sync().result == "merged"
    assert knocked


@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_too_little_space_is_said_before_anything_is_written(ready, side, monkeypatch) -> None:
    folder = str(getattr(ready, side).parent.resolve())
    real = FolderTransport.free_space
    monkeypatch.setattr(
        FolderTransport,
        "free_space",
        lambda self, path: (1 << 20) if self.identity == folder else real(self, path),
    )
    before = sides(ready)
    with pytest.raises(NoSpace, match=f"the {side} has 1 MiB free"):
        ready.sync()
    assert sides(ready) == before
    assert not strays(ready)
    assert len(ready.backups.list()) == 0


@pytest.mark.parametrize("side", ["desktop", "phone"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_disk_that_is_full_all_the_same(ready, side, at, monkeypatch) -> None:
    """At the first push the collection does not fit, at the second the media."""
    folder = str(getattr(ready, side).parent.resolve())
    real, calls = FolderTransport._push, []

    def full(self, push, on_bytes):
        if self.identity == folder:
            calls.append(push)
            if len(calls) == (1 if at == 1 else 4):
                shutil.copyfile(push.source, self._inside(push.target))
                os.truncate(self._inside(push.target), push.source.stat().st_size // 2)
                raise OSError(errno.ENOSPC, "full")
        return real(self, push, on_bytes)

    before = [content(path) for path in ready.both], [files(path) for path in ready.both]
    with monkeypatch.context() as patch:
        patch.setattr(FolderTransport, "_push", full)
        with pytest.raises(NoSpace):
            ready.sync()
    assert before == ([content(path) for path in ready.both], [files(path) for path in ready.both])
    assert not strays(ready)
    assert ready.backups.list() == ()
    assert ready.sync().result == "merged"


def test_a_full_disk_of_the_state_home_is_said_too(ready, monkeypatch) -> None:
    def full(*_args):
        raise OSError(errno.ENOSPC, "full")

    before = sides(ready)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "link_or_copy", full)
        with pytest.raises(NoSpace):
            ready.sync()
    assert sides(ready) == before
    assert not strays(ready)


def test_nobody_else_can_read_what_is_kept(tmp_path) -> None:
    """Even where the home was made by hand, for all to see, and the umask hides nothing."""
    (tmp_path / "w" / "home").mkdir(parents=True)
    old = os.umask(0o000)
    try:
        world = with_past(tmp_path / "w")
        both_work(world)
        world.sync()
        study(world.phone, "more")
        world.sync()
        world.undo()
    finally:
        os.umask(old)
    kept = list((world.root / "home").rglob("*"))
    private = [
        path for path in kept if path.is_dir() or path.parent.name != "media"
    ]  # those lie in private folders
    assert [path for path in private if path.stat().st_mode & 0o077] == []
    assert len(kept) > len(private) > 20


def test_a_killed_anki_leaves_a_log_and_its_lock_is_no_obstacle(ready) -> None:
    killed_while(ready.desktop, lambda col: study_in(col, "in the log"))
    assert wal_of(ready.desktop).exists()
    ready.sync()
    assert "in the log" in texts(ready.phone)
    assert "in the log" in texts(ready.desktop)
