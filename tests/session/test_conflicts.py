"""What lost in a merge is listed, and can be taken after all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from worlds import (
    add_note,
    clone,
    database_check,
    edit_field,
    editing,
    new_collection,
    note_ids,
    wait_a_second,
)

from usbsync.core.conflict import Logic, Side, Weight
from usbsync.errors import ChoiceNeeded, UsageError
from usbsync.session import apply as session_apply
from usbsync.session.conflicts import past, take_other
from usbsync.session.options import Options
from usbsync.session.report import Result
from usbsync.session.status import State, status
from usbsync.session.sync import sync
from usbsync.session.talk import Silent
from usbsync.session.undo import undo


@pytest.fixture
def options(tmp_path: Path) -> Options:
    desktop, phone = (tmp_path / side / "collection.anki2" for side in Side)
    new_collection(desktop, notes=6, reviews=3)
    clone(desktop, phone)
    found = Options(
        device=f"folder:{phone.parent}", collection=desktop, environ={"USBSYNC_HOME": str(tmp_path / "home")}
    )
    sync(found, Silent())
    with editing(desktop) as col:
        edit_field(col, note_ids(col)[0], 1, "from the desk")
        edit_field(col, note_ids(col)[1], 1, "only the desk's")
    wait_a_second()
    with editing(phone) as col:
        edit_field(col, note_ids(col)[0], 1, "from the train")
    return found


@pytest.mark.parametrize("step", ["carry_out", "conclude"])
def test_a_merge_that_was_cut_off_after_its_commit_is_reported_by_the_run_that_finishes_it(
    options: Options, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Its own report was never seen, and nothing that lost goes unnamed."""
    for side, content in (
        (options.collection.parent, b"the desk's"),
        (phone_folder(options), b"the train's"),
    ):
        (side / "collection.media").mkdir(exist_ok=True)
        (side / "collection.media" / "same.mp3").write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(session_apply, step, killed)
        with pytest.raises(KeyboardInterrupt):
            sync(options, Silent())
    found = sync(options, Silent())
    assert found.result is Result.FINISHED
    assert [(each.desktop, each.phone) for each in found.conflicts if each.weight is Weight.LOST] == [
        ("from the desk", "from the train")
    ]
    assert [each.name for each in found.media_conflicts] == ["same.mp3"]
    assert [each.name for each in past(options).media] == ["same.mp3"]
    again = sync(options, Silent())
    assert (again.result, again.conflicts, again.media_conflicts) == (Result.UNCHANGED, (), ())


def killed(*_given: object) -> NoReturn:
    raise KeyboardInterrupt


def phone_folder(options: Options) -> Path:
    return Path(options.device.removeprefix("folder:"))


def back_of_first(options: Options, *, phone: bool = False) -> str:
    path = Path(options.device.removeprefix("folder:")) / "collection.anki2" if phone else options.collection
    with editing(path) as col:
        return col.get_note(note_ids(col)[0]).fields[1]


def test_the_other_can_be_taken_after_all(options: Options) -> None:
    assert past(options) is None
    sync(options, Silent())
    (conflict,) = past(options).conflicts
    assert (conflict.desktop, conflict.phone, conflict.chosen) == (
        "from the desk",
        "from the train",
        Side.PHONE,
    )
    assert back_of_first(options) == "from the train"
    taken, report = take_other(options, Silent(), 1)
    assert taken == conflict
    assert report.result is Result.MERGED
    assert report.changes[Side.PHONE]["notes"] == {"added": 0, "updated": 1, "deleted": 0}
    for phone in (False, True):
        assert back_of_first(options, phone=phone) == "from the desk"
    assert sync(options, Silent()).result is Result.UNCHANGED
    assert database_check(options.collection) == []
    with editing(options.collection) as col:
        assert col.get_note(note_ids(col)[1]).fields[1] == "only the desk's"


def test_what_was_taken_is_listed_as_taken_and_can_be_taken_back(options: Options) -> None:
    sync(options, Silent())
    (before,) = past(options).conflicts
    take_other(options, Silent(), 1)
    (taken,) = past(options).conflicts
    assert taken == replace(before, chosen=Side.DESKTOP, reason="you took it after all")
    undo(options, Silent())
    assert past(options).conflicts == (before,)
    undo(options, Silent())
    assert past(options).conflicts == (taken,)
    take_other(options, Silent(), 1)
    assert past(options).conflicts == (before,)
    for phone in (False, True):
        assert back_of_first(options, phone=phone) == "from the train"


def test_a_merge_that_was_undone_has_no_conflicts_left(options: Options) -> None:
    sync(options, Silent())
    take_other(options, Silent(), 1)
    undo(options, Silent(), past(options).backup.id)
    assert past(options) is None
    with pytest.raises(ChoiceNeeded):
        take_other(options, Silent(), 1)
    sync(options, Silent())
    assert [each.chosen for each in past(options).conflicts] == [Side.PHONE]


def test_later_work_stays_when_the_other_is_taken(options: Options) -> None:
    sync(options, Silent())
    with editing(options.collection) as col:
        edit_field(col, note_ids(col)[0], 0, "a front written later")
    with pytest.raises(ChoiceNeeded):
        take_other(options, Silent(), 1)
    sync(options, Silent())
    take_other(options, Silent(), 1)
    with editing(options.collection) as col:
        assert col.get_note(note_ids(col)[0]).fields == ["a front written later", "from the desk"]


def test_a_number_that_is_none_is_a_usage_error(options: Options) -> None:
    sync(options, Silent())
    with pytest.raises(UsageError):
        take_other(options, Silent(), 2)


def test_what_lost_by_ankiwebs_logic_can_be_taken_after_all(options: Options) -> None:
    """The merge is made again by the logic it was made by, whatever is asked for now."""
    with editing(options.collection) as col:
        edit_field(col, note_ids(col)[0], 0, "a front that lost with its row")
    wait_a_second()
    with editing(Path(options.device.removeprefix("folder:")) / "collection.anki2") as col:
        edit_field(col, note_ids(col)[0], 1, "from the train, again")
    sync(replace(options, merge=Logic.ANKIWEB), Silent())
    lost = [(c.unit, c.desktop, c.chosen) for c in past(options).conflicts]
    assert lost == [
        ("Front", "a front that lost with its row", Side.PHONE),
        ("Back", "from the desk", Side.PHONE),
    ]
    take_other(options, Silent(), 1)
    with editing(options.collection) as col:
        assert col.get_note(note_ids(col)[0]).fields == [
            "a front that lost with its row",
            "from the train, again",
        ]
    assert sync(options, Silent()).result is Result.UNCHANGED


# --- what cannot be taken, and what it takes -----------------------------------------------------------

REVERSED = "Basic (and reversed card)"


def pair(tmp_path: Path) -> tuple[Options, Path, Path]:
    """Return two collections in step, with their options."""
    desktop, phone = (tmp_path / side / "collection.anki2" for side in Side)
    new_collection(desktop, notes=9, reviews=9)
    clone(desktop, phone)
    found = Options(
        device=f"folder:{phone.parent}", collection=desktop, environ={"USBSYNC_HOME": str(tmp_path / "home")}
    )
    sync(found, Silent())
    wait_a_second()
    return found, desktop, phone


def cards_of(path: Path, kind: str) -> list[tuple[str, int]]:
    with editing(path) as col:
        cards = map(col.get_card, col.find_cards(f'"note:{kind}"'))
        return sorted((card.note().fields[0], card.ord) for card in cards)


def test_a_template_that_went_comes_back_with_all_its_cards(tmp_path: Path) -> None:
    found, desktop, phone = pair(tmp_path)
    before = cards_of(desktop, REVERSED)
    with editing(desktop) as col:
        notetype = col.models.by_name(REVERSED)
        col.models.remove_template(notetype, notetype["tmpls"][1])
        col.models.update_dict(notetype)
        add_note(col, REVERSED, ["made at the desk", "x"], 1)
    with editing(phone) as col:
        notetype = col.models.by_name(REVERSED)
        notetype["tmpls"][1]["qfmt"] += " from the train"
        col.models.update_dict(notetype)
    sync(found, Silent())
    (conflict,) = past(found).conflicts
    assert (conflict.unit, conflict.chosen) == ("Card 2", Side.DESKTOP)
    take_other(found, Silent(), 1)
    for path in (desktop, phone):
        with editing(path) as col:
            assert col.models.by_name(REVERSED)["tmpls"][1]["qfmt"] == "{{Back}} from the train"
        assert cards_of(path, REVERSED) == sorted([*before, ("made at the desk", 0), ("made at the desk", 1)])
        assert database_check(path) == []
    assert sync(found, Silent()).result is Result.UNCHANGED


def test_a_field_that_stayed_for_what_was_written_in_it_can_go_after_all(tmp_path: Path) -> None:
    found, desktop, phone = pair(tmp_path)
    with editing(desktop) as col:
        notetype = col.models.by_name("Basic")
        col.models.remove_field(notetype, notetype["flds"][1])
        col.models.update_dict(notetype)
    with editing(phone) as col:
        edit_field(col, min(col.find_notes("note:Basic")), 1, "written on the train")
    sync(found, Silent())
    (conflict,) = past(found).conflicts
    assert (conflict.unit, conflict.chosen) == ("Back", Side.PHONE)
    take_other(found, Silent(), 1)
    for path in (desktop, phone):
        with editing(path) as col:
            assert col.models.field_names(col.models.by_name("Basic")) == ["Front"]
        assert database_check(path) == []
    assert sync(found, Silent()).result is Result.UNCHANGED


def test_what_cannot_be_taken_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    found, desktop, phone = pair(tmp_path)
    with editing(desktop) as col:
        col.models.remove(col.models.id_for_name("Cloze"))
    with editing(phone) as col:
        add_note(col, "Cloze", ["{{c1::still used}}", ""], 1)
    sync(found, Silent())
    held = [path.read_bytes() for path in (desktop, phone)]
    (conflict,) = past(found).conflicts
    assert (conflict.title, conflict.unit, conflict.chosen) == ("Cloze", "deletion", Side.PHONE)
    with pytest.raises(ChoiceNeeded) as caught:
        take_other(found, Silent(), 1)
    assert str(caught.value) == (
        "conflict 1 cannot be taken: deleted there, but what was done here needs it; nothing was changed"
    )
    assert "usbsync undo" in caught.value.hint
    assert f"usbsync restore {past(found).backup.id} --side desktop --to" in caught.value.hint
    assert [path.read_bytes() for path in (desktop, phone)] == held
    assert past(found).conflicts == (conflict,)


def read_only(path: Path) -> None:
    """Read a collection as any program may; SQLite leaves an empty `-wal` and a `-shm` beside it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        assert db.execute("select count() from notes").fetchone() == (6,)
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0


def test_who_only_read_changed_nothing(options: Options) -> None:
    sync(options, Silent())
    phone = Path(options.device.removeprefix("folder:")) / "collection.anki2"
    for path in (options.collection, phone):
        read_only(path)
    assert status(options, Silent()).state is State.IN_STEP
    take_other(options, Silent(), 1)
    for path in (options.collection, phone):
        assert not path.with_name(f"{path.name}-wal").exists()  # it was another collection's
        read_only(path)
    undo(options, Silent())
    for path in (options.collection, phone):
        read_only(path)
    assert (back_of_first(options), back_of_first(options, phone=True)) == (
        "from the train",
        "from the train",
    )
