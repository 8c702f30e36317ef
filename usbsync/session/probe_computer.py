"""The links of the chain that are on this computer: Anki, what usbsync needs, the adb server, udev, the cable's end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from usbsync.device.detect import seen_phones
from usbsync.device.spec import Adb, Usb
from usbsync.device.usb_bus import UsbDevice, plugged_in
from usbsync.errors import NoPhone, PhoneFailed, PhoneRefused, UsageError
from usbsync.session.case import Case
from usbsync.session.consent import by_itself, consents
from usbsync.session.desktop import desktop_meant, home_of, was_synced
from usbsync.session.doctor import Said, warning
from usbsync.session.meet import refuse_open
from usbsync.session.setup import SERVICE
from usbsync.state.home import state_home

_PACKAGES = ("usbsync", "anki", "adb-shell", "adbutils")
RESTART = "restart the adb server: adb kill-server"
_DEBUGGING = (
    "on the phone: Settings, Developer options, USB debugging (tap Build number seven times to see them)"
)


def packages(case: Case) -> Said:
    """List versions, and see that libusb is there where the cable may be the way."""
    python = ".".join(map(str, sys.version_info[:3]))
    text = ", ".join([f"Python {python}", *(f"{name} {_version(name)}" for name in _PACKAGES)])
    try:
        if case.spec is None or isinstance(case.spec, Usb):
            case.via.check_usb()
    except NoPhone as error:
        return warning(f"{text}; {error}", error.hint)
    return Said(text)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(unknown)"


def anki(case: Case) -> Said:
    """Find the desktop's collection, and see that its folder can be written."""
    options = case.options
    case.found = found = desktop_meant(options)
    if not os.access(home_of(found), os.W_OK):
        raise PhoneRefused(
            f"the desktop's folder {found.folder} cannot be written to",
            hint="make that folder writable, then run the command again",
        )
    if not found.collection.exists() and was_synced(options, found.collection):
        how = "usbsync sync --one-way download, or usbsync backups and usbsync restore ID --side desktop"
        return warning(f"{found.collection} is gone", how)
    if not found.collection.exists():
        return warning(f"{found.collection} is not there yet", "open that profile in Anki once")
    return Said(f"{found.name}: {found.collection}")


def anki_closed(case: Case) -> Said:
    """See that no program has the collection open."""
    refuse_open(case.desktop, case.options)
    return Said("nobody has the collection open")


def memory(case: Case) -> Said:
    """See that what usbsync remembers can be kept."""
    home = state_home(case.options.environ)
    there = existing(home)
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(
            f"{there} is no folder that can be written", hint="make it one, or name another with USBSYNC_HOME"
        )
    if there == home:
        return Said(str(home))
    _see_it_can_be_made(home, there)
    return Said(f"{home} (not made yet)")


def _see_it_can_be_made(home: Path, there: Path) -> None:
    """Make a folder there and remove it: not all that says it can be written (/proc) takes one."""
    try:
        tempfile.TemporaryDirectory(prefix=".usbsync-", dir=there).cleanup()
    except OSError as error:
        raise UsageError(
            f"the folder {home} cannot be made: {error.strerror}",
            hint="let USBSYNC_HOME name a folder that can be made",
        ) from error


def existing(path: Path) -> Path:
    """Return the part of a path that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def adb_server(case: Case) -> Said:
    """Ask a running adb server what it knows; only where it was named must there be one."""
    try:
        known = case.via.server_devices()
    except NoPhone:
        if isinstance(case.spec, Adb):
            raise
        return Said("none is running, and none is needed")
    except PhoneFailed as error:
        raise PhoneFailed(
            str(error), hint=RESTART if error.hint == type(error).hint else error.hint
        ) from error
    return Said(f"one is running, and knows {known} {'device' if known == 1 else 'devices'}")


def rule(case: Case) -> Said:
    """See that udev has our rule."""
    computer = case.computer
    if not computer.has_udev:
        return Said("there is no udev here: none is needed")
    if computer.rule_is_there():
        return Said("is installed")
    what = "is another version's" if computer.rule.exists() else "is not installed"
    return warning(f"{computer.rule} {what}", "usbsync setup")


def service(case: Case) -> Said:
    """See that a phone which may be synced by itself is watched for."""
    known, computer = consents(case.options), case.computer
    allowed = [phone for phone in known if by_itself(known, phone)]
    if not allowed:
        return Said("no phone is synced by itself; usbsync setup --phone SERIAL allows it")
    text = f"{', '.join(allowed)} may be synced by itself"
    if not computer.has_systemd:
        return Said(f"{text}, while usbsync watch runs")
    if not computer.unit_is_there():
        return warning(f"{text}, and nothing watches for it", "usbsync setup")
    if not _active():
        return warning(f"{text}, and the service does not run", f"systemctl --user restart {SERVICE}")
    return Said(text)


def _active() -> bool:
    command = ["systemctl", "--user", "--quiet", "is-active", SERVICE]
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=5).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def usb_device(case: Case) -> Said:
    """Look at the kernel's list: it has phones that nobody let us open, and those whose USB debugging is off."""
    there = [device for device in plugged_in(case.computer.root) if case.serial in {None, device.serial}]
    with_adb = [device for device in there if device.adb]
    if usable := [device for device in with_adb if device.usable]:
        return Said(f"{usable[0].node} ({usable[0].name}) can be used")
    if not isinstance(case.spec, Usb) and case.via.list_server():
        return Said("the adb server has what is there")
    if with_adb:
        raise _closed(with_adb[0], rule_is_there=case.computer.rule_is_there())
    if there:
        raise NoPhone(f"{there[0].name} is plugged in, and its USB debugging is off", hint=_DEBUGGING)
    return Said("the kernel shows no phone with USB debugging (or does not show it here)")


def _closed(device: UsbDevice, *, rule_is_there: bool) -> PhoneFailed:
    if not device.node.exists():
        hint = "a container has to be given it; else plug the phone in again"
        return PhoneFailed(f"{device.node}, of {device.name}, is not there", hint=hint)
    first = "" if rule_is_there else "run usbsync setup, which installs a udev rule, then "
    return PhoneFailed(
        f"this account has no rights to {device.node} ({device.name})",
        hint=f"{first}unplug the phone and plug it in again",
    )


def phone(case: Case) -> Said:
    """See that the phone is seen."""
    seen = case.via.list_usb() if isinstance(case.spec, Usb) else seen_phones(via=case.via)
    wanted = [each for each in seen if case.serial in {None, each.serial}]
    if not wanted:
        hint = "plug it in with a cable that carries data, unlock it, and turn on USB debugging"
        raise NoPhone(f"no phone {case.serial} is seen" if case.serial else "no phone is seen", hint=hint)
    return Said("; ".join(f"{each.spec} ({each.state.value})" for each in wanted))
