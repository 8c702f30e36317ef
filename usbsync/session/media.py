"""The media half of a session: list both sides and decide."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usbsync.core.conflict import Side
from usbsync.core.guard import Alarm, alarm
from usbsync.core.media import MediaPlan, losses, reconcile_media
from usbsync.errors import GuardRefused
from usbsync.media.listing import Listing, list_media
from usbsync.media.move import seen_after
from usbsync.session.meet import Meeting
from usbsync.session.options import Options
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor, Seen

_SOME = 5  # so many are not all deleted by hand


@dataclass(frozen=True, slots=True)
class MediaWork:
    """Both listings and what is to be done."""

    plan: MediaPlan
    listings: Mapping[Side, Listing]

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
    listings = {}
    for side, replica in meeting.replicas.items():
        talk.stage(f"looking at the {side}'s media")
        listings[side] = list_media(replica.transport, replica.media, _seen(ancestor, side), where=side)
    desktop, phone = listings[Side.DESKTOP], listings[Side.PHONE]
    base = ancestor.media if ancestor else {}
    if base and not options.allow_mass_deletion:
        bare = [side for side, listing in listings.items() if not listing.files and not listing.others]
        if options.one_way is None:
            _guard(meeting, bare, len(base))
        elif bare:
            base = {}  # a side that begins anew has deleted nothing
    plan = reconcile_media(
        base,
        desktop.files,
        phone.files,
        prefer=options.prefer,
        desktop_others=desktop.others,
        phone_others=phone.others,
    )
    return MediaWork(plan, listings)


def _guard(meeting: Meeting, bare: Sequence[Side], had: int) -> None:
    for side in bare:
        replica = meeting.replicas[side]
        gone = replica.transport.stat(replica.media) is None
        if gone or had >= _SOME:
            raise GuardRefused(
                f"the {side}'s media folder is {'gone' if gone else 'empty'}, and {had:,} files were there at the last "
                "sync; nothing was changed",
                hint="if they were deleted on purpose, run again with --allow-mass-deletion; to bring them back, "
                f"--one-way {'download' if side is Side.DESKTOP else 'upload'}",
            )


def media_alarms(work: MediaWork, ancestor: Ancestor | None) -> tuple[Alarm, ...]:
    """Sound the alarm where a side lost most of its files."""
    found: tuple[Alarm, ...] = ()
    for side, listing in work.listings.items() if ancestor else ():
        lost, had = losses(ancestor.media if ancestor else {}, {*listing.files, *listing.others})
        found += alarm(side, "media files", lost, had)
    return found


def _seen(ancestor: Ancestor | None, side: Side) -> Mapping[str, Seen]:
    if ancestor is None:
        return {}
    return ancestor.seen_desktop if side is Side.DESKTOP else ancestor.seen_phone
