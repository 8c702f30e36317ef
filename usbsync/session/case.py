"""What `doctor` has found so far: each probe leaves here what those after it need."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from usbsync.collection.snapshot import Snapshot
from usbsync.core.conflict import Side
from usbsync.device.ankidroid import PhoneReplica
from usbsync.device.desktop import DesktopReplica
from usbsync.device.spec import Adb, Spec, Usb, parse
from usbsync.errors import UsbsyncError
from usbsync.session.desktop import home_of
from usbsync.session.meet import WORK, desktop_replica, local_of, pair_of, phone_replica
from usbsync.session.options import Options
from usbsync.session.replica import Replica
from usbsync.session.setup import Computer
from usbsync.state.ancestor import Ancestor
from usbsync.state.pair import Pair
from usbsync.transport import ways
from usbsync.transport.base import FileInfo, Transport
from usbsync.transport.ways import open_folder
from usbsync.transport.wrap import ReadOnly

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
    ancestor: Ancestor | None = None
    fingerprints: dict[Side, str] = field(default_factory=dict)  # of the collections; "" where there is none
    snapshots: dict[Side, Snapshot] = field(default_factory=dict)  # of those that were read
    media: dict[Side, dict[str, FileInfo]] = field(default_factory=dict)
    _work: TemporaryDirectory[str] | None = field(default=None, init=False)

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

    @property
    def replicas(self) -> dict[Side, Replica]:
        """Both sides, only to be looked at."""
        return {side: self.replica(side) for side in Side}

    def replica(self, side: Side) -> Replica:
        """Return one side, only to be looked at."""
        if side is Side.DESKTOP:
            return desktop_replica(self.desktop, ReadOnly(open_folder(home_of(self.desktop))))
        local = local_of(self.spec, self.phone, self.folder.collection)
        return phone_replica(self.desktop, self.folder, ReadOnly(self.phone), local)

    @property
    def scratch(self) -> Path:
        """A folder to work in, which goes with `sweep`."""
        if self._work is None:
            theirs = self.pair.folder / WORK if self.place else None  # a sync works there, too, and tidies up
            where = theirs if theirs and theirs.is_dir() else None
            self._work = TemporaryDirectory(prefix="usbsync-", dir=where, ignore_cleanup_errors=True)
        return Path(self._work.name)

    def sweep(self) -> None:
        """Remove what was copied to be looked into."""
        if self._work:
            self._work.cleanup()

    def close(self) -> None:
        """Let the phone go."""
        self.sweep()
        with suppress(UsbsyncError):
            if self.link:
                self.link.close()


def _had(value: Found | None) -> Found:
    if value is None:
        raise LookupError("a probe ran before what it needs")
    return value
