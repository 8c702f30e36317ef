"""Telling a person who looks at no terminal: a notification of the desktop's, and a line for the journal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from typing import Any

from usbsync.cli.render import sides, to_import
from usbsync.core.conflict import Weight
from usbsync.core.watching import Topic
from usbsync.errors import UsbsyncError
from usbsync.session.report import Report
from usbsync.session.watch_needs import About

_WHERE = ("/org/freedesktop/Notifications", "org.freedesktop.Notifications")
_SECONDS = 3.0
_URGENT = {Topic.FAILED: 2, Topic.CUT: 2}
"""Urgency (Desktop Notifications Specification, hints): 2 stays until it is looked at, 1 is the ordinary one."""


class Notifier:
    """A voice; a new notification about a phone takes the place of the one before."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._said: set[str] = set()

    def tell(self, phone: str, topic: Topic, about: About) -> None:
        """Write a line, and show a notification where the desktop has a place for it."""
        title, body = words(phone, topic, about)
        self.note(f"{title}: {body}".replace("\n", "; "))
        try:
            self._ids[phone] = notify(title, body, _URGENT.get(topic, 1), self._ids.get(phone, 0))
        except Exception as error:  # noqa: BLE001 - no bus, no service, or one that answers nonsense: the line is written
            self._cannot(error)

    def _cannot(self, error: Exception) -> None:
        """Say why no notification came, once."""
        bare = "DBUS_SESSION_BUS_ADDRESS" in str(error)
        why = "there is no desktop session here" if bare else f"{type(error).__name__}: {error}"
        if why not in self._said:
            self._said.add(why)
            self.note(f"no notification could be shown ({why})")

    def note(self, text: str) -> None:
        """Write a line; of a service, it is in the journal."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def words(phone: str, topic: Topic, about: About) -> tuple[str, str]:
    """Return the title and the text of what a person is told."""
    match topic, about:
        case Topic.ASK, _:
            return f"{phone} is plugged in", f"To have it synced by itself: usbsync setup --phone {phone}"
        case Topic.CLOSE_ANKI, _:
            return f"Close Anki to sync {phone}", "It is synced as soon as Anki is closed."
        case Topic.TAP, _:
            return f"{phone} is waiting", 'Unlock it and tap "Allow" on "Allow USB debugging?".'
        case Topic.CUT, _:
            return f"{phone} was unplugged", "Both sides are whole. Plug it in again, and the sync goes on."
        case Topic.DONE, Report(answer=str()):
            said = to_import(about)
            return f"{phone} is merged", "\n".join((f"{said[0].upper()}{said[1:]}.", *_news(about)))
        case Topic.DONE, Report():
            return f"Anki and {phone} are in step", "\n".join(_news(about)) or "Nothing was new."
        case _, UsbsyncError():
            return f"{phone} was not synced", f"{about}\n{about.hint}"
    return f"{phone}: {topic.value}", ""


def _news(report: Report) -> Iterator[str]:
    for side, text in sides(report):
        yield f"{side.value}: {text}"
    lost = sum(conflict.weight is Weight.LOST for conflict in report.conflicts) + len(report.media_conflicts)
    if lost:
        yield f"{lost} {'conflict' if lost == 1 else 'conflicts'}: usbsync conflicts shows what lost"


def notify(title: str, body: str, urgency: int, replaces: int) -> int:
    """Show one notification and return its id; raises whatever is wrong with the bus or the service."""
    from jeepney import DBusAddress, MessageType, new_method_call  # noqa: PLC0415 - Linux only
    from jeepney.io.blocking import open_dbus_connection  # noqa: PLC0415

    where = DBusAddress(_WHERE[0], bus_name=_WHERE[1], interface=_WHERE[1])
    with open_dbus_connection("SESSION") as bus:
        able = bus.send_and_get_reply(new_method_call(where, "GetCapabilities"), timeout=_SECONDS).body[0]
        text = escape(body, quote=False) if "body-markup" in able else body
        hints = {"urgency": ("y", urgency), "desktop-entry": ("s", "usbsync")}
        what: tuple[Any, ...] = ("usbsync", replaces, "phone", title, text, [], hints, -1)
        answer = bus.send_and_get_reply(
            new_method_call(where, "Notify", "susssasa{sv}i", what), timeout=_SECONDS
        )
        if answer.header.message_type is MessageType.error:
            raise OSError(str(answer.body))
        return int(answer.body[0])
