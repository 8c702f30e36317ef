"""Commands on the phone, over adbd's `shell,v2,raw:`: exit code, separate stderr, stdin that ends.

Never `shell:` or `exec:`: those run on a terminal, slower and without a code (reference/adb.md). Packets: AOSP
`shell_protocol.h`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from usbsync.errors import DamagedData, PhoneFailed, PhoneRefused
from usbsync.transport.base import Completed
from usbsync.transport.duplex import Conversation, converse
from usbsync.transport.paths import encoded, said, shown

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from usbsync.transport.duplex import Opener

_HEAD = struct.Struct("<BI")
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_PIECE = 64 * 1024
LONGEST = 60_000
"""Bytes of a command: an adb server takes 65,535 for a service, Linux 131,072 for one argument of a program."""
MOST_OUTPUT = 256 << 20


def quoted(argv: Sequence[str]) -> bytes:
    """Return a shell line that runs exactly this; each word in single quotes, where nothing has a meaning."""
    if any("\0" in word for word in argv):
        raise PhoneRefused(f"a command cannot hold NUL: {shown(' '.join(argv))}")
    return b" ".join(quoted_word(word) for word in argv)


def quoted_word(word: str) -> bytes:
    """Return one word in single quotes."""
    return b"'" + encoded(word).replace(b"'", b"'\\''") + b"'"


def run(opener: Opener, command: bytes, *, stdin: bytes = b"", seconds: float) -> Completed:
    """Run a shell line; `seconds` bounds the whole run. PhoneGone when that is over or the link is lost."""
    if "shell_v2" not in opener.features:
        raise PhoneFailed("the phone's Android is older than 7: it has no shell with exit codes")
    if len(command) > LONGEST:
        raise PhoneRefused(f"a command of {len(command)} bytes is too long: {said(command, most=60)}...")
    stream = opener.open(b"shell,v2,raw:" + command, seconds)
    try:
        return converse(Conversation(stream, _input(stdin), _output()), patience=seconds, seconds=seconds)
    finally:
        stream.close()


def _input(stdin: bytes) -> Iterator[bytes]:
    for at in range(0, len(stdin), _PIECE):
        piece = stdin[at : at + _PIECE]
        yield _HEAD.pack(_STDIN, len(piece)) + piece
    yield _HEAD.pack(_CLOSE_STDIN, 0)


def _output() -> Generator[int, memoryview, Completed]:
    outputs = {_STDOUT: bytearray(), _STDERR: bytearray()}
    while True:
        kind, size = _HEAD.unpack((yield _HEAD.size))
        if size > MOST_OUTPUT or sum(map(len, outputs.values())) > MOST_OUTPUT:
            raise DamagedData("a command on the phone answers without end")
        data = yield size
        if kind == _EXIT and data:
            return Completed(data[0], bytes(outputs[_STDOUT]), bytes(outputs[_STDERR]))
        if kind in outputs:
            outputs[kind] += data
