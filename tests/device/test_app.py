"""Stopping AnkiDroid, proving it, and starting it again."""

import pytest
from device.fake_phone import PUBLIC, FakePhone

from usbsync.device.ankidroid import PhoneReplica
from usbsync.device.app import AppControl
from usbsync.errors import AppRunning, PhoneGone, PhoneRefused
from usbsync.transport.base import Completed
from usbsync.transport.folder import FolderTransport
from usbsync.transport.wrap import Metered

ANKI, DEBUG = "com.ichi2.anki", "com.ichi2.anki.debug"


class Time:
    """A clock that goes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.after = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.after()

    def clock(self) -> float:
        return self.now


@pytest.fixture
def phone():
    return FakePhone(ANKI, DEBUG)


@pytest.fixture
def time():
    return Time()


def control(transport, time=None, *packages):
    time = time or Time()
    replica = PhoneReplica(PUBLIC, packages or (ANKI, DEBUG), "")
    return AppControl(transport, replica, clock=time.clock, sleep=time.sleep)


def test_what_runs(phone):
    phone.alive = {DEBUG, "com.android.systemui"}
    assert control(phone).running() == (DEBUG,)


def test_every_package_is_stopped_running_or_not(phone):
    """A stopped app is not woken by a widget or an alarm; one that merely does not run is."""
    phone.alive = {ANKI, "com.android.systemui"}
    control(phone).stop()
    assert phone.alive == {"com.android.systemui"}
    assert [argv for argv in phone.asked if argv[0] == "am"] == [
        ["am", "force-stop", p] for p in (ANKI, DEBUG)
    ]


def test_stop_is_proven_after_the_last_force_stop(phone):
    control(phone).stop()
    assert phone.asked[-2:] == [["pidof", ANKI], ["pidof", DEBUG]]


def test_an_app_that_ends_slowly_is_waited_for(phone, time):
    phone.alive = phone.immortal = {ANKI}
    time.after = lambda: time.now > 5 and (phone.alive.clear(), phone.immortal.clear())
    control(phone, time).stop()
    assert 5 < time.now < 10


def test_an_app_that_comes_back_once_is_stopped_again(phone, time):
    phone.alive = phone.immortal = {ANKI}
    time.after = lambda: setattr(phone, "immortal", set())
    control(phone, time).stop()
    assert phone.alive == set()
    assert phone.asked.count(["am", "force-stop", ANKI]) == 2


def test_an_app_that_does_not_stop_ends_the_wait(phone, time):
    phone.alive = phone.immortal = {ANKI}
    with pytest.raises(AppRunning, match=r"com\.ichi2\.anki is running") as raised:
        control(phone, time).stop()
    assert raised.value.exit_code == 5
    assert 10 <= time.now < 12


@pytest.mark.parametrize(
    "answer",
    [
        Completed(127, b"", b"pidof: not found"),
        Completed(1, b"", b"Permission denied"),
        Completed(0, b"", b""),
        Completed(1, b"4711", b""),
        Completed(0, b"4711 x", b""),
        Completed(137, b"", b""),
    ],
)
def test_no_clear_answer_is_no_proof(phone, answer):
    phone.answers["pidof"] = answer
    with pytest.raises(PhoneRefused, match="does not say"):
        control(phone).stop()


def test_several_processes_of_one_app(phone):
    phone.answers["pidof"] = Completed(0, b"4711 4712\n", b"")
    assert control(phone).running() == (ANKI, DEBUG)


def test_what_ran_is_started_again_once(phone):
    phone.alive = {DEBUG}
    app = control(phone)
    app.stop()
    app.stop()
    assert app.start_again() == ()
    assert phone.alive == {DEBUG}
    assert phone.asked[-1] == [
        "am", "start", "-n", f"{DEBUG}/com.ichi2.anki.IntentHandler",
        "-a", "android.intent.action.MAIN", "-c", "android.intent.category.LAUNCHER",
    ]  # fmt: skip
    asked = len(phone.asked)
    assert app.start_again() == ()
    assert len(phone.asked) == asked


def test_what_came_back_between_two_stops_is_started_again_too(phone):
    phone.alive = {ANKI}
    app = control(phone)
    app.stop()
    phone.alive = {DEBUG}
    app.stop()
    app.start_again()
    assert phone.alive == {ANKI, DEBUG}


def test_nothing_that_did_not_run_is_started(phone):
    app = control(phone)
    app.stop()
    assert app.start_again() == ()
    assert phone.alive == set()


def test_a_start_that_fails_is_reported_not_raised(phone):
    """`am start` says Error and exits with 0."""
    phone.alive = {ANKI, DEBUG}
    app = control(phone)
    app.stop()
    phone.packages.remove(ANKI)
    (failure,) = app.start_again()
    assert ANKI in failure
    assert phone.alive == {DEBUG}


def test_a_lost_link_while_starting_is_reported_not_raised(phone):
    phone.alive = {ANKI}
    app = control(phone)
    app.stop()
    phone.gone = True
    (failure,) = app.start_again()
    assert "link" in failure


def test_a_lost_link_while_stopping_is_an_error(phone):
    phone.gone = True
    with pytest.raises(PhoneGone):
        control(phone).stop()


def test_a_folder_does_nothing_and_says_so(tmp_path):
    (tmp_path / "collection.anki2-wal").touch()
    app = control(FolderTransport(tmp_path), None)
    assert not app.can_tell
    assert app.running() == ()
    app.stop()
    assert app.start_again() == ()
    assert [path.name for path in tmp_path.iterdir()] == ["collection.anki2-wal"]


def test_a_phone_can_tell_behind_a_meter_too(phone):
    phone.alive = {ANKI}
    app = control(Metered(phone))
    assert app.can_tell
    app.stop()
    assert phone.alive == set()
