"""What power loss must find: before the commit record is there, all that it names is on the disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from session.scenes import both_work, killed_while, study_in

from usbsync.transport import durable


@pytest.fixture
def log(monkeypatch):
    """Every fsync (by its path), rename and removal, in order."""
    seen: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def noted_fsync(handle) -> None:
        seen.append(("fsync", str(Path(f"/proc/self/fd/{handle}").readlink())))
        fsync(handle)

    def noted_replace(source, target, **more) -> None:
        seen.append(("rename", str(target)))
        replace(source, target, **more)

    def noted_unlink(path, **more) -> None:
        seen.append(("remove", str(path)))
        unlink(path, **more)

    def noted_system(folder) -> bool:
        seen.append(("fsync", f"{folder}/*"))
        return True

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(os, "unlink", noted_unlink)
    monkeypatch.setattr(durable, "_flush_system", noted_system)
    return seen


def test_everything_named_in_the_commit_record_is_durable_before_it(world, log) -> None:
    both_work(world)
    killed_while(world.phone, lambda col: study_in(col, "in the log"))
    log.clear()
    world.sync()
    folder = world.pair.folder
    commit = log.index(("rename", str(world.journal)))
    before, after = log[:commit], log[commit:]

    def synced(path, entries=before) -> bool:
        return any(kind == "fsync" and (at == str(path) or at == f"{path.parent}/*") for kind, at in entries)

    for side, other in zip(world.both, ("phone", "desktop"), strict=True):
        assert synced(side.with_name("collection.anki2.usbsync-new"))
        assert synced(side.with_name("collection.anki2.usbsync-mark"))
        assert synced(side.parent)
        assert synced(side.parent / ".usbsync-stage")
        made = hashlib.sha1(f"{other} made this".encode()).hexdigest()
        assert synced(side.parent / ".usbsync-stage" / f"{made}-1")
    assert synced(world.phone.with_name("collection.anki2.usbsync-folded"))
    for name in ("ancestor", "desktop", "phone"):
        assert synced(folder / "pending" / f"{name}.anki2")
    assert synced(folder / "pending")
    (backup,) = world.backups.list()
    for name in backup.files:
        assert synced(backup.path / name)
    assert synced(backup.path)
    assert any(
        kind == "fsync" and at.startswith(str(folder)) and "part" in at
        for kind, at in log[commit - 2 : commit]
    )
    assert after[1] == ("fsync", str(folder))  # the record's own name

    flips = [after.index(("rename", str(side.resolve()))) for side in world.both[::-1]]
    # the -wal goes between the folded main and the new one
    renames = [at for at, entry in enumerate(after) if entry == ("rename", str(world.phone.resolve()))]
    removed = after.index(("remove", f"{world.phone.resolve()}-wal"))
    assert renames[0] < removed < renames[1]
    assert flips[0] < flips[1]  # the phone first
    for side in world.both:  # flipped for good before anything is remembered
        last = max(at for at, entry in enumerate(after) if entry == ("rename", str(side.resolve())))
        assert ("fsync", str(side.parent.resolve())) in after[last:]
    remembered = after.index(("rename", str(folder / "ancestor.json")))
    dropped = after.index(("remove", str(world.journal)))
    assert max(renames[-1], flips[1]) < remembered < dropped
    assert ("fsync", str(folder)) in after[remembered:dropped]


def test_an_undo_remembers_the_older_ancestor_before_it_flips(world, log) -> None:
    both_work(world)
    world.sync()
    log.clear()
    world.undo()
    commit = log.index(("rename", str(world.journal)))
    remembered = log.index(("rename", str(world.pair.folder / "ancestor.json")))
    flip = log.index(("rename", str(world.phone.resolve())))
    assert commit < remembered < flip
