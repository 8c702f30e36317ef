"""The way through an adb server that is running already: adbutils for its protocol, streams over its sockets.

adbutils starts a server when none answers; `_Connection` does not. Its file layer is not used (45 ms a file).
Where the server is: ANDROID_ADB_SERVER_ADDRESS (as adb) or ANDROID_ADB_SERVER_HOST (as adbutils), _PORT; else 127.0.0.1:5037.
"""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from usbsync.errors import NoPhone, PhoneFailed, PhoneGone, PhoneRefused, PhoneUnauthorized, UsageError
from usbsync.transport.duplex import Silence
from usbsync.transport.paths import said

PORT = "ANDROID_ADB_SERVER_PORT"


def _port() -> int:
    """Return the server's port; UsageError where the environment names none."""
    port = os.environ.get(PORT) or "5037"
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"{PORT} is {port!r}, and that is no port", hint="unset it, or set it to a number")
    return int(port)


# adbutils reads it while it is imported, and what is no number, or empty, ends that
_port()
if not os.environ.get(PORT):
    os.environ.pop(PORT, None)

from adbutils import AdbClient  # noqa: E402
from adbutils._adb import AdbConnection  # noqa: E402
from adbutils.errors import AdbConnectionError, AdbError, AdbTimeout  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = 1 << 20
_CONNECT_SECONDS = 10.0
NO_SERVER = "start one with: adb start-server; or leave --device adb out to use the USB cable directly"


class _Connection(AdbConnection):  # type: ignore[misc]
    """One connection to the server; never starts a server."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._where = (host, port, seconds)
        super().__init__(host, port)

    def _safe_connect(self) -> socket.socket:
        host, port, seconds = self._where
        try:
            return socket.create_connection((host, port), timeout=seconds)
        except OSError as error:
            raise AdbConnectionError(str(error)) from error


class _Client(AdbClient):  # type: ignore[misc]
    """adbutils' client over such connections."""

    def make_connection(self, timeout: float | None = None) -> _Connection:
        """Connect; AdbConnectionError when no server is running."""
        return _Connection(self.host, self.port, timeout or _CONNECT_SECONDS)


class Server:
    """One phone of the server's (an Opener)."""

    def __init__(self, serial: str) -> None:
        self.name = serial
        with _asked(serial), _connected(_CONNECT_SECONDS) as connection:
            _say(connection, f"host-serial:{serial}:features".encode())
            self._features = frozenset(connection.read_string_block().split(","))
            connection.conn.close()

    @property
    def features(self) -> frozenset[str]:
        """What the phone and the server both offer."""
        return self._features

    @property
    def lanes(self) -> int:
        """Each stream waits for the phone after every packet, so that one alone leaves the cable idle (lanes.py)."""
        return 2

    @property
    def shares_link(self) -> bool:
        """Each stream is a socket of its own."""
        return False

    def open(self, service: bytes, seconds: float) -> SocketStream:
        """Open a service on the phone; a server or phone that was there before, and is not now, is PhoneGone."""
        try:
            with _connected(seconds) as connection:
                with _asked(self.name):
                    _say(connection, f"host:transport:{self.name}".encode())
                with _asked(self.name, opening=service):
                    _say(connection, service)
                return SocketStream(connection.conn)
        except NoPhone as error:
            raise PhoneGone(str(error)) from error

    def close(self) -> None:
        """Do nothing: every stream has a socket of its own."""


class SocketStream:
    """A service's bytes over a socket of the server's (a Duplex)."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(0)

    def exchange(self, out: memoryview, seconds: float) -> tuple[int, bytes]:
        """Send some of `out`, or take what came; see Duplex."""
        until = time.monotonic() + seconds
        while True:
            got = self._receive()  # first: a server that refuses closes with its reason unread
            sent = self._send(out) if out and got != b"" else 0
            if sent or got is not None:
                return sent, got or b""
            self._wait(sending=bool(out), until=until)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _receive(self) -> bytes | None:
        """Return what came, b"" at the end, None when nothing is there."""
        try:
            return self._socket.recv(_READ)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PhoneGone(f"the adb server lost the phone: {error}") from error

    def _send(self, out: memoryview) -> int:
        try:
            return self._socket.send(out)
        except BlockingIOError:
            return 0
        except OSError:
            return 0  # the next receive tells what happened, after what was said before it

    def _wait(self, *, sending: bool, until: float) -> None:
        left = until - time.monotonic()
        waiting = [self._socket] if sending else []
        if left <= 0 or not any(select.select([self._socket], waiting, [], left)):
            raise Silence("the phone did not answer in time")


def devices() -> list[tuple[str, str, str]]:
    """Return (serial, state, model) of all that the server knows, made printable; NoPhone when none is running."""
    with _asked("the adb server"):
        found = _client().list(extended=True)
    rows = ((info.serial, info.state, info.tags.get("model", "")) for info in found)
    return [(_text(serial), _text(state), _text(model)) for serial, state, model in rows]


class Following:
    """A server's own word of what it knows, at once and whenever that changes; NoPhone when none is running."""

    def __init__(self) -> None:
        with _asked("the adb server"), _connected(_CONNECT_SECONDS) as connection:
            _say(connection, b"host:track-devices")
            connection.conn.settimeout(None)
            connection.conn.setsockopt(
                socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
            )  # it may be another computer's
            self._connection = connection

    def next(self) -> dict[str, str]:
        """Wait for the next list, of states by serial, made printable; PhoneGone when the server ends."""
        with _asked("the adb server"):
            text = str(self._connection.read_string_block())
        rows = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
        return {_text(serial): _text(state) for serial, state in rows}

    def close(self) -> None:
        """End it, also for a thread that waits for the next list."""
        with suppress(OSError):
            self._connection.conn.shutdown(socket.SHUT_RDWR)
        self._connection.conn.close()


@contextmanager
def _connected(seconds: float) -> Iterator[_Connection]:
    """Connect to the server; the socket is closed on failure only (adbutils' own close sleeps 10 ms)."""
    with _asked("the adb server"):
        connection = _client().make_connection(seconds)
    try:
        yield connection
    except BaseException:
        connection.conn.close()
        raise


def _say(connection: _Connection, request: bytes) -> None:
    """Make a request whole (adbutils' send may stop in the middle, and cannot send what is no text)."""
    connection.conn.sendall(b"%04x" % len(request) + request)
    connection.check_okay()


def _client() -> _Client:
    """Return adbutils' client for the server that the environment names."""
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS") or os.environ.get("ANDROID_ADB_SERVER_HOST")
    return _Client(host or "127.0.0.1", _port())


def _text(word: str) -> str:
    return said(word.encode("utf-8", "replace"), most=100)


@contextmanager
def _asked(name: str, *, opening: bytes = b"") -> Iterator[None]:
    """Turn adbutils' errors into ours."""
    try:
        yield
    except AdbConnectionError as error:
        raise NoPhone("no adb server is running", hint=NO_SERVER) from error
    except (AdbTimeout, TimeoutError) as error:
        raise Silence(f"the adb server did not answer in time about {name}") from error
    except (AdbError, OSError, EOFError, ValueError) as error:
        raise _meaning(name, str(error), opening) from error


def _meaning(name: str, message: str, opening: bytes) -> PhoneFailed | NoPhone:
    if "unauthorized" in message or "still authorizing" in message:
        return PhoneUnauthorized(f"{name} has not allowed this computer")
    if "not found" in message and not opening:
        return NoPhone(f"the adb server does not know {name}")
    if message in {"closed", "connect failed: closed"} and opening:
        return PhoneRefused(f"the phone does not offer {said(opening, most=60)}")
    if message.startswith("Unknown data") and not opening:
        return PhoneFailed(
            f"what answers on port {_port()} is no adb server",
            hint=f"end that program, or let {PORT} name the port that your adb server has",
        )
    return PhoneGone(f"the adb server on {name}: {_text(message) or 'connection closed'}")
