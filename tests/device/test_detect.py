"""Which phone is meant, by what is seen over USB and through an adb server."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.device.detect import How, SeenPhone, SeveralPhones, charging_phones, open_phone, seen_phones
from usbsync.device.spec import Adb, Folder, Tcp, Usb, parse
from usbsync.errors import (
    NoDebugging,
    NoPhone,
    PhoneClaimed,
    PhoneFailed,
    PhoneOffline,
    PhoneUnauthorized,
    UsbsyncError,
)
from usbsync.transport.ways import Seen, State


class FakeWays:
    """Opens nothing: answers with what was asked for."""

    def __init__(self, usb=(), server=(), charging=()):
        self.charging = [Seen("usb", "", State.CHARGING, model) for model in charging]
        self.usb = [Seen(f"usb:{serial}" if serial else "usb", serial, State(state)) for serial, state in usb]
        self.server = [Seen(f"adb:{serial}", serial, State(state)) for serial, state in server]

    def list_usb(self):
        return self.usb

    def list_server(self):
        return self.server

    def list_charging(self):
        return self.charging

    def open_usb(self, serial=None, *, on_waiting=None):
        return "usb", serial, on_waiting

    def open_tcp(self, host, port=5555, *, on_waiting=None):
        return "tcp", host, port, on_waiting

    def open_server(self, serial=None):
        return "adb", serial

    def open_folder(self, path):
        return "folder", path


def tap():
    """Stand for the call that says to tap Allow."""


@pytest.mark.parametrize(
    ("spec", "opened"),
    [
        (Usb(), ("usb", None, tap)),
        (Usb("A"), ("usb", "A", tap)),
        (Adb(), ("adb", None)),
        (Adb("A"), ("adb", "A")),
        (Tcp("h", 1), ("tcp", "h", 1, tap)),
        (Folder(Path("/x")), ("folder", Path("/x"))),
    ],
)
def test_what_is_named_is_opened_unseen(spec, opened):
    assert open_phone(spec, via=FakeWays(), on_waiting=tap) == opened


@pytest.mark.parametrize(
    ("usb", "server", "opened"),
    [
        ([("A", "ready")], [], ("usb", "A", tap)),
        ([("A", "claimed")], [("A", "device")], ("adb", "A")),
        ([("A", "ready")], [("A", "device")], ("adb", "A")),
        ([], [("A", "device")], ("adb", "A")),
        ([("", "forbidden")], [("A", "device")], ("adb", "A")),
        ([("A", "ready")], [("emulator-5554", "device")], ("usb", "A", tap)),
        ([("A", "ready")], [("emulator-5554", "offline")], ("usb", "A", tap)),
        ([("", "ready")], [], ("usb", None, tap)),
        ([], [("A", "device"), ("emulator-5554", "offline")], ("adb", "A")),
        ([], [("A", "other"), ("B", "device")], ("adb", "B")),
    ],
)
def test_the_one_phone_is_chosen_by_the_cable_first(usb, server, opened):
    ready = [(serial, state.replace("device", "ready")) for serial, state in server]
    assert open_phone(None, via=FakeWays(usb, ready), on_waiting=tap) == opened


@pytest.mark.parametrize(
    ("usb", "server", "specs"),
    [
        ([("A", "ready"), ("B", "ready")], [], ["usb:A", "usb:B"]),
        ([], [("A", "ready"), ("B", "ready")], ["adb:A", "adb:B"]),
        ([("A", "claimed"), ("B", "ready"), ("C", "ready")], [("A", "ready")], ["usb:B", "usb:C", "adb:A"]),
        ([], [("A", "ready"), ("B", "unauthorized")], ["adb:A", "adb:B"]),
        ([("A", "ready"), ("B", "forbidden")], [], ["usb:A", "usb:B"]),
        ([], [("A", "offline"), ("B", "offline")], ["adb:A", "adb:B"]),
        ([("A", "forbidden")], [("emulator-5554", "ready")], ["usb:A", "adb:emulator-5554"]),
    ],
)
def test_several_phones_are_a_persons_choice(usb, server, specs):
    with pytest.raises(SeveralPhones) as raised:
        open_phone(None, via=FakeWays(usb, server))
    assert raised.value.exit_code == 3
    for spec in specs:
        assert spec in str(raised.value)
        assert f"--device {spec}" in raised.value.hint


@pytest.mark.parametrize(
    ("state", "error", "advice"),
    [
        ("unauthorized", PhoneUnauthorized, "Allow"),
        ("offline", PhoneOffline, "unlock the phone"),
        ("claimed", PhoneClaimed, "adb kill-server"),
        ("forbidden", PhoneFailed, "udev rule"),
        ("other", NoPhone, "start the phone normally"),
    ],
)
@pytest.mark.parametrize("way", ["usb", "server"])
def test_a_phone_that_is_not_ready_says_what_to_do(way, state, error, advice):
    with pytest.raises(error) as raised:
        open_phone(None, via=FakeWays(**{way: [("A", state)]}))
    assert type(raised.value) is error
    assert advice in raised.value.hint


@pytest.mark.parametrize("models", [["Pixel 9"], ["Pixel 9", ""]])
def test_a_phone_that_only_charges_is_told_from_none(models):
    with pytest.raises(NoDebugging, match="Pixel 9") as raised:
        open_phone(None, via=FakeWays(charging=models))
    assert raised.value.exit_code == 3
    assert "USB debugging" in raised.value.hint


def test_what_only_charges_is_no_rival_of_a_phone():
    assert open_phone(None, via=FakeWays([("A", "ready")], charging=["camera"]))[1] == "A"
    assert [phone.state for phone in charging_phones(via=FakeWays(charging=["Pixel 9"]))] == [State.CHARGING]


def test_no_phone():
    with pytest.raises(NoPhone) as raised:
        open_phone(None, via=FakeWays())
    assert type(raised.value) is NoPhone
    assert "USB debugging" in raised.value.hint


def test_a_serial_that_makes_no_sense_is_not_asked_for_any_other():
    ways = FakeWays()
    ways.usb = [Seen("usb:", "", State.READY)]
    with pytest.raises(PhoneFailed):
        open_phone(None, via=ways)


def test_each_phone_is_listed_once_by_the_way_that_works():
    ways = FakeWays([("A", "claimed"), ("B", "forbidden")], [("A", "ready"), ("C", "offline")])
    ways.usb[1] = Seen("usb:B", "B", State.FORBIDDEN, "Pixel 9")
    listed = seen_phones(via=ways)
    assert listed == [
        SeenPhone("usb:B", "B", "Pixel 9", State.FORBIDDEN, How.USB),
        SeenPhone("adb:A", "A", "", State.READY, How.SERVER),
        SeenPhone("adb:C", "C", "", State.OFFLINE, How.SERVER),
    ]
    assert [str(phone) for phone in listed] == [
        "usb:B (Pixel 9, forbidden)",
        "adb:A (ready)",
        "adb:C (offline)",
    ]


seen = st.lists(
    st.tuples(
        st.sampled_from("ABC"), st.sampled_from([state.value for state in State if state != State.CHARGING])
    ),
    unique_by=lambda s: s[0],
)


@given(seen, seen)
def test_what_is_opened_was_seen_ready_and_is_no_adb_servers(usb, server):
    ways = FakeWays(usb, server)
    listed = {phone.spec: phone for phone in seen_phones(via=ways)}
    assert len({phone.serial for phone in listed.values()}) == len(listed)
    try:
        way, serial, *_ = open_phone(None, via=ways)
    except UsbsyncError:
        return
    assert listed[f"{way}:{serial}"].state is State.READY
    assert (way == "adb") == (serial in dict(server))


@given(seen, seen)
def test_each_device_that_is_listed_can_be_named(usb, server):
    for phone in seen_phones(via=FakeWays(usb, server)):
        assert str(parse(phone.spec)) == phone.spec
