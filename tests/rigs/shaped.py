"""A cable with the pace of USB 2: a TCP proxy, in a process of its own, with a rate and a delay each way."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 35_000_000  # bytes a second
DELAY = 0.0005  # seconds each way
PIECE = 16 * 1024
BUFFER = 256 * 1024  # of the sockets: less than a packet of loopback, and TCP waits for timers
HELD = 16  # pieces on the cable at once, as adbd queues its USB reads


@contextlib.contextmanager
def shaped(port: int, *, rate: int = RATE, delay: float = DELAY) -> Iterator[int]:
    """Lay the cable to a listening port of this machine; gives the port at its near end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        worker = multiprocessing.get_context("fork").Process(
            target=serve, args=(server, port, rate, delay), daemon=True
        )
        worker.start()
        yield server.getsockname()[1]
    worker.kill()
    worker.join()


def serve(server: socket.socket, port: int, rate: int, delay: float) -> None:
    while True:
        near, _ = server.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            threading.Thread(target=Lane(one, other, rate, delay).run, daemon=True).start()


class Lane:
    """One way of the cable: `run` puts pieces on it, a second thread takes them off when they are due."""

    def __init__(self, source: socket.socket, target: socket.socket, rate: int, delay: float) -> None:
        self.source, self.target, self.rate, self.delay = source, target, rate, delay
        self.on_it: deque[tuple[float, bytes]] = deque()
        self.room, self.there = threading.Semaphore(HELD), threading.Semaphore(0)

    def run(self) -> None:
        threading.Thread(target=self.deliver, daemon=True).start()
        free = 0.0
        data = b"x"
        while data:
            try:
                data = self.source.recv(PIECE)
            except OSError:
                data = b""
            free = max(free, time.perf_counter()) + len(data) / self.rate
            self.room.acquire()
            self.on_it.append((free + self.delay, data))
            self.there.release()

    def deliver(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.there.acquire()
                due, data = self.on_it.popleft()
                if (wait := due - time.perf_counter()) > 0:
                    time.sleep(wait)
                if not data:
                    break
                self.target.sendall(data)
                self.room.release()
        with contextlib.suppress(OSError):
            self.target.shutdown(socket.SHUT_WR)
