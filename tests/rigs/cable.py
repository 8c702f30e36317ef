"""A cable that can be cut: a TCP proxy that ends, resets or stalls after so many bytes one way.

Once cut nobody listens at its port any more. With `instead` it is not cut: that is called, and it carries on.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cut(StrEnum):
    FIN = "fin"
    RST = "rst"
    STALL = "stall"


class Way(StrEnum):
    UP = "up"  # towards the phone
    DOWN = "down"


class Cable:
    """Forward one connection at a time from `port` to a phone's, and cut it after `after` bytes of one way."""

    def __init__(
        self,
        phone_port: int,
        *,
        after: int = -1,
        way: Way = Way.UP,
        how: Cut = Cut.FIN,
        instead: Callable[[], None] | None = None,
    ) -> None:
        self._phone_port, self._after, self._way, self._how = phone_port, after, way, how
        self._instead = instead
        self.is_cut = threading.Event()
        self.cut_at = 0.0  # time.monotonic()
        self.carried = 0  # bytes of all connections, both ways
        self.passed = {Way.UP: 0, Way.DOWN: 0}  # bytes so far
        self._wake, self._woken = socket.socketpair()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._wake.close()
        self._thread.join(10)
        self._server.close()
        self._woken.close()

    def cut(self) -> None:
        """Cut now, whatever has gone through."""
        self._wake.send(b"x")

    def _serve(self) -> None:
        while select.select([self._server, self._woken], [], [])[0] == [self._server]:
            near, _ = self._server.accept()
            with near, socket.create_connection(("127.0.0.1", self._phone_port)) as far:
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with contextlib.suppress(ConnectionError):
                    self._forward(near, far)
            if self._server.fileno() < 0:
                return

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        while True:
            ready = select.select([near, far, self._woken], [], [])[0]
            if self._woken in ready:
                return self._end(near, far)
            for source, target, way in ((near, far, Way.UP), (far, near, Way.DOWN)):
                if source not in ready:
                    continue
                data = source.recv(65536)
                left = self._after - self.passed[way]
                due = way is self._way and self._after >= 0 and len(data) >= left and not self.is_cut.is_set()
                if due:
                    target.sendall(data[:left])
                    if self._instead is None:
                        return self._end(near, far)
                    self._call(self._instead)
                    self.passed[way], data = self.passed[way] + left, data[left:]
                if not data and not due:
                    return None
                target.sendall(data)
                self.passed[way] += len(data)
                self.carried += len(data)

    def _call(self, instead: Callable[[], None]) -> None:
        self.is_cut.set()
        self.cut_at = time.monotonic()
        instead()

    def _end(self, near: socket.socket, far: socket.socket) -> None:
        self.is_cut.set()
        self.cut_at = time.monotonic()
        self._server.close()
        if self._how is Cut.STALL:
            select.select([self._woken], [], [])  # until close
        if self._how is Cut.RST:
            for each in (near, far):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.fixture
def cable() -> Iterator[Callable[..., Cable]]:
    """Lay a cable: `cable(phone.port, after=N, way=Way.UP, how=Cut.FIN).port`."""
    laid: list[Cable] = []

    def lay(phone_port: int, **options: object) -> Cable:
        laid.append(Cable(phone_port, **options))
        return laid[-1]

    yield lay
    for each in laid:
        each.close()
