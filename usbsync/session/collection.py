"""The collection half of a session: copy both, find what changed, decide, and build the results."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from usbsync.collection.acquaint import acquaint
from usbsync.collection.build import build, grow
from usbsync.collection.diff import compare, count_notes, tally
from usbsync.collection.snapshot import MAIN, NEWEST_SCHEMA, is_empty, take
from usbsync.collection.verify import verify
from usbsync.core.changes import Changes, Context
from usbsync.core.conflict import Conflict, Side
from usbsync.core.first import Start, first_sync
from usbsync.core.guard import Alarm, losses, misdated
from usbsync.core.plan import Plan
from usbsync.errors import ChoiceNeeded, GuardRefused, NoSpace
from usbsync.session.levels import alike, as_it_was, lesser, level, remembered
from usbsync.session.meet import Meeting
from usbsync.session.options import OneWay, Options
from usbsync.session.replica import Held, held, snapshots
from usbsync.session.report import Clock, Counts
from usbsync.session.settle import decide
from usbsync.session.talk import Talk, filling
from usbsync.state.ancestor import Ancestor

_COPIES = 4  # of each collection: as it was, folded, merged, remembered
_ROOM = 4 << 20  # bytes


@dataclass(frozen=True, slots=True)
class CollectionWork:
    """What is to become of both collections."""

    before: Mapping[Side, str]
    start: Start
    held: Mapping[Side, Held] = field(default_factory=dict)
    new: Mapping[Side, Path] = field(default_factory=dict)
    counts: Mapping[Side, Counts] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()


def collection_work(
    meeting: Meeting, ancestor: Ancestor | None, options: Options, talk: Talk, clock: Clock
) -> CollectionWork:
    """Find out what both did, and make what both are to become.

    Raises ChoiceNeeded or GuardRefused where a person has to say something first.
    """
    with clock.stage("snapshot"):
        known = known_fingerprints(ancestor) if ancestor and options.one_way is None else {}
        if (
            known
            and {side: meeting.looks.glance(replica) for side, replica in meeting.replicas.items()} == known
        ):
            return CollectionWork(known, Start.MERGE)
        before = {side: meeting.looks.look(replica) for side, replica in meeting.replicas.items()}
        if before == known:
            return CollectionWork(before, Start.MERGE)
        check_scratch(meeting)
        helds = {side: _hold(meeting, side, before[side], ancestor, talk) for side in Side if before[side]}
    work = CollectionWork(
        {**before, **{side: one.fingerprint for side, one in helds.items()}}, Start.MERGE, helds
    )
    start = _start(helds, ancestor, options, talk, meeting.scratch)
    with clock.stage("merge"):
        talk.stage("merging")
        match start:
            case Start.UPLOAD:
                return _replaced(work, start, Side.PHONE, helds)
            case Start.DOWNLOAD:
                return _replaced(work, start, Side.DESKTOP, helds)
            case Start.MERGE if ancestor:
                return _merged(meeting, work, ancestor, options, talk)
            case Start.MERGE:
                return _acquainted(meeting, work, options, talk)
            case _:
                return CollectionWork(work.before, start, helds)


def known_fingerprints(ancestor: Ancestor) -> dict[Side, str]:
    """Return what both collections' bytes were when usbsync last left them."""
    return {Side.DESKTOP: ancestor.desktop_sha256, Side.PHONE: str(ancestor.info.get("phone", ""))}


def check_scratch(meeting: Meeting) -> None:
    """Refuse, while nothing is written, what the folder for work and backups has no room for."""
    need = scratch_needed(replica.size() for replica in meeting.replicas.values())
    free = shutil.disk_usage(meeting.scratch).free
    if need > free:
        raise NoSpace(
            f"{meeting.scratch.parent} has {free >> 20:,} MiB free, and {need >> 20:,} MiB are needed to work in; "
            "nothing was changed",
            hint="make room there, or let USBSYNC_HOME name a folder on another disk",
        )


def scratch_needed(sizes: Iterable[int]) -> int:
    """Return the bytes that it takes to work on collections of these sizes."""
    return _COPIES * sum(sizes) + _ROOM


def _hold(meeting: Meeting, side: Side, before: str, ancestor: Ancestor | None, talk: Talk) -> Held:
    replica, scratch = meeting.replicas[side], meeting.scratch / side
    if side is Side.PHONE and ancestor and before == ancestor.sha256:
        return held(replica, ancestor.collection, scratch)  # the phone holds the ancestor: no byte need cross
    size = replica.size()
    with replica.still(), filling(talk.stage(f"reading the {side}'s collection", size), size) as on_bytes:
        raw = replica.fetch(scratch / "raw", on_bytes, _base(meeting, side, ancestor))
    return held(replica, raw, scratch)


def _base(meeting: Meeting, side: Side, ancestor: Ancestor | None) -> Path | None:
    """Return what a phone's collection is much like: what it was, or at a first sync perhaps the desktop's."""
    if side is Side.DESKTOP:
        return None
    return ancestor.collection if ancestor else _there(meeting.scratch / Side.DESKTOP / "raw" / MAIN)


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _start(
    helds: Mapping[Side, Held], ancestor: Ancestor | None, options: Options, talk: Talk, scratch: Path
) -> Start:
    """Say how this sync begins: by merging what changed, or as a first or one-way one."""
    if options.one_way:
        return Start(options.one_way.value)
    if ancestor:
        return Start.MERGE
    paths = {side: one.snapshot.path for side, one in helds.items()}
    empty = {side: side not in paths or is_empty(paths[side]) for side in Side}
    both = alike(snapshots(helds), scratch)
    begin = {"desktop_empty": empty[Side.DESKTOP], "phone_empty": empty[Side.PHONE], "same": both}
    start = first_sync(**begin, wanted=options.first)
    if start is Start.ASK:
        notes = [count_notes(paths[side]) for side in Side]
        wanted = talk.first(*notes)
        if wanted is None:
            raise ChoiceNeeded(
                f"desktop ({notes[0]:,} notes) and phone ({notes[1]:,} notes) both hold work, and have never met; "
                "nothing was changed",
                hint=f"merge both with {_beginning(options)}; or replace one side by the other with "
                "--first upload (the desktop's stands) or --first download (the phone's); a backup of both is kept",
            )
        start = first_sync(**begin, wanted=wanted)
    return start


def _beginning(options: Options) -> str:
    """Say how both are merged; where the phone was named with the whole command, for a watch may have named it."""
    command = f"usbsync sync --device {shlex.quote(options.device)} " if options.device else ""
    return f"{command}--first merge"


def _replaced(work: CollectionWork, start: Start, side: Side, helds: Mapping[Side, Held]) -> CollectionWork:
    """Let one side's collection become the other's."""
    if side.other not in helds:
        raise ChoiceNeeded(f"there is no collection on the {side.other} that could replace the {side}'s")
    new = helds[side.other].snapshot.path
    counts = {side: tally(new, helds[side].snapshot.path if side in helds else None)}
    return CollectionWork(work.before, start, helds, {side: as_it_was(helds.get(side), new)}, counts)


def _merged(
    meeting: Meeting, work: CollectionWork, ancestor: Ancestor, options: Options, talk: Talk
) -> CollectionWork:
    """Merge both sides' changes since the ancestor."""
    refuse_gone([side for side in Side if side not in work.held])
    ancestor.check()
    base = take(ancestor.collection, meeting.scratch / "ancestor", "last sync").path
    paths = {side: one.snapshot.path for side, one in work.held.items()}
    side = lesser(snapshots(work.held), remembered(ancestor))
    more = level(side, paths, base)
    desktop, phone, context = compare(base, paths[Side.DESKTOP], paths[Side.PHONE])
    if not options.allow_mass_deletion:
        refuse_lost(base, paths, desktop, phone)
    for whose, changes in ((Side.DESKTOP, desktop), (Side.PHONE, phone)):
        if said := misdated(whose, changes, int(time.time())):
            talk.note(said)
    planned = _planned(meeting, work, paths, (desktop, phone, context), options, talk)
    if side and more and work.held[side].snapshot.schema == NEWEST_SCHEMA:
        # its app has learned what it could not hold at the last sync: give it that
        return replace(planned, new={side: paths[side], **planned.new})
    return planned


def _acquainted(meeting: Meeting, work: CollectionWork, options: Options, talk: Talk) -> CollectionWork:
    """Merge two collections that never met, by what they have in common."""
    paths = {side: one.snapshot.path for side, one in work.held.items()}
    paths[Side.PHONE], common = acquaint(
        paths[Side.DESKTOP],
        paths[Side.PHONE],
        meeting.scratch / "common",
        int(time.time() * 1000),
        lesser(snapshots(work.held)),
    )
    found = compare(common, paths[Side.DESKTOP], paths[Side.PHONE])
    planned = _planned(meeting, work, paths, found, options, talk)
    if Side.PHONE in planned.new:
        return planned
    # in new ids the phone's collection is another one even where it lacks nothing
    phone = as_it_was(work.held[Side.PHONE], paths[Side.PHONE])
    return replace(planned, new={**planned.new, Side.PHONE: phone})


def _planned(
    meeting: Meeting,
    work: CollectionWork,
    paths: Mapping[Side, Path],
    found: tuple[Changes, Changes, Context],
    options: Options,
    talk: Talk,
) -> CollectionWork:
    """Decide, build and prove."""
    plan = decide(*found, options, talk)
    built = _build(meeting, plan, paths)
    new = {side: as_it_was(work.held[side], path) for side, path in built.items()}
    counts = {side: plan.side(side).counts for side in Side}
    return CollectionWork(work.before, Start.MERGE, work.held, new, counts, plan.conflicts)


def refuse_gone(sides: Sequence[Side]) -> None:
    """Raise GuardRefused where a collection that was there at the last sync is gone."""
    if sides:
        raise GuardRefused(
            f"the {sides[0]}'s collection is gone, and was there at the last sync; nothing was changed",
            hint=f"to bring it back from the other side use --one-way {OneWay.into(sides[0])}; from a backup "
            f"usbsync restore ID --side {sides[0]} (usbsync backups lists them)",
        )


def refuse_lost(base: Path, paths: Mapping[Side, Path], desktop: Changes, phone: Changes) -> None:
    """Raise GuardRefused where a collection is hardly what it was at the last sync, or an older state of it."""
    _guard_against_emptiness(base, paths)
    _guard(desktop, phone, count_notes(base))


def _guard_against_emptiness(base: Path, paths: Mapping[Side, Path]) -> None:
    """Refuse to take an app that was installed anew for a great tidying, however few the notes were."""
    emptied = [side for side, path in paths.items() if is_empty(path) and not is_empty(base)]
    if emptied:
        raise GuardRefused(
            f"the {emptied[0]}'s collection is empty, and was not at the last sync; nothing was changed",
            hint="to fill it from the other side use --one-way "
            f"{OneWay.into(emptied[0])}; "
            "if all was deleted on purpose, run again with --allow-mass-deletion",
        )


def _guard(desktop: Changes, phone: Changes, notes: int) -> None:
    alarms = losses(Side.DESKTOP, desktop, notes) + losses(Side.PHONE, phone, notes)
    if alarms:
        raise GuardRefused(f"{'; '.join(map(str, alarms))}; nothing was changed", hint=_way_on(alarms))


def _way_on(alarms: Sequence[Alarm]) -> str:
    return (
        "if that was on purpose, run again with --allow-mass-deletion; an older state, or another collection? "
        f"--one-way {OneWay.into(alarms[0].side)} lets the {alarms[0].side.other}'s stand"
    )


def _build(meeting: Meeting, plan: Plan, paths: Mapping[Side, Path]) -> dict[Side, Path]:
    """Make and prove the merged collections of the sides that lack something."""
    now_ms = int(time.time() * 1000)
    new = {}
    for side in Side:
        if not plan.side(side).empty:
            new[side] = meeting.scratch / side / f"merged-{MAIN}"
            build(paths[side], paths[side.other], plan.side(side), new[side], now_ms)
    if plan.grow:
        grow_both(meeting, plan.grow, paths, new, now_ms)
    if new:
        results = {side: new.get(side, paths[side]) for side in Side}
        verify(results[Side.DESKTOP], results[Side.PHONE], (paths[Side.DESKTOP], paths[Side.PHONE]))
    return new


def grow_both(
    meeting: Meeting, notes: Collection[int], paths: Mapping[Side, Path], new: dict[Side, Path], now_ms: int
) -> None:
    """Let Anki make cards that merged notes need and no side made; a side that gets one is written too."""
    results = {}
    for side in Side:
        results[side] = new.get(side) or meeting.scratch / side / f"grown-{MAIN}"
        if side not in new:
            shutil.copyfile(paths[side], results[side])
    if grow(results[Side.DESKTOP], results[Side.PHONE], notes, now_ms):
        new.update(results)
