"""Bringing both sides back to what they were before an apply: `apply` of a backup."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from usbsync.collection.diff import lost, tally
from usbsync.collection.snapshot import MAIN, Snapshot, file_fingerprint
from usbsync.core.conflict import Side
from usbsync.core.media import Delete, MediaPlan
from usbsync.device.spec import Package, parse
from usbsync.errors import DamagedData, GuardRefused, UsageError
from usbsync.session.alone import AFTER, NO_PHONE, meet_alone
from usbsync.session.apply import ABSENT, BARE, apply
from usbsync.session.collection import known_fingerprints
from usbsync.session.conflicts import kept
from usbsync.session.journal import NONE
from usbsync.session.media_past import media_plan, since, stage_media
from usbsync.session.meet import Meeting, meet
from usbsync.session.options import Options
from usbsync.session.recover import recover
from usbsync.session.replica import Held, Replica, held
from usbsync.session.report import Counts, Report, Result, media_counts
from usbsync.session.talk import Talk
from usbsync.session.work import Work
from usbsync.state.ancestor import Ancestor, from_record
from usbsync.state.backups import Backup, Backups, making_sense
from usbsync.state.files import private_folder, sha256_of
from usbsync.transport.base import OnBytes

_UNPROVEN = 0  # the schema of a collection that could not be read
_COMMANDS = {Result.UNDONE: "undo", Result.RESTORED: "restore ID"}


def last_alone(options: Options) -> str | None:
    """Name the desktop's newest backup if it needs no phone: an import's, or that of a sync with a package."""
    newest = next(iter(kept(options)), None)
    return newest[1].id if newest and newest[0] in NO_PHONE else None


def undo(options: Options, talk: Talk, backup_id: str | None = None, *, sure: bool = False) -> Report:
    """Bring back what both sides held before the last apply (or the one of this backup).

    What they hold now is backed up first, so an undo can be undone. Raises UsageError where there is no
    backup, DamagedData where it is not whole, GuardRefused where work done since would go too, unless `sure`.
    """
    return bring_back(options, talk, backup_id, tuple(Side), Result.UNDONE, sure=sure)


def bring_back(
    options: Options,
    talk: Talk,
    backup_id: str | None,
    wanted: Collection[Side],
    result: Result,
    *,
    sure: bool,
) -> Report:
    """Give the sides what a backup holds of them; raises as `undo`."""
    with _meet(options, talk, backup_id) as meeting:
        recover(meeting, talk)
        sides = _reachable(meeting, wanted)
        backups = Backups(meeting.pair)
        backup = _newest(backups) if backup_id is None else backups.get(backup_id)
        if not sure:
            _guard(meeting, backup, sides, result)
        talk.stage("checking the backup")
        backups.verify(backup)
        work = _work(meeting, backup, sides, talk, result, sure=sure)
        saved = apply(meeting, work, talk)
        return Report(
            result=result,
            names=meeting.names,
            changes={side: _tally(work, side) for side in (*work.new, *work.gone)},
            media={side: media_counts(work.media, side) for side in Side},
            pulled_bytes=meeting.wire.pulled_bytes,
            pushed_bytes=meeting.wire.pushed_bytes,
            backup=saved,
            sides=(Side.DESKTOP,) if meeting.memory.passing else tuple(Side),
            emptied=tuple(work.gone),
        )


def _meet(options: Options, talk: Talk, backup_id: str | None) -> AbstractContextManager[Meeting]:
    """Meet the phone that was there; nobody, where the desktop alone was changed, or by a package."""
    spec = parse(options.device) if options.device else None
    if backup_id or spec is None or isinstance(spec, Package):
        found = [phone for phone, backup in kept(options) if backup_id in {None, backup.id}]
        if found and found[0] in NO_PHONE:
            return meet_alone(options, found[0])
    return meet(options, talk)


def _reachable(meeting: Meeting, wanted: Collection[Side]) -> tuple[Side, ...]:
    """Return the sides that can be taken back: a phone that came as a package is not here."""
    if not meeting.memory.passing:
        return tuple(wanted)
    if Side.DESKTOP not in wanted:
        raise UsageError(
            "the phone came as a package then, and is not here; nothing was changed",
            hint="usbsync restore ID --side phone --to FOLDER takes out what it held, to be carried to it",
        )
    return (Side.DESKTOP,)


def _newest(backups: Backups) -> Backup:
    newest = backups.newest_id()
    if newest is None:
        raise UsageError("there is nothing to undo", hint="usbsync has changed nothing on this pair yet")
    return backups.get(newest)


def _guard(meeting: Meeting, backup: Backup, sides: Collection[Side], result: Result) -> None:
    """Refuse where somebody worked since the last sync: going back would take that away unasked."""
    left = _left(meeting, backup)
    now = {side: meeting.replicas[side].fingerprint() for side in sides if left and side in left}
    used = [side for side, found in now.items() if left and found not in {None, left[side]}]
    if not used:
        return
    again = f"usbsync {_COMMANDS[result]} --yes does it all the same (what is there now is kept in a backup)"
    if damaged := [side for side in used if _is_damaged(meeting, side)]:
        raise GuardRefused(
            f"the {' and the '.join(damaged)} changed since the last sync and cannot be read; nothing was changed",
            hint=f"{again}; for one side alone usbsync restore {backup.id} --side {damaged[0]} --yes",
        )
    raise GuardRefused(
        f"the {' and the '.join(used)} changed since the last sync, and going back takes that back too; "
        "nothing was changed",
        hint=f"{again}; usbsync sync keeps everything",
    )


def _is_damaged(meeting: Meeting, side: Side) -> bool:
    try:
        _held(meeting.replicas[side], meeting.scratch / f"{side}-looked-at", lambda _count: None, sure=False)
    except DamagedData:
        return True
    return False


def _left(meeting: Meeting, backup: Backup) -> Mapping[Side, str] | None:
    """Return what both were when usbsync last left them, where that is known."""
    if AFTER in backup.facts:
        with making_sense(backup):
            return {Side(side): str(sha256) for side, sha256 in backup.facts[AFTER].items()}
    ancestor = meeting.ancestor()
    if ancestor is None:
        return None
    # an undo leaves both older than what is remembered, and notes as what
    return ancestor.info.get("left") or known_fingerprints(ancestor)


def _tally(work: Work, side: Side) -> Counts:
    """Count what changes in one side's collection."""
    now = work.held.get(side)
    if side in work.gone:
        readable = now is not None and now.snapshot.schema
        return lost(tally(now.snapshot.path, None)) if now and readable else {}
    return tally(work.new[side], now.snapshot.path if now and now.snapshot.schema else None)


def _work(
    meeting: Meeting, backup: Backup, sides: Collection[Side], talk: Talk, result: Result, *, sure: bool
) -> Work:
    """Turn a backup into work for `apply`."""
    before = {side: replica.fingerprint() or NONE for side, replica in meeting.replicas.items()}
    gone = [side for side in sides if before[side] and side in _sides(backup, ABSENT)]
    back = [side for side in sides if side not in gone and (backup.path / side / MAIN).exists()]
    now = {side: _now(meeting, side, talk, sure=sure) for side in (*gone, *back) if before[side]}
    before |= {side: one.fingerprint for side, one in now.items()}
    new = {side: _brought_back(meeting, backup, side) for side in back}
    gathered = private_folder(meeting.scratch / "gathered")
    plan = media_plan(meeting, since(Backups(meeting.pair), backup), sides, gathered)
    left = {**before, **{side: sha256_of(path) for side, path in new.items()}, **dict.fromkeys(gone, NONE)}
    return Work(
        before=before,
        held=now,
        new={side: path for side, path in new.items() if not _already(now.get(side), path)},
        media=plan,
        old=meeting.ancestor(),
        ancestor=_without_missing(
            meeting, plan, sides, _old_ancestor(backup, {side.value: sha256 for side, sha256 in left.items()})
        ),
        note=result.value,
        facts={"restores" if result is Result.RESTORED and len(sides) == 1 else "undoes": backup.id},
        rewinds=True,
        gone=gone,
        bare=[side for side in sides if side in _sides(backup, BARE)],
        stage_media=lambda on_bytes: stage_media(meeting, plan, gathered, on_bytes),
    )


def _without_missing(
    meeting: Meeting, plan: MediaPlan, sides: Collection[Side], ancestor: Ancestor | None
) -> Ancestor | None:
    """Let the next sync bring what a side that is restored alone lacks: it is not as it was, and nobody deleted that."""
    if ancestor is None or len(sides) == len(Side):
        return ancestor
    (side,) = sides
    replica = meeting.replicas[side]
    there = replica.transport.list(replica.media) if replica.transport.stat(replica.media) else []
    names = {info.name for info in there}
    for step in plan.of(side):
        (names.discard if isinstance(step, Delete) else names.add)(step.name)
    return replace(ancestor, media={name: sha1 for name, sha1 in ancestor.media.items() if name in names})


def _now(meeting: Meeting, side: Side, talk: Talk, *, sure: bool) -> Held:
    replica = meeting.replicas[side]
    on_bytes = talk.stage(f"reading the {side}'s collection", replica.size())
    return _held(replica, meeting.scratch / side, on_bytes, sure=sure)


def _brought_back(meeting: Meeting, backup: Backup, side: Side) -> Path:
    return held(meeting.replicas[side], backup.path / side / MAIN, meeting.scratch / f"{side}-backup").whole


def _sides(backup: Backup, fact: str) -> list[Side]:
    """Return the sides that a fact of a backup names."""
    named = backup.facts.get(fact, [])
    return [side for side in Side if isinstance(named, list) and side.value in named]


def _held(replica: Replica, scratch: Path, on_bytes: OnBytes, *, sure: bool) -> Held:
    """Copy what a side holds now; a damaged collection, which is to be replaced, is kept as it is where that is wanted."""
    with replica.still():
        raw = replica.fetch(scratch / "raw", on_bytes)
    try:
        return held(replica, raw, scratch)
    except DamagedData:
        if not sure:
            raise
        wal = raw.with_name(f"{raw.name}-wal")
        snapshot = Snapshot(raw, wal if wal.exists() else None, raw, None, _UNPROVEN)
        return Held(replica, file_fingerprint(raw), snapshot)


def _already(now: Held | None, path: Path) -> bool:
    return now is not None and now.fingerprint == sha256_of(path)


def _old_ancestor(backup: Backup, left: Mapping[str, str]) -> Ancestor | None:
    """Return what both held before the apply that is undone; None where that was the first."""
    record = backup.facts.get("ancestor")
    if not record:
        return None
    old = replace(from_record(record, backup.path), collection=backup.path / "ancestor.anki2")
    if not old.collection.is_file() or sha256_of(old.collection) != old.sha256:
        return None  # it was damaged before it was backed up
    info = {**old.info, "left": dict(left)}
    return replace(old, when=time.time(), seen_desktop={}, seen_phone={}, info=info)
