"""Two collections that both hold work and never met: `--first merge` loses nothing of either."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from anki.collection import ExportAnkiPackageOptions, ImportAnkiPackageOptions, ImportAnkiPackageRequest
from worlds import (
    add_note,
    answer,
    clone,
    database_check,
    edit_field,
    editing,
    new_collection,
    note_ids,
    wait_a_second,
)

from usbsync.collection.backend import opened
from usbsync.collection.verify import differences
from usbsync.core.conflict import Weight
from usbsync.core.first import First
from usbsync.session.options import Options
from usbsync.session.report import Report, Result
from usbsync.session.sync import sync
from usbsync.session.talk import Silent


class Meeting:
    """A desktop and any number of phones in folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.desktop = self.make("desktop")

    def make(self, name: str) -> Path:
        (self.root / name).mkdir()
        return self.root / name / "collection.anki2"

    def sync(self, phone: Path, first: First | None = None) -> Report:
        environ = {"USBSYNC_HOME": str(self.root / "home")}
        options = Options(
            device=f"folder:{phone.parent}", collection=self.desktop, first=first, environ=environ
        )
        return sync(options, Silent())

    def assert_equal(self, *phones: Path) -> None:
        for phone in phones:
            assert database_check(phone) == []
            copies = [self.root / f"{at}.copy.anki2" for at in range(2)]
            for source, copy in zip((self.desktop, phone), copies, strict=True):
                shutil.copyfile(source, copy)
            with opened(copies[0], {"other": copies[1]}) as col:
                assert list(differences(col)) == []
        assert database_check(self.desktop) == []


@pytest.fixture
def meeting(tmp_path: Path) -> Meeting:
    return Meeting(tmp_path)


def facts(path: Path) -> dict[str, set[str]]:
    """What a person would miss: notes by their text, answers by their moment, decks by name."""
    with editing(path) as col:
        return {
            "notes": set(col.db.list("select flds from notes")),
            "answers": set(map(str, col.db.list("select id from revlog"))),
            "decks": {deck.name for deck in col.decks.all_names_and_ids()},
        }


def test_strangers_keep_everything_of_both(meeting: Meeting) -> None:
    phone = meeting.make("phone")
    new_collection(meeting.desktop, notes=20, reviews=10)
    wait_a_second()
    new_collection(phone, notes=12, reviews=6)
    with editing(phone) as col:
        add_note(col, "Basic", ["only on the phone", "x"], col.decks.id("Phone deck"))
    had = [facts(path) for path in (meeting.desktop, phone)]
    report = meeting.sync(phone, First.MERGE)
    assert report.result is Result.MERGED
    now = facts(meeting.desktop)
    for kind in now:
        assert now[kind] == had[0][kind] | had[1][kind]
    meeting.assert_equal(phone)
    assert not [c for c in report.conflicts if c.weight is Weight.LOST]
    assert meeting.sync(phone).result is Result.UNCHANGED


def test_due_days_are_counted_from_the_desktops_first_day(meeting: Meeting) -> None:
    phone = meeting.make("phone")
    new_collection(meeting.desktop, notes=4, reviews=0)
    wait_a_second()
    new_collection(phone, notes=6, reviews=0)
    with editing(phone) as col:
        col.db.execute("update col set crt = crt - 86400 * 10")
    with editing(phone) as col:
        cid = min(col.find_cards("front"))
        col.sched.set_due_date([cid], "5")
        assert col.get_card(cid).due == col.sched.today + 5
        front = col.get_card(cid).note().fields[0]
    meeting.sync(phone, First.MERGE)
    for path in (meeting.desktop, phone):
        with editing(path) as col:
            found = [
                card
                for card in map(col.get_card, col.find_cards("is:review"))
                if card.note().fields[0] == front
            ]
            assert [card.due - col.sched.today for card in found] == [5]
    meeting.assert_equal(phone)


def test_one_package_imported_on_both_is_one_set_of_notes(meeting: Meeting, tmp_path: Path) -> None:
    phone, source = meeting.make("phone"), meeting.make("source")
    new_collection(source, notes=30, reviews=0)
    package = str(tmp_path / "shared.apkg")
    with editing(source) as col:
        col.export_anki_package(
            out_path=package, options=ExportAnkiPackageOptions(with_deck_configs=True), limit=None
        )
    for path in (meeting.desktop, phone):
        with editing(path) as col:
            col.import_anki_package(
                ImportAnkiPackageRequest(package_path=package, options=ImportAnkiPackageOptions())
            )
            answer(col, 6)
        wait_a_second()
    answers = [facts(path)["answers"] for path in (meeting.desktop, phone)]
    report = meeting.sync(phone, First.MERGE)
    now = facts(meeting.desktop)
    assert len(now["notes"]) == 30
    assert now["answers"] == answers[0] | answers[1]
    assert not [c for c in report.conflicts if c.weight is Weight.LOST]
    meeting.assert_equal(phone)


def test_notes_with_one_guid_and_different_ids_are_one(meeting: Meeting) -> None:
    phone = meeting.make("phone")
    new_collection(meeting.desktop, notes=6, reviews=3)
    clone(meeting.desktop, phone)
    with editing(phone) as col:  # as an import into an older Anki does: other ids for the same notes
        for table, column in (("notes", "id"), ("cards", "nid"), ("cards", "id"), ("revlog", "cid")):
            col.db.execute(f"update {table} set {column} = {column} + 777000")
    had = facts(meeting.desktop)
    meeting.sync(phone, First.MERGE)
    assert facts(phone) == had
    meeting.assert_equal(phone)


def test_three_replicas_converge(meeting: Meeting) -> None:
    phones = [meeting.make("phone-1"), meeting.make("phone-2")]
    new_collection(meeting.desktop, notes=8, reviews=4)
    for at, phone in enumerate(phones):
        wait_a_second()
        new_collection(phone, notes=5 + at, reviews=3)
    had = [facts(path) for path in (meeting.desktop, *phones)]
    for phone in phones:
        meeting.sync(phone, First.MERGE)
    wait_a_second()
    with editing(phones[0]) as col:
        edit_field(col, note_ids(col)[0], 1, "later, on the first phone")
    for phone in (*phones, *phones):
        meeting.sync(phone)
    now = facts(meeting.desktop)
    assert now["answers"] == set().union(*(each["answers"] for each in had))
    assert any("later, on the first phone" in note for note in now["notes"])
    meeting.assert_equal(*phones)
    assert {meeting.sync(phone).result for phone in phones} == {Result.UNCHANGED}


def grown(path: Path, field: str, at: int, template: str = "") -> None:
    """Give "Basic" another field, written in for every note, and perhaps a template."""
    with editing(path) as col:
        kind = col.models.by_name("Basic")
        col.models.add_field(kind, new := col.models.new_field(field))
        col.models.reposition_field(kind, new, at)
        if template:
            made = col.models.new_template(template)
            made["qfmt"], made["afmt"] = "{{Back}}", "{{Front}}"
            col.models.add_template(kind, made)
        col.models.update_dict(kind)
        for nid in col.models.nids(kind["id"]):
            note = col.get_note(nid)
            note[field] = f"{field} of {note['Front']}"
            col.update_note(note)


def by_field(path: Path) -> dict[str, dict[str, str]]:
    with editing(path) as col:
        notes = [col.get_note(nid) for nid in col.models.nids(col.models.by_name("Basic")["id"])]
        return {note["Front"]: dict(note.items()) for note in notes}


@pytest.mark.parametrize("at", [2, 0])
@pytest.mark.parametrize("ids", ["same", "other"])
def test_a_notetype_that_grew_on_both_sides_keeps_what_was_written_on_each(
    meeting: Meeting, ids: str, at: int
) -> None:
    phone = meeting.make("phone")
    new_collection(meeting.desktop, notes=12, reviews=0)
    clone(meeting.desktop, phone)
    if ids == "other":  # the phone made its notetype itself
        with editing(phone) as col:
            kind = col.models.by_name("Basic")
            for table, column in (
                ("notetypes", "id"),
                ("fields", "ntid"),
                ("templates", "ntid"),
                ("notes", "mid"),
            ):
                col.db.execute(f"update {table} set {column} = {column} + 7 where {column} = ?", kind["id"])
    had = by_field(meeting.desktop)
    grown(meeting.desktop, "Notes", at)
    wait_a_second()
    grown(phone, "PNotes", 2, template="Reverse")
    with editing(phone) as col:
        answer(col, 6)
    answers = facts(phone)["answers"]
    wait_a_second()
    with editing(meeting.desktop) as col:  # some are later here, some there
        for nid in col.models.nids(col.models.by_name("Basic")["id"])[::2]:
            note = col.get_note(nid)
            note["Back"] += ", later"
            col.update_note(note)
    report = meeting.sync(phone, First.MERGE)
    now = by_field(meeting.desktop)
    assert now.keys() == had.keys()
    for front, note in now.items():
        assert note["Notes"] == f"Notes of {front}"
        assert note["PNotes"] == f"PNotes of {front}"
    assert answers <= facts(meeting.desktop)["answers"]
    assert {c.kind for c in report.conflicts if c.weight is Weight.LOST} <= {"notes"}
    with editing(meeting.desktop) as col:
        kind = col.models.by_name("Basic")
        assert [each["name"] for each in kind["tmpls"]] == ["Card 1", "Reverse"]
        assert col.models.by_name("Basic+") is None
        assert len(col.find_cards("note:Basic")) == 2 * len(now)
    meeting.assert_equal(phone)
    assert meeting.sync(phone).result is Result.UNCHANGED


def test_two_notetypes_of_one_name_that_are_not_akin_stay_two(meeting: Meeting) -> None:
    phone = meeting.make("phone")
    for path, fields in ((meeting.desktop, ["Word", "Meaning"]), (phone, ["Year", "Event", "Place"])):
        new_collection(path, notes=3)
        with editing(path) as col:
            kind = col.models.new("Mine")
            for name in fields:
                col.models.add_field(kind, col.models.new_field(name))
            made = col.models.new_template("Card 1")
            made["qfmt"] = f"{{{{{fields[0]}}}}}"
            col.models.add_template(kind, made)
            col.models.add_dict(kind)
            add_note(col, "Mine", [f"{name}!" for name in fields], col.decks.id("Default"))
        wait_a_second()
    meeting.sync(phone, First.MERGE)
    with editing(meeting.desktop) as col:
        mine = [kind for kind in col.models.all() if kind["name"] in {"Mine", "Mine+"}]
        assert sorted(len(kind["flds"]) for kind in mine) == [2, 3]
    assert {"Word!\x1fMeaning!", "Year!\x1fEvent!\x1fPlace!"} <= facts(meeting.desktop)["notes"]
    meeting.assert_equal(phone)
