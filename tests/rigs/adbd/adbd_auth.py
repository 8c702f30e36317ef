"""adbd_auth.py ADBD OUT: a copy of Debian's adbd that asks for authentication.

Debian patches `auth_required = false` into adbd_main; the store before the load of "ADB_EXTERNAL_STORAGE" is
turned from 0 to 1. Exactly one place must fit, else this stops.
"""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path

LOAD = 1  # PT_LOAD


def segments(elf: bytes) -> list[tuple[int, int, int]]:
    (table,) = struct.unpack_from("<Q", elf, 32)
    (count,) = struct.unpack_from("<H", elf, 56)
    rows = [struct.unpack_from("<IIQQQQQQ", elf, table + 56 * i) for i in range(count)]
    return [(offset, address, size) for kind, _, offset, address, _, size, *_ in rows if kind == LOAD]


def address_of(offset: int, loaded: list[tuple[int, int, int]]) -> int:
    return next(at + offset - start for start, at, size in loaded if start <= offset < start + size)


def patched(elf: bytearray) -> bytearray:
    loaded = segments(elf)
    wanted = address_of(elf.index(b"\0ADB_EXTERNAL_STORAGE\0") + 1, loaded)
    places = [found.start() for found in re.finditer(rb"\xc6\x00\x00\x48\x8d\x3d", elf)]
    places = [
        at
        for at in places
        if address_of(at + 10, loaded) + struct.unpack_from("<i", elf, at + 6)[0] == wanted
    ]
    (place,) = places
    elf[place + 2] = 1
    return elf


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_bytes(patched(bytearray(source.read_bytes())))
    target.chmod(0o755)
