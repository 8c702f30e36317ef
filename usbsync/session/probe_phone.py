"""The links of the chain from the phone's door to AnkiDroid's folder, and what is remembered of the two."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from usbsync.collection.lock import hold
from usbsync.core.conflict import Side
from usbsync.device.ankidroid import installed, version_of
from usbsync.device.app import AppControl
from usbsync.device.detect import open_phone
from usbsync.device.locked import check_unlocked
from usbsync.device.shell import shell_of
from usbsync.device.spec import Folder
from usbsync.device.writing import write_test
from usbsync.errors import Busy, DamagedData, NoPhone, PhoneUnauthorized
from usbsync.session.alone import NO_PHONE
from usbsync.session.case import Case
from usbsync.session.doctor import Said, warning
from usbsync.session.meet import place_of
from usbsync.session.recover import interrupted
from usbsync.state.ancestor import load_ancestor
from usbsync.state.backups import Backups
from usbsync.state.pair import Pair, known_pairs
from usbsync.transport.base import Mendable

FIRST_NEW = (2, 17)
"""The first AnkiDroid that keeps the newer kind of collection (reference/ankidroid.md 3)."""
_CLOCKS_APART = 30.0
"""Seconds by which two clocks may differ before "the newer edit stands" could be wrong about what was newer."""
_STALE = 30 * 86_400
_READ_MOST = 1 << 30
"""Bytes up to which the last backup is read whole."""
_NUMBERS = re.compile(r"(\d{1,4})\.(\d{1,4})")


def connection(case: Case) -> Said:
    """Open the phone; nobody is asked for anything."""

    def waiting() -> None:
        raise PhoneUnauthorized(
            "the phone has not allowed USB debugging from this computer",
            hint='run usbsync sync, unlock the phone, and tap "Allow" when it asks',
        )

    case.link = open_phone(case.spec, on_waiting=waiting, via=case.via)
    check_unlocked(case.link)
    if isinstance(case.link, Mendable):
        if case.link.unfinished():
            # nothing may be tried there: what is written down of what is to be mended would be lost
            raise Busy(
                "an earlier sync was interrupted between two names of a file",
                hint="leave AnkiDroid closed and run usbsync sync: it finishes that first",
            )
        return warning(case.link.limits, "turn on USB debugging where you can")
    return Said(f"{case.link.identity} answers")


def ankidroid(case: Case) -> Said:
    """List the AnkiDroids that are installed, and their versions."""
    shell = shell_of(case.phone)
    names = installed(shell) if shell else ()
    if not shell or not names:
        if case.options.app:
            return Said(case.options.app)
        raise NoPhone("AnkiDroid is not installed on the phone", hint="install AnkiDroid and open it once")
    versions = {name: version_of(shell, name) for name in names}
    text = ", ".join(f"{name} {said or '(version unknown)'}" for name, said in versions.items())
    if old := [name for name, said in versions.items() if said and _is_old(said)]:
        return warning(
            f"{text}: an AnkiDroid of before 2.17 keeps an older kind of collection, which holds less",
            f"update {old[0]} (it is synced all the same)",
        )
    return Said(text)


def _is_old(said: str) -> bool:
    found = _NUMBERS.match(said)
    return found is not None and (int(found[1]), int(found[2])) < FIRST_NEW


def folder(case: Case) -> Said:
    """Find AnkiDroid's folder."""
    case.place = place_of(case.phone, case.spec, case.options)
    case.replica(Side.PHONE)  # not the desktop's own
    if case.phone.stat(case.place.collection) is None:
        return warning(f"{case.place.folder} has no collection yet", "open AnkiDroid once")
    return Said(f"{case.place.folder} ({case.place.reason})")


def ankidroid_closed(case: Case) -> Said:
    """Say who has the phone's collection open: over ADB a sync stops it, in a folder it is in the way."""
    spec = case.spec
    if isinstance(spec, Folder) and not isinstance(case.phone, Mendable):
        with hold(spec.path / case.folder.collection.lstrip("/")):
            return Said("nobody on this computer has its collection open")
    app = AppControl(case.phone, case.folder)
    if not app.can_tell:
        return warning("nobody can see from here whether AnkiDroid is open", "close it (swipe it away)")
    running = app.running()
    if len(running) > 1:
        text = f"{' and '.join(running)} are running, and may have one folder open"
        return warning(text, "let each have a folder of its own; a sync stops all of them")
    return Said(
        f"{running[0]} is running; a sync stops it and starts it again" if running else "it is closed"
    )


def writing(case: Case) -> Said:
    """Do there all that a sync does."""
    write_test(case.phone, case.folder)
    return Said("files can be made, read, renamed, replaced and removed there, and AnkiDroid can write them")


def clocks(case: Case) -> Said:
    """Compare the two clocks, by which the newer of two edits is told."""
    shell = shell_of(case.phone)
    answer = shell.run(["date", "+%s"]).stdout.strip() if shell else b""
    if not re.fullmatch(rb"\d{1,12}", answer):
        return warning("the phone does not tell the time")
    apart = int(answer) - case.clock()
    if abs(apart) > _CLOCKS_APART:
        text = f"the phone's is {abs(apart):,.0f} s {'ahead' if apart > 0 else 'behind'}, and of two edits the newer stands"
        return warning(text, "let both set their clocks by the network")
    return Said("agree")


# ---- what is remembered


def last_sync(case: Case) -> Said:
    """Look at the memory of the two: whole, not cut off, not old."""
    pair = case.pair
    if interrupted(pair):
        return warning("an earlier sync was interrupted", "usbsync sync: it finishes that first")
    ancestor = load_ancestor(pair)
    if ancestor is None:
        return _never(case)
    ancestor.check()
    case.ancestor = ancestor
    when, now = datetime.fromtimestamp(ancestor.when, UTC).astimezone(), case.clock()
    text = f"{when:%Y-%m-%d %H:%M}"
    if ancestor.when > now + _CLOCKS_APART:
        return warning(f"{text}, which is still to come", "set this computer's clock")
    return warning(text, "usbsync sync") if now - ancestor.when > _STALE else Said(text)


def _never(case: Case) -> Said:
    this = case.pair
    known = [pair for pair in known_pairs(this.home) if pair.desktop == this.desktop and pair != this]
    others = [pair.phone for pair in known if pair.phone not in NO_PHONE and _met(pair)]
    if others:
        return warning(
            f"these two never; this collection was synced with {', '.join(others)}",
            "the same phone? name the folder it had with --phone-dir; another? usbsync sync asks how to begin",
        )
    return Said("never: usbsync sync begins, and asks where both hold different work")


def _met(pair: Pair) -> bool:
    """Say whether two were in step once: an attempt that came to nothing leaves a memory, too."""
    try:
        return load_ancestor(pair) is not None
    except DamagedData:
        return True


def backups(case: Case) -> Said:
    """See that the last backup is whole."""
    kept = Backups(case.pair)
    found = kept.list()
    if (newest := kept.newest_id()) is None:
        return Said("none yet: nothing was changed so far")
    try:
        last = kept.get(newest)
        if last.size <= _READ_MOST:
            kept.verify(last)
    except DamagedData as error:
        return warning(
            str(error), "look after that disk; the next sync that changes something makes a new one"
        )
    whole = "the last is whole" if last.size <= _READ_MOST else "the last is too large to be read now"
    return Said(f"{len(found)}, {sum(each.size for each in found) >> 20:,} MiB; {whole}")
