"""A desktop and two phones, real collections, and whatever may happen to them in any order.

People edit on each side, syncs run, are cut by a lost link, are killed, are planned, undone, and other versions are
taken after all. At each step every replica is whole, and each word, answer and file that somebody made and nobody took
away is in a replica, in a report or (a file) in a backup. An undisturbed sync leaves both alike, sound by Anki's own
check, and a second one changes nothing. USBSYNC_MACHINE=N tries N histories.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

from collection import test_shapes as shapes
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from oracle.edits import EDITS, Hand
from session import cuts
from session.scenes import (
    World,
    assert_alike,
    dump,
    files,
    fresh,
    killed_while,
    media,
    put,
    strays,
    tree,
)
from worlds import database_check, edit_field, editing

from usbsync.core.first import First
from usbsync.errors import Busy, ChoiceNeeded, PhoneFailed, UsageError
from usbsync.session import meet
from usbsync.session.conflicts import take_other
from usbsync.session.report import Report, Result
from usbsync.session.talk import Silent
from usbsync.transport.wrap import Faulty, When

HISTORIES = int(os.environ.get("USBSYNC_MACHINE", "10"))
WORD = re.compile(rb"w\d+z\d*")
SAID = ("notes", "decks", "notetypes", "fields", "templates", "deck_config", "config")
"""The tables in which people write; a tag is where its note is."""
PHONES = ("phone", "second")
FREELY = {"first": First.MERGE, "allow_mass_deletion": True}
"""No choice is left open: an undone first sync is a first one again."""


# ---- what people do


def reshape(hand: Hand) -> None:
    """Change the shape of a notetype."""
    kind = hand.one(["Basic", "Basic (and reversed card)"])
    if hand.col.models.by_name(kind) is None:
        return
    row = hand.col.models.by_name(kind)
    last = len(row["flds"]) - 1
    match hand.rng.randrange(6):
        case 0:
            shapes.add_field(hand.col, kind, hand.name(), hand.rng.randrange(last + 2))
        case 1 if last > 1:
            shapes.remove_field(hand.col, kind, last)
        case 2:
            shapes.move_field(hand.col, kind, last, 0)
        case 3:
            front = f"{hand.name()} {{{{{row['flds'][last]['name']}}}}}"  # Anki refuses two that are alike
            shapes.add_template(hand.col, kind, hand.name(), front)
        case 4 if len(row["tmpls"]) > 1:
            shapes.remove_template(hand.col, kind, hand.rng.randrange(len(row["tmpls"])))
        case 5 if len(row["tmpls"]) > 1:
            shapes.move_template(hand.col, kind, 0, 1)


def retype(hand: Hand) -> None:
    """Give a note another notetype: fields and templates by their place."""
    if notes := hand.notes():
        retype_one(hand.col, hand.one(notes), hand.one(_plain(hand.col)))


ACTS: dict[str, Callable[[Hand], object]] = {**EDITS, "reshape": reshape, "retype": retype}


def to_one_note(col, nid: int, act: str, word: str) -> None:
    """Do something to this very note."""
    match act:
        case "rewrite":
            edit_field(col, nid, 1, word)
        case "tag":
            col.tags.bulk_add([nid], word)
        case "delete":
            col.remove_notes([nid])
        case "retype":
            retype_one(col, nid, next(kind for kind in _plain(col) if kind["id"] != col.get_note(nid).mid))


def _plain(col) -> list[dict]:
    return [kind for kind in col.models.all() if kind["type"] == 0 and len(kind["flds"]) > 1]


def retype_one(col, nid: int, kind: dict) -> None:
    old = col.get_note(nid).note_type()
    if old["type"] == 0 and old["id"] != kind["id"]:
        change = col.models.change_notetype_info(old_notetype_id=old["id"], new_notetype_id=kind["id"]).input
        change.note_ids.extend([nid])
        col.models.change_notetype_of_notes(change)


def work(acts: list[tuple[str, int]], words: Iterator[int], col) -> None:
    for name, seed in acts:
        ACTS[name](Hand(col, random.Random(seed), f"w{next(words)}z"))


# ---- what must not get lost


def words(collection: Path) -> set[str]:
    """Return every word of ours that stands anywhere in a collection."""
    found = dump(collection)
    return {word.decode() for table in SAID for word in WORD.findall(repr(found[table]).encode())}


def rows(collection: Path) -> set[int]:
    return {row[0] for row in dump(collection)["notes"]}


def answers(collection: Path) -> set[int]:
    return {row[0] for row in dump(collection)["revlog"]}


class Kept:
    """What somebody made and nobody took away, of one kind."""

    def __init__(self, look: Callable[[Path], set]) -> None:
        self.look = look
        self.must: set = set()

    @contextmanager
    def watching(self, replica: Path) -> Iterator[None]:
        """Note what somebody makes and takes away while they work on a replica."""
        before = self.look(replica)
        yield
        after = self.look(replica)
        self.must = (self.must - (before - after)) | (after - before)


def contents(collection: Path) -> set[bytes]:
    return set(files(collection).values())


# ---- the machine


class Replicas(RuleBasedStateMachine):
    """A desktop and two phones."""

    root: Path
    happened: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(dir=self.root))
        self.pairs = {name: World(self.folder, name) for name in PHONES}
        self.counter = count()
        self.words, self.answers, self.media = Kept(words), Kept(answers), Kept(contents)
        self.told = ""
        self.before: dict[tuple[str, str], list | None] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def replicas(self) -> dict[str, Path]:
        both = {name: world.phone for name, world in self.pairs.items()}
        return {"desktop": self.pairs["phone"].desktop, **both}

    @initialize(start=st.sampled_from(["copied", "strangers"]))
    def begin(self, start) -> None:
        """Let one phone be in step, and the other be in step too, or hold work of its own."""
        for name, replica in self.replicas.items():
            other = start == "strangers" and name == "second"
            shutil.copytree(self.root / ("small" if other else "large"), replica.parent)
        for kept in (self.words, self.answers, self.media):
            kept.must = self.held(kept)
        for name in PHONES:
            self.synced(name)

    # ---- people

    @rule(
        who=st.sampled_from(["desktop", *PHONES]),
        acts=st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 999)), min_size=1, max_size=4),
        killed=st.sampled_from([False, False, False, True]),
    )
    def edit(self, who, acts, killed) -> None:
        """Let someone work; now and then their app is killed, and leaves a -wal."""
        replica = self.replicas[who]
        at = next(self.counter) * 10
        with self.words.watching(replica), self.answers.watching(replica):
            if killed:
                killed_while(replica, partial(self._work, acts, at))
            else:
                with editing(replica) as col:
                    work(acts, count(at), col)

    @staticmethod
    def _work(acts, at, col) -> None:
        work(acts, count(at), col)
        col.set_config("killed", at)  # so that there is something in the -wal

    @rule(
        name=st.sampled_from(PHONES),
        note=st.integers(0, 9),
        acts=st.lists(
            st.sampled_from(["rewrite", "rewrite", "tag", "delete", "retype"]), min_size=2, max_size=2
        ),
    )
    def meet_at_one_note(self, name, note, acts) -> None:
        """Let the desktop and a phone each do something to one note."""
        world = self.pairs[name]
        nids = sorted(rows(world.desktop) & rows(world.phone))
        if not nids:
            return
        nid = nids[note % len(nids)]
        for replica, act in zip(world.both, acts, strict=True):
            with self.words.watching(replica), editing(replica) as col:
                to_one_note(col, nid, act, f"w{next(self.counter) * 10}z")

    @rule(
        who=st.sampled_from(["desktop", *PHONES]),
        name=st.sampled_from(["a", "b", "Ä.png"]),
        how=st.sampled_from(["write", "write", "delete"]),
    )
    def edit_media(self, who, name, how) -> None:
        replica = self.replicas[who]
        at = next(self.counter)
        with self.media.watching(replica):
            if how == "write":
                put(replica, name, f"media {at}", 1_700_000_000 + at)
            else:
                (media(replica) / name).unlink(missing_ok=True)

    # ---- usbsync

    @rule(name=st.sampled_from(PHONES))
    def sync(self, name) -> None:
        self.synced(name)

    def synced(self, name) -> None:
        """Sync undisturbed: both are alike and sound, and there is nothing left to do."""
        world = self.pairs[name]
        self.happened["finished a cut sync"] += world.journal.exists()
        with self.using(name):
            report = world.sync(**FREELY)
        self.happened[report.result.value] += 1
        self.happened["with conflicts"] += bool(report.conflicts)
        self.hear(report)
        assert_alike(world)
        assert not strays(world)
        self.sound(world.desktop)
        self.nothing_is_lost()

    @rule(
        name=st.sampled_from(PHONES),
        side=st.sampled_from(["open_phone", "open_folder"]),
        at=st.integers(1, 24),
        when=st.sampled_from(When),
    )
    def sync_by_a_bad_cable(self, name, side, at, when) -> None:
        opens = getattr(meet, side)
        faulty = lambda *args, **more: Faulty(opens(*args, **more), fail_at=at, when=when)  # noqa: E731
        with self.using(name), patch.object(meet, side, faulty), suppress(PhoneFailed):
            self.happened["lost the link"] += 1
            self.hear(self.pairs[name].sync(**FREELY))
            self.happened["lost the link"] -= 1
        self.whole()

    @rule(name=st.sampled_from(PHONES), at=st.integers(1, 40), torn=st.booleans())
    def sync_and_be_killed(self, name, at, torn) -> None:
        world = self.pairs[name]
        with self.using(name):
            sync = partial(world.sync, **FREELY)
            died = cuts.dies(world.root, world.pair.folder / "work", sync, at, torn=torn)
        self.happened["died"] += died
        self.whole()

    @rule(name=st.sampled_from(PHONES))
    def plan(self, name) -> None:
        """A plan writes nothing; where a sync was cut off there is none."""
        world = self.pairs[name]
        before = [tree(replica.parent) for replica in self.replicas.values()]
        try:
            assert world.sync(dry=True, **FREELY).result in {Result.PLANNED, Result.UNCHANGED}
        except Busy:
            assert world.journal.exists()
        assert [tree(replica.parent) for replica in self.replicas.values()] == before

    @rule(name=st.sampled_from(PHONES))
    def undo(self, name) -> None:
        """Both hold what they held before the last apply; what was made since is taken away on purpose."""
        world = self.pairs[name]
        newest = world.backups.newest_id()
        known = None if world.journal.exists() else self.before.get((name, newest))
        if newest is None:
            return
        with self.using(name):
            self.hear(world.undo())
        assert known is None or [dump(side) for side in world.both] == known
        self.happened["undone"] += known is not None
        self.let_go()

    @rule(name=st.sampled_from(PHONES), data=st.data())
    def take(self, name, data) -> None:
        """Take what lost after all."""
        world = self.pairs[name]
        found = [b.facts["conflicts"] for b in world.backups.list() if b.facts.get("conflicts")]
        number = data.draw(st.integers(1, len(found[0]))) if found else 1
        with self.using(name):
            try:
                self.hear(take_other(world.options(), Silent(), number)[1])
            except ChoiceNeeded:
                return  # not in step
            except UsageError:
                assert not found
                return
        self.happened["taken"] += 1
        assert_alike(world)
        self.sound(world.desktop)
        self.let_go()

    # ---- what holds

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Remember what both held before, by the backup that is made of it; hear what the backups tell."""
        world = self.pairs[name]
        unknown = world.journal.exists()
        before = [dump(side) for side in world.both]
        had = {backup.id for backup in world.backups.list()}
        yield
        for backup in world.backups.list():
            self.told += repr(backup.facts.get("conflicts", ""))
            if backup.id not in had:
                self.before[name, backup.id] = None if unknown else before

    def hear(self, report: Report) -> None:
        self.told += repr(report.as_json())

    def whole(self) -> None:
        for replica in self.replicas.values():
            dump(replica)  # SQLite's own check is in it
        self.nothing_is_lost()

    def sound(self, collection: Path) -> None:
        copy = self.folder / "checked" / collection.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(collection, copy)
        assert database_check(copy) == []

    def held(self, kept: Kept) -> set:
        return set().union(*map(kept.look, self.replicas.values()))

    def nothing_is_lost(self) -> None:
        lost = self.words.must - self.held(self.words)
        assert not {word for word in lost if word not in self.told}
        assert self.answers.must <= self.held(self.answers)
        assert self.media.must <= self.held(self.media) | self.backed_up()

    def backed_up(self) -> set[bytes]:
        backups = [backup for world in self.pairs.values() for backup in world.backups.list()]
        return {path.read_bytes() for backup in backups for path in backup.path.glob("*/media/*")}

    def let_go(self) -> None:
        """Forget what was undone."""
        for kept in (self.words, self.answers, self.media):
            kept.must &= self.held(kept) | (self.backed_up() if kept is self.media else set())


def test_whatever_happens_nothing_is_lost(quick, record_property) -> None:
    chosen = settings(
        max_examples=HISTORIES,
        stateful_step_count=16,
        derandomize=HISTORIES == 10,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a shorter history takes minutes to find
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    for name, notes in (("large", 6), ("small", 3)):
        put(fresh(quick / name / "collection.anki2", notes), "a", f"the {name} one's")
    happened: Counter[str] = Counter()
    run_state_machine_as_test(
        type("Machine", (Replicas,), {"root": quick, "happened": happened}), settings=chosen
    )
    record_property("happened", dict(happened))
    assert {"merged", "with conflicts", "lost the link", "died", "undone"} <= (+happened).keys()
