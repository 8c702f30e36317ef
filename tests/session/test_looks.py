"""What lies still is known by its stamp and not hashed; what was touched always is; and a stamp that lies loses nothing."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

import pytest
from session.scenes import both_work, killed_while, media, put, study, study_in, texts

from usbsync.errors import Busy, DamagedData
from usbsync.state.looks import load_looks
from usbsync.transport.folder import FolderTransport


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """The paths that were hashed."""
    found: list[str] = []
    real = FolderTransport.hash

    def hash_(self, paths, algorithm):
        found.extend(paths)
        return real(self, paths, algorithm)

    monkeypatch.setattr(FolderTransport, "hash", hash_)
    return found


def test_a_sync_after_a_sync_hashes_nothing(world, hashed) -> None:
    both_work(world)
    assert world.sync().result == "merged"
    assert hashed
    hashed.clear()
    assert world.sync().result == "unchanged"
    assert not [path for path in hashed if ".anki2" in path]


def in_place(path) -> None:
    """Write another byte, and put size and date back as they were."""
    was = path.stat()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 1)
        file.write(b"!")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def renamed_over(path) -> None:
    other = path.with_name("other")
    shutil.copy2(path, other)
    other.replace(path)


def beside(ending: str):
    return lambda path: path.with_name(path.name + ending).write_bytes(b"")


TOUCHES = {
    "in place": in_place,
    "renamed over": renamed_over,
    "wal": beside("-wal"),
    "journal": beside("-journal"),
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_what_was_touched_is_hashed(world, hashed, side, touch) -> None:
    world.sync()
    touch(getattr(world, side))
    hashed.clear()
    with suppress(DamagedData):  # a byte too many in the last page may be no collection any more
        world.sync(dry=True)
    assert hashed.count("/collection.anki2") >= 2  # both: what is merged is never known by its stamp alone


def test_work_in_the_log_is_seen(world) -> None:
    world.sync()
    killed_while(world.phone, lambda col: study_in(col, "only in the log"))
    assert world.sync().result == "merged"
    assert "only in the log" in texts(world.desktop)


@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_a_stamp_that_lies_loses_nothing(world, side, monkeypatch) -> None:
    world.sync()
    with monkeypatch.context() as patch:
        patch.setattr(FolderTransport, "stamp", lambda *_: "always the same")
        world.sync(dry=False)
        study(world.desktop, "first")
        world.sync()
        study(getattr(world, side), "unseen")
        put(world.desktop, "new.png", "a picture")
        with pytest.raises(Busy, match="changed meanwhile"):  # it looked again before it wrote
            world.sync()
        assert world.sync().result == "merged"  # and then it did not trust the stamp
    for path in world.both:
        assert "unseen" in texts(path)
        assert (media(path) / "new.png").exists()


def test_without_its_looks_it_hashes(world, hashed) -> None:
    world.sync()
    file = world.pair.folder / "looks.json"
    assert load_looks(world.pair).keys() == {"desktop", "phone"}
    for damage in (b"", b"{}", file.read_bytes()[:-5], file.read_bytes().replace(b"phone", b"fhone")):
        file.write_bytes(damage)
        assert load_looks(world.pair) == {}
        hashed.clear()
        assert world.sync().result == "unchanged"
        assert hashed.count("/collection.anki2") == 2
        assert load_looks(world.pair)
