"""A phone that says nothing: one that works is waited for, one that is stuck is given up, and stays so."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from usbsync.errors import NoPhone, PhoneGone
from usbsync.transport import pulse, ways
from usbsync.transport.pulse import Pulsed
from usbsync.transport.ways import open_server, open_tcp

if TYPE_CHECKING:
    from rigs.phone import TestPhone, TestServer


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "QUIET", 0.3)
    monkeypatch.setattr(pulse, "ANSWER", 2.0)


@pytest.fixture(params=["tcp", "server"])
def link(request, phone: TestPhone):
    if request.param == "tcp":
        opened = open_tcp("127.0.0.1", phone.port)
    else:
        server: TestServer = request.getfixturevalue("adb_server")
        opened = open_server(server.serial)
    with closing(opened):
        yield opened


@pytest.mark.adbd
def test_a_command_may_work_in_silence(link):
    assert link.run(["sleep", "1.5"], seconds=20).exit_code == 0  # five times as long as QUIET


@pytest.mark.adbd
def test_a_phone_that_is_stuck_is_given_up_and_stays_gone(link, phone: TestPhone):
    phone.freeze()
    began = time.monotonic()
    with pytest.raises(PhoneGone):
        link.run(["sleep", "60"], seconds=120)
    with pytest.raises(PhoneGone):
        link.stat("/sdcard")
    assert time.monotonic() - began < 15
    phone.thaw()
    began = time.monotonic()
    with pytest.raises(PhoneGone, match="any more"):
        link.stat("/sdcard")
    assert time.monotonic() - began < 0.2  # what half a sync was told to is not asked half an hour later


@pytest.mark.adbd
def test_a_phone_that_leaves_a_running_server_is_gone_not_unknown(adb_server: TestServer):
    with closing(open_server(adb_server.serial)) as opened:
        adb_server.run("disconnect", adb_server.serial)
        with pytest.raises(PhoneGone):
            opened.run(["true"])


class Stubborn:
    """An opener none of whose streams opens in time."""

    name = "stubborn"
    features = frozenset[str]()
    lanes = 1
    shares_link = True

    def __init__(self) -> None:
        self.asked = 0

    def open(self, service: bytes, seconds: float):
        self.asked += 1
        raise ways.Silence("nothing came")

    def close(self) -> None:
        pass


def test_who_does_not_answer_is_not_asked_again():
    inner = Stubborn()
    watched = Pulsed(inner)
    for _ in range(3):
        with pytest.raises(PhoneGone, match="any more"):
            watched.open(b"sync:", 1)
    assert inner.asked == 1


@pytest.mark.parametrize("errors", [[PhoneGone, NoPhone, NoPhone], [PhoneGone, PhoneGone, NoPhone]])
def test_a_link_that_broke_while_it_was_made_is_told_not_that_the_phone_is_absent(monkeypatch, errors):
    monkeypatch.setattr(ways, "PAUSES", (0.0, 0.0))
    left = [kind(f"{number}") for number, kind in enumerate(errors)]

    def opened():
        raise left.pop(0)

    with pytest.raises(PhoneGone, match="0"):
        ways._tried(opened)
    assert left == []


def test_a_phone_that_was_never_there_is_not_tried_again():
    asked = []

    def opened():
        asked.append(1)
        raise NoPhone("none")

    with pytest.raises(NoPhone):
        ways._tried(opened)
    assert asked == [1]
