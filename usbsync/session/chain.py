"""The links from Anki to AnkiDroid that `doctor` examines, in the order in which a sync needs them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from usbsync.collection.lock import hold
from usbsync.core.conflict import Side
from usbsync.device.ankidroid import PhoneReplica, find_phone, installed
from usbsync.device.desktop import DesktopReplica, find_desktop
from usbsync.device.detect import open_phone, seen_phones
from usbsync.device.shell import shell_of
from usbsync.device.spec import Adb, Spec, Tcp, Usb, parse
from usbsync.device.usb_bus import plugged_in
from usbsync.device.writing import write_test
from usbsync.errors import (
    DamagedData,
    NoPhone,
    NoSpace,
    PhoneFailed,
    PhoneUnauthorized,
    UsageError,
    UsbsyncError,
)
from usbsync.session.consent import by_itself, consents
from usbsync.session.doctor import Finding, Link, Said, Verdict, examine
from usbsync.session.meet import pair_of
from usbsync.session.options import Options
from usbsync.session.recover import interrupted
from usbsync.session.setup import SERVICE, Computer
from usbsync.state.ancestor import load_ancestor
from usbsync.state.backups import Backups
from usbsync.state.pair import Pair
from usbsync.transport import ways
from usbsync.transport.base import Transport

_PACKAGES = ("usbsync", "anki", "adb-shell", "adbutils")
_ROOM = 64 << 20
_CLOCKS_APART = 30.0
"""Seconds by which two clocks may differ before "the newer edit stands" could be wrong about what was newer."""
_DAY = 86_400
_STALE = 30 * _DAY


@dataclass(slots=True)
class Bench:
    """What the probes find for those after them."""

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


def examine_all(options: Options) -> Iterator[Finding]:
    """Examine the whole chain of a desktop and a phone."""
    bench = Bench(options)
    try:
        yield from examine(chain(bench))
    finally:
        bench.close()


def chain(bench: Bench) -> list[Link]:
    """Return the links in order; those of the cable only where a phone is reached over it."""
    spec = bench.spec
    cable = spec is None or isinstance(spec, Usb | Adb)
    over_adb = cable or isinstance(spec, Tcp)
    links = [
        Link("packages", lambda: _packages(bench)),
        Link("Anki", lambda: _anki(bench)),
        Link("Anki closed", lambda: _closed(bench), needs=("Anki",)),
    ]
    if cable:
        links += [
            Link("adb server", lambda: _server(bench)),
            Link("udev rule", lambda: _rule(bench)),
            Link("by itself", lambda: _service(bench)),
            Link("USB device", lambda: _node(bench)),
            Link("phone", lambda: _phone(bench), needs=("USB device",)),
        ]
    links.append(Link("connection", lambda: _open(bench), needs=("phone",), seconds=20))
    if over_adb:
        links.append(Link("AnkiDroid", lambda: _app(bench), needs=("connection",), seconds=20))
    links += [
        Link("folder", lambda: _folder(bench), needs=("connection", "AnkiDroid"), seconds=20),
        Link("write test", lambda: _write(bench), needs=("folder",), seconds=60),
        Link("space", lambda: _space(bench), needs=("folder", "Anki")),
    ]
    if over_adb:
        links.append(Link("clocks", lambda: _clocks(bench), needs=("connection",)))
    return [
        *links,
        Link("last sync", lambda: _last_sync(bench), needs=("folder", "Anki")),
        Link("backups", lambda: _backups(bench), needs=("folder", "Anki"), seconds=60),
    ]


# ---- this computer


def _packages(bench: Bench) -> Said:
    """List versions; without libusb only an adb server leads to a phone."""
    python = ".".join(map(str, sys.version_info[:3]))
    text = ", ".join([f"Python {python}", *(f"{name} {_version(name)}" for name in _PACKAGES)])
    try:
        bench.via.check_usb()
    except NoPhone as error:
        return Said(f"{text}; {error}", Verdict.WARNING, error.hint)
    return Said(text)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(unknown)"


def _anki(bench: Bench) -> Said:
    options = bench.options
    bench.found = find_desktop(
        collection=options.collection, profile=options.profile, environ=options.environ
    )
    if not bench.found.collection.exists():
        return Said(
            f"{bench.found.collection} is not there yet", Verdict.WARNING, "open that profile in Anki once"
        )
    return Said(f"{bench.found.name}: {bench.found.collection}")


def _closed(bench: Bench) -> Said:
    with hold(bench.desktop.collection):
        return Said("nobody has the collection open")


def _server(bench: Bench) -> Said:
    try:
        running = bench.via.server_devices()
    except NoPhone:
        return Said("none is running, and none is needed")
    except UsbsyncError as error:
        return Said(str(error), Verdict.WARNING, "restart it: adb kill-server")
    return Said(f"one is running, and knows {running} {'device' if running == 1 else 'devices'}")


def _rule(bench: Bench) -> Said:
    computer = bench.computer
    if not computer.has_udev:
        return Said("there is no udev here: none is needed")
    if computer.rule_is_there():
        return Said("is installed")
    what = "is another version's" if computer.rule.exists() else "is not installed"
    return Said(f"{computer.rule} {what}", Verdict.WARNING, "usbsync setup")


def _service(bench: Bench) -> Said:
    """Say whether phones are synced by themselves; somebody who wants that needs the service."""
    known, computer = consents(bench.options), bench.computer
    allowed = [phone for phone in known if by_itself(known, phone)]
    if not allowed:
        return Said("no phone is synced by itself; usbsync setup --phone SERIAL allows it")
    text = f"{', '.join(allowed)} may be synced by itself"
    if not computer.has_systemd:
        return Said(f"{text}, while usbsync watch runs")
    if not computer.unit_is_there():
        return Said(f"{text}, and nothing watches for it", Verdict.WARNING, "usbsync setup")
    if not _active():
        return Said(
            f"{text}, and the service is not running", Verdict.WARNING, f"systemctl --user restart {SERVICE}"
        )
    return Said(text)


def _active() -> bool:
    command = ["systemctl", "--user", "--quiet", "is-active", SERVICE]
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=5).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


# ---- the cable


def _node(bench: Bench) -> Said:
    """Look at the kernel's list: it has phones that nobody let us open, and those whose USB debugging is off."""
    devices = plugged_in(bench.computer.root)
    closed = [device for device in devices if device.adb and not device.usable]
    if closed:
        raise PhoneFailed(
            f"this account has no rights to {closed[0].node} ({closed[0].name})",
            hint="run usbsync setup, which installs a udev rule, then unplug the phone and plug it in again",
        )
    with_adb = [device for device in devices if device.adb]
    if with_adb:
        return Said(f"{with_adb[0].node} ({with_adb[0].name}) can be used")
    if devices and not bench.via.list_server():
        raise NoPhone(
            f"{devices[0].name} is plugged in, and its USB debugging is off",
            hint="on the phone: Settings, Developer options, USB debugging (tap Build number seven times to see them)",
        )
    return Said("the kernel shows no phone with USB debugging (or does not show it here)")


def _phone(bench: Bench) -> Said:
    phones, spec = seen_phones(via=bench.via), bench.spec
    serial = spec.serial if isinstance(spec, Usb | Adb) else None
    wanted = [phone for phone in phones if serial in {None, phone.serial}]
    if not wanted:
        hint = "plug it in with a cable that carries data, unlock it, and turn on USB debugging"
        raise NoPhone(f"no phone {serial} is seen" if serial else "no phone is seen", hint=hint)
    return Said("; ".join(map(str, wanted)))


def _open(bench: Bench) -> Said:
    def waiting() -> None:
        raise PhoneUnauthorized("the phone has not allowed USB debugging from this computer")

    bench.link = open_phone(bench.spec, on_waiting=waiting, via=bench.via)
    return Said(f"{bench.link.identity} answers")


# ---- the phone


def _app(bench: Bench) -> Said:
    shell = shell_of(bench.phone)
    packages = installed(shell) if shell else ()
    if not packages and not bench.options.app:
        raise NoPhone("AnkiDroid is not installed on the phone", hint="install AnkiDroid and open it once")
    return Said(", ".join(packages) or str(bench.options.app))


def _folder(bench: Bench) -> Said:
    bench.place = find_phone(bench.phone, app=bench.options.app, phone_dir=bench.options.phone_dir)
    return Said(f"{bench.place.folder} ({bench.place.reason})")


def _write(bench: Bench) -> Said:
    write_test(bench.phone, bench.folder)
    return Said("files can be made, read, renamed and removed there, and AnkiDroid could write them")


def _space(bench: Bench) -> Said:
    info = bench.phone.stat(bench.folder.collection)
    need = 3 * (info.size if info else 0) + _ROOM
    home = bench.desktop.folder
    frees = {
        Side.DESKTOP: shutil.disk_usage(home).free,
        Side.PHONE: bench.phone.free_space(bench.folder.folder),
    }
    for side, free in frees.items():
        if free < need:
            raise NoSpace(f"the {side} has {free >> 20:,} MiB free; a sync wants up to {need >> 20:,} MiB")
    return Said(", ".join(f"{free >> 20:,} MiB on the {side}" for side, free in frees.items()))


def _clocks(bench: Bench) -> Said:
    shell = shell_of(bench.phone)
    answer = shell.run(["date", "+%s"]).stdout.decode("ascii", "replace").strip() if shell else ""
    if not answer.isdigit():
        return Said("the phone does not tell the time", Verdict.WARNING)
    apart = abs(int(answer[:12]) - bench.clock())
    if apart > _CLOCKS_APART:
        text = f"the clocks are {apart:,.0f} s apart, and of two edits the newer stands"
        return Said(text, Verdict.WARNING, "let both set their clocks by the network")
    return Said("agree")


# ---- what is remembered


def _last_sync(bench: Bench) -> Said:
    if interrupted(bench.pair):
        return Said(
            "an earlier sync was interrupted", Verdict.WARNING, "usbsync sync: it finishes that first"
        )
    ancestor = load_ancestor(bench.pair)
    if ancestor is None:
        return Said("these two were never synced", Verdict.WARNING, "usbsync sync")
    ancestor.check()
    when = datetime.fromtimestamp(ancestor.when, UTC).astimezone()
    old = bench.clock() - ancestor.when > _STALE
    return Said(
        f"{when:%Y-%m-%d %H:%M}", Verdict.WARNING if old else Verdict.PASS, "usbsync sync" if old else ""
    )


def _backups(bench: Bench) -> Said:
    backups = Backups(bench.pair)
    found = backups.list()
    if not found:
        return Said("none yet: nothing was changed so far")
    try:
        backups.verify(found[0])
    except DamagedData as error:
        raise DamagedData(
            str(error), hint="look after that disk; the next sync makes a new backup"
        ) from error
    return Said(f"{len(found)}, {sum(each.size for each in found) >> 20:,} MiB; the last is whole")


def _had(value: Any) -> Any:
    if value is None:
        raise UsageError("a probe ran before what it needs")
    return value
