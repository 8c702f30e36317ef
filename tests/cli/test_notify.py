"""Notifications, over a real bus to a service that takes them down."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest
from jeepney import new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

from usbsync.cli.notify import Notifier, notify, words
from usbsync.core.conflict import Side
from usbsync.core.watching import Topic
from usbsync.errors import DamagedData
from usbsync.session.report import Report, Result

NAME = "org.freedesktop.Notifications"
REPORT = Report(
    Result.MERGED,
    {Side.DESKTOP: "User 1", Side.PHONE: "R58M"},
    changes={Side.PHONE: {"notes": {"added": 2, "updated": 0, "deleted": 1}}},
)


@pytest.fixture
def bus(tmp_path, monkeypatch):
    """A session bus of our own."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip(
            "dbus-daemon is not installed (apt install dbus): no notification was sent over a real bus"
        )
    command = [daemon, "--session", "--nofork", "--print-address=1", f"--address=unix:dir={tmp_path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", process.stdout.readline().strip())
        yield
        process.terminate()


@contextmanager
def service(capabilities=("body",), *, refuses=False):
    """Play the desktop's notification service; gives the list of what it was told to show."""

    shown = []
    with open_dbus_connection("SESSION") as connection:
        connection.send_and_get_reply(message_bus.RequestName(NAME))

        def serve():
            while True:
                try:
                    message = connection.receive()
                except (OSError, ConnectionError, ValueError):
                    return
                member = message.header.fields.get(3)
                if member == "GetCapabilities":
                    connection.send(new_method_return(message, "as", (list(capabilities),)))
                elif member == "Notify":
                    shown.append(message.body)
                    answer = (
                        new_error(message, "x.y.No", "s", ("no",))
                        if refuses
                        else new_method_return(message, "u", (41 + len(shown),))
                    )
                    connection.send(answer)
                    if message.body[3] == "last":
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield shown
        end(thread)


def end(thread):
    """Let the service's thread leave its connection before that is closed."""

    with suppress(OSError):
        notify("last", "", 1, 0)
    thread.join(10)


def test_what_was_done_is_shown_with_counts(bus, capsys):
    with service() as shown:
        Notifier().tell("R58M", Topic.DONE, REPORT)
    program, replaces, _icon, title, body, actions, hints, timeout = shown[0]
    assert (program, replaces, title) == ("usbsync", 0, "Anki and R58M are in step")
    assert body == "phone: 2 new notes; 1 deleted note"
    assert (actions, timeout, hints["urgency"]) == ([], -1, ("y", 1))
    assert "2 new notes" in capsys.readouterr().err


def test_a_phones_notification_takes_the_place_of_its_last(bus):
    notifier = Notifier()
    with service() as shown:
        for phone in ("a", "a", "b", "a"):
            notifier.tell(phone, Topic.TAP, None)
    assert [told[1] for told in shown[:4]] == [0, 42, 0, 43]


def test_a_failure_says_the_way_out_and_stays(bus):
    with service() as shown:
        Notifier().tell("R58M", Topic.FAILED, DamagedData("it is damaged"))
    assert shown[0][4] == f"it is damaged\n{DamagedData.hint}"
    assert shown[0][6]["urgency"] == ("y", 2)


@pytest.mark.parametrize(
    ("able", "expected"), [(["body", "body-markup"], "&lt;b&gt;&amp;"), (["body"], "<b>&")]
)
def test_what_a_phone_says_is_no_markup(bus, able, expected):
    with service(able) as shown:
        Notifier().tell("x", Topic.FAILED, DamagedData("<b>&"))
    assert shown[0][4].startswith(expected)


def test_a_service_that_refuses_leaves_the_line(bus, capsys):
    with service(refuses=True):
        Notifier().tell("R58M", Topic.TAP, None)
    said = capsys.readouterr().err
    assert 'tap "Allow"' in said
    assert "no notification could be shown" in said


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "nonsense", ""])
def test_without_a_bus_the_line_is_written(monkeypatch, capsys, address):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    Notifier().tell("R58M", Topic.CLOSE_ANKI, None)
    assert capsys.readouterr().err.startswith("Close Anki to sync R58M")


def test_that_there_is_no_bus_is_said_in_words_and_once(monkeypatch, capsys):
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    voice = Notifier()
    for _ in range(3):
        voice.tell("R58M", Topic.CLOSE_ANKI, None)
    said = capsys.readouterr().err
    assert said.count("Close Anki to sync R58M") == 3
    assert said.count("no notification could be shown (there is no desktop session here)") == 1
    assert said.count("no notification") == 1


@pytest.mark.parametrize("topic", Topic)
def test_every_topic_has_words(topic):
    about = REPORT if topic is Topic.DONE else DamagedData("x")
    title, body = words("R58M", topic, about)
    assert "R58M" in title
    assert body
