"""What lost in a merge is listed, and can be taken after all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from worlds import clone, database_check, edit_field, editing, new_collection, note_ids, wait_a_second

from usbsync.core.conflict import Logic, Side
from usbsync.errors import ChoiceNeeded, UsageError
from usbsync.session.conflicts import past, take_other
from usbsync.session.options import Options
from usbsync.session.report import Result
from usbsync.session.sync import sync
from usbsync.session.talk import Silent


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
