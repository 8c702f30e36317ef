"""Packages carried by hand: what both did is merged, whatever of it was imported."""

from __future__ import annotations

import zipfile

import pytest
from packages.hand import Hand, alike
from session.scenes import fresh, notes, put, reviews, texts
from worlds import add_note, answer, edit_field, editing, note_ids, wait_a_second

from usbsync.errors import ChoiceNeeded, UsageError


def work(path, who: str, at: int) -> None:
    with editing(path) as col:
        nids = note_ids(col)
        edit_field(col, nids[at], 1, f"edited on the {who}")
        add_note(col, "Basic", [f"made on the {who}, {at}", "new"], col.decks.id(f"{who}'s own"), [who])
        col.remove_notes([nids[at + 1]])
        answer(col, 2)
    put(path, f"{who}-edits.txt", f"{who} edited this, {at}", 1_700_000_000 + at)
    put(path, f"{who}-new-{at}.txt", f"{who} made this", 1_700_000_000)


def test_both_work_and_both_get_it(hand: Hand) -> None:
    work(hand.desktop, "desktop", 0)
    work(hand.phone, "phone", 3)
    report = hand.carry()
    assert report.result == "merged"
    assert not [c for c in report.conflicts if c.weight == "lost"]
    alike(hand)
    assert "made on the phone, 3" in texts(hand.desktop)
    assert "made on the desktop, 0" in texts(hand.phone)
    after = hand.carry()
    assert after.result == "unchanged"
    assert after.answer is None


def test_the_answer_is_in_the_phones_own_format_and_brings_what_it_lacks(hand: Hand) -> None:
    work(hand.desktop, "desktop", 0)
    hand.export()
    hand.sync()
    with zipfile.ZipFile(hand.answer) as archive:
        names = set(archive.namelist())
    assert ("collection.anki21b" in names) is not hand.legacy
    assert {"0", "1"} <= names
    assert "2" not in names  # desktop-edits, desktop-new: not the whole folder
