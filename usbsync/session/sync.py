"""The pipeline, top to bottom. `usbsync plan` is the same run, stopped at the plan."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from usbsync.core.conflict import Conflict, Side
from usbsync.core.first import Start
from usbsync.core.media import MediaConflict
from usbsync.core.recovery import Recovery
from usbsync.errors import Busy, DamagedData
from usbsync.session.apply import apply
from usbsync.session.collection import CollectionWork, collection_work
from usbsync.session.conflicts import Untold, conflict_facts, untold
from usbsync.session.finish import conclude, unstage_media
from usbsync.session.media import MediaWork, media_alarms, media_work, no_media, refuse_alarms
from usbsync.session.meet import Meeting, meet
from usbsync.session.options import Options
from usbsync.session.recover import interrupted, recover
from usbsync.session.remembered import next_ancestor
from usbsync.session.report import Clock, Report, Result, media_counts
from usbsync.session.talk import Talk
from usbsync.session.work import Work
from usbsync.state.ancestor import Ancestor

_RESULTS = {Start.UPLOAD: Result.UPLOADED, Start.DOWNLOAD: Result.DOWNLOADED}


def sync(options: Options, talk: Talk, *, dry: bool = False) -> Report:
    """Bring both replicas in step; dry, only say what that would do.

    Raises the errors of `usbsync.errors`; whatever is raised, both sides are whole.
    """
    clock = Clock()
    with meet(options, talk, dry=dry) as meeting:
        cut_off: Untold | None = None
        if not dry:
            if recover(meeting, talk) in {Recovery.FINISH, Recovery.REBASE}:
                cut_off = untold(meeting.pair)
        elif interrupted(meeting.pair):
            raise Busy("an earlier sync was interrupted", hint="run usbsync sync: it finishes that first")
        ancestor = _ancestor(meeting, options)
        collection = collection_work(meeting, ancestor, options, talk, clock)
        with clock.stage("media"):
            media = media_work(meeting, ancestor, options, talk) if options.media else no_media(ancestor)
        if not options.allow_mass_deletion:
            refuse_alarms(media_alarms(media))
        backup = None
        if not dry:
            with clock.stage("apply"):
                facts = conflict_facts(collection.conflicts, media.plan.conflicts, options)
                backup = _carry_out(meeting, ancestor, collection, media, facts, talk)
        report = _report(meeting, collection, media, clock, backup)
        return _with_untold(report, *cut_off) if cut_off else report


def _ancestor(meeting: Meeting, options: Options) -> Ancestor | None:
    """Return what both held last; a damaged memory is no obstacle to who chooses to begin anew."""
    if options.first is None and options.one_way is None:
        return meeting.ancestor()
    with suppress(DamagedData):
        ancestor = meeting.ancestor()
        if ancestor:
            ancestor.check()
        return ancestor
    return None


def _carry_out(
    meeting: Meeting,
    ancestor: Ancestor | None,
    collection: CollectionWork,
    media: MediaWork,
    facts: Mapping[str, Any],
    talk: Talk,
) -> str | None:
    """Apply what there is to do; remember what both hold even where that is nothing."""
    new = next_ancestor(meeting, ancestor, collection, media)
    if collection.new or not media.empty:
        note = _RESULTS.get(collection.start, Result.MERGED).value
        work = Work(
            before=collection.before,
            held=collection.held,
            new=collection.new,
            media=media.plan,
            old=ancestor,
            ancestor=new,
            note=note,
            facts=facts,
            contained=_contained(collection, ancestor),
        )
        return apply(meeting, work, talk)
    if ancestor is None or replace(new, when=ancestor.when, collection=ancestor.collection) != ancestor:
        conclude(meeting, new)
    for replica in meeting.replicas.values():  # of a cut-off run whose media nobody wants any more
        if replica.transport.stat(replica.place.stage):
            unstage_media(replica)
    return None


def _contained(collection: CollectionWork, ancestor: Ancestor | None) -> tuple[Side, ...]:
    """Say whose old collection is part of the other's new one, should an interrupted apply have to build on it."""
    if collection.start is not Start.MERGE:
        return ()
    return tuple(Side) if ancestor else (Side.DESKTOP,)  # at a first merge the phone's rows get other ids


def _report(
    meeting: Meeting, collection: CollectionWork, media: MediaWork, clock: Clock, backup: str | None
) -> Report:
    nothing = not collection.new and media.empty
    result = Result.UNCHANGED if nothing else _RESULTS.get(collection.start, Result.MERGED)
    return Report(
        result=Result.PLANNED if meeting.dry else result,
        names=meeting.names,
        changes=collection.counts,
        conflicts=collection.conflicts,
        media={side: media_counts(media.plan, side) for side in Side},
        media_conflicts=media.plan.conflicts,
        skipped=(*media.plan.skipped, *(s for listing in media.listings.values() for s in listing.skipped)),
        pulled_bytes=meeting.wire.pulled_bytes,
        pushed_bytes=meeting.wire.pushed_bytes,
        seconds=clock.seconds,
        backup=backup,
        answer=str(meeting.memory.answer) if meeting.memory.answer else None,
        sides=(Side.DESKTOP,) if _only_desktop(meeting) and not nothing else tuple(Side),
    )


def _with_untold(report: Report, conflicts: tuple[Conflict, ...], media: tuple[MediaConflict, ...]) -> Report:
    """Name in the report what the sync that was cut off, and is finished, had no time to name."""
    if report.result is Result.UNCHANGED:
        report = replace(report, result=Result.FINISHED, sides=())
    return replace(
        report,
        conflicts=(*conflicts, *report.conflicts),
        media_conflicts=(*media, *report.media_conflicts),
    )


def _only_desktop(meeting: Meeting) -> bool:
    """Whether it is about the desktop alone: a package whose phone lacks nothing."""
    return meeting.memory.passing and not meeting.dry and meeting.memory.answer is None
