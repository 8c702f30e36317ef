"""The first package of a phone that never met the desktop: its answer may be forgotten, and nobody is asked again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from packages.hand import Hand, alike
from session.scenes import fresh, notes, put, texts
from worlds import add_note, answer, edit_field, editing, note_ids

from usbsync.core.first import First
from usbsync.errors import ChoiceNeeded


def apart(root: Path, *, legacy: bool = False) -> Hand:
    """Make two collections apart, with one note of both, and merge them by a package; the answer lies there still."""
    hand = Hand(root, legacy)
    fresh(hand.desktop, notes=6)
    hand.phone.parent.mkdir()
    shutil.copyfile(hand.desktop, hand.phone)
    for path, who in ((hand.desktop, "desk"), (hand.phone, "phone")):
        with editing(path) as col:
            if who == "phone":
                col.remove_notes(note_ids(col)[1:])
                # other ids of all that both have: as if each had been made there
                col.db.execute("update notes set id = id + 7")
                col.db.execute("update cards set id = id + 7, nid = nid + 7")
                col.db.execute("update revlog set cid = cid + 7")
            add_note(col, "Basic", [f"{who} begins", "x"], col.decks.id(f"{who}'s own"))
        put(path, f"{who}.txt", who)
    hand.export()
    with pytest.raises(ChoiceNeeded, match="never met"):
        hand.sync()
    hand.sync(first=First.MERGE)
    return hand


@pytest.fixture
def strangers(tmp_path) -> Hand:
    """Two that began apart, whose app writes packages of today."""
    return apart(tmp_path / "w")


@pytest.fixture(params=["new", "legacy"])
def either_strangers(tmp_path, request) -> Hand:
    """The same, and two whose app writes packages as before 2.1.50."""
    return apart(tmp_path / "w", legacy=request.param == "legacy")


def test_a_first_answer_that_was_not_imported_leaves_no_question_and_brings_nothing_back(
    either_strangers: Hand,
) -> None:
    hand = either_strangers
    with editing(hand.desktop) as col:
        nid = note_ids(col)[0]
        edit_field(col, nid, 1, "the desk's words")
        col.remove_notes(col.find_notes('"phone begins"'))
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["phone goes on", "x"], 1)
        answer(col, 1)
    report = hand.carry()
    assert not [each for each in report.conflicts if each.weight == "lost"]
    alike(hand)
    assert "phone begins" not in texts(hand.phone)
    assert "the desk's words" in notes(hand.phone)[nid]
    assert {"desk begins", "phone goes on"} <= {
        each.partition("\x1f")[0] for each in notes(hand.phone).values()
    }
    assert hand.carry().answer is None


def test_it_may_be_forgotten_twice_and_the_phone_deletes_too(strangers: Hand) -> None:
    hand = strangers
    for at in range(2):
        with editing(hand.phone) as col:
            col.remove_notes(col.find_notes('"phone begins"' if at == 0 else '"phone 0"'))
            add_note(col, "Basic", [f"phone {at}", "x"], 1)
        hand.export()
        hand.sync()
    assert "phone begins" not in texts(hand.desktop)
    assert "phone 0" not in texts(hand.desktop)
    hand.import_()
    alike(hand)


def test_the_first_answer_may_still_be_imported_later(strangers: Hand, tmp_path) -> None:
    hand = strangers
    first = shutil.copyfile(hand.answer, tmp_path / "first.colpkg")
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["phone goes on", "x"], 1)
    hand.export()
    hand.sync()
    hand.import_(first)
    hand.carry()
    alike(hand)
    assert "phone goes on" in texts(hand.phone)


def test_a_plan_of_it_writes_nothing(strangers: Hand) -> None:
    hand = strangers
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["phone goes on", "x"], 1)
    hand.export()
    before = {path: path.read_bytes() for path in hand.root.rglob("*") if path.is_file()}
    assert hand.sync(dry=True).result == "planned"
    assert before == {path: path.read_bytes() for path in hand.root.rglob("*") if path.is_file()}


def test_who_let_the_desktops_replace_it_is_asked_again(tmp_path) -> None:
    """Only a merge was agreed to: what the phone had is not on the desktop."""
    hand = Hand(tmp_path / "w")
    fresh(hand.desktop, notes=6)
    fresh(hand.phone, notes=2)
    hand.export()
    hand.sync(first=First.UPLOAD)
    with pytest.raises(ChoiceNeeded, match="never met"):
        hand.sync()
