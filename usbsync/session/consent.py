"""Whether a phone may be synced when nobody is there to say so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from usbsync.core.conflict import Side
from usbsync.device.desktop import find_desktop
from usbsync.device.detect import seen_phones
from usbsync.device.spec import Adb, Folder, Usb, parse
from usbsync.errors import UsageError, UsbsyncError
from usbsync.session.options import Options
from usbsync.session.report import Report, Result
from usbsync.state.consent import Answer, Consent, allowed, forget_consent, load_consents, remember_consent
from usbsync.state.home import state_home

LISTED = "usbsync devices lists the phones by their serials"


def consents(options: Options) -> dict[str, Consent]:
    """Return every answer that was given, by phone."""
    return load_consents(state_home(options.environ))


def answer(options: Options, phone: str, said: Answer) -> str:
    """Remember an answer for a phone, and for the collection that is the desktop's now; return the phone's name.

    Raises UsageError where what is named is no serial and no folder.
    """
    name = phone_name(phone)
    consent = Consent(name, said, _collection(options), time.time())
    remember_consent(state_home(options.environ), consent)
    return name


def revoke(options: Options, phone: str | None = None) -> tuple[str, ...]:
    """Take back the answer for a phone, or all; return the phones that had been allowed."""
    return forget_consent(state_home(options.environ), None if phone is None else phone_name(phone))


def phone_name(text: str) -> str:
    """Return the name of a phone given as SERIAL, `usb:SERIAL`, `adb:SERIAL` or `folder:PATH`."""
    if not text.strip():
        raise UsageError("the phone's name is empty", hint=LISTED)
    named = text.startswith(("usb:", "adb:", "folder:"))
    spec = parse(text if named else f"usb:{text}")
    match spec:
        case Usb(str(serial)) | Adb(str(serial)):
            return serial
        case Folder(path):
            return f"folder:{path.absolute()}"
    raise UsageError(f"{text!r} names no phone", hint=LISTED)


def is_here(name: str) -> bool:
    """Say whether a phone of that name is seen now, or a folder there."""
    if name.startswith("folder:"):
        return Path(name.removeprefix("folder:")).is_dir()
    return name in {seen.serial for seen in seen_phones()}


def to_be_asked(options: Options, report: Report) -> str | None:
    """Name the phone of a sync that was done, where it would be known again when plugged in and nobody answered yet."""
    phone = report.names[Side.PHONE]
    answered = allowed(consents(options), phone) in {Answer.YES, Answer.NO}
    if report.result is Result.PLANNED or answered or phone not in {seen.serial for seen in seen_phones()}:
        return None
    return phone


def by_itself(known: Mapping[str, Consent], phone: str) -> bool:
    """Say whether a phone may be synced unasked."""
    return allowed(known, phone) is Answer.YES


def _collection(options: Options) -> str | None:
    """Return the desktop collection that is meant now: later Anki may have opened another profile."""
    try:
        found = find_desktop(collection=options.collection, profile=options.profile, environ=options.environ)
    except UsbsyncError:
        return None
    return str(found.collection)
