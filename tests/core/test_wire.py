"""Protobuf taken apart and put together, held against google's own implementation."""

from __future__ import annotations

import pytest
from anki import deck_config_pb2, decks_pb2, notetypes_pb2
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core import wire

Options = deck_config_pb2.DeckConfig.Config
Normal = decks_pb2.Deck.Normal
Common = decks_pb2.Deck.Common
FieldConfig = notetypes_pb2.Notetype.Field.Config

int32 = st.integers(-(2**31), 2**31 - 1)
uint32 = st.integers(0, 2**32 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
float32 = st.floats(width=32, allow_nan=False)

commons = st.builds(
    Common, study_collapsed=st.booleans(), last_day_studied=uint32, new_studied=int32, review_studied=int32,
    milliseconds_studied=int32, other=st.binary(max_size=200),
)  # fmt: skip
options = st.builds(
    Options, learn_steps=st.lists(float32, max_size=5), new_per_day=uint32, initial_ease=float32,
    disable_autoplay=st.booleans(), other=st.binary(max_size=300),
)  # fmt: skip
normals = st.builds(Normal, config_id=int64, description=st.text(max_size=50), extend_new=uint32,
                    new_limit=st.none() | uint32)  # fmt: skip
messages = st.one_of(
    commons, options, normals, st.builds(FieldConfig, id=st.none() | int64, font_name=st.text())
)


@given(messages)
def test_what_is_taken_apart_comes_together(message):
    blob = message.SerializeToString(deterministic=True)
    assert wire.join(wire.split(blob)) == blob


@given(messages, messages)
def test_fields_this_version_does_not_know_come_out_byte_for_byte(known, unknown):
    """A message of another type brings numbers and kinds that mean nothing here; a later field wins or is appended."""
    blob = known.SerializeToString() + wire.message_field(1000, unknown.SerializeToString())
    parts = wire.split(blob)
    assert wire.join(parts) == blob
    assert wire.message(parts[1000]) == unknown.SerializeToString()


@given(commons)
def test_each_field_alone_parses_to_its_value(message):
    parts = wire.split(message.SerializeToString())
    for number, name in (
        (1, "study_collapsed"),
        (3, "last_day_studied"),
        (4, "new_studied"),
        (7, "milliseconds_studied"),
    ):
        raw = parts.get(number, b"")
        assert wire.varint(raw) == getattr(message, name)
        assert getattr(Common.FromString(raw), name) == getattr(message, name)
    assert wire.message(parts.get(255, b"")) == message.other


@given(int64, st.integers(1, 2**29 - 1))
def test_a_number_is_written_as_google_writes_it(value, number):
    raw = wire.varint_field(number, value)
    assert wire.varint(raw) == value
    assert wire.split(raw) == ({number: raw} if value else {})
    assert Normal(config_id=value).SerializeToString() == wire.varint_field(1, value)


@given(int32)
def test_a_negative_int32_takes_ten_bytes_as_googles_does(value):
    assert Common(new_studied=value).SerializeToString() == wire.varint_field(4, value)


@given(st.binary(max_size=300), st.integers(1, 2**29 - 1))
def test_a_message_in_a_message(payload, number):
    raw = wire.message_field(number, payload)
    assert wire.message(raw) == payload
    assert wire.split(raw) == {number: raw}


@given(st.binary(min_size=1, max_size=300))
def test_a_message_in_a_message_is_written_as_google_writes_it(payload):
    assert Common(other=payload).SerializeToString() == wire.message_field(255, payload)


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 2**64 - 1)), max_size=8))
def test_repeated_fields_stay_together_in_order(pairs):
    blob = b"".join(wire.varint_field(number, value) for number, value in pairs)
    parts = wire.split(blob)
    for number, raw in parts.items():
        assert raw == b"".join(wire.varint_field(n, v) for n, v in pairs if n == number)
    assert list(wire.split(wire.join(parts))) == sorted(parts)


def test_of_a_repeated_message_the_last_counts():
    assert wire.message(wire.message_field(3, b"one") + wire.message_field(3, b"two")) == b"two"


def test_numbers_of_fixed_width_are_passed_over():
    fixed = b"\x0d\x01\x02\x03\x04" + b"\x11" + bytes(8) + wire.varint_field(3, 9)
    assert wire.split(fixed) == {1: fixed[:5], 2: fixed[5:14], 3: b"\x18\x09"}
    assert wire.split(Options(initial_ease=2.5).SerializeToString()) == {
        11: Options(initial_ease=2.5).SerializeToString()
    }


@pytest.mark.parametrize(
    ("blob", "why"),
    [(b"\x08", "cut short"), (b"\x08\x80", "cut short"), (b"\x0a\x05ab", "cut short"), (b"\x0d\x01\x02\x03", "cut short"),
     (b"\x09\x01", "cut short"), (b"\x0b", "wire type 3"), (b"\x0c", "wire type 4"), (b"\x0f", "wire type 7"),
     (b"\x0e", "wire type 6"), (b"\x00\x01", "cut short"), (b"\x08" + b"\xff" * 10 + b"\x01", "too long"),
     (b"\x80", "cut short")],
)  # fmt: skip
def test_what_is_no_message_is_said_to_be_none(blob, why):
    with pytest.raises(wire.NotProtobuf, match=why):
        wire.split(blob)


@given(st.binary(max_size=40))
def test_no_bytes_do_anything_worse(blob):
    try:
        parts = wire.split(blob)
    except wire.NotProtobuf:
        return
    assert sum(map(len, parts.values())) == len(blob)
    assert wire.split(wire.join(parts)) == parts


def test_nothing_is_protobufs_default():
    assert wire.varint(b"") == 0
    assert wire.varint_field(1, 0) == b""
    assert wire.message(b"") == b""
    assert wire.split(b"") == {}
