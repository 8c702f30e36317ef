"""Protobuf messages as a mapping of field number to raw bytes, so that each option merges on its own.

Decks, deck options and notetypes are protobuf blobs. Taken apart by field number, an option that this
version has never heard of is one more number: it is merged like any other and comes out byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class NotProtobuf(ValueError):
    """The bytes are no protobuf message."""


def split(blob: bytes) -> dict[int, bytes]:
    """Take a message apart into its fields, each with its tags, repeated ones together in order.

    Raises:
        NotProtobuf: the bytes end early or hold an unknown wire type.
    """
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(blob):
        number, end = _field(blob, at)
        fields[number] = fields.get(number, b"") + blob[at:end]
        at = end
    return fields


def join(fields: Mapping[int, bytes]) -> bytes:
    """Put a message together again, in the order of its field numbers (as prost writes)."""
    return b"".join(fields[number] for number in sorted(fields))


def varint(raw: bytes) -> int:
    """Return the value of a varint field as `split` gave it; an absent one (b"") is protobuf's default, 0."""
    if not raw:
        return 0
    _tag, at = _varint(raw, 0)
    value = _varint(raw, at)[0]
    return value - (1 << 64) if value >> 63 else value  # int32 and int64: two's complement in 64 bits


def varint_field(number: int, value: int) -> bytes:
    """Encode a varint field, or nothing for the default 0."""
    return bytes((*_encode(number << 3 | _VARINT), *_encode(value & (1 << 64) - 1))) if value else b""


def message(raw: bytes) -> bytes:
    """Return the payload of a length-delimited field as `split` gave it (the last, where it is repeated)."""
    return [b"", *messages(raw)][-1]


def messages(raw: bytes) -> Iterator[bytes]:
    """Yield the payloads of a length-delimited field that is repeated."""
    at = 0
    while at < len(raw):
        _tag, at = _varint(raw, at)
        size, at = _varint(raw, at)
        yield raw[at : at + size]
        at += size


def message_field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field."""
    return bytes((*_encode(number << 3 | _BYTES), *_encode(len(payload)))) + payload


def _field(blob: bytes, at: int) -> tuple[int, int]:
    """Return the number of the field that begins here, and where it ends."""
    tag, at = _varint(blob, at)
    kind = tag & 7
    if kind == _VARINT:
        _value, end = _varint(blob, at)
    elif kind == _BYTES:
        size, at = _varint(blob, at)
        end = at + size
    elif kind in {_FIXED64, _FIXED32}:
        end = at + (8 if kind == _FIXED64 else 4)
    else:
        raise NotProtobuf(f"wire type {kind}")
    if end > len(blob) or tag < 8:  # noqa: PLR2004 - field numbers begin at 1
        raise NotProtobuf("a field is cut short")
    return tag >> 3, end


def _varint(blob: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(blob):
            raise NotProtobuf("a number is cut short")
        byte = blob[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004
            return value, at
    raise NotProtobuf("a number is too long")


def _encode(value: int) -> Iterator[int]:
    while value > 0x7F:  # noqa: PLR2004
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
