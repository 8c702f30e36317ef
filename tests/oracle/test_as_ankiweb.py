"""What Anki's own sync server and client make of two sides' edits, we make too."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from merging import another_moment, merge
from oracle.contents import Contents, Difference, contents, differences
from oracle.edits import EDITS, Hand, work
from oracle.seeds import SEEDS
from worlds import clone, editing

from usbsync.core.conflict import Settlement, Side

WORDS = {Side.DESKTOP: "desk", Side.PHONE: "train"}


@dataclass(frozen=True)
class Named:
    """A divergence that is meant, where it may show, and why."""

    table: str
    columns: tuple[str, ...]
    reason: str
    allowed: Callable[[Difference, Case], bool] = lambda _difference, _case: True


@dataclass(frozen=True)
class Case:
    """One run: what both began with, and what each side had when its work was done."""

    ancestor: Contents
    worked: dict[Side, Contents]
    last: Side | None  # the side that worked and synced with AnkiWeb after the other

    def is_of_the_last(self, found: Difference) -> bool:
        """Whether it was changed by the side that synced last, and ours is that side's or the other's."""
        values = {side: self.worked[side][found.table].get(found.key) for side in Side}
        before = self.ancestor[found.table].get(found.key)
        ours = found.one if found.column == "row" else found.one and {"val": found.one}
        stands = [value and value["val"] for value in values.values()]
        return self.last is not None and values[self.last] != before and (ours and ours["val"]) in stands

    def was_never_shared(self, found: Difference) -> bool:
        """Whether a grave that only Anki dug is of something made and deleted since: the other never had it."""
        oid, kind = found.key
        return found.one is None and (oid,) not in self.ancestor[("cards", "notes", "decks")[kind]]

    def was_removed(self, found: Difference) -> bool:
        """Whether a row that Anki still has was there at first, and one side removed it."""
        gone = any(found.key not in self.worked[side][found.table] for side in Side)
        return found.one is None and found.key in self.ancestor[found.table] and gone


NAMED_DIVERGENCES = (
    Named("*", ("usn",), "each side's own bookkeeping with AnkiWeb"),
    Named("col", ("mod", "usn", "ls"), "as above: when it changed, and when it last synced"),
    Named(
        "config",
        ("mtime_secs",),
        "Anki rewrites the receiver's whole table; its stamp is the time of the sync",
    ),
    Named(
        "config",
        ("val", "row"),
        "Anki takes the whole table of one side, so that what the other set is lost; we take each key",
        lambda found, case: case.is_of_the_last(found),
    ),
    Named(
        "graves",
        ("row",),
        "Anki tells of the deletion of what the other side never saw; we do not",
        lambda found, case: case.was_never_shared(found),
    ),
    Named("templates", ("mtime_secs",), "Anki drops the stamp on the way (schema 11 has none); we carry it"),
    Named("tags", ("collapsed",), "Anki does not carry that a tag's list was folded; we do"),
    Named(
        "tags",
        ("row",),
        "Anki does not carry that a tag left the list; we do, where no changed note carries it",
        lambda found, case: case.was_removed(found),
    ),
)


def name_of(found: Difference, case: Case) -> Named | None:
    """Return the named divergence that a difference is, if it is one."""
    for named in NAMED_DIVERGENCES:
        if named.table in {"*", found.table} and found.column in named.columns and named.allowed(found, case):
            return named
    return None


class Trial:
    """The same two copies, synced by Anki and merged by us."""

    def __init__(self, ankiweb, folder: Path) -> None:
        self.web, self.folder = ankiweb, folder
        self.paths = {
            side: clone(
                ankiweb.desktop if side is Side.DESKTOP else ankiweb.phone, folder / side / "collection.anki2"
            )
            for side in Side
        }

    def work(self, side: Side, rng: random.Random, kinds: list[str], lot: int | None = None) -> list[str]:
        another_moment(*self.paths.values())
        with editing(self.paths[side]) as col:
            return work(Hand(col, rng, WORDS[side], lot), kinds, rng.randint(1, 10))

    def compare(
        self, order: tuple[Side, ...], *, both: bool, settlement: Settlement | None = None
    ) -> Iterator[tuple[Side, Difference, Named | None]]:
        """Merge copies by both ways, and yield in what they differ."""
        case = Case(
            contents(self.web.phone),
            {side: contents(path) for side, path in self.paths.items()},
            order[1] if both else None,
        )
        ours = merge(self.folder / "ours", self.web.phone, *self.paths.values(), settlement)
        theirs = {
            side: clone(path, self.folder / f"{side}-anki" / "collection.anki2")
            for side, path in self.paths.items()
        }
        account = self.web.open_account()
        for side in order:
            self.web.sync(theirs[side], account)
        for side, path in ((Side.DESKTOP, ours.desktop), (Side.PHONE, ours.phone)):
            for found in differences(contents(path), contents(theirs[side])):
                yield side, found, name_of(found, case)


def check(found: Iterator[tuple[Side, Difference, Named | None]], done: object) -> None:
    unnamed = [(side, difference) for side, difference, named in found if named is None]
    assert not unnamed, f"after {done}"


@pytest.fixture
def trial(ankiweb, tmp_path):
    return Trial(ankiweb, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("worker", Side)
def test_what_one_side_did_is_what_ankiweb_makes_of_it(trial, worker, seed):
    done = trial.work(worker, random.Random(seed), list(EDITS))
    check(trial.compare((worker, worker.other, worker), both=False), done)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_two_sides_did_apart_is_what_ankiweb_makes_of_it(trial, seed):
    """Each works in its own decks, notes and notetypes: Anki's rules and ours have nothing to decide."""
    rng = random.Random(seed)
    first = Side.PHONE if seed % 2 else Side.DESKTOP
    kinds = {first: list(EDITS), first.other: [kind for kind in EDITS if "preference" not in kind]}
    done = {side: trial.work(side, rng, kinds[side], lot) for lot, side in enumerate(Side)}
    check(trial.compare((first, first.other, first), both=True), done)


@pytest.mark.parametrize("kind", EDITS)
def test_each_kind_of_edit_alone(trial, kind):
    """Nothing of it is hidden by another's; some of many tries does change something."""
    rng = random.Random(kind)
    before = contents(trial.paths[Side.PHONE])
    done = trial.work(Side.PHONE, rng, [kind])
    assert contents(trial.paths[Side.PHONE]) != before or kind in {
        "unbury",
        "unsuspend",
        "clear_tags",
        "drop_preference",
        "take_back",
    }
    check(trial.compare((Side.PHONE, Side.DESKTOP, Side.PHONE), both=False), done)


def test_each_named_divergence_does_occur(trial):
    """A name that nothing needs would only hide mistakes."""
    rng = random.Random(0)
    trial.work(Side.DESKTOP, rng, ["set_preference", "make_notetype", "fold_tag", "rename_tag"], 0)
    with editing(trial.paths[Side.DESKTOP]) as col:
        col.tags.set_collapsed("t1", collapsed=False)
        col.tags.remove("t4")
        col.decks.remove([col.decks.id("short-lived")])
        basic = col._backend.get_notetype(col.models.by_name("Basic")["id"])
        basic.templates[0].mtime_secs = 7
        col._backend.update_notetype(basic)
    trial.work(Side.PHONE, rng, ["set_preference"], 1)
    order = (Side.DESKTOP, Side.PHONE, Side.DESKTOP)
    found = {named for _, _, named in trial.compare(order, both=True) if named}
    assert [named for named in NAMED_DIVERGENCES if named not in found] == []
