from __future__ import annotations

import pytest

from usbsync.errors import DamagedData
from usbsync.state.files import TEMPORARY
from usbsync.state.journal import Journal
from usbsync.state.records import write_record

RECORD = {
    "backup": "2026-11-21T08-46-05Z",
    "sides": {"phone": {"flip": [["remove", "/sdcard/\udcff"]]}},
    "when": 1.5,
}


@pytest.fixture
def journal(pair):
    return Journal(pair)


def test_no_journal_is_none_and_clearing_it_is_no_error(journal):
    assert journal.read() is None
    journal.clear()
    assert not journal.pair.home.exists()


def test_what_was_written_is_read_until_it_is_cleared(journal):
    journal.write(RECORD)
    assert journal.read() == RECORD
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
    journal.write(RECORD)
    journal.path.write_bytes(journal.path.read_bytes()[:cut])
    with pytest.raises(DamagedData, match="damaged"):
        journal.read()


def test_a_record_of_a_newer_usbsync_is_left_to_it(journal):
    journal.write({})
    write_record(journal.path, {}, version=99)
    with pytest.raises(DamagedData, match="newer usbsync"):
        journal.read()


def test_a_fault_while_writing_leaves_no_record_or_the_whole_one(disturbed):
    def scenario(pair, inject):
        journal = Journal(pair)
        done = inject(lambda: journal.write(RECORD))
        found = journal.read()
        assert found is None or found == RECORD
        assert found or not done
        journal.clear()
        assert journal.read() is None
        return done

    disturbed(scenario)


def test_a_fault_while_clearing_leaves_the_record_or_none(disturbed):
    def scenario(pair, inject):
        journal = Journal(pair)
        journal.write(RECORD)
        done = inject(journal.clear)
        found = journal.read()
        assert found is None or (found == RECORD and not done)
        journal.clear()
        return done

    disturbed(scenario)
