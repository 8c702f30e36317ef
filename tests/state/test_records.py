from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usbsync.errors import DamagedData
from usbsync.state.records import read_record, write_record

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
records = st.dictionaries(st.text(st.characters()), values, max_size=5)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "record.json"


@settings(deadline=None)  # each example waits for the disk
@given(record=records)
def test_what_was_written_is_read(path, record):
    write_record(path, record, version=1)
    assert read_record(path, version=1) == record


def test_no_record_is_none(tmp_path):
    assert read_record(tmp_path / "absent", version=1) is None


@settings(deadline=None)  # each example waits for the disk
@given(record=records, data=st.data())
def test_a_torn_record_is_told(path, record, data):
    write_record(path, record, version=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DamagedData, match="damaged"):
        read_record(path, version=1)


@settings(deadline=None)  # each example waits for the disk
@given(record=records, data=st.data())
def test_a_garbled_record_is_told_or_reads_the_same(path, record, data):
    write_record(path, record, version=1)
    garbled = bytearray(path.read_bytes())
    garbled[data.draw(st.integers(0, len(garbled) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(garbled)
    with suppress(DamagedData):
        assert read_record(path, version=1) == record


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "3", "{}", '{"version":1}', "[" * 100_000, '{"version":"1","record":{}}']
)
def test_what_is_no_record_is_told(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(DamagedData, match="damaged"):
        read_record(tmp_path / "x", version=1)


def test_a_record_of_a_newer_usbsync_says_so(tmp_path):
    write_record(tmp_path / "x", {}, version=2)
    with pytest.raises(DamagedData, match="newer usbsync") as told:
        read_record(tmp_path / "x", version=1)
    assert "update usbsync" in told.value.hint
    (tmp_path / "x").write_text(json.dumps({"version": 9, "entirely": "different"}))
    with pytest.raises(DamagedData, match="newer usbsync"):
        read_record(tmp_path / "x", version=1)
