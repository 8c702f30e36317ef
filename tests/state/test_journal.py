from __future__ import annotations

import pytest

from usbsync.errors import DamagedData
from usbsync.state.files import TEMPORARY
from usbsync.state.journal import Journal, Record, from_record
from usbsync.state.records import write_record

RENAME = {"op": "rename", "source": "/stage/c", "target": "/collection.anki2", "sha256": "ab"}
REMOVE = {"op": "remove", "path": "/collection.anki2-wal"}
RECORD = Record(
    id="2026-11-21T08-46-05Z",
    created="2026-11-21T08:46:05Z",
    desktop=(REMOVE, RENAME),
    phone=(RENAME,),
    staged={"desktop": "/stage", "phone": "/sdcard/\udcff"},
    backup="2026-11-21T08-46-05Z",
    remember={"when": 1.5},
)


@pytest.fixture
def journal(pair):
    return Journal(pair)


def test_no_journal_is_none_and_clearing_it_is_no_error(journal):
    assert journal.read() is None
    journal.clear()
    assert not journal.pair.home.exists()


def test_what_was_written_is_read_until_it_is_cleared(journal):
    journal.write(RECORD.as_record())
    assert from_record(journal.read(), journal.path) == RECORD
    journal.clear()
    assert journal.read() is None
    journal.clear()


def test_any_mapping_can_be_written(journal):
    journal.write({"anything": [1, None, {"x": "y"}]})
    assert journal.read() == {"anything": [1, None, {"x": "y"}]}


def test_a_torn_temporary_file_counts_as_nothing_and_is_cleared_away(journal):
    folder = journal.pair.create()
    (folder / f".journal.json.abc{TEMPORARY}").write_text('{"version":1,"rec')
    assert journal.read() is None
    journal.clear()
    assert [path.name for path in folder.iterdir()] == ["pair.json"]


@pytest.mark.parametrize("cut", [0, 1, -1, 40])
def test_a_torn_record_is_told(journal, cut):
    journal.write(RECORD.as_record())
    journal.path.write_bytes(journal.path.read_bytes()[:cut])
    with pytest.raises(DamagedData, match="damaged"):
        journal.read()


def test_a_record_of_a_newer_usbsync_is_left_to_it(journal):
    journal.write({})
    write_record(journal.path, {}, version=99)
    with pytest.raises(DamagedData, match="newer usbsync"):
        journal.read()


@pytest.mark.parametrize(
    "wrong",
    [
        {"desktop": None},
        {"id": 5},
        {"phone": [{"op": "format", "path": "/"}]},
        {"phone": [{"op": "rename", "source": "/x"}]},
        {"phone": [{"op": "remove", "path": 5}]},
        {"phone": [{"op": "remove", "path": "/x", "also": "/y"}]},
        {"phone": [{"path": "/x"}]},
        {"phone": ["remove /x"]},
        {"backup": 5},
        {"remember": []},
    ],
)
def test_a_record_that_is_no_commit_record_is_told(journal, wrong):
    with pytest.raises(DamagedData, match="no commit record"):
        from_record(RECORD.as_record() | wrong, journal.path)


def test_a_fault_while_writing_leaves_no_record_or_the_whole_one(disturbed):
    def scenario(pair, inject):
        journal = Journal(pair)
        done = inject(lambda: journal.write(RECORD.as_record()))
        found = journal.read()
        assert found is None or from_record(found, journal.path) == RECORD
        assert found or not done
        journal.clear()
        assert journal.read() is None
        return done

    disturbed(scenario)


def test_a_fault_while_clearing_leaves_the_record_or_none(disturbed):
    def scenario(pair, inject):
        journal = Journal(pair)
        journal.write(RECORD.as_record())
        done = inject(journal.clear)
        found = journal.read()
        assert found is None or (from_record(found, journal.path) == RECORD and not done)
        journal.clear()
        return done

    disturbed(scenario)
