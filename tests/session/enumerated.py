"""What an enumeration of interruptions starts from and asks afterwards, whatever the phone is and whoever interrupts.

A `Scene` is a pair about to be synced, run once undisturbed, so that it is known what each side was, what it becomes,
and what must be found in a backup. `standing` and `comes_through` are the two questions after each interruption.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from session import cuts
from session.scenes import (
    World,
    assert_alike,
    both_work,
    content,
    dump,
    files,
    kept,
    kept_media,
    killed_while,
    media,
    strays,
    work_in,
)

ALL = os.environ.get("USBSYNC_CRASH_ALL") == "1"
SCENES = ("plain", "phone with a -wal", "both with a -wal", "media only", "undo")


def stride(count: int, few: int) -> range:
    """Every place, or about `few` of them, the first and the last among them."""
    return range(1, count + 1, 1 if ALL else max(1, count // few))


@dataclass
class Scene:
    """A world about to be synced, and what it was and would become."""

    world: World
    run: Callable
    saved: Path
    count: int  # the changes to the disk that an undisturbed run makes
    old: list
    new: list
    final: list
    media: tuple
    lost: set

    def again(self) -> World:
        self.world.restore(self.saved)
        return self.world

    @property
    def scratch(self) -> Path:
        return self.world.pair.folder / "work"


def scene(world: World, name: str) -> Scene:
    """Let both sides of a pair in step be worked on, and sync it once, undisturbed."""
    if name != "media only":
        both_work(world)
    else:
        (media(world.desktop) / "desktop-new").write_text("made on the desktop")
        (media(world.phone) / "phone-drops").unlink()
    if name in {"phone with a -wal", "both with a -wal"}:
        killed_while(world.phone, lambda col: work_in(col, "train", 6))
    if name == "both with a -wal":
        killed_while(world.desktop, lambda col: work_in(col, "desk", 4))
    run = world.sync
    if name == "undo":
        world.sync()
        run = world.undo
    saved = world.save()
    old, had = [dump(side) for side in world.both], [files(side) for side in world.both]
    count = len(cuts.changes(world.root, world.pair.folder / "work", run))
    new = [dump(side) for side in world.both]
    after = tuple(files(side) for side in world.both)
    assert (old[0] == new[0]) == (old[1] == new[1]) == (name == "media only")  # liveness: it does change both
    lost = {data.decode() for was in had for name, data in was.items() if after[0].get(name) != data}
    final = [content(side) for side in world.both]
    return Scene(world, run, saved, count, old, new, final, after, lost)


def standing(at: Scene) -> str:
    """Say what each side is, or fail: there is nothing between old and new."""
    words = []
    for side, old, new in zip(at.world.both, at.old, at.new, strict=True):
        now = dump(side)
        assert now in (old, new)
        words.append("old" if now == old else "new")
    return "/".join(words)


def comes_through(at: Scene) -> None:
    """Whatever happened, a plain sync finishes it or starts over, and nothing shows that anything was wrong."""
    at.world.sync()
    assert_alike(at.world)
    assert not strays(at.world)
    if at.run == at.world.sync:
        assert [content(side) for side in at.world.both] == at.final
        assert tuple(files(side) for side in at.world.both) == at.media
        assert at.old == at.new or kept(at.world, at.old)
        assert at.lost <= kept_media(at.world)
