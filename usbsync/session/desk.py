"""The desktop's side of the watch: which collections are open, which were written, which differ from the last sync."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from usbsync.collection.lock import is_open
from usbsync.core.conflict import Side
from usbsync.device.desktop import DesktopReplica
from usbsync.errors import UsbsyncError
from usbsync.session.desktop import desktop_meant
from usbsync.session.options import Options
from usbsync.session.replica import Replica
from usbsync.session.status import side_changed
from usbsync.state.ancestor import load_ancestor
from usbsync.state.pair import Pair, at_work, known_pairs
from usbsync.transport.ways import open_folder


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a collection and its media folder were when they were looked at; stamps tell them from what they were before."""

    open: bool
    stamp: tuple[tuple[int, ...] | None, ...]


class Desk:
    """What is known of the collections that phones are synced with."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._seen: dict[Path, _Seen] = {}
        self._theirs: set[Path] = set()

    @property
    def at_work(self) -> bool:
        """Say whether any was open, or in another usbsync's hands, when it was last looked at."""
        return bool(self._theirs) or any(seen.open for seen in self._seen.values())

    def is_open(self, collection: Path) -> bool:
        """Say whether a collection was open when it was last looked at."""
        return collection in self._seen and self._seen[collection].open

    def look(self, desktops: Iterable[DesktopReplica]) -> dict[Path, bool]:
        """Return the collections that were opened (True) or are closed now and were not so, or other, before (False).

        One that is merely other was open too shortly to be seen, or another phone brought news. What another usbsync is
        at work on is looked at when that is done.
        """
        moved = {}
        self._theirs.clear()
        for desktop in desktops:
            collection = desktop.collection
            now = is_open(collection)
            seen = _Seen(now, () if now else (_stamp(collection), _stamp(desktop.media_folder)))
            before = self._seen.get(collection, replace(seen, open=False))
            if seen != before and at_work(self._home, str(collection)):
                self._theirs.add(collection)
                continue
            self._seen[collection] = seen
            if seen != before:
                moved[collection] = now
        return moved


def desktop_of(options: Options) -> DesktopReplica | None:
    """Return the collection that is meant, lost or not; None where there is none, which a sync will say."""
    try:
        return desktop_meant(options)
    except (UsbsyncError, OSError):
        return None


def changed(found: DesktopReplica, name: str, home: Path) -> bool:
    """Say whether the desktop is not as the last sync with this phone left it; where that is unknown, yes."""
    phone = name.removeprefix("folder:")
    for pair in known_pairs(home):
        if pair.desktop == str(found.collection) and (
            pair.phone == phone or pair.phone.startswith(f"{phone}:")
        ):
            return _differs(found, pair)
    return True


def _differs(found: DesktopReplica, pair: Pair) -> bool:
    place = (f"/{found.collection.name}", f"/{found.media_folder.name}")
    try:
        ancestor, home = load_ancestor(pair), open_folder(found.folder)
        return ancestor is None or side_changed(Replica(Side.DESKTOP, home, *place), ancestor)
    except (UsbsyncError, OSError):
        return True


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
