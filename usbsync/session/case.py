"""What `doctor` has found so far: each probe leaves here what those after it need."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from usbsync.device.ankidroid import PhoneReplica
from usbsync.device.desktop import DesktopReplica
from usbsync.device.spec import Adb, Spec, Usb, parse
from usbsync.errors import UsbsyncError
from usbsync.session.meet import pair_of
from usbsync.session.options import Options
from usbsync.session.setup import Computer
from usbsync.state.pair import Pair
from usbsync.transport import ways
from usbsync.transport.base import Transport

Found = TypeVar("Found")


@dataclass(slots=True)
class Case:
    """One examination; tests give another computer, other ways to phones, another clock."""

    options: Options
    computer: Computer = field(default_factory=Computer)
    via: Any = ways
    clock: Callable[[], float] = time.time
    found: DesktopReplica | None = None
    link: Transport | None = None
    place: PhoneReplica | None = None

    @property
    def spec(self) -> Spec | None:
        """Which phone was named."""
        return parse(self.options.device) if self.options.device else None

    @property
    def serial(self) -> str | None:
        """The serial that was named."""
        spec = self.spec
        return spec.serial if isinstance(spec, Usb | Adb) else None

    @property
    def desktop(self) -> DesktopReplica:
        """The desktop, once it was found."""
        return _had(self.found)

    @property
    def phone(self) -> Transport:
        """The phone, once it was opened."""
        return _had(self.link)

    @property
    def folder(self) -> PhoneReplica:
        """AnkiDroid's folder, once it was found."""
        return _had(self.place)

    @property
    def pair(self) -> Pair:
        """The memory of the two."""
        return pair_of(self.options, self.desktop, self.phone, self.folder)

    def close(self) -> None:
        """Let the phone go."""
        with suppress(UsbsyncError):
            if self.link:
                self.link.close()


def _had(value: Found | None) -> Found:
    if value is None:
        raise LookupError("a probe ran before what it needs")
    return value
