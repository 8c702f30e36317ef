"""Undo, the undo of that, and answers of what was undone: whatever a phone holds, its next package is merged."""

from __future__ import annotations

import pytest
from packages.hand import Hand, alike
from session.scenes import fresh, media, notes, put, texts
from worlds import add_note, answer, edit_field, editing, note_ids

from usbsync.core.first import First
from usbsync.errors import GuardRefused
from usbsync.session.options import Options
from usbsync.session.talk import Silent
from usbsync.session.undo import undo
from usbsync.state.passed import load_passed


def write(path, text: str) -> int:
    with editing(path) as col:
        return add_note(col, "Basic", [text, "x"], 1)


def reword(path, text: str) -> None:
    """Edit a note and nothing else: no row comes or goes by which it could be told."""
    with editing(path) as col:
        edit_field(col, note_ids(col)[0], 1, text)


def take_back(hand: Hand, *, sure: bool = True):
    """Undo as a person does: with no phone named."""
    return undo(Options(collection=hand.desktop, environ=hand.environ), Silent(), sure=sure)


def test_what_was_undone_and_done_again_is_known(either: Hand) -> None:
    write(either.desktop, "from the desk")
    write(either.phone, "from the phone")
    either.export()
    either.sync()
    take_back(either)
    assert "from the phone" not in texts(either.desktop)
    take_back(either)
    assert "from the phone" in texts(either.desktop)
    with editing(either.desktop) as col:
        col.remove_notes(col.find_notes('"from the phone"'))
    write(either.phone, "more")
    either.carry()
    alike(either)
    assert "from the phone" not in texts(either.phone)  # known to have been on both: it was deleted
    assert "more" in texts(either.desktop)


def test_an_undo_is_undone_unasked_unless_somebody_worked_since(hand: Hand) -> None:
    write(hand.desktop, "from the desk")
    write(hand.phone, "from the phone")
    hand.carry()
    take_back(hand, sure=False)
    take_back(hand, sure=False)
    take_back(hand, sure=False)
    write(hand.desktop, "since")
    with pytest.raises(GuardRefused):
        take_back(hand, sure=False)


def test_words_whose_sync_was_undone_come_again(hand: Hand) -> None:
    """What the phone gave is no ancestor any more: the desktop's old words would count as written since."""
    reword(hand.phone, "the phone's words")
    hand.export()
    hand.sync()
    take_back(hand)
    write(hand.phone, "more")
    report = hand.carry()
    assert not report.conflicts
    assert "the phone's words" in texts(hand.desktop)
    alike(hand)


def test_the_answer_of_an_undone_sync_may_be_imported(either: Hand) -> None:
    write(either.desktop, "from the desk")
    write(either.phone, "from the phone")
    either.export()
    either.sync()
    take_back(either)
    write(either.desktop, "since")
    either.import_()
    with editing(either.phone) as col:
        gone = note_ids(col)[3]
        col.remove_notes([gone])
        answer(col, 1)
    report = either.carry()
    assert not [each for each in report.conflicts if each.weight == "lost"]
    alike(either)
    assert "from the phone" in texts(either.desktop)
    assert "since" in texts(either.phone)
    assert gone not in notes(either.desktop)


def test_the_undo_of_one_phones_first_sync_does_not_forget_another(hand: Hand) -> None:
    other = Hand(hand.root / "two")
    fresh(other.phone, notes=3)
    write(other.phone, "the other's")
    other.export()
    hand.sync_of(other, first=First.MERGE)
    take_back(hand)
    with editing(hand.phone) as col:
        gone = note_ids(col)[0]
        col.remove_notes([gone])
    hand.carry()
    assert gone not in notes(hand.desktop)
    alike(hand)


def test_only_so_much_is_kept_of_what_was_undone(hand: Hand) -> None:
    for at in range(6):
        write(hand.phone, f"again {at}")
        hand.export()
        hand.sync()
        take_back(hand)
    states = load_passed(hand.pair)
    assert sum(each.aside for each in states) == 4
    assert len(list(hand.pair.folder.glob("passed-*.anki2"))) <= len(states)
    hand.carry()
    alike(hand)


def test_media_of_an_undone_answer_counts_as_the_phones(hand: Hand) -> None:
    put(hand.desktop, "stays.txt", "drawn anew at the desk")
    write(hand.phone, "from the phone")
    hand.export()
    hand.sync()
    take_back(hand)
    hand.import_()
    hand.carry()
    alike(hand)
    assert (media(hand.desktop) / "stays.txt").read_text() == "drawn anew at the desk"
