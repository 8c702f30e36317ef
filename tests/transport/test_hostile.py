"""Phones that are old, broken or hostile: played adbd answers, byte by byte."""

from __future__ import annotations

import errno
import struct
import tracemalloc
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usbsync.errors import DamagedData, NoSpace, PhoneFailed, PhoneGone, PhoneRefused
from usbsync.transport import shell, sync
from usbsync.transport.adb_link import Link
from usbsync.transport.adb_phone import AdbTransport
from usbsync.transport.base import Base, FileInfo, Kind, Pull, Push, Remove, Rename
from usbsync.transport.sync import IN_FLIGHT, Sync

if TYPE_CHECKING:
    from pathlib import Path

V2 = frozenset({"stat_v2", "ls_v2", "shell_v2"})
FILE, FOLDER = 0o100644, 0o040755
SIZE = 1 << 20


@dataclass
class Played:
    """An opener and its one stream: says what it was told to say, in pieces, then ends."""

    answers: bytes
    features: frozenset[str] = V2
    piece: int = 7
    name: str = "played"
    heard: bytearray = field(default_factory=bytearray)
    opened: int = 0
    closed: int = 0

    def open(self, service: bytes, seconds: float) -> Played:
        self.opened += 1
        return self

    def exchange(self, out: memoryview, seconds: float) -> tuple[int, bytes]:
        self.heard += out[:13]
        said, self.answers = self.answers[: self.piece], self.answers[self.piece :]
        return len(out[:13]), said

    def close(self) -> None:
        self.closed += 1


def ignore(_: int) -> None:
    pass


def dent1(name: bytes, mode: int = FILE) -> bytes:
    return struct.pack("<4s4I", b"DENT", mode, 5, 6, len(name)) + name


def dent2(name: bytes, mode: int = FILE, error: int = 0, size: int = 5) -> bytes:
    return struct.pack("<4sI2Q4IQ3qI", b"DNT2", error, 0, 0, mode, 1, 0, 0, size, 0, 6, 0, len(name)) + name


def lst2(mode: int, error: int = 0, size: int = 5, mtime: int = 6) -> bytes:
    return struct.pack("<4sI2Q4IQ3q", b"LST2", error, 0, 0, mode, 1, 0, 0, size, 0, mtime, 0)


DONE1 = struct.pack("<4s4I", b"DONE", 0, 0, 0, 0)
DONE2 = b"DONE" + bytes(72)
STAT1_FOLDER = struct.pack("<4s3I", b"STAT", FOLDER, 0, 0)
BAD_NAMES = [b"", b"a/b", b"/", b"../x", b"nul\0"]


def entries(answers: bytes, features: frozenset[str] = V2) -> list[FileInfo]:
    return Sync(Played(answers, features), patience=1).entries("/sdcard")


def test_an_old_phone_is_asked_in_the_old_words():
    played = Played(STAT1_FOLDER + dent1(b".", FOLDER) + dent1(b"f") + DONE1, frozenset())
    found = Sync(played, patience=1).entries("/sdcard")
    assert found == [FileInfo(".", Kind.FOLDER, 5, 6), FileInfo("f", Kind.FILE, 5, 6)]
    assert (
        bytes(played.heard)
        == struct.pack("<4sI", b"STAT", 9) + b"/sdcard/." + b"LIST" + struct.pack("<I", 7) + b"/sdcard"
    )
    old = Played(
        struct.pack("<4s3I", b"STAT", 0, 0, 0) + struct.pack("<4s3I", b"STAT", FILE, 1, 2), frozenset()
    )
    assert Sync(old, patience=1).stat(["/a", "/b"]) == [None, FileInfo("b", Kind.FILE, 1, 2)]


def test_sizes_over_four_gigabytes_are_told_whole():
    assert Sync(Played(lst2(FILE, size=5 << 32)), patience=1).stat(["/a"])[0].size == 5 << 32


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_name_is_damage(name: bytes):
    with pytest.raises(DamagedData):
        entries(lst2(FOLDER) + dent2(name) + DONE2)
    with pytest.raises(DamagedData):
        entries(STAT1_FOLDER + dent1(name) + DONE1, frozenset())


def test_an_entry_that_cannot_be_looked_at_is_not_left_out():
    assert entries(lst2(FOLDER) + dent2(b"gone", error=errno.ENOENT) + DONE2) == []
    with pytest.raises(PhoneRefused, match="EACCES"):
        entries(lst2(FOLDER) + dent2(b"f", error=errno.EACCES) + DONE2)


def test_a_listing_that_breaks_off_is_not_a_listing():
    whole = lst2(FOLDER) + dent2(b"f") + dent2(b"g") + DONE2
    for size in range(len(whole)):
        with pytest.raises(PhoneGone):
            entries(whole[:size])
    assert len(entries(whole)) == 2


def test_a_listing_that_goes_on_after_its_end_is_damage():
    with pytest.raises(DamagedData, match="goes on after its end"):
        Sync(Played(lst2(FOLDER) + dent2(b"f") + DONE2 + dent2(b"g"), piece=1000), patience=1).entries(
            "/sdcard"
        )


@given(st.integers(1, 900))
def test_a_listing_is_the_same_in_whichever_pieces_it_comes(piece: int):
    names = [b"f", b"g" * 200, "\u00e9".encode(), b"h"]
    whole = lst2(FOLDER) + b"".join(map(dent2, names)) + DONE2
    found = Sync(Played(whole, piece=piece), patience=1).entries("/sdcard")
    assert [each.name.encode() for each in found] == names


class Endless(Played):
    """Says one thing again and again."""

    again: bytes = dent2(b"f")

    def exchange(self, out: memoryview, seconds: float) -> tuple[int, bytes]:
        sent, said = super().exchange(out, seconds)
        return sent, said or self.again * 1000


def test_a_listing_without_end_is_given_up_in_bounded_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sync, "LISTING_MOST", 2 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedData, match="has no end"):
            Sync(Endless(lst2(FOLDER)), patience=1).entries("/sdcard")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_million_files_are_no_endless_listing():
    assert (
        1_000_000 * (sync.AN_ENTRY + len("paste-0123456789abcdef0123456789abcdef01234567.jpg"))
        < sync.LISTING_MOST
    )


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack("<4sI", b"DATA", 65537),
        struct.pack("<4sI", b"FAIL", 1 << 31),
        struct.pack("<4sI", b"OKAY", 0),
        b"\0" * 8,
    ],
)
def test_a_pull_answered_with_nonsense_is_damage(tmp_path: Path, answer: bytes):
    played = Played(answer + bytes(200))
    with pytest.raises(DamagedData):
        Sync(played, patience=1).pull([Pull("/f", tmp_path / "f")], ignore)
    assert played.closed == 1


def test_the_phones_words_are_shown_tame(tmp_path: Path):
    words = b"no\x1b[2J\nway" + b"!" * 999
    talk = Sync(Played(struct.pack("<4sI", b"FAIL", len(words)) + words), patience=1)
    with pytest.raises(PhoneRefused) as caught:
        talk.pull([Pull("/f\n", tmp_path / "f")], ignore)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_full_phone_is_told_by_its_words(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    words = b"write failed: No space left on device"
    played = Played(struct.pack("<4sI", b"FAIL", len(words)) + words)
    with pytest.raises(NoSpace):
        Sync(played, patience=1).push([Push(tmp_path / "f", "/f", 0)], ignore, mode=FILE)


def test_requests_run_ahead_but_not_without_end(tmp_path: Path):
    played = Played(b"")
    wanted = [Pull(f"/{number:04}", tmp_path / "f") for number in range(5000)]
    with pytest.raises(PhoneGone):
        Sync(played, patience=1).pull(wanted, ignore)
    asked = bytes(played.heard).count(b"RECV")
    assert 0 < asked <= IN_FLIGHT


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.binary(max_size=400),
    start=st.sampled_from([b"", lst2(FOLDER), b"DATA\4\0\0\0abcd", b"\1\1\0\0\0x"]),
)
def test_noise_ends_in_an_error_of_ours_or_an_answer(tmp_path: Path, noise: bytes, start: bytes):
    for call in (
        lambda played: Sync(played, patience=1).entries("/d"),
        lambda played: Sync(played, patience=1).stat(["/a", "/b"]),
        lambda played: Sync(played, patience=1).pull([Pull("/f", tmp_path / "f")], ignore),
        lambda played: shell.run(played, b"x", seconds=5),
    ):
        with suppress(PhoneFailed, DamagedData):
            call(Played(start + noise))


def test_a_shell_that_ends_without_a_code_is_a_lost_link():
    whole = b"\1\3\0\0\0out" + b"\2\3\0\0\0err" + b"\3\1\0\0\0\7"
    for size in range(len(whole)):
        with pytest.raises(PhoneGone):
            shell.run(Played(whole[:size]), b"x", seconds=5)
    done = shell.run(Played(whole), b"x", seconds=5)
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"out", b"err")


def test_a_phone_without_shell_v2_is_too_old():
    with pytest.raises(PhoneFailed, match="older than 7"):
        shell.run(Played(b"", frozenset()), b"x", seconds=5)


# --- packets


@dataclass
class Tape:
    """A wire that plays packets."""

    packets: deque[bytes]
    name: str = "tape"
    written: list[bytes] = field(default_factory=list)

    def read(self, size: int, until: float) -> bytes:
        if not self.packets:
            raise PhoneGone("end of tape")
        said, rest = self.packets[0][:size], self.packets[0][size:]
        if rest:
            self.packets[0] = rest
        else:
            self.packets.popleft()
        return said

    def write(self, header: bytes, payload: bytes | memoryview, until: float) -> None:
        self.written.append(header + bytes(payload))

    def close(self) -> None:
        pass


def packet(command: bytes, arg0: int, arg1: int, payload: bytes = b"", **wrong: int) -> bytes:
    (word,) = struct.unpack("<I", command)
    magic = wrong.get("magic", word ^ 0xFFFFFFFF)
    check = wrong.get("check", sum(payload))
    return struct.pack("<4s5I", command, arg0, arg1, wrong.get("size", len(payload)), check, magic) + payload


BANNER = b"device::ro.product.name=x;features=shell_v2,ls_v2"


def link(*packets: bytes) -> tuple[Link, Tape]:
    tape = Tape(deque(packets))
    return Link(tape, list, list, patience=1), tape


@pytest.mark.parametrize(
    "welcome",
    [
        packet(b"CNXN", 0x01000001, 1 << 20, BANNER, magic=1),
        packet(b"CNXN", 0x01000001, 1 << 20, BANNER, size=2 << 20),
        packet(b"CNXN", 0x01000001, 0, BANNER),
        packet(b"CNXN", 0x01000000, 4096, BANNER, check=1),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_what_does_not_speak_adb_is_damage(welcome: bytes):
    with pytest.raises(DamagedData):
        link(welcome)


def test_packets_of_a_session_before_are_passed_over():
    made, _ = link(
        packet(b"CLSE", 1, 2), packet(b"WRTE", 1, 2, b"old"), packet(b"CNXN", 0x01000001, 1 << 30, BANNER)
    )
    assert made.features == {"shell_v2", "ls_v2"}
    assert made.payload_most == 1 << 20


@pytest.mark.parametrize(("version", "check"), [(0x01000000, sum(b"abc")), (0x01000001, 0)])
def test_checksums_are_sent_only_to_old_phones(version: int, check: int):
    made, tape = link(packet(b"CNXN", version, 4096, BANNER))
    made.send(b"WRTE", 1, 2, b"abc", 1e9)
    assert struct.unpack_from("<I", tape.written[-1], 16)[0] == check


def test_a_phone_in_recovery_is_not_ready():
    with pytest.raises(PhoneFailed, match="recovery"):
        link(packet(b"CNXN", 0x01000001, 4096, b"recovery::"))


def test_a_phone_that_wants_pairing_says_so():
    with pytest.raises(PhoneFailed, match="paired"):
        link(packet(b"STLS", 0x01000000, 0))


# --- whatever its shell prints


@dataclass
class Says:
    """An opener whose phone answers what it likes: each shell one thing, each SYNC another."""

    hello: bytes
    shells: list[tuple[bytes, bytes, int]]
    syncs: list[bytes]
    features: frozenset[str] = V2 | {"stat_v2"}
    name: str = "says"
    lanes: int = 1
    shares_link: bool = True

    def open(self, service: bytes, seconds: float) -> Played:
        if service.startswith(b"sync:"):
            return Played(self.syncs.pop(0) if self.syncs else b"", self.features, piece=4096)
        out, err, code = self.shells.pop(0) if self.shells else (self.hello, b"", 0)
        packets = b"".join(struct.pack("<BI", kind, len(text)) + text for kind, text in ((1, out), (2, err)))
        return Played(packets + b"\3\1\0\0\0" + bytes([code]), self.features, piece=4096)

    def close(self) -> None:
        pass


HASH = b"0123456789abcdef0123456789abcdef01234567"
WORDS = st.sampled_from(
    [b"", b"\n", b"done 1\n", b"failed 1\n", b"failed 9\n", b"done 99999999999\n", b"12 4096\n", b"-1 -1\n", b"9" * 40 + b" 1",
     HASH + b"  /a\n", HASH + b"  -\n", HASH + b"  /etc/passwd\n", b"../" * 14 + b"  /a\n", b"No such file or directory\n",
     b"1 81a4 5 2026-01-01 00:00:00.000000001 +0000 2026-01-01 00:00:00.000000001 +0000 /a\n", b"\x1b[2J", b"\xff" * 50, b"\0" * 50,
     b"SERIAL", b"../../x"]
)  # fmt: skip
SAID = st.lists(WORDS | st.binary(max_size=60), max_size=4).map(b"".join)
LOOKS = st.sampled_from(
    [
        lst2(FILE),
        lst2(FOLDER),
        lst2(0o020666),
        lst2(FILE, size=SIZE),
        lst2(FILE, errno.ENOENT),
        dent2(b"f"),
        DONE2,
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hello=SAID,
    shells=st.lists(st.tuples(SAID, SAID, st.integers(0, 255)), max_size=4),
    syncs=st.lists(st.lists(LOOKS | st.binary(max_size=80), max_size=4).map(b"".join), max_size=3),
)
def test_whatever_a_phone_prints_is_an_answer_or_an_error_of_ours(tmp_path: Path, hello, shells, syncs):
    """And none of it names the file that is written to, or is run."""
    base, into = tmp_path / "base", tmp_path / "into"
    base.write_bytes(bytes(SIZE))
    into.mkdir(exist_ok=True)
    calls = (
        lambda phone: phone.identity,
        lambda phone: phone.stat("/a"),
        lambda phone: phone.stamp(["/a", "/b"]),
        lambda phone: phone.list("/d"),
        lambda phone: phone.hash(["/a", "/b\n"], "sha1"),
        lambda phone: phone.free_space("/d"),
        lambda phone: phone.apply([Rename("/a", "/b"), Remove("/c")]),
        lambda phone: phone.apply([]),
        lambda phone: phone.make_folder("/d"),
        lambda phone: phone.remove_folder("/d"),
        lambda phone: phone.pull([Pull("/a", into / "pulled", base)], ignore),
        lambda phone: phone.push([Push(base, "/d/a", 0, Base("/d/b", base))], ignore),
        lambda phone: phone.run(["id"]),
    )
    for call in calls:
        with suppress(PhoneFailed, DamagedData):
            phone = AdbTransport(Says(hello, [], []), patience=1)
            phone._opener.shells, phone._opener.syncs = [*shells], [*syncs]
            call(phone)
    assert {path.name for path in tmp_path.iterdir()} == {"base", "into"}
    assert {path.name for path in into.iterdir()} <= {"pulled"}
