"""What both replicas will hold, said before it is so: the next ancestor."""

from __future__ import annotations

import time

from usbsync.core.conflict import Side
from usbsync.session.collection import CollectionWork
from usbsync.session.levels import noted
from usbsync.session.media import MediaWork
from usbsync.session.meet import Meeting
from usbsync.session.replica import snapshots
from usbsync.state.ancestor import Ancestor
from usbsync.state.files import sha256_of


def next_ancestor(
    meeting: Meeting, ancestor: Ancestor | None, collection: CollectionWork, media: MediaWork
) -> Ancestor:
    """Say what both will hold: the phone's collection, byte for byte, and the media."""
    phone = collection.new.get(Side.PHONE)
    if phone is None and Side.PHONE in collection.held:
        phone = collection.held[Side.PHONE].whole
    if phone is None and ancestor is not None:
        phone = ancestor.collection
    if phone is None:
        raise AssertionError("a phone without a collection is written to")
    sha256 = ancestor.sha256 if ancestor and phone == ancestor.collection else sha256_of(phone)
    after = {
        side: sha256_of(collection.new[side]) if side in collection.new else collection.before[side]
        for side in Side
    }
    return Ancestor(
        collection=phone,
        sha256=sha256,
        desktop_sha256=after[Side.DESKTOP],
        media=media.plan.after,
        seen_desktop=media.seen(meeting, Side.DESKTOP, ancestor),
        seen_phone=media.seen(meeting, Side.PHONE, ancestor),
        when=time.time(),
        info={"phone": after[Side.PHONE], **noted(snapshots(collection.held), ancestor)},
    )
