"""Promises 1 and 2 after a cut: the world moves on before the next sync, and nothing that was done is lost.

A sync dies at each change it makes after its commit record; then somebody studies, edits media, syncs the phone with
another computer or the desktop with another phone, or files of ours are lost or damaged. The next sync must bring both
sides to hold all that the undisturbed sync would have given and all that was done since.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
from session import cuts
from session.scenes import (
    World,
    assert_alike,
    both_work,
    files,
    killed_while,
    media,
    notes,
    put,
    reviews,
    strays,
    study,
    study_in,
    with_past,
    work_in,
)

from usbsync.session import recover

ALL = os.environ.get("USBSYNC_CRASH_ALL") == "1"


@dataclass
class Cut:
    """A world about to be synced, and from which change on the sync is committed."""

    world: World
    saved: object
    committed: int
    count: int
    notes: dict
    reviews: set
    media: dict
    ids: list[int]

    def points(self, turn: int) -> range:
        """The changes from the one that has just not written the commit record; each move takes others."""
        every = 1 if ALL else max(1, (self.count - self.committed) // 4)
        return range(self.committed + turn % every, self.count + 1, every)

    def die_at(self, at: int) -> World:
        self.world.restore(self.saved)
        died = cuts.dies(self.world.root, self.world.pair.folder / "work", self.world.sync, at)
        assert died or at >= self.count - 1  # ids and names may make a run a change shorter
        return self.world


def prepared(root, *, wal: bool) -> Cut:
    world = with_past(root / "w")
    # another computer and another phone, which know the same past
    for source, other in ((world.root, "computer"), (world.root, "second")):
        shutil.copytree(source / "desktop", world.root / other)
    other_computer(world).sync()
    other_phone(world).sync()
    ids = sorted(notes(world.desktop))
    both_work(world)
    if wal:
        killed_while(world.phone, lambda col: work_in(col, "train", 6))
    saved = world.save()
    seen = cuts.changes(world.root, world.pair.folder / "work", world.sync)
    committed = 1 + next(
        at for at, what in enumerate(seen) if what.startswith("os.rename") and "journal" in what
    )
    return Cut(
        world,
        saved,
        committed,
        len(seen),
        notes(world.desktop),
        reviews(world.desktop),
        files(world.desktop),
        ids,
    )


class Computer(World):
    """Another computer with a state home of its own."""

    @property
    def desktop(self):
        return self.root / "computer" / "collection.anki2"

    @property
    def environ(self):
        return {"USBSYNC_HOME": str(self.root / "other home")}


def other_computer(world: World) -> World:
    return Computer(world.root)


def other_phone(world: World) -> World:
    return World(world.root, "second")


@pytest.fixture(scope="module", params=[False, True], ids=["no -wal", "-wal"])
def cut(request, quick):
    return prepared(Path(mkdtemp(dir=quick)), wal=request.param)


def phone_studies(cut: Cut) -> dict:
    study(cut.world.phone, "since, on the phone", cut.ids[7])
    return {}


def phone_studies_and_is_killed(cut: Cut) -> dict:
    killed_while(cut.world.phone, lambda col: study_in(col, "since, on the phone", cut.ids[7]))
    return {}


def desktop_studies(cut: Cut) -> dict:
    study(cut.world.desktop, "since, on the desktop", cut.ids[8])
    return {}


def desktop_studies_and_is_killed(cut: Cut) -> dict:
    killed_while(cut.world.desktop, lambda col: study_in(col, "since, on the desktop", cut.ids[8]))
    return {}


def both_study(cut: Cut) -> dict:
    return phone_studies_and_is_killed(cut) | desktop_studies(cut)


def other_computer_syncs(cut: Cut) -> dict:
    study(other_computer(cut.world).desktop, "since, on the other computer", cut.ids[8])
    put(other_computer(cut.world).desktop, "theirs", "the other computer's")
    other_computer(cut.world).sync()
    return {"theirs": b"the other computer's"}


def other_phone_syncs(cut: Cut) -> dict:
    study(other_phone(cut.world).phone, "since, on the other phone", cut.ids[8])
    put(other_phone(cut.world).phone, "theirs", "the other phone's")
    other_phone(cut.world).sync()
    return {"theirs": b"the other phone's"}


def staged_is_lost_and_both_study(cut: Cut) -> dict:
    for side in cut.world.both:
        for left in side.parent.glob("*.anki2.usbsync-*"):
            left.unlink()
        shutil.rmtree(side.parent / ".usbsync-stage", ignore_errors=True)
    return both_study(cut)


def staged_is_damaged(cut: Cut) -> dict:
    for side in cut.world.both:
        for left in [*side.parent.glob("*.anki2.usbsync-*"), *side.parent.glob(".usbsync-stage/*")]:
            left.write_bytes(b"damaged" * 100)
    return {}


def staged_is_damaged_and_phone_studies(cut: Cut) -> dict:
    return staged_is_damaged(cut) | phone_studies(cut)


def journal_is_damaged(cut: Cut) -> dict:
    if cut.world.journal.exists():
        data = bytearray(cut.world.journal.read_bytes())
        data[len(data) // 2] ^= 1
        cut.world.journal.write_bytes(data)
    return {}


def journal_is_cut_short_and_both_study(cut: Cut) -> dict:
    if cut.world.journal.exists():
        os.truncate(cut.world.journal, cut.world.journal.stat().st_size // 2)
    return both_study(cut)


def pending_is_lost(cut: Cut) -> dict:
    shutil.rmtree(cut.world.pair.folder / "pending", ignore_errors=True)
    return {}


def pending_is_damaged_and_both_study(cut: Cut) -> dict:
    for left in (cut.world.pair.folder / "pending").glob("*"):
        left.unlink()  # it is a link: what it leads to is not to be damaged
        left.write_bytes(b"damaged" * 100)
    return both_study(cut)


def backups_are_lost(cut: Cut) -> dict:
    shutil.rmtree(cut.world.pair.folder / "backups", ignore_errors=True)
    return {}


def junk_in_work(cut: Cut) -> dict:
    work = cut.world.pair.folder / "work"
    work.mkdir(exist_ok=True)
    (work / "usbsync-old" / "deep").mkdir(parents=True)
    (work / "usbsync-old" / "deep" / "file").write_text("junk")
    (work / "a file").write_text("junk")
    (work / "a link").symlink_to(cut.world.desktop.parent)
    return {}


def deleted_media_comes_back(cut: Cut) -> dict:
    put(cut.world.phone, "desktop-drops", "made anew on the phone", 1_700_000_000)
    put(cut.world.desktop, "phone-drops", "made anew on the desktop", 1_700_000_000)
    return {"desktop-drops": b"made anew on the phone", "phone-drops": b"made anew on the desktop"}


def arriving_media_is_edited(cut: Cut) -> dict:
    put(cut.world.phone, "desktop-edits", "edited again on the phone", 1_700_000_000)
    put(cut.world.desktop, "phone-new", "also made on the desktop", 1_700_000_000)
    return {"desktop-edits": b"edited again on the phone", "phone-new": b"also made on the desktop"}


MOVES = (
    phone_studies,
    phone_studies_and_is_killed,
    desktop_studies,
    desktop_studies_and_is_killed,
    both_study,
    other_computer_syncs,
    other_phone_syncs,
    staged_is_lost_and_both_study,
    staged_is_damaged,
    staged_is_damaged_and_phone_studies,
    journal_is_damaged,
    journal_is_cut_short_and_both_study,
    pending_is_lost,
    pending_is_damaged_and_both_study,
    backups_are_lost,
    junk_in_work,
    deleted_media_comes_back,
    arriving_media_is_edited,
)


def nothing_is_lost(cut: Cut, since: set[str], answers: set[int], more_media: dict) -> None:
    now = notes(cut.world.desktop)
    assert cut.notes.keys() <= now.keys()
    assert all(text in "\n".join(now.values()) for text in since)
    changed = {nid for nid in cut.notes if now[nid] != cut.notes[nid]}
    assert all("since, " in now[nid] for nid in changed)
    assert (cut.reviews | answers) <= reviews(cut.world.desktop)
    assert files(cut.world.desktop) == cut.media | more_media
    first, second = sorted(cut.ids)[1], sorted(cut.ids)[3]
    assert not {first, second} & now.keys()  # what was deleted does not come back


def everything(world: World) -> tuple[set[str], set[int]]:
    sides = (*world.both, other_computer(world).desktop, other_phone(world).phone)
    since = {
        field
        for side in sides
        for line in notes(side).values()
        for field in line.split("\x1f")
        if "since, " in field
    }
    return since, set().union(*map(reviews, sides[:2]))


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_what_is_done_after_a_cut_is_kept(cut, move, monkeypatch, record_property) -> None:
    outcomes: Counter = Counter()
    real = recover.recovery

    def noted(standing):
        answer = real(standing)
        outcomes[str(answer[0])] += 1
        return answer

    monkeypatch.setattr(recover, "recovery", noted)
    for at in cut.points(MOVES.index(move)):
        world = cut.die_at(at)
        outcomes["after the commit record"] += 1
        media = move(cut)
        since, answers = everything(world)
        world.sync()
        nothing_is_lost(cut, since, answers, media)
        assert_alike(world)
        assert not strays(world)
    record_property("outcomes", dict(outcomes))


@pytest.mark.parametrize("since", [desktop_studies, both_study], ids=lambda since: since.__name__)
def test_media_that_came_before_a_cut_and_is_deleted_after_it_stays_away(cut, since) -> None:
    """Where its other side has it already, and the record can no longer be finished."""
    for at in cut.points(3):
        world = cut.die_at(at)
        since(cut)
        (media(world.desktop) / "desktop-new").unlink()
        (media(world.phone) / "phone-new").unlink()
        world.sync()
        assert not {"desktop-new", "phone-new"} & {*files(world.desktop), *files(world.phone)}, at
        assert_alike(world)
        assert not strays(world)
