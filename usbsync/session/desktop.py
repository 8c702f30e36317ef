"""The desktop that is meant: one whose collection is lost, but was synced once, can still be named."""

from __future__ import annotations

from pathlib import Path

from usbsync.device.desktop import DesktopReplica, find_desktop
from usbsync.errors import UsageError
from usbsync.session.options import Options
from usbsync.state.config import NAME as CONFIG
from usbsync.state.home import state_home
from usbsync.state.pair import known_pairs


def desktop_meant(options: Options) -> DesktopReplica:
    """Find the desktop's collection by what was named; raises what `find_desktop` raises, and says where it was named."""
    named = "profile" if options.collection is None else "collection"
    try:
        return find_desktop(
            collection=options.collection,
            profile=options.profile,
            environ=options.environ,
            known=lambda path: was_synced(options, path),
        )
    except UsageError as error:
        if named not in options.configured:
            raise
        config = state_home(options.environ) / CONFIG
        raise UsageError(
            f"{error} ({named} in {config})", hint=f"change {named} in {config}; nothing was changed"
        ) from error


def was_synced(options: Options, collection: Path) -> bool:
    """Say whether something is remembered of a collection."""
    return any(pair.desktop == str(collection) for pair in known_pairs(state_home(options.environ)))


def home_of(found: DesktopReplica) -> Path:
    """Return the folder of the desktop's collection; UsageError where even that is gone."""
    if not found.folder.is_dir():
        raise UsageError(
            f"the folder {found.folder} is gone, with the collection in it; nothing was changed",
            hint="make that folder again and run the command again; usbsync restore ID --to FOLDER needs none",
        )
    return found.folder
