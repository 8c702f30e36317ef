"""The frames of Zstandard (RFC 8878), so far as a package's safety needs them: how much one may unpack to.

Python has no Zstandard before 3.14, and Anki, which has, unpacks whatever it is given. A frame is a list of blocks, none
of which makes more than 128 KiB, and their headers stand in clear: counting them needs no decoder.
"""

from __future__ import annotations

from typing import Protocol

from usbsync.errors import DamagedData

BLOCK = 128 << 10
_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPED = b"\x2a\x4d\x18"  # after a byte of 0x50 to 0x5f
_RAW, _RLE, _COMPRESSED = range(3)


class Reader(Protocol):
    """A file that is read from its beginning."""

    def read(self, count: int, /) -> bytes:
        """Return this many bytes, or fewer at the end."""


def most(reader: Reader) -> int:
    """Return the bytes that a file of frames unpacks to at most; exact where nothing in it is compressed.

    Raises DamagedData where it is no Zstandard or ends too early.
    """
    total = 0
    while magic := reader.read(4):
        if magic[1:] == _SKIPPED and magic[0] >> 4 == 0x5:  # noqa: PLR2004 - the format's
            _exactly(reader, int.from_bytes(_exactly(reader, 4), "little"))
        elif magic == _MAGIC:
            total += _frame(reader)
        else:
            raise DamagedData("it is not Zstandard")
    return total


def _frame(reader: Reader) -> int:
    descriptor = _exactly(reader, 1)[0]
    single = bool(descriptor & 0x20)
    size = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    _exactly(reader, (not single) + (0, 1, 2, 4)[descriptor & 3] + size)
    total, last = 0, False
    while not last:
        header = int.from_bytes(_exactly(reader, 3), "little")
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        if kind > _COMPRESSED or length > BLOCK:
            raise DamagedData("it is not Zstandard")
        _exactly(reader, 1 if kind == _RLE else length)
        total += BLOCK if kind == _COMPRESSED else length
    _exactly(reader, 4 if descriptor & 4 else 0)
    return total


def _exactly(reader: Reader, count: int) -> bytes:
    data = reader.read(count)
    if len(data) != count:
        raise DamagedData("it is cut short")
    return data


def plain(data: bytes) -> bytes:
    """Write data as one frame with nothing compressed."""
    head = _MAGIC + b"\xe0" + len(data).to_bytes(8, "little")
    starts = range(0, max(len(data), 1), BLOCK)
    blocks = [data[start : start + BLOCK] for start in starts]
    return head + b"".join(
        (len(block) << 3 | (at == len(blocks) - 1)).to_bytes(3, "little") + block
        for at, block in enumerate(blocks)
    )
