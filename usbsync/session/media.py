"""The media half of a session: list both sides and decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event

from usbsync.core.conflict import Side
from usbsync.core.guard import Alarm, alarm
from usbsync.core.media import Add, Delete, Doubts, MediaFile, MediaPlan, Replace, losses, reconcile_media
from usbsync.errors import GuardRefused
from usbsync.media.listing import Listing, list_media
from usbsync.media.move import seen_after
from usbsync.session.meet import Meeting
from usbsync.session.options import OneWay, Options
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor, Seen

_SOME = 5  # so many are not all deleted by hand


@dataclass(frozen=True, slots=True)
class MediaWork:
    """Both listings and what is to be done."""

    plan: MediaPlan
    listings: Mapping[Side, Listing]
    base: Mapping[str, str] = field(
        default_factory=dict
    )  # what both held, so far as lacking it means deleted

    @property
    def empty(self) -> bool:
        """Whether no file is to be written or removed."""
        return not self.plan.desktop and not self.plan.phone

    def seen(self, meeting: Meeting, side: Side, ancestor: Ancestor | None) -> Mapping[str, Seen]:
        """Return what is known of a side's files once the plan is carried out."""
        if side not in self.listings:
            return _seen(ancestor, side)
        return seen_after(self.plan, side, meeting.replicas[side].place, self.listings[side], time.time())


def no_media(ancestor: Ancestor | None) -> MediaWork:
    """Leave media alone, and what is remembered of it."""
    return MediaWork(MediaPlan((), (), (), (), dict(ancestor.media) if ancestor else {}), {})


def media_work(meeting: Meeting, ancestor: Ancestor | None, options: Options, talk: Talk) -> MediaWork:
    """List both media folders and merge them by what both held.

    Raises GuardRefused where a side's media is gone altogether.
    """
    talk.stage("looking at the media of both")
    listings = _listings(meeting, ancestor)
    desktop, phone = listings[Side.DESKTOP], listings[Side.PHONE]
    base = ancestor.media if ancestor else {}
    if base and not options.allow_mass_deletion:
        present = _present(listings)
        if options.one_way is None:
            _guard(meeting.replicas, [side for side, names in present.items() if not names], len(base))
        else:
            base = _not_lost(base, present, options.one_way.filled)
    plan = reconcile_media(
        base,
        desktop.files,
        phone.files,
        prefer=options.prefer,
        desktop_others=desktop.others,
        phone_others=phone.others,
        doubts=Doubts(meeting.memory.older_media(ancestor), undated=meeting.memory.passing),
    )
    return MediaWork(_possible(meeting, plan), listings, base)


def _not_lost(
    base: Mapping[str, str], present: Mapping[Side, Collection[str]], filled: Side
) -> Mapping[str, str]:
    """Return what both held, without what a side has lost that begins anew: it has deleted nothing."""
    if not all(present.values()):
        return {}
    if not alarm(filled, "media files", *losses(base, present[filled])):
        return base
    return {name: sha1 for name, sha1 in base.items() if name in present[filled]}


def _present(listings: Mapping[Side, Listing]) -> dict[Side, Collection[str]]:
    return {side: {*listing.files, *listing.others} for side, listing in listings.items()}


def _listings(meeting: Meeting, ancestor: Ancestor | None) -> dict[Side, Listing]:
    """List both sides at once: most of it is waiting, for the phone and for the disk."""
    over = Event()

    def listed(side: Side) -> Listing:
        return _listing(meeting, side, _seen(ancestor, side), lambda _count: _unless(over))

    with ThreadPoolExecutor(1, "usbsync-listing") as pool:
        desktop = pool.submit(listed, Side.DESKTOP)
        try:
            phone = listed(Side.PHONE)
        except BaseException:
            over.set()  # nobody waits for all of the desktop's media to be hashed
            raise
        return {Side.DESKTOP: desktop.result(), Side.PHONE: phone}


def _unless(over: Event) -> None:
    if over.is_set():
        raise CancelledError


def _listing(
    meeting: Meeting, side: Side, seen: Mapping[str, Seen], on_file: Callable[[int], None]
) -> Listing:
    """List a side's media; of a package that brought none, what the phone is known to have."""
    replica, known = meeting.replicas[side], meeting.memory.phone_media()
    if side is Side.PHONE and known is not None:
        return Listing({name: MediaFile(sha1, 1, 1) for name, sha1 in known.items()}, (), {})
    return list_media(replica.transport, replica.media, seen, where=side, on_file=on_file)


def _possible(meeting: Meeting, plan: MediaPlan) -> MediaPlan:
    """Leave out what no package can do: importing one adds files and replaces them, and deletes none."""
    if not meeting.memory.passing:
        return plan
    unseen = meeting.memory.phone_media() is not None
    steps = [step for step in plan.phone if not isinstance(step, Delete)]
    return replace(
        plan,
        phone=tuple(
            Add(step.name, step.file, step.reason) if unseen and isinstance(step, Replace) else step
            for step in steps
        ),
    )


def _guard(replicas: Mapping[Side, Replica], bare: Sequence[Side], had: int) -> None:
    for side in bare:
        replica = replicas[side]
        gone = replica.transport.stat(replica.media) is None
        if gone or had >= _SOME:
            raise GuardRefused(
                f"the {side}'s media folder is {'gone' if gone else 'empty'}, and {had:,} files were there at the last "
                "sync; nothing was changed",
                hint=_ways_on(side),
            )


def _ways_on(side: Side) -> str:
    return (
        "if they were deleted on purpose, run again with --allow-mass-deletion; to bring them back, first --no-media, "
        f"which merges all else, then --one-way {OneWay.into(side)}, which replaces the collection, too"
    )


def media_alarms(work: MediaWork) -> tuple[Alarm, ...]:
    """Sound the alarm where a side lost most of its files."""
    return _alarms(work.base, _present(work.listings))


def refuse_lost_media(
    replicas: Mapping[Side, Replica], base: Collection[str], present: Mapping[Side, Collection[str]]
) -> None:
    """Raise GuardRefused where the names that a side has show that it lost its media, or most of it."""
    if base:
        _guard(replicas, [side for side, names in present.items() if not names], len(base))
        refuse_alarms(_alarms(base, present))


def refuse_alarms(alarms: Sequence[Alarm]) -> None:
    """Raise GuardRefused where there are any."""
    if alarms:
        raise GuardRefused(
            f"{'; '.join(map(str, alarms))}; nothing was changed",
            hint=_ways_on(alarms[0].side),
        )


def _alarms(base: Collection[str], present: Mapping[Side, Collection[str]]) -> tuple[Alarm, ...]:
    found: tuple[Alarm, ...] = ()
    for side, names in present.items():
        found += alarm(side, "media files", *losses(base, names))
    return found


def _seen(ancestor: Ancestor | None, side: Side) -> Mapping[str, Seen]:
    if ancestor is None:
        return {}
    return ancestor.seen_desktop if side is Side.DESKTOP else ancestor.seen_phone
