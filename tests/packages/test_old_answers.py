"""Answers of before, imported late or by mistake: what they set back on the phone is nobody's work."""

from __future__ import annotations

import shutil

import pytest
from packages.hand import Hand, Told, alike
from packages.test_by_hand import by_folder
from session.scenes import files, media, put, texts
from worlds import add_note, editing

from usbsync.core.conflict import Policy
from usbsync.state.backups import Backups


def redraw(path, text: str, mtime: int = 1_700_000_000) -> None:
    put(path, "stays.txt", text, mtime)


def test_an_old_answer_that_differs_in_media_alone_brings_no_older_file_back(hand: Hand, tmp_path) -> None:
    redraw(hand.desktop, "as drawn at the desk")
    hand.carry()
    old = shutil.copyfile(hand.answer, tmp_path / "old.colpkg")
    redraw(hand.phone, "as drawn on the phone since")
    assert hand.carry().answer is None
    hand.import_(old)
    assert files(hand.phone)["stays.txt"] == b"as drawn at the desk"
    report = hand.carry()
    (conflict,) = report.media_conflicts
    assert "older version" in conflict.reason
    assert files(hand.desktop)["stays.txt"] == b"as drawn on the phone since"
    alike(hand)
    (lost,) = (Backups(hand.pair).get(report.backup).path / "phone" / "media").iterdir()
    assert lost.read_text() == "as drawn at the desk"
    assert not hand.carry().media_conflicts


def test_who_prefers_the_phones_has_its_older_file(hand: Hand, tmp_path) -> None:
    redraw(hand.desktop, "as drawn at the desk")
    hand.carry()
    old = shutil.copyfile(hand.answer, tmp_path / "old.colpkg")
    redraw(hand.phone, "as drawn on the phone since")
    hand.carry()
    hand.import_(old)
    hand.carry(prefer=Policy.PHONE)
    assert files(hand.desktop)["stays.txt"] == b"as drawn at the desk"


def test_an_old_answer_imported_before_the_cable_sets_nothing_back(hand: Hand, tmp_path) -> None:
    """Whoever was in step over the cable since: the phone's mark tells that it holds what it was before."""
    redraw(hand.desktop, "as drawn at the desk")
    with editing(hand.phone) as col:
        mine = add_note(col, "Basic", ["from the phone", "x"], 1)
    hand.carry()
    old = shutil.copyfile(hand.answer, tmp_path / "old.colpkg")
    redraw(hand.desktop, "as drawn at the desk later")
    with editing(hand.desktop) as col:
        add_note(col, "Basic", ["after that", "x"], 1)
        col.remove_notes([mine])
    by_folder(hand)
    assert "after that" in texts(hand.phone)
    hand.import_(old)
    by_folder(hand)
    for path in (hand.desktop, hand.phone):
        assert "after that" in texts(path)
        assert "from the phone" not in texts(path)
        assert files(path)["stays.txt"] == b"as drawn at the desk later"


def test_an_old_answer_is_removed_where_the_phone_lacks_nothing(hand: Hand) -> None:
    with editing(hand.desktop) as col:
        add_note(col, "Basic", ["from the desk", "x"], 1)
    hand.carry()
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["from the phone", "x"], 1)
    hand.export()
    talk = Told()
    assert hand.answer.exists()
    assert hand.sync(talk).answer is None
    assert not hand.answer.exists()
    assert any("older answer" in each for each in talk.notes)


def test_a_file_of_an_answers_name_that_is_none_is_left_and_warned_of(hand: Hand) -> None:
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["from the phone", "x"], 1)
    hand.export()
    hand.answer.write_bytes(b"my own")
    talk = Told()
    hand.sync(talk)
    assert hand.answer.read_bytes() == b"my own"
    assert any("do not import it" in each for each in talk.notes)


@pytest.mark.parametrize("newer", ["desktop", "phone"])
def test_of_two_files_of_one_name_the_desktops_stands_for_a_package_says_no_times(hand: Hand, newer) -> None:
    now = hand.phone.stat().st_mtime
    redraw(hand.desktop, "by the desk", int(now) + (50 if newer == "desktop" else -50))
    redraw(hand.phone, "by the phone", int(now))
    report = hand.carry()
    (conflict,) = report.media_conflicts
    assert "does not say which is newer" in conflict.reason
    assert files(hand.desktop)["stays.txt"] == files(hand.phone)["stays.txt"] == b"by the desk"
    (lost,) = (Backups(hand.pair).get(report.backup).path / "phone" / "media").iterdir()
    assert lost.read_text() == "by the phone"


def test_the_phones_stands_where_it_is_preferred(hand: Hand) -> None:
    redraw(hand.desktop, "by the desk")
    redraw(hand.phone, "by the phone")
    hand.carry(prefer=Policy.PHONE)
    assert files(hand.desktop)["stays.txt"] == b"by the phone"
    alike(hand)


def test_a_file_that_an_old_answer_brings_back_is_on_both_or_on_none(hand: Hand, tmp_path) -> None:
    put(hand.desktop, "new.txt", "new")
    hand.carry()
    old = shutil.copyfile(hand.answer, tmp_path / "old.colpkg")
    hand.carry()
    (media(hand.phone) / "new.txt").unlink()
    hand.carry()
    assert "new.txt" not in files(hand.desktop)
    hand.import_(old)
    hand.carry()
    assert files(hand.desktop) == files(hand.phone)


def test_media_edited_on_one_side_after_an_answer_is_no_conflict_on_the_cable(hand: Hand) -> None:
    redraw(hand.desktop, "at the desk")
    put(hand.desktop, "desktop-edits.txt", "at the desk")
    hand.carry()
    redraw(hand.phone, "then on the phone")
    put(hand.desktop, "desktop-edits.txt", "then at the desk")
    assert not by_folder(hand).media_conflicts
    assert files(hand.desktop) == files(hand.phone)
    assert files(hand.phone)["stays.txt"] == b"then on the phone"
    assert files(hand.phone)["desktop-edits.txt"] == b"then at the desk"
