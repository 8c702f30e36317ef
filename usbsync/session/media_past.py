"""Media in an undo: back to what a side held before an apply, through all the applies since."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from usbsync.core.conflict import Side
from usbsync.core.media import Add, Delete, MediaFile, MediaPlan, MediaStep, Replace
from usbsync.media.listing import list_media
from usbsync.media.move import Place, fetch
from usbsync.session.meet import Meeting
from usbsync.state.ancestor import from_record
from usbsync.state.backups import Backup, Backups, making_sense
from usbsync.state.files import private_folder
from usbsync.transport.base import OnBytes
from usbsync.transport.ways import open_folder

_REASON = "undo"


@dataclass(slots=True)
class _Past:
    """What applies in a row did to a side's files, by name."""

    left: dict[str, str | None] = field(default_factory=dict)  # the SHA-1 that the last of them left, if any
    was: dict[str, tuple[Backup, str] | None] = field(default_factory=dict)  # a copy of what was there first
    held: Mapping[str, str | None] = field(default_factory=dict)  # by SHA-1, of what only later ones touched


def since(backups: Backups, backup: Backup) -> tuple[Backup, ...]:
    """List this backup and those made since, newest first."""
    listed = backups.list()
    ids = [each.id for each in listed]
    return listed[: ids.index(backup.id) + 1] if backup.id in ids else (backup,)


def media_plan(
    meeting: Meeting, backups: Sequence[Backup], sides: Collection[Side], gathered: Path
) -> MediaPlan:
    """Plan to take away what came, and to put back what was replaced or deleted, which is copied to `gathered`.

    What a person changed since the last sync is left alone.
    `backups` come newest first. Raises DamagedData where a copy is not whole.
    """
    steps = {
        side: tuple(_steps(meeting, _past(backups, side), side, gathered)) if side in sides else ()
        for side in Side
    }
    return MediaPlan(steps[Side.DESKTOP], steps[Side.PHONE], (), (), {})


def stage_media(meeting: Meeting, plan: MediaPlan, gathered: Path, on_bytes: OnBytes) -> None:
    """Stage each side's files from where they were gathered."""
    scratch = meeting.scratch / "media"
    scratch.mkdir(exist_ok=True)
    kept = open_folder(gathered)
    for side, replica in meeting.replicas.items():
        only = MediaPlan(
            plan.desktop if side is Side.DESKTOP else (), plan.phone if side is Side.PHONE else (), (), (), {}
        )
        fetch(only, {side: replica.place, side.other: Place(kept, f"/{side}/media")}, scratch, on_bytes)


def _past(backups: Sequence[Backup], side: Side) -> _Past:
    past, prefix = _Past(), f"{side}/media/"
    for backup in backups:
        came = _came(backup, side)
        saved = {name.removeprefix(prefix): name for name in backup.files if name.startswith(prefix)}
        for name in {*came, *saved}:
            past.left.setdefault(name, came.get(name))
            past.was[name] = (backup, saved[name]) if name in saved else None
    after = _after(backups)
    if after is not None:
        past.held = {name: after.get(name) for name in past.was if name not in {*came, *saved}}
    return past


def _after(backups: Sequence[Backup]) -> Mapping[str, str] | None:
    """Return the media that both held after the first of these applies; None where that is not known."""
    first = backups[-1]
    if len(backups) == 1 or {"undoes", "restores"} & first.facts.keys():
        return None
    record = backups[-2].facts.get("ancestor")
    return from_record(record, backups[-2].path).media if record else None


def _came(backup: Backup, side: Side) -> dict[str, str]:
    """Return the media that a side was brought: name -> SHA-1."""
    with making_sense(backup):
        rows = backup.facts.get("media", {}).get(side.value, {})
        return {name: str(sha1) for name, (sha1, _size) in rows.items()}


def _steps(meeting: Meeting, past: _Past, side: Side, gathered: Path) -> Iterator[MediaStep]:
    if not past.left:
        return
    _gather(past, gathered / side / "media")
    replica = meeting.replicas[side]
    there = list_media(replica.transport, replica.media, {}, where=side).files
    was = list_media(open_folder(gathered), f"/{side}/media", {}, where=side).files
    ancestor = meeting.ancestor()
    known = ancestor.media if ancestor else {}
    for name in sorted(past.left):
        found, now = was.get(name), there.get(name)
        if name in past.held and (found is None or found.sha1 != past.held[name]):
            if past.held[name]:
                continue  # no backup has what was there
            found = None
        if now is None or now.sha1 in {past.left[name], known.get(name)}:
            yield from _step(name, found, now)


def _gather(past: _Past, folder: Path) -> None:
    private_folder(folder)
    for name, kept in past.was.items():
        if kept:
            backup, path = kept
            backup.prove(path)
            _link(backup.path / path, folder / name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # with its time, by which the newer of two edits is known


def _step(name: str, was: MediaFile | None, now: MediaFile | None) -> Iterator[MediaStep]:
    if was and now is None:
        yield Add(name, was, _REASON)  # it was deleted, or its replacement was since
    elif was and now and was.sha1 != now.sha1:
        yield Replace(name, was, now, _REASON)
    elif now and not was:
        yield Delete(name, now, _REASON)
