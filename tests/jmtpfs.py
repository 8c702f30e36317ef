"""A phone mounted by jmtpfs, as far as its renames go: an upload under the new name, then the old file's deletion."""

from __future__ import annotations

import errno
from pathlib import Path

from usbsync.transport.mtp import MtpTransport


class Jmtpfs(MtpTransport):
    """The cable goes after `ops` of the small steps that renames are made of."""

    ops = 1 << 30

    def _rename(self, source: Path, target: Path) -> None:
        data = source.read_bytes()
        self._step(lambda: target.unlink(missing_ok=True))
        assert not target.exists(), "MTP would make a second file of that name"
        for piece in (data[: len(data) // 2], data):
            self._step(lambda piece=piece: target.write_bytes(piece))
        self._step(source.unlink)

    def _inside(self, path: str) -> Path:
        self._there()
        return super()._inside(path)

    def _step(self, do) -> None:
        self._there()
        self.ops -= 1
        do()

    def _there(self) -> None:
        if self.ops <= 0:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
