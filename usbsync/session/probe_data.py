"""The links of the chain that are about what both hold: would a sync read it, take it for what it was, have room for it?

They ask what a sync asks, of the same code. Over a cable only so much is read as is soon read; the rest a sync reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from usbsync.collection.diff import count_notes
from usbsync.collection.snapshot import BEGINNING, NEWEST_SCHEMA, prove_beginning
from usbsync.core.conflict import Side
from usbsync.device.app import AppControl
from usbsync.device.shell import shell_of
from usbsync.device.writing import ELSEWHERE, keeps_us_out
from usbsync.errors import NoSpace, PhoneRefused
from usbsync.media.listing import entries
from usbsync.session.apply import ROOM
from usbsync.session.case import Case
from usbsync.session.collection import known_fingerprints, refuse_gone, scratch_needed
from usbsync.session.doctor import Said, warning
from usbsync.session.media import refuse_lost_media
from usbsync.session.mishaps import refuse_what_is_lost
from usbsync.session.probe_computer import existing
from usbsync.session.replica import Replica, held, telling_how_to_mend
from usbsync.state.files import speaking
from usbsync.state.home import state_home
from usbsync.transport.base import FileInfo, Kind

_SOON_READ = 64 << 20
"""Bytes of a phone's collection that cross a cable for a mere look."""
_MOST = 1 << 30
"""Bytes of one that is known from the last sync, so that only what changed since crosses."""
_PLENTY = 64 << 20
_MIB = 20
_NOT_HASHED = "not hashed"


def desktop_data(case: Case) -> Said:
    """Read the desktop's collection, and prove it."""
    return _proven(case, case.replica(Side.DESKTOP))


def phone_data(case: Case) -> Said:
    """Read the phone's collection, as far as that is soon done, and prove it."""
    replica = case.replica(Side.PHONE)
    try:
        return _proven(case, replica)
    except PhoneRefused as error:
        kept_out = keeps_us_out(case.phone, replica.collection)
        raise PhoneRefused(str(error), hint=ELSEWHERE if kept_out else error.hint) from error


def _proven(case: Case, replica: Replica) -> Said:
    side = replica.side
    info = replica.transport.stat(replica.collection)
    case.fingerprints[side] = ""
    if info is None:
        return Said("there is none")
    why = _not_now(case, replica)
    case.fingerprints[side] = now = _NOT_HASHED if why else replica.fingerprint() or ""
    if case.ancestor and now == known_fingerprints(case.ancestor)[side]:
        return Said("is as the last sync left it")
    if why := why or _too_much(case, replica):
        _look_at_beginning(case, replica)
        return Said(f"{replica.size() >> _MIB:,} MiB, of which only the beginning was looked at: {why}")
    base = case.ancestor.collection if case.ancestor and side is Side.PHONE else None
    with speaking(case.scratch):
        with replica.still():
            raw = replica.fetch(case.scratch / side / "raw", lambda _count: None, base)
        case.snapshots[side] = snapshot = held(replica, raw, case.scratch / side).snapshot
    return Said(f"is sound; {count_notes(snapshot.path):,} notes")


def _not_now(case: Case, replica: Replica) -> str | None:
    """Say why a collection is not even hashed; None where it is."""
    if replica.local is not None:
        return None
    if AppControl(case.phone, case.folder).running():
        return "AnkiDroid is at work there"
    return (
        None if shell_of(case.phone) else _too_much(case, replica)
    )  # mounted by MTP, to hash it is to read it


def _too_much(case: Case, replica: Replica) -> str | None:
    """Say why a collection that was changed is not read whole; None where it is."""
    if replica.local is not None:
        return None
    most = _MOST if case.ancestor and shell_of(case.phone) else _SOON_READ
    return "a sync reads the rest" if replica.size() > most else None


def _look_at_beginning(case: Case, replica: Replica) -> None:
    info, wal = (replica.transport.stat(path) for path in (replica.collection, replica.wal))
    shell = shell_of(case.phone)
    if shell is None or info is None:
        return
    answer = shell.run(["head", "-c", str(BEGINNING), replica.collection])
    if not answer.stdout and info.size:
        raise PhoneRefused(f"{replica.collection} cannot be read; nothing was changed")
    with telling_how_to_mend(replica.side):
        prove_beginning(answer.stdout, None if wal and wal.size else info.size, replica.side)


def nothing_lost(case: Case) -> Said:
    """See that no side's collection is gone, emptied, or an older one: that would be taken for deletions."""
    ancestor = case.ancestor
    if ancestor is None:
        return Said("there is nothing to compare with")
    refuse_gone([side for side in Side if not case.fingerprints[side]])
    paths = {side: one.path for side, one in case.snapshots.items() if one.schema == NEWEST_SCHEMA}
    if paths:
        refuse_what_is_lost(ancestor, paths, case.scratch)
    return Said("no collection is gone, emptied, or an older one than at the last sync")


def media(case: Case) -> Said:
    """List both media folders, and see that none lost its files."""
    for side, replica in case.replicas.items():
        case.media[side] = {info.name: info for info in entries(replica.transport, replica.media)}
    if case.ancestor:
        refuse_lost_media(case.replicas, case.ancestor.media, case.media)
    return Said(", ".join(f"{len(found):,} files on the {side}" for side, found in case.media.items()))


def space(case: Case) -> Said:
    """Compare the free space with what a sync would want, as far as that is known before it."""
    home = existing(state_home(case.options.environ))
    sizes = {side: replica.size() for side, replica in case.replicas.items()}
    changed = _changed(case)
    for side, replica in case.replicas.items():
        _see_room(f"the {side}", _free(replica), _needed(case, side, sizes, changed))
    work = scratch_needed(sizes.values()) if any(changed.values()) else 0
    _see_room(str(home), _free_at(home), work)
    free = {f"the {side}": _free(replica) for side, replica in case.replicas.items()}
    free["what usbsync remembers"] = _free_at(home)
    least = min(free, key=lambda what: free[what])
    if free[least] < 4 * max(sizes.values()) + _PLENTY:
        return warning(f"{least} has only {free[least] >> _MIB:,} MiB left", "make room there")
    return Said(", ".join(f"{count >> _MIB:,} MiB for {what}" for what, count in free.items()))


def _changed(case: Case) -> dict[Side, bool]:
    """Say whose collection brings something to the other."""
    now = case.fingerprints
    if case.ancestor is None:
        apart = now[Side.DESKTOP] != now[Side.PHONE]
        return {side: apart and bool(now[side]) for side in Side}
    known = known_fingerprints(case.ancestor)
    return {side: now[side] != known[side] for side in Side}


def _needed(case: Case, side: Side, sizes: Mapping[Side, int], changed: Mapping[Side, bool]) -> int:
    """Return the bytes that a sync would stage on a side; 0 where it writes nothing there."""
    replica = case.replica(side)
    need = _media_to_come(case, side)
    if changed[side.other]:
        wal = replica.transport.stat(replica.wal)
        need += max(sizes.values()) + (sizes[side] if wal and wal.size else 0)
    return need and need + ROOM


def _media_to_come(case: Case, side: Side) -> int:
    """Add up what the other side has and this one lacks, and did not delete, or has in an older version."""
    here, deleted = case.media[side], case.ancestor.media if case.ancestor else {}
    return sum(
        info.size
        for name, info in case.media[side.other].items()
        if info.kind is Kind.FILE and (_is_newer(info, here[name]) if name in here else name not in deleted)
    )


def _is_newer(info: FileInfo, old: FileInfo) -> bool:
    return info.size != old.size and info.mtime > old.mtime


def _see_room(what: str, free: int, need: int) -> None:
    if need > free:
        raise NoSpace(
            f"{what} has {free >> _MIB:,} MiB free, and {need >> _MIB:,} MiB are needed; nothing was changed"
        )


def _free(replica: Replica) -> int:
    return replica.transport.free_space(replica.folder)


def _free_at(folder: Path) -> int:
    return shutil.disk_usage(folder).free
