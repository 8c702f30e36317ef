"""Somebody is at the terminal: a phone that is not ready is waited for, and of several one is asked for."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import closing

import pytest
from device.fake_phone import FakePhone
from rigs.phone import start

from usbsync.device.detect import How, SeenPhone, SeveralPhones
from usbsync.device.spec import Adb, Usb
from usbsync.errors import (
    NoDebugging,
    NoPhone,
    PhoneClaimed,
    PhoneLocked,
    PhoneOffline,
    PhoneUnauthorized,
    UsbsyncError,
)
from usbsync.session.phone import WAIT_SECONDS, open_phone
from usbsync.session.talk import Silent
from usbsync.transport.base import Completed
from usbsync.transport.memory import MemoryTransport
from usbsync.transport.ways import State

NOT_READY = [NoDebugging, PhoneLocked, PhoneOffline, PhoneUnauthorized]
TWO = [SeenPhone(f"usb:{name}", name, f"Pixel {name}", State.READY, How.USB) for name in "AB"]


class Person(Silent):
    """Reads what is asked for; `number` is the phone that is chosen."""

    def __init__(self, number: int | None = None) -> None:
        self.number = number
        self.asked: list[str] = []

    def please(self, text: str) -> bool:
        self.asked.append(text)
        return True

    def which(self, phones) -> int | None:
        self.asked += phones
        return self.number


class Opening:
    """Fails as it is told to, then opens; its clock goes on while somebody sleeps."""

    def __init__(self, *errors: UsbsyncError) -> None:
        self.errors, self.specs, self.now = [*errors], [], 0.0
        self.phone = MemoryTransport()

    def __call__(self, spec, *, on_waiting):
        self.specs.append(spec)
        if self.errors:
            raise self.errors.pop(0)
        return self.phone

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def for_whom(self, talk, spec=None):
        return open_phone(spec, talk, opened=self, clock=lambda: self.now, sleep=self.sleep)


@pytest.mark.parametrize("error", NOT_READY)
def test_it_is_waited_for_and_asked_for_once(error):
    opening, person = Opening(*[error("not yet")] * 5), Person()
    assert opening.for_whom(person) is opening.phone
    (asked,) = person.asked
    assert "not yet" in asked
    assert error.hint.partition(",")[0] in asked
    assert "run the command again" not in asked


@pytest.mark.parametrize("error", NOT_READY)
def test_where_nobody_is_there_it_is_told_at_once(error):
    opening = Opening(error("not yet"))
    with pytest.raises(error):
        opening.for_whom(Silent())
    assert (opening.now, len(opening.specs)) == (0, 1)


def test_what_is_asked_for_changes_with_the_phone():
    opening, person = (
        Opening(NoDebugging("off"), NoPhone("gone"), PhoneUnauthorized("tap"), PhoneLocked("pin")),
        Person(),
    )
    opening.for_whom(person)
    assert [text.partition(":")[0] for text in person.asked] == ["off", "tap", "pin"]


def test_it_is_not_waited_for_without_end():
    opening = Opening(*[PhoneUnauthorized("tap")] * 1000)
    with pytest.raises(PhoneUnauthorized):
        opening.for_whom(Person())
    assert opening.now == pytest.approx(WAIT_SECONDS, abs=2)


@pytest.mark.parametrize("error", [NoPhone("none"), PhoneClaimed("adb has it")])
def test_what_nobody_mends_at_the_phone_is_not_waited_for(error):
    person = Person()
    with pytest.raises(type(error)):
        Opening(error).for_whom(person)
    assert person.asked == []


def test_the_one_that_is_chosen_is_opened():
    opening, person = Opening(SeveralPhones(TWO), PhoneOffline("asleep")), Person(1)
    opening.for_whom(person)
    assert person.asked[:2] == ["usb:A (Pixel A, ready)", "usb:B (Pixel B, ready)"]
    assert opening.specs == [None, Usb("B"), Usb("B")]


@pytest.mark.parametrize("talk", [Silent(), Person(None)])
def test_where_none_is_chosen_none_is_opened(talk):
    with pytest.raises(SeveralPhones) as raised:
        Opening(SeveralPhones(TWO)).for_whom(talk)
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("folder", "word", "locked"), [(1, b"", True), (1, b"true", False), (0, b"", False), (1, b"false", True)]
)
def test_a_phone_that_nobody_unlocked_is_locked(folder, word, locked):
    opening = Opening()
    opening.phone = phone = FakePhone()
    phone.answers = {
        "test": Completed(folder, b"", b""),
        "getprop": Completed(0, word + b"\n", b""),
    }
    if locked:
        with pytest.raises(PhoneLocked):
            opening.for_whom(Silent(), Adb("A"))
        assert phone.closed
    else:
        assert opening.for_whom(Silent(), Adb("A")) is phone


@pytest.mark.adbd
def test_two_phones_and_a_terminal(adbd, adb_server, tmp_path):
    """By the real command on a terminal of its own: both are listed, one is asked for; without a terminal it is exit 3."""
    second = start(adbd, tmp_path / "second")
    adb_server.run("connect", f"127.0.0.1:{second.port}")
    (tmp_path / "c.anki2").touch()
    command = [sys.executable, "-m", "usbsync", "status", "--collection", str(tmp_path / "c.anki2")]
    env = {**os.environ, "USBSYNC_HOME": str(tmp_path / "home"), "TERM": "dumb", "COLUMNS": "200"}
    try:
        mute = subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        ours, theirs = pty.openpty()
        asked = subprocess.Popen(command, env=env, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL)
        os.close(theirs)
        with closing(os.fdopen(ours, "r+b", buffering=0)) as terminal:
            text = b""
            while b"Which phone" not in text:
                text += terminal.read(1000)
            terminal.write(b"quit\n")
            assert asked.wait(30) == 3
    finally:
        second.kill()
    assert (mute.returncode, str(second.port) in mute.stderr) == (3, True)
    assert str(second.port).encode() in text
