"""Every error that reaches a person: what happened, its exit code, and a hint that says what to do."""

from __future__ import annotations

from typing import ClassVar


class UsbsyncError(Exception):
    """Base of all errors of ours; the message says what happened and what is safe."""

    exit_code: ClassVar[int] = 1
    hint: str = "this is a bug in usbsync; please report it with the output above"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class UsageError(UsbsyncError):
    """The command line asks for something that does not exist or does not go together."""

    exit_code = 2
    hint = "see usbsync --help"


class NoPhone(UsbsyncError):
    """No phone, or no AnkiDroid on it."""

    exit_code = 3
    hint = "plug the phone in, unlock it, and turn on USB debugging; usbsync devices lists what is seen"


class WhichPhone(NoPhone):
    """Several phones or several AnkiDroid folders, and nothing says which."""

    hint = "choose one with --device"


class ChoiceNeeded(UsbsyncError):
    """A person has to decide something before anything is written."""

    exit_code = 4
    hint = "choose with --first merge, upload or download"


class GuardRefused(ChoiceNeeded):
    """What was found looks like a mistake; nothing was written."""

    hint = "look at both sides first; nothing was changed"


class NoDebugging(NoPhone):
    """A phone is plugged in that charges, or offers its files, and has USB debugging off."""

    hint = (
        "on the phone turn on USB debugging (Settings, System, Developer options; these appear after seven taps on "
        '"Build number" in About phone), then run the command again'
    )


class Busy(UsbsyncError):
    """Something else is using what must be still."""

    exit_code = 5
    hint = "close it and run the command again"


class AnkiOpen(Busy):
    """Anki, or another program, holds the desktop's collection open."""

    hint = "close Anki and run the command again"


class AtWork(Busy):
    """Another usbsync is at work on this phone or this collection."""

    hint = "wait until it is done, then run the command again"


class AppRunning(Busy):
    """AnkiDroid is running and did not stop."""

    hint = "close AnkiDroid on the phone (swipe it away) and run the command again"


class PhoneFailed(UsbsyncError):
    """The phone or the cable failed; nothing half-done is left under a final name."""

    exit_code = 6
    hint = "check the cable and run the command again; both sides are whole"


class PhoneGone(PhoneFailed):
    """The link to the phone was lost."""


class PhoneOffline(PhoneFailed):
    """The phone is plugged in and does not answer."""

    hint = (
        "unlock the phone, turn USB debugging off and on again (Developer options), plug it in anew, "
        "then run the command again"
    )


class PhoneLocked(PhoneFailed):
    """The phone was started and not unlocked since, so that its files are still encrypted."""

    hint = "unlock the phone once, then run the command again"


class PhoneUnauthorized(PhoneFailed):
    """The phone has not allowed USB debugging from this computer."""

    hint = 'unlock the phone and tap "Allow" on "Allow USB debugging?", then run the command again'


class PhoneClaimed(PhoneFailed):
    """Another program (mostly an adb server) owns the phone's USB interface."""

    hint = "use --device adb to go through the running adb server, or stop it with: adb kill-server"


class PhoneRefused(PhoneFailed):
    """The phone answered, and said no: a file could not be read, written or renamed."""

    hint = (
        "make sure that its folder can be read and written, then run the command again; both sides are whole"
    )


class NoSpace(PhoneFailed):
    """A side has too little free space for what would be written."""

    hint = "make room and run the command again; nothing was changed"


class DamagedData(UsbsyncError):
    """A collection, state file or listing is not what it must be."""

    exit_code = 7
    hint = (
        "nothing was changed; in Anki or AnkiDroid run Check Database; or usbsync backups lists older states, "
        "and usbsync restore ID --side desktop --yes (or --side phone) puts one in its place"
    )


class NewerState(DamagedData):
    """A newer usbsync wrote a state file; it is sound, and not ours to judge."""

    hint = "update usbsync; nothing was changed"


class UnsupportedCollection(DamagedData):
    """A collection of a schema this version cannot write back."""

    hint = "update AnkiDroid, Anki or usbsync so that all know this schema; nothing was changed"
