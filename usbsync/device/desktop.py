"""Which collection is the desktop's: found as Anki finds it (qt/aqt/profiles.py), read only.

Anki's base folder is ANKI_BASE, else Anki2 in the platform's data folder; each profile is a folder in it.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from usbsync.device.profiles import Profiles, read_profiles
from usbsync.errors import ChoiceNeeded, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLLECTION = "collection.anki2"
START_ANKI = "start Anki once, or name the collection with --collection FILE"


@dataclass(frozen=True, slots=True)
class DesktopReplica:
    """The desktop's collection, which may not be there yet, and the profile it belongs to, if it was found by one."""

    collection: Path
    profile: str | None

    @property
    def folder(self) -> Path:
        """The folder of the collection."""
        return self.collection.parent

    @property
    def media_folder(self) -> Path:
        """The media folder, as Anki derives it from the collection's name (pylib/anki/media.py)."""
        return _media_folder(self.collection)

    @property
    def name(self) -> str:
        """What to call it to a person: the profile, else the folder."""
        return self.profile or self.folder.name


def find_desktop(
    *,
    collection: Path | None = None,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    known: Callable[[Path], bool] = lambda _path: False,
) -> DesktopReplica:
    """Find the collection: the file that is named, else the profile that is, else Anki's last used or only one.

    Raises UsageError when what is named does not exist or Anki was never started, ChoiceNeeded when several profiles
    could be meant, and what reading Anki's list of profiles raises. The collection of a profile may be absent, and a
    named one that is `known`: it was there once.
    """
    if collection is not None:
        return DesktopReplica(_collection_file(collection, known), None)
    base = _base_folder(environ, platform)
    name = _profile_name(read_profiles(base), profile, base)
    return DesktopReplica(_real(_profile_folder(base, name) / COLLECTION), name)


def _collection_file(path: Path, known: Callable[[Path], bool]) -> Path:
    """Check the file that is named."""
    hint = f"--collection wants the file {COLLECTION} of a profile's folder"
    try:
        named = path.expanduser().absolute()
        found = named.is_file() or (not named.exists() and known(named.resolve()))
    except (OSError, RuntimeError, ValueError):
        found = False
    if not found:
        raise UsageError(f"there is no collection file {path}", hint=hint)
    if named.suffix.lower() != ".anki2":
        raise UsageError(f"{path} is not a collection: its name does not end in .anki2", hint=hint)
    return _real(named)


def _real(named: Path) -> Path:
    """Follow symlinks: what replaces the collection must replace what they lead to, as SQLite's own -wal does.

    Anki takes the media beside the name it was given, so a link to a file beside other media is refused.
    """
    real = named.resolve()
    beside, theirs = (_media_folder(path) for path in (named, real))
    if real.suffix.lower() != ".anki2" or (beside.exists() and beside.resolve() != theirs.resolve()):
        raise UsageError(
            f"{named} is a link to {real}, which is not beside the same media folder",
            hint="link the whole profile folder instead, or name the real file with --collection FILE",
        )
    return real


def _media_folder(collection: Path) -> Path:
    return collection.with_name(re.sub(r"(?i)\.(anki2)$", ".media", collection.name))


def _profile_name(profiles: Profiles, wanted: str | None, base: Path) -> str:
    if not profiles.names:
        raise UsageError(f"Anki has no profile yet in {base}", hint=START_ANKI)
    listed = ", ".join(profiles.names)
    if wanted is not None and wanted not in profiles.names:
        raise UsageError(
            f"Anki has no profile {wanted!r}; it has: {listed}", hint="choose with --profile NAME"
        )
    if wanted is None and profiles.last_used is None and len(profiles.names) > 1:
        raise ChoiceNeeded(
            f"Anki has several profiles, and none was the last used: {listed}",
            hint="choose with --profile NAME",
        )
    return wanted or profiles.last_used or profiles.names[0]


def _profile_folder(base: Path, name: str) -> Path:
    folder = base / name
    if not folder.is_dir():
        raise UsageError(
            f"the profile {name!r} has no folder in {base} yet",
            hint=f"open the profile {name!r} in Anki once, or name the collection with --collection FILE",
        )
    return folder.resolve()


def _base_folder(environ: Mapping[str, str], platform: str) -> Path:
    """Return the first of Anki's base folders that exists."""
    candidates = _base_folders(environ, platform)
    for base in candidates:
        if base.is_dir():
            return base.resolve()
    if named := environ.get("ANKI_BASE"):
        raise UsageError(
            f"Anki's folder was not found: there is no {named}, which ANKI_BASE names",
            hint="unset ANKI_BASE, or let it name Anki's folder",
        )
    looked = " or ".join(str(base) for base in candidates)
    raise UsageError(f"Anki's folder was not found: there is no {looked}", hint=START_ANKI)


def _base_folders(environ: Mapping[str, str], platform: str) -> list[Path]:
    """List where Anki keeps its data, the likeliest first; an empty variable counts as unset."""
    if base := environ.get("ANKI_BASE"):
        return [Path(base).absolute()]
    if platform == "win32":
        roaming = environ.get("APPDATA")
        return [(Path(roaming) if roaming else _home(environ, platform) / "AppData" / "Roaming") / "Anki2"]
    home = _home(environ, platform)
    if platform == "darwin":
        return [home / "Library" / "Application Support" / "Anki2"]
    data = environ.get("XDG_DATA_HOME")
    flatpak = (
        home / ".var" / "app" / "net.ankiweb.Anki" / "data"
    )  # there XDG_DATA_HOME is Anki's alone, not ours
    return [(Path(data) if data else home / ".local" / "share") / "Anki2", flatpak / "Anki2"]


def _home(environ: Mapping[str, str], platform: str) -> Path:
    named = environ.get("USERPROFILE" if platform == "win32" else "HOME")
    return Path(named) if named else Path.home()
