"""What a watch needs of those around it: somebody to tell, something to wake it, an ear for a sync that nobody watches."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from usbsync.core.watching import Topic, Why
from usbsync.device.detect import SeenPhone
from usbsync.device.hint import Hint
from usbsync.errors import (
    AnkiOpen,
    AtWork,
    Busy,
    NoPhone,
    NoSpace,
    PhoneClaimed,
    PhoneFailed,
    PhoneLocked,
    PhoneOffline,
    PhoneRefused,
    PhoneUnauthorized,
    UsbsyncError,
    WhichPhone,
)
from usbsync.session.report import Report
from usbsync.session.talk import Silent

_NUMBER = re.compile(r"\d[\d.,]*")

About = Report | UsbsyncError | None


class Voice(Protocol):
    """Whoever tells the person."""

    def tell(self, phone: str, topic: Topic, about: About) -> None:
        """Tell of a phone."""

    def note(self, text: str) -> None:
        """Write a line for who looks at the journal."""


class Source(Protocol):
    """What wakes the watch: `device.watch.Wakers`; tests give their own."""

    hints: SimpleQueue[Hint]
    folders: Collection[str]

    def start(self) -> None:
        """Begin to listen."""

    def stop(self) -> None:
        """End it."""

    def watch(self, folder: Path) -> None:
        """Give hints about the files of a folder."""

    def here(self) -> Mapping[str, SeenPhone | None]:
        """Return the phones that are plugged in; None for a mounted folder."""


class Also(Protocol):
    """A folder that is looked at besides: `session.inbox.Inbox`."""

    @property
    def folder(self) -> Path:
        """Where something may happen."""

    def look(self) -> float:
        """Do what there is to do; returns the seconds after which to look again."""


class Unwatched(Silent):
    """Nobody is watching a sync that came about by itself; what is worth a line goes to the journal."""

    def __init__(self, voice: Voice, asked: Callable[[], None]) -> None:
        self._voice, self._asked = voice, asked

    def note(self, text: str) -> None:
        """Write a line."""
        self._voice.note(text)

    def waiting(self) -> None:
        """Say what to tap."""
        self._asked()


def problem(error: UsbsyncError) -> str:
    """Name what went wrong, the numbers in it left out: the space that is left is another each time."""
    return f"{type(error).__name__}: {_NUMBER.sub('#', str(error))}"


def why(error: UsbsyncError) -> Why:
    """Say whether it may be another thing the next time."""
    match error:
        case AnkiOpen():
            return Why.ANKI_OPEN
        case PhoneUnauthorized():
            return Why.TAP
        case AtWork():
            return Why.AT_WORK
        case NoSpace() | PhoneRefused() | WhichPhone():
            return Why.FINAL
        case PhoneClaimed() | PhoneLocked() | PhoneOffline() | NoPhone() | Busy():
            return Why.PASSING
        case PhoneFailed():
            return Why.CABLE
    return Why.FINAL
