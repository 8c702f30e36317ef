"""What only a phone does: commands, scripts that outlive the cable, permissions, full disks, who may come in."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rigs.cable import Cut, Way

from usbsync.errors import (
    NoPhone,
    NoSpace,
    PhoneFailed,
    PhoneGone,
    PhoneRefused,
    PhoneUnauthorized,
    UsageError,
    WhichPhone,
)
from usbsync.transport import adb_keys, adb_link, adb_phone, adb_stream, shell, ways
from usbsync.transport.adb_phone import AdbTransport
from usbsync.transport.base import Kind, Pull, Push, Remove, Rename, Shell
from usbsync.transport.sync import Sync
from usbsync.transport.ways import Phone, Seen, State, follow_server, list_server, open_server, open_tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rigs.cable import Cable
    from rigs.phone import TestPhone, TestServer

pytestmark = pytest.mark.adbd

MIB = 1 << 20


@pytest.fixture
def shared(shared_phone: TestPhone) -> Iterator[Phone]:
    transport = open_tcp("127.0.0.1", shared_phone.port)
    yield transport
    transport.close()


@pytest.fixture
def own_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANDROID_USER_HOME", str(tmp_path / "keys"))
    monkeypatch.delenv("ADB_VENDOR_KEYS", raising=False)
    return tmp_path / "keys"


def ignore(_: int) -> None:
    pass


# --- commands


def test_a_phone_is_a_shell(shared: Phone):
    assert isinstance(shared, Shell)
    done = shared.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30) | st.binary(
    max_size=30
).map(lambda raw: raw.replace(b"\0", b"0").decode("utf-8", "surrogateescape"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, min_size=1, max_size=12))
def test_every_argument_arrives_as_it_was(shared: Phone, words: list[str]):
    done = shared.run(["printf", "%s\\0", *words])
    assert done.stdout.split(b"\0")[:-1] == [word.encode("utf-8", "surrogateescape") for word in words]


@pytest.mark.parametrize(
    "word",
    [
        "",
        "-n",
        "--",
        "a\nb",
        "$(id)",
        "`id`",
        "'",
        '"',
        "\\",
        "!x",
        "~",
        "*",
        "A=b",
        "r",
        "#",
        "\x1b",
        "é\udcff",
    ],
)
def test_awkward_arguments_arrive_as_they_were(shared: Phone, word: str):
    done = shared.run(["printf", "%s\\0", word, f"{word}{word}"])
    assert done.stdout.split(b"\0")[:-1] == [
        each.encode("utf-8", "surrogateescape") for each in (word, word * 2)
    ]


def test_a_command_is_never_taken_for_an_alias_or_an_assignment(shared: Phone):
    assert shared.run(["A=b"]).exit_code == 127
    assert shared.run(["r"]).exit_code == 127


def test_a_command_with_nul_or_too_long_is_refused(shared: Phone):
    with pytest.raises(PhoneRefused):
        shared.run(["echo", "a\0b"])
    with pytest.raises(PhoneRefused, match="too long"):
        shared.run(["echo", "x" * 70_000])


def test_large_output_arrives_whole(shared: Phone):
    done = shared.run(["head", "-c", str(9 * MIB), "/dev/zero"])
    assert (done.exit_code, done.stdout.count(0)) == (0, 9 * MIB)


def test_a_command_that_does_not_end_is_given_up_and_the_link_lives(shared: Phone):
    started = time.monotonic()
    with pytest.raises(PhoneGone, match="in time"):
        shared.run(["sleep", "20"], seconds=0.3)
    assert time.monotonic() - started < 3
    assert shared.run(["echo", "alive"]).stdout == b"alive\n"


def test_the_identity_is_the_serial_over_every_link(phone: TestPhone, adb_server: TestServer):
    direct, served = open_tcp("127.0.0.1", phone.port), open_server()
    assert direct.identity == served.identity == "FAKE0123456789"
    direct.close()
    served.close()


@pytest.mark.parametrize("serial", ["", "two words", "\x1b[31mred", "x" * 80])
def test_a_strange_serial_is_not_used(phone: TestPhone, serial: str):
    (phone.state / "props").write_text(f"ro.serialno={serial}\n")
    transport = open_tcp("127.0.0.1", phone.port)
    assert transport.identity == f"127.0.0.1:{phone.port}"
    transport.close()


# --- files


def test_pushed_files_can_be_written_by_the_group_of_the_app(phone: TestPhone, tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    transport = open_tcp("127.0.0.1", phone.port)
    transport.push([Push(tmp_path / "f", "/sdcard/Android/data/com.ichi2.anki/files/AnkiDroid/f", 1)], ignore)
    transport.close()
    assert stat.S_IMODE((phone.ankidroid / "f").stat().st_mode) & 0o660 == 0o660


def test_a_phone_that_keeps_the_group_out_is_told_to_let_it_in(
    phone: TestPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(adb_phone, "MODE", 0o100600)
    monkeypatch.setattr(Sync, "modes", lambda _self, paths: [0o100644] * len(paths))
    for name in ("f", "g"):
        (tmp_path / name).write_bytes(b"x")
    with closing(open_tcp("127.0.0.1", phone.port)) as transport:
        transport.push([Push(tmp_path / name, f"/sdcard/{name}", 1) for name in ("f", "g")], ignore)
    assert [stat.S_IMODE((phone.data / name).stat().st_mode) for name in ("f", "g")] == [0o660] * 2


def test_modes_are_as_the_phone_has_them(phone: TestPhone):
    (phone.data / "f").write_bytes(b"x")
    (phone.data / "f").chmod(0o640)
    with closing(open_tcp("127.0.0.1", phone.port)) as transport:
        assert transport._sync.modes(["/sdcard/f", "/sdcard/absent"]) == [0o100640, 0]


def test_symlinks_are_other_and_not_removed_through(phone: TestPhone):
    (phone.data / "real").mkdir()
    (phone.data / "real" / "f").write_bytes(b"x")
    (phone.data / "link").symlink_to("/sdcard/real")
    transport = open_tcp("127.0.0.1", phone.port)
    assert transport.stat("/sdcard/link").kind is Kind.OTHER
    assert transport.hash(["/sdcard/link"], "sha1") == {}
    assert [info.name for info in transport.list("/sdcard/link")] == ["f"]
    with pytest.raises(PhoneRefused):
        transport.remove_folder("/sdcard/link")
    transport.close()
    assert (phone.data / "real" / "f").exists()


def test_a_folder_that_may_not_be_read_is_not_empty(phone: TestPhone):
    (phone.data / "secret").mkdir(mode=0o711)
    (phone.data / "secret" / "f").write_bytes(b"x")
    if os.geteuid() != 0:
        (phone.data / "secret").chmod(0o311)
    transport = open_tcp("127.0.0.1", phone.port)
    with pytest.raises(PhoneRefused, match="secret"):
        transport.list("/sdcard/secret")
    transport.close()


def test_a_file_that_may_not_be_read_is_refused_not_left_out(phone: TestPhone):
    (phone.data / "f").write_bytes(b"x")
    (phone.data / "f").chmod(0o200)
    transport = open_tcp("127.0.0.1", phone.port)
    with pytest.raises(PhoneRefused):
        transport.hash(["/sdcard/f"], "sha1")
    transport.close()


def test_a_full_phone_is_no_space(shared: Phone, tmp_path: Path):
    (tmp_path / "big").write_bytes(bytes(20 * MIB))
    assert shared.free_space("/mnt") <= 8 * MIB
    with pytest.raises(NoSpace):
        shared.push([Push(tmp_path / "big", "/mnt/big", 0)], ignore)
    shared.apply([Remove("/mnt/big")])  # adbd removes it too, after it has said so
    assert shared.stat("/mnt/big") is None


def test_a_rename_to_another_file_system_still_moves(shared: Phone, tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    shared.push([Push(tmp_path / "f", "/mnt/f", 5)], ignore)
    shared.apply([Rename("/mnt/f", "/sdcard/moved"), Remove("/sdcard/moved")])
    assert shared.stat("/mnt/f") is None


def test_apply_leaves_nothing_of_its_own(shared: Phone):
    shared.apply([Remove("/sdcard/absent")])
    assert [info.name for info in shared.list("/data/local/tmp") if "usbsync" in info.name] == []


@pytest.mark.parametrize("delays", [True, False])
def test_a_stream_carries_both_ways_at_once_with_and_without_delayed_acks(
    phone: TestPhone, monkeypatch: pytest.MonkeyPatch, *, delays: bool
):
    if not delays:  # as a phone of before Android 14
        monkeypatch.setattr(adb_link, "BANNER", adb_link.BANNER.removesuffix(b",delayed_ack"))
        monkeypatch.setattr(adb_stream, "DELAYED_ACK", "none")
    data = os.urandom(1 << 10) * (12 << 10)  # more than either side holds
    with closing(open_tcp("127.0.0.1", phone.port)) as transport:
        assert transport._opener.inner.delays == delays
        done = shell.run(transport._opener, b"cat", stdin=data, seconds=60)
    assert done.stdout == data


def test_several_streams_at_once_lose_nothing(shared: AdbTransport):
    streams = [shared._opener.open(b"shell,v2,raw:cat /dev/urandom | head -c 3000000", 5) for _ in range(3)]
    counts = dict.fromkeys(streams, 0)
    live = [*streams]
    while live:
        for stream in [*live]:
            sent, got = stream.exchange(memoryview(b""), 5)
            counts[stream] += len(got)
            if (sent, got) == (0, b""):
                live.remove(stream)
    headers = [count - 3_000_000 for count in counts.values()]
    assert all(0 < extra < 30_000 for extra in headers), counts
    for stream in streams:
        stream.close()
    assert shared.run(["echo", "alive"]).stdout == b"alive\n"


# --- the cable


def over(port: int, use: Callable[[Phone], None]) -> None:
    """Open, use and close a phone that may go at any point."""
    transport = open_tcp("127.0.0.1", port, patience=2.5)
    try:
        use(transport)
    finally:
        transport.close()


@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize("after", [0, 10_000, 3 * MIB])
def test_a_push_on_a_cut_cable_ends_at_once(
    phone: TestPhone, cable: Callable[..., Cable], tmp_path: Path, how: Cut, after: int
):
    (tmp_path / "big").write_bytes(bytes(12 * MIB))
    laid = cable(phone.port, after=after, way=Way.UP, how=how)
    started = time.monotonic()
    with pytest.raises(PhoneGone):
        over(laid.port, lambda it: it.push([Push(tmp_path / "big", "/sdcard/big", 0)], ignore))
    assert time.monotonic() - started < 5
    assert laid.is_cut.is_set()


@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize("after", [0, 600, 3 * MIB])
def test_a_pull_on_a_cut_cable_ends_at_once(
    phone: TestPhone, cable: Callable[..., Cable], tmp_path: Path, how: Cut, after: int
):
    (phone.data / "big").write_bytes(bytes(12 * MIB))
    laid = cable(phone.port, after=after, way=Way.DOWN, how=how)
    started = time.monotonic()
    with pytest.raises(PhoneGone):
        over(laid.port, lambda it: it.pull([Pull("/sdcard/big", tmp_path / "big")], ignore))
    assert time.monotonic() - started < 5
    assert laid.is_cut.is_set()


def test_a_lost_link_stays_lost(phone: TestPhone):
    transport = open_tcp("127.0.0.1", phone.port)
    phone.kill()
    for _ in range(3):
        with pytest.raises(PhoneGone):
            transport.list("/sdcard")
    transport.close()


def test_a_phone_that_falls_asleep_is_gone_and_comes_back(phone: TestPhone):
    transport = open_tcp("127.0.0.1", phone.port, patience=3)
    phone.freeze()
    with pytest.raises(PhoneGone):
        transport.list("/sdcard")
    phone.thaw()
    transport.close()
    again = open_tcp("127.0.0.1", phone.port)
    assert [info.name for info in again.list("/sdcard")] == ["Android"]
    again.close()


def test_a_phone_that_dies_under_an_adb_server_is_gone(
    phone: TestPhone, adb_server: TestServer, tmp_path: Path
):
    (tmp_path / "big").write_bytes(bytes(40 * MIB))
    transport = open_server(patience=3)
    killer: list[int] = []

    def kill(moved: int) -> None:
        killer.append(moved)
        if len(killer) == 100:
            phone.kill()

    with pytest.raises(PhoneGone):
        transport.push([Push(tmp_path / "big", "/sdcard/big", 0)], kill)
    transport.close()


def test_an_apply_goes_on_when_the_cable_is_pulled_and_the_next_run_waits_for_it(
    phone: TestPhone, cable: Callable[..., Cable]
):
    for name in ("a", "b"):
        (phone.data / name).write_bytes(name.encode())
    laid = cable(phone.port)
    transport = open_tcp("127.0.0.1", laid.port, patience=5)
    failed: list[BaseException] = []

    def apply() -> None:
        try:
            transport.apply(
                [Rename("/sdcard/a", "/sdcard/a2"), *wait_steps(), Rename("/sdcard/b", "/sdcard/b2")]
            )
        except PhoneGone as error:
            failed.append(error)

    thread = threading.Thread(target=apply)
    thread.start()
    until = time.monotonic() + 5
    while not (phone.data / "a2").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
    laid.cut()
    thread.join(10)
    assert failed
    transport.close()
    again = open_tcp("127.0.0.1", phone.port)
    assert {info.name for info in again.list("/sdcard")} == {"Android", "a2", "b2"}
    assert [info.name for info in again.list("/data/local/tmp") if "usbsync" in info.name] == []
    again.close()


def wait_steps() -> list[Rename]:
    """Steps that take about a second in all: a file moved to and fro between two file systems."""
    return [
        step
        for _ in range(150)
        for step in (Rename("/sdcard/a2", "/mnt/a2"), Rename("/mnt/a2", "/sdcard/a2"))
    ]


# --- who may come in


def test_an_unknown_computer_is_told_to_tap_and_let_in(strict_phone: TestPhone, own_keys: Path):
    dialog = strict_phone.answer_dialog(b"OK", always=True)
    asked: list[bool] = []
    open_tcp("127.0.0.1", strict_phone.port, on_waiting=lambda: asked.append(True)).close()
    assert asked == [True]
    open_tcp("127.0.0.1", strict_phone.port, on_waiting=lambda: asked.append(False)).close()
    assert asked == [True], "a computer that was allowed for ever is not asked again"
    assert dialog.is_alive()


@pytest.mark.parametrize("word", [b"NO", b""])
def test_nobody_taps_allow(
    strict_phone: TestPhone, own_keys: Path, monkeypatch: pytest.MonkeyPatch, word: bytes
):
    if word:
        strict_phone.answer_dialog(word)
    monkeypatch.setattr(ways, "ALLOW_SECONDS", 0.5)
    with pytest.raises(PhoneUnauthorized):
        open_tcp("127.0.0.1", strict_phone.port)


def test_the_key_is_private_from_its_first_byte(own_keys: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    real = os.fsync

    def look(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    assert adb_keys.known() == [], "looking makes none"
    first = adb_keys.own()
    assert seen == [0o600]
    assert stat.S_IMODE((own_keys / "adbkey").stat().st_mode) == 0o600
    assert sorted(path.name for path in own_keys.iterdir()) == ["adbkey", "adbkey.pub"]
    pem = (own_keys / "adbkey").read_bytes()
    assert adb_keys.own().GetPublicKey() == first.GetPublicKey() == adb_keys.known()[0].GetPublicKey()
    assert (own_keys / "adbkey").read_bytes() == pem, "an existing key is never replaced"


def test_vendor_keys_are_offered_too(strict_phone: TestPhone, own_keys: Path, tmp_path: Path, monkeypatch):
    vendor = tmp_path / "vendor.adb_key"
    adb_keys.make(vendor)
    adb_keys.write_public(vendor)
    (strict_phone.run / "adb_keys").write_bytes(adb_keys.public_of(vendor).read_bytes() + b"\n")
    monkeypatch.setenv("ADB_VENDOR_KEYS", f"{tmp_path / 'absent'}{os.pathsep}{tmp_path}")
    asked: list[bool] = []
    open_tcp("127.0.0.1", strict_phone.port, on_waiting=lambda: asked.append(True)).close()
    assert asked == []


# --- which phone


def test_without_an_adb_server_there_is_no_phone_and_none_is_started(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/bin/false")
    assert list_server() == []
    with pytest.raises(NoPhone, match="no adb server") as caught:
        open_server()
    assert "adb start-server" in caught.value.hint
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_server_port_that_is_no_port_is_a_usage_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "many")
    with pytest.raises(UsageError):
        open_server()


def test_the_server_lists_its_phones(phone: TestPhone, strict_phone: TestPhone, adb_server: TestServer):
    strict = f"127.0.0.1:{strict_phone.port}"
    adb_server.run("connect", strict)
    adb_server.run("-s", strict, "wait-for-unauthorized")
    assert sorted(list_server(), key=lambda seen: seen.state) == [
        Seen(f"adb:{adb_server.serial}", adb_server.serial, State.READY, "Fake_Pixel_8"),
        Seen(f"adb:{strict}", strict, State.UNAUTHORIZED),
    ]
    with pytest.raises(NoPhone, match="absent"):
        open_server("absent")
    with pytest.raises(PhoneUnauthorized):
        open_server(strict)


def test_a_server_tells_at_once_what_comes_and_goes_and_that_it_ends(
    phone: TestPhone, adb_server: TestServer
):
    following = follow_server()
    assert following.next() == {adb_server.serial: "device"}
    adb_server.run("disconnect", adb_server.serial)
    while (now := following.next()) != {}:  # offline first
        assert now == {adb_server.serial: "offline"}
    adb_server.run("kill-server")
    with pytest.raises(PhoneGone):
        following.next()
    following.close()
    with pytest.raises(NoPhone, match="no adb server"):
        follow_server()


def test_a_thread_that_waits_for_a_server_is_woken(phone: TestPhone, adb_server: TestServer):
    following, ended = follow_server(), []

    def wait() -> None:
        following.next()
        started.set()
        try:
            following.next()
        except PhoneFailed as error:
            ended.append(error)

    started = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    assert started.wait(20)
    following.close()
    thread.join(20)
    assert ended


def test_several_phones_are_a_question(phone: TestPhone, adb_server: TestServer, adbd, tmp_path: Path):
    from rigs.phone import start  # noqa: PLC0415

    second = start(adbd, tmp_path / "second")
    adb_server.run("connect", f"127.0.0.1:{second.port}")
    with pytest.raises(WhichPhone, match=str(second.port)):
        open_server()
    open_server(f"127.0.0.1:{second.port}").close()
    second.kill()


def test_nothing_listens_there(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NoPhone, match=str(port)):
        open_tcp("127.0.0.1", port)
