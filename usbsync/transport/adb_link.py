"""One link to one adbd: packets, and the handshake by which the phone lets this computer in.

Protocol: AOSP `packages/modules/adb/protocol.txt`. Version 0x01000001 leaves checksums out.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from usbsync.errors import DamagedData, PhoneFailed, PhoneUnauthorized
from usbsync.transport.paths import said

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbsync.transport.adb_keys import Signer
    from usbsync.transport.adb_wire import Wire

VERSION = 0x01000001
MOST = 1 << 20
LEAST = 4096
DELAYED_ACK = "delayed_ack"
BANNER = b"host::features=shell_v2,cmd,stat_v2,ls_v2,delayed_ack"
"""No NUL at its end: adbd would take it for a part of the last feature's name."""
_TOKEN, _SIGNATURE, _PUBLIC_KEY = 1, 2, 3
_HEADER = struct.Struct("<4sIIIII")


class Packet(NamedTuple):
    """One ADB message."""

    command: bytes
    arg0: int
    arg1: int
    payload: bytes | bytearray


class Link:
    """Packets over a wire, after the handshake; `patience` is the longest silence in seconds.

    `known` loads the keys to try, `own` the one that a person is asked about (it may have to be made first).
    `on_waiting` is called once, when a person must tap Allow on the phone; that may take `allow_seconds`.
    Raises PhoneUnauthorized, PhoneGone, DamagedData.
    """

    def __init__(
        self,
        wire: Wire,
        known: Callable[[], list[Signer]],
        own: Callable[[], Signer],
        *,
        on_waiting: Callable[[], None] | None = None,
        patience: float = 30.0,
        allow_seconds: float = 60.0,
    ) -> None:
        self.name = wire.name
        self.payload_most = LEAST
        self._wire = wire
        self._checksums = True
        self._header: tuple[bytes, int, int, int, int] | None = None
        welcome = self._shake_hands(known, own, on_waiting, patience, allow_seconds)
        self.features = self._read_banner(welcome)

    def send(self, command: bytes, arg0: int, arg1: int, payload: bytes | memoryview, until: float) -> None:
        """Send one packet whole before `until` (time.monotonic)."""
        (word,) = struct.unpack("<I", command)
        check = sum(payload) & 0xFFFFFFFF if self._checksums else 0
        self._wire.write(
            _HEADER.pack(command, arg0, arg1, len(payload), check, word ^ 0xFFFFFFFF), payload, until
        )

    def receive(self, until: float) -> Packet:
        """Receive one packet before `until`; one that is half there then is not lost."""
        if self._header is None:
            self._header = self._read_header(until)
        command, arg0, arg1, size, check = self._header
        payload = self._wire.read(size, until) if size else b""
        self._header = None
        if self._checksums and check and sum(payload) & 0xFFFFFFFF != check:
            raise DamagedData("a packet from the phone was damaged on the way")
        return Packet(command, arg0, arg1, payload if command == b"WRTE" else bytes(payload))

    def close(self) -> None:
        """Release the wire."""
        self._wire.close()

    def _read_header(self, until: float) -> tuple[bytes, int, int, int, int]:
        raw = self._wire.read(_HEADER.size, until)
        command, arg0, arg1, size, check, magic = _HEADER.unpack(raw)
        if int.from_bytes(raw[:4], "little") ^ 0xFFFFFFFF != magic or size > MOST:
            raise DamagedData(f"{self.name} does not speak ADB, or lost step: {said(bytes(raw))}")
        return command, arg0, arg1, size, check

    def _shake_hands(
        self,
        known: Callable[[], list[Signer]],
        own: Callable[[], Signer],
        on_waiting: Callable[[], None] | None,
        patience: float,
        allow_seconds: float,
    ) -> Packet:
        self.send(b"CNXN", VERSION, MOST, BANNER, time.monotonic() + patience)
        answer = self._answer(patience)
        if answer.command == b"CNXN":
            return answer
        for key in known():
            self._reply(_SIGNATURE, key.Sign(bytes(answer.payload)), patience)
            answer = self._answer(patience)
            if answer.command == b"CNXN":
                return answer
        if on_waiting:
            on_waiting()
        self._reply(_PUBLIC_KEY, own().GetPublicKey() + b"\0", patience)
        return self._await_person(allow_seconds)

    def _reply(self, kind: int, payload: bytes, patience: float) -> None:
        self.send(b"AUTH", kind, 0, payload, time.monotonic() + patience)

    def _answer(self, seconds: float) -> Packet:
        """Wait for CNXN or a token; anything else is of a session before us."""
        until = time.monotonic() + seconds
        while True:
            packet = self.receive(until)
            if packet.command == b"CNXN" or (packet.command == b"AUTH" and packet.arg0 == _TOKEN):
                return packet
            if packet.command == b"STLS":
                raise PhoneFailed(
                    f"{self.name} wants to be paired (wireless debugging)", hint="use --device adb"
                )

    def _await_person(self, seconds: float) -> Packet:
        until = time.monotonic() + seconds
        while True:
            left = max(0.0, until - time.monotonic())
            try:
                packet = self._answer(left)
            except PhoneFailed as error:
                raise PhoneUnauthorized(f"nobody allowed this computer on the phone {self.name}") from error
            if packet.command == b"CNXN":
                return packet

    def _read_banner(self, welcome: Packet) -> frozenset[str]:
        if welcome.arg1 < LEAST:
            raise DamagedData(f"{self.name} takes no packets larger than {welcome.arg1} bytes")
        self.payload_most = min(welcome.arg1, MOST)
        self._checksums = welcome.arg0 < VERSION
        kind, _, rest = bytes(welcome.payload).rstrip(b"\0").partition(b"::")
        if kind != b"device":
            raise PhoneFailed(f"{self.name} is not ready: it says {said(kind)}", hint="start Android on it")
        props = dict(part.split(b"=", 1) for part in rest.split(b";") if b"=" in part)
        return frozenset(props.get(b"features", b"").decode("ascii", "replace").split(","))
