"""The links from Anki to AnkiDroid that `doctor` examines, in the order in which a sync needs them."""

from __future__ import annotations

from collections.abc import Iterator

from usbsync.device.spec import Adb, Folder, Package, Spec, Usb
from usbsync.errors import UsageError
from usbsync.session import probe_computer as computer
from usbsync.session import probe_data as data
from usbsync.session import probe_phone as phone
from usbsync.session.case import Case
from usbsync.session.doctor import Finding, Link, examine
from usbsync.session.options import Options

_LOOK = "look whether that disk answers (a network's, a dead mount?)"
_BOTH = ("last sync", "Anki's data", "AnkiDroid's data")
_HERE = (
    Link("packages", computer.packages, late="unplug all USB devices that hang, and run this again"),
    Link("Anki", computer.anki, late=_LOOK),
    Link("Anki closed", computer.anki_closed, ("Anki",), late=_LOOK),
    Link("memory", computer.memory, late=_LOOK),
)
_SERVER = Link("adb server", computer.adb_server, seconds=5, late=computer.RESTART)
_USB = (
    Link("udev rule", computer.rule),
    Link("service", computer.service),
    Link("USB device", computer.usb_device, ("adb server",)),
)
_SEEN = Link("phone", computer.phone, ("adb server", "USB device"))
_CONNECTION = Link("connection", phone.connection, ("phone", "adb server"), seconds=20)
_APP = Link("AnkiDroid", phone.ankidroid, ("connection",), seconds=20)
_PLACE = (
    Link("folder", phone.folder, ("connection", "AnkiDroid"), seconds=20),
    Link("AnkiDroid closed", phone.ankidroid_closed, ("folder",)),
    Link("last sync", phone.last_sync, ("folder", "Anki", "memory"), seconds=60, late=_LOOK),
)
_DATA = (
    Link("Anki's data", data.desktop_data, ("Anki closed",), seconds=300, late=_LOOK),
    Link("AnkiDroid's data", data.phone_data, ("AnkiDroid closed",), seconds=300),
    Link("nothing lost", data.nothing_lost, _BOTH, seconds=300, late=_LOOK),
    Link("media", data.media, ("last sync",), seconds=120),
    Link("write test", phone.writing, ("folder",), seconds=120),
    Link("space", data.space, (*_BOTH, "media")),
)
_CLOCKS = Link("clocks", phone.clocks, ("connection",))
_BACKUPS = Link("backups", phone.backups, ("folder", "Anki", "memory"), seconds=60, late=_LOOK)


def examine_all(options: Options) -> Iterator[Finding]:
    """Examine the whole chain of a desktop and a phone; nothing is changed by it."""
    case, late = Case(options), False
    try:
        for finding in examine(chain(case.spec), case):
            late |= finding.late
            yield finding
    finally:
        case.sweep()
        if not late:  # a probe that did not come back may still have the phone in hand
            case.close()


def chain(spec: Spec | None) -> tuple[Link[Case], ...]:
    """Return the links in order; those of the cable only where a phone is reached over it."""
    match spec:
        case Package():
            raise UsageError(
                "doctor examines the way to a phone, and a package needs none",
                hint="usbsync plan --device package:FILE looks into a package and changes nothing",
            )
        case Folder():
            return (*_HERE, _CONNECTION, *_PLACE, *_DATA, _BACKUPS)
        case None:
            way: tuple[Link[Case], ...] = (_SERVER, *_USB, _SEEN)
        case Usb():
            way = (*_USB, _SEEN)
        case Adb():
            way = (_SERVER, _SEEN)
        case _:
            way = ()
    return (*_HERE, *way, _CONNECTION, _APP, *_PLACE, *_DATA, _CLOCKS, _BACKUPS)
