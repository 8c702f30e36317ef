"""Policy `ask`: whoever is asked decides, for one conflict or for all of its kind, or stops and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from session.scenes import World, assert_alike, content, fresh, notes, strays, tree
from worlds import clone, edit_field, editing, note_ids, wait_a_second

from usbsync.core.asking import Answer, Choice
from usbsync.core.conflict import Policy, Side
from usbsync.errors import ChoiceNeeded
from usbsync.session.conflicts import past, take_other
from usbsync.session.talk import Silent

DESKTOP, PHONE, NEWEST, STOP = map(Answer, Choice)


class Person(Silent):
    """Somebody who answers in turn, and remembers what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), []

    def settle(self, question):
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else None


@pytest.fixture
def world(quick) -> Iterator[World]:
    """Both sides wrote in the backs of three notes, and one deleted a fourth that the other edited."""
    with TemporaryDirectory(dir=quick) as folder:
        world = World(Path(folder, "w"))
        fresh(world.desktop)
        clone(world.desktop, world.phone)
        world.sync()
        for path, who in ((world.desktop, "desktop"), (world.phone, "phone")):
            with editing(path) as col:
                nids = sorted(note_ids(col))
                for nid in nids[:3]:
                    edit_field(col, nid, 1, f"{who}'s")
                if who == "phone":
                    edit_field(col, nids[3], 1, "phone's")
                else:
                    col.remove_notes([nids[3]])
            wait_a_second()
        yield world


def backs(world: World) -> list[str | None]:
    """Return the backs of the four notes, the same on both sides; None for one that is deleted."""
    held, before = (
        notes(path) for path in (world.phone, world.backups.list()[-1].path / "phone" / "collection.anki2")
    )
    assert held == notes(world.desktop)
    return [held[nid].split("\x1f")[1] if nid in held else None for nid in sorted(before)[:4]]


def test_each_is_asked_about_and_stands_as_answered(world):
    person = Person(DESKTOP, DESKTOP, PHONE, NEWEST)
    report = world.sync(person, prefer=Policy.ASK)
    assert [q.conflict.unit for q in person.asked] == ["deletion", "Back", "Back", "Back Extra"]
    assert [(q.number, q.total, q.left) for q in person.asked] == [(1, 4, 1), (2, 4, 3), (3, 4, 2), (4, 4, 1)]
    chosen = {c.where: c.chosen for c in report.conflicts}
    assert [chosen[q.conflict.where] for q in person.asked] == [
        Side.DESKTOP,
        Side.DESKTOP,
        Side.PHONE,
        Side.PHONE,
    ]
    assert backs(world) == ["desktop's", "phone's", "phone's", None]
    assert_alike(world)


def test_an_answer_for_all_of_a_kind_is_asked_for_once(world):
    person = Person(NEWEST, Answer(Choice.DESKTOP, of_all=True))
    world.sync(person, prefer=Policy.ASK)
    assert [q.kind for q in person.asked] == ["deletions", "fields of notes"]
    assert backs(world) == ["desktop's", "desktop's", "desktop's", "phone's"]
    assert_alike(world)


def test_newest_is_what_happens_unasked(world):
    saved = world.save()
    world.sync(Person(*[NEWEST] * 4), prefer=Policy.ASK)
    asked = content(world.desktop)
    world.restore(saved)
    world.sync()
    assert content(world.desktop) == asked


@pytest.mark.parametrize("person", [Person(DESKTOP, STOP), Person(STOP), Person(PHONE), Silent()])
def test_who_stops_or_is_not_there_changes_nothing(world, person):
    before = tree(world.root / "desktop"), tree(world.phone.parent), world.backups.list()
    with pytest.raises(ChoiceNeeded, match="nothing was changed"):
        world.sync(person, prefer=Policy.ASK)
    assert before == (tree(world.root / "desktop"), tree(world.phone.parent), world.backups.list())
    assert strays(world) == []
    world.sync()
    assert_alike(world)


def test_nobody_is_asked_where_nothing_is_to_be_settled(world):
    world.sync()
    with editing(world.phone) as col:
        edit_field(col, note_ids(col)[5], 1, "only here")
    person = Person()
    world.sync(person, prefer=Policy.ASK)
    assert person.asked == []


def test_what_was_answered_can_be_taken_back(world):
    person = Person(NEWEST, DESKTOP, PHONE, DESKTOP)
    before = notes(world.phone)
    world.sync(person, prefer=Policy.ASK)
    assert backs(world) == ["desktop's", "phone's", "desktop's", "phone's"]
    listed = past(world.options()).conflicts
    take_other(world.options(), Silent(), 1 + [c.where for c in listed].index(person.asked[1].conflict.where))
    held = notes(world.desktop)
    assert held == notes(world.phone)
    assert [held[nid].split("\x1f")[1] for nid in sorted(before)[:4]] == [
        "phone's",
        "phone's",
        "desktop's",
        "phone's",
    ]
    assert_alike(world)
