"""Packages carried by hand: what both did is merged, whatever of it was imported."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace

import pytest
from packages.hand import Hand, Told, alike
from session.scenes import files, fresh, notes, put, reviews, texts
from worlds import add_note, answer, edit_field, editing, note_ids, wait_a_second

from usbsync.cli.render import render_conflicts, render_report
from usbsync.core.conflict import Side
from usbsync.core.first import First
from usbsync.errors import ChoiceNeeded, UsageError
from usbsync.session.conflicts import past, take_other
from usbsync.session.options import OneWay, Options
from usbsync.session.sync import sync
from usbsync.session.talk import Silent
from usbsync.state.passed import MOST, load_passed


def work(path, who: str, at: int) -> None:
    with editing(path) as col:
        nids = sorted(note_ids(col))
        edit_field(col, nids[at], 1, f"edited on the {who}")
        add_note(col, "Basic", [f"made on the {who}, {at}", "new"], col.decks.id(f"{who}'s own"), [who])
        col.remove_notes([nids[at + 1]])
        answer(col, 2)
    put(path, f"{who}-edits.txt", f"{who} edited this, {at}", 1_700_000_000 + at)
    put(path, f"{who}-new-{at}.txt", f"{who} made this", 1_700_000_000)


def test_both_work_and_both_get_it(either: Hand) -> None:
    work(either.desktop, "desktop", 0)
    work(either.phone, "phone", 3)
    report = either.carry()
    assert report.result == "merged"
    assert not [c for c in report.conflicts if c.weight == "lost"]
    alike(either)
    assert "made on the phone, 3" in texts(either.desktop)
    assert "made on the desktop, 0" in texts(either.phone)
    after = either.carry()
    assert after.result == "unchanged"
    assert after.answer is None


def test_the_answer_is_in_the_phones_own_format_and_brings_what_it_lacks(either: Hand) -> None:
    work(either.desktop, "desktop", 0)
    either.export()
    either.sync()
    with zipfile.ZipFile(either.answer) as archive:
        names = set(archive.namelist())
    assert ("collection.anki21b" in names) is not either.legacy
    assert {"0", "1"} <= names
    assert "2" not in names  # desktop-edits, desktop-new: not the whole folder


def test_a_phone_that_forgets_to_import_twice_loses_nothing(either: Hand) -> None:
    answered: set[int] = set()
    for at in range(3):
        work(either.desktop, "desktop", at)
        work(either.phone, "phone", at + 3)
        answered |= reviews(either.desktop) | reviews(either.phone)
        either.export()
        either.sync()  # and nothing is imported
    either.import_()
    alike(either)
    for at in range(3):
        assert f"made on the desktop, {at}" in texts(either.phone)
        assert f"made on the phone, {at + 3}" in texts(either.desktop)
    assert answered <= reviews(either.desktop)
    with editing(either.desktop) as col:
        counts = col.db.all(
            "select c.reps, (select count() from revlog where cid = c.id and type < 4) from cards c where c.reps > 0"
        )
    assert all(reps == answers for reps, answers in counts)  # none is counted twice


def test_what_is_deleted_after_an_answer_stays_deleted_imported_or_not(either: Hand) -> None:
    for at, imports in enumerate((False, True, False, False)):
        with editing(either.phone) as col:
            made = add_note(col, "Basic", [f"from the phone {at}", "x"], 1)
        with editing(either.desktop) as col:
            mine = add_note(col, "Basic", [f"from the desk {at}", "x"], 1)
        either.export()
        either.sync()
        if imports:
            either.import_()
        with editing(either.desktop) as col:
            col.remove_notes([made, mine])
    either.carry()
    alike(either)
    assert "from the" not in texts(either.desktop)


def test_a_phone_that_imports_an_older_answer_gets_the_rest_with_the_next(hand: Hand, tmp_path) -> None:
    work(hand.desktop, "desktop", 0)
    hand.export()
    hand.sync()
    older = hand.answer.rename(tmp_path / "older.colpkg")
    work(hand.phone, "phone", 4)
    hand.export()
    hand.sync()
    hand.import_(older)  # the newer one was meant; what the phone did since is on the desktop
    assert "made on the phone, 4" not in texts(hand.phone)
    hand.carry()
    alike(hand)
    assert "made on the phone, 4" in texts(hand.phone)
    assert "made on the desktop, 0" in texts(hand.phone)


def test_an_edit_after_an_answer_that_was_not_imported_is_a_conflict_not_a_loss(hand: Hand) -> None:
    """All that the answer changed was touched again on the phone: only its mark tells that it was not imported."""
    with editing(hand.desktop) as col:
        nid = note_ids(col)[0]
        edit_field(col, nid, 1, "the desk's words")
    hand.export()
    hand.sync()
    wait_a_second()
    with editing(hand.phone) as col:
        edit_field(col, nid, 1, "the phone's words")
    report = hand.carry()
    lost = [c for c in report.conflicts if c.weight == "lost"]
    assert [(c.desktop, c.phone, c.chosen) for c in lost] == [
        ("the desk's words", "the phone's words", "phone")
    ]


def test_an_edit_after_an_answer_that_was_imported_is_no_conflict(hand: Hand) -> None:
    with editing(hand.desktop) as col:
        nid = note_ids(col)[0]
        edit_field(col, nid, 1, "the desk's words")
    hand.carry()
    with editing(hand.phone) as col:
        edit_field(col, nid, 1, "the phone's words")
    report = hand.carry()
    assert not report.conflicts
    assert "the phone's words" in notes(hand.desktop)[nid]


def test_an_answer_too_old_to_be_remembered_is_said_to_be_that(hand: Hand, tmp_path) -> None:
    for at in range(6):
        for path in (hand.phone, hand.desktop):
            with editing(path) as col:
                add_note(col, "Basic", [f"day {at}", path.parent.name], 1)
        with editing(hand.phone) as col:
            answer(col, 1)
        hand.carry()
        if at == 0:
            first = shutil.copyfile(hand.answer, tmp_path / "first.colpkg")
    hand.import_(first)
    hand.export()
    with pytest.raises(ChoiceNeeded, match="too old to be remembered") as told:
        hand.sync()
    assert "Import the newest answer" in told.value.hint
    assert "--first merge" in told.value.hint
    hand.import_()
    assert hand.carry().result == "unchanged"


def test_media_alone_that_came_from_a_package_are_about_the_desktop_alone(hand: Hand) -> None:
    """An undo can take only that back, and is not to promise more."""
    put(hand.phone, "new.txt", "from the phone")
    assert hand.carry().sides == (Side.DESKTOP,)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            {"one_way": OneWay.UPLOAD},
            "import phone-merged.colpkg on the phone, and the phone holds the desktop's",
        ),
        ({}, "merged: import phone-merged.colpkg on the phone, and both hold everything"),
    ],
)
def test_what_an_import_of_the_answer_leads_to_is_said(hand: Hand, how, said) -> None:
    for path in (hand.phone, hand.desktop):
        with editing(path) as col:
            add_note(col, "Basic", ["from the", path.parent.name], 1)
    hand.export()
    assert render_report(hand.sync(**how)).plain.startswith(said)


def test_another_phone_is_not_taken_for_the_first(hand: Hand) -> None:
    work(hand.phone, "phone", 2)
    hand.carry()
    fresh(hand.phone.parent.parent / "other" / "collection.anki2", notes=3)
    other = Hand(hand.root / "two", hand.legacy)
    other.phone.parent.parent.mkdir()
    (hand.root / "other").rename(other.phone.parent)
    other.export()
    before = texts(hand.desktop)
    with pytest.raises(ChoiceNeeded, match="never met"):
        hand.sync_of(other)
    assert texts(hand.desktop) == before


def test_a_phone_that_comes_seldom_is_known_though_another_comes_every_day(hand: Hand) -> None:
    seldom = Hand(hand.root / "two")
    fresh(seldom.phone, notes=3)
    seldom.export()
    hand.sync_of(seldom, first=First.MERGE)
    seldom.import_()
    for at in range(6):
        for path in (hand.phone, hand.desktop):
            with editing(path) as col:
                add_note(col, "Basic", [f"day {at}", path.parent.name], 1)
        hand.export()
        hand.sync()
        if at % 2:
            hand.import_()
    with editing(seldom.phone) as col:
        gone = note_ids(col)[0]
        col.remove_notes([gone])
    seldom.export()
    hand.sync_of(seldom)
    assert gone not in notes(hand.desktop)
    assert len(load_passed(hand.pair)) <= 2 * MOST


def test_an_answer_is_known_though_many_packages_came_since(hand: Hand, tmp_path) -> None:
    work(hand.desktop, "desktop", 0)
    hand.carry()
    first = shutil.copyfile(hand.answer, tmp_path / "first.colpkg")
    for at in range(9):
        with editing(hand.phone) as col:
            add_note(col, "Basic", [f"day {at}", "x"], 1)
        hand.export()
        hand.sync()
    hand.import_(first)
    hand.carry()
    alike(hand)


def test_media_deleted_on_the_desktop_does_not_come_back(hand: Hand) -> None:
    gone = hand.desktop.with_suffix(".media") / "desktop-drops.txt"
    gone.unlink()
    hand.carry()
    work(hand.phone, "phone", 1)
    hand.carry()
    assert not gone.exists()
    alike(hand)


def test_a_package_without_media_takes_no_media_away(either: Hand) -> None:
    work(either.phone, "phone", 1)
    put(either.desktop, "new-here.txt", "made at the desk")
    either.export(with_media=False)
    report = either.sync()
    assert report.media["desktop"] == {"added": 0, "updated": 0, "deleted": 0}
    either.import_()
    assert (
        either.phone.with_suffix(".media") / "new-here.txt"
    ).exists()  # what is new at the desk came along
    either.carry()  # with media again: now the phone's come too
    assert (either.desktop.with_suffix(".media") / "phone-new-1.txt").exists()
    alike(either)


def test_media_that_an_import_passed_over_is_sent_again_not_taken_for_the_phones_own(either: Hand) -> None:
    """AnkiMobile leaves a file of the same size alone, and an import may fail half-way."""
    put(either.desktop, "stays.txt", "STAYS AS IT WAS", 1_700_000_000)
    put(either.desktop, "added.txt", "at the desk")
    either.carry()
    put(either.phone, "stays.txt", "stays as it was")
    (either.phone.with_suffix(".media") / "added.txt").unlink()
    either.export()
    talk = Told()
    report = either.sync(talk)
    assert any(note.startswith("added.txt, stays.txt: the phone does not show") for note in talk.notes)
    either.import_()
    assert report.media["desktop"] == {"added": 0, "updated": 0, "deleted": 0}
    assert (either.desktop.with_suffix(".media") / "stays.txt").read_text() == "STAYS AS IT WAS"
    assert (either.phone.with_suffix(".media") / "added.txt").exists()
    if not either.legacy:  # of an old package Anki itself compares only sizes: it never takes this one
        alike(either)


def test_a_dry_run_writes_nothing(hand: Hand) -> None:
    work(hand.phone, "phone", 1)
    hand.export()
    hand.answer.unlink(missing_ok=True)
    before = {path: path.read_bytes() for path in hand.root.rglob("*") if path.is_file()}
    assert hand.sync(dry=True).result == "planned"
    after = {path: path.read_bytes() for path in hand.root.rglob("*") if path.is_file()}
    assert before == after


def test_an_undo_takes_the_desktop_back_and_the_next_package_brings_all_again(hand: Hand) -> None:
    work(hand.desktop, "desktop", 0)
    work(hand.phone, "phone", 3)
    before = texts(hand.desktop)
    hand.export()
    hand.sync()
    hand.undo()
    assert texts(hand.desktop) == before
    hand.carry()
    alike(hand)
    assert "made on the phone, 3" in texts(hand.phone)
    assert "made on the phone, 3" in texts(hand.desktop)


def test_an_answer_is_not_taken_for_a_package(hand: Hand) -> None:
    work(hand.desktop, "desktop", 0)
    hand.export()
    hand.sync()
    hand.answer.rename(hand.package)
    hand.package.rename(hand.answer)
    with pytest.raises(UsageError, match="answer"):
        hand.sync_of(hand, hand.answer)


def by_folder(hand: Hand, **more):
    options = Options(
        device=f"folder:{hand.phone.parent}", collection=hand.desktop, environ=hand.environ, **more
    )
    return sync(options, Silent())


def test_a_phone_that_came_as_packages_is_known_on_the_cable(either: Hand) -> None:
    """Imported: the answer is the ancestor. Nobody is asked, nothing is named as a conflict, nothing comes back."""
    work(either.desktop, "desktop", 0)
    work(either.phone, "phone", 3)
    either.carry()
    with editing(either.desktop) as col:
        col.remove_notes(col.find_notes('"made on the phone, 3"'))
        edit_field(col, note_ids(col)[0], 1, "again")
    report = by_folder(either)
    assert not [c for c in report.conflicts if c.weight == "lost"]
    alike(either)
    assert "made on the phone, 3" not in texts(either.phone)
    assert by_folder(either).result == "unchanged"


def test_a_phone_that_forgot_to_import_and_then_comes_on_the_cable_loses_nothing(hand: Hand) -> None:
    work(hand.desktop, "desktop", 0)
    work(hand.phone, "phone", 3)
    hand.export()
    hand.sync()  # and nothing is imported
    work(hand.phone, "phone", 6)
    by_folder(hand)
    alike(hand)
    assert files(hand.phone) == files(hand.desktop)
    assert {"made on the desktop, 0", "made on the phone, 3", "made on the phone, 6"} <= {
        each.partition("\x1f")[0] for each in notes(hand.phone).values()
    }


def test_cable_and_packages_by_turns(hand: Hand) -> None:
    for at in range(3):
        work(hand.desktop, "desktop", at)
        work(hand.phone, "phone", at + 9)
        by_folder(hand)
        with editing(hand.phone) as col:
            gone = add_note(col, "Basic", [f"on the phone, to go {at}", "x"], 1)
        hand.carry()
        with editing(hand.desktop) as col:
            col.remove_notes([gone])
        alike_but_for(hand, gone)
    by_folder(hand)
    alike(hand)
    assert "to go" not in texts(hand.phone)


def alike_but_for(hand: Hand, gone: int) -> None:
    assert notes(hand.desktop).keys() == notes(hand.phone).keys() - {gone}


def test_media_that_an_answer_brought_and_an_import_passed_over_is_not_taken_for_deleted_on_the_cable(
    hand: Hand,
) -> None:
    put(hand.desktop, "added.txt", "at the desk")
    hand.carry()
    (hand.phone.with_suffix(".media") / "added.txt").unlink()
    by_folder(hand)
    assert files(hand.phone)["added.txt"] == files(hand.desktop)["added.txt"] == b"at the desk"


def test_a_desktop_that_was_set_back_by_anki_itself_takes_nothing_from_the_phone(
    hand: Hand, tmp_path
) -> None:
    """A backup that Anki keeps, opened over the collection: what was made since was not deleted."""
    old = shutil.copyfile(hand.desktop, tmp_path / "old.anki2")
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["made since", "x"], 1)
    hand.carry()
    shutil.copyfile(old, hand.desktop)
    hand.carry()
    alike(hand)
    assert "made since" in texts(hand.phone)


def test_a_conflict_of_a_package_cannot_be_taken_and_says_what_to_do(hand: Hand) -> None:
    for path, text in ((hand.desktop, "the desk's words"), (hand.phone, "the phone's words")):
        with editing(path) as col:
            edit_field(col, note_ids(col)[0], 1, text)
    hand.carry()
    for options in (hand.options(), replace(hand.options(), device=None)):
        with pytest.raises(UsageError, match="came as a package") as told:
            take_other(options, Silent(), 1)
        assert "conflicts show" in told.value.hint
    listed = past(hand.options())
    assert listed
    assert listed.by_package
    assert "write it in Anki" in render_conflicts(listed).plain
