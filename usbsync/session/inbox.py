"""A watched folder: a phone's package that is dropped there is merged, and the answer written beside it.

However it gets there (Syncthing, KDE Connect, AirDrop, a file manager, slowly or at once), it is taken up once, when it
is whole: no program says when it has written the last byte, so a file must keep still and have a package's end.
`session/watch.py` calls `look` whenever something happened to the folder.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from usbsync.collection.package_check import COLLECTION_SUFFIX
from usbsync.core.inbox import LATE, QUIET, SLOW, Look, sight
from usbsync.errors import Busy, PhoneFailed, UsbsyncError
from usbsync.session.answer import is_answer
from usbsync.session.options import Options
from usbsync.session.report import Report
from usbsync.session.sync import sync
from usbsync.session.talk import Talk
from usbsync.state.files import private_folder
from usbsync.state.home import state_home
from usbsync.state.records import read_record, write_record

PATIENCE = 60.0
"""Seconds after which to look though nothing was heard: some file systems tell nothing, and a folder may come back."""
RETRY = 10.0
"""Seconds after which to try again where the desktop is busy: Anki is open."""
_VERSION = 1
_NAME = "inbox.json"
_COPYING = -1  # stands for the time of a file that is being copied, which changes with it

Done = Callable[[Path, Report | UsbsyncError], None]
"""Told of each package that was dealt with."""


@dataclass(slots=True)
class Inbox:
    """One watched folder."""

    folder: Path
    options: Options
    talk: Talk
    done: Done = lambda _path, _outcome: None
    clock: Callable[[], float] = time.monotonic
    _looks: Mapping[str, Look] = field(default_factory=dict)
    _busy_until: float = 0.0
    _told: set[tuple[str, int]] = field(default_factory=set)

    def look(self) -> float:
        """Deal with every package that is whole; returns after how many seconds to look again though nothing is heard.

        Whatever is wrong with a package is told, and nothing is raised but damage of our own memory.
        """
        known = self._load()
        now = self.clock()
        found = self._found()
        sighting = sight(self._looks, found, known, now)
        self._looks = sighting.looks
        if now < self._busy_until:
            return self._busy_until - now
        again = QUIET / 4 if sighting.waiting else PATIENCE
        for name in sighting.still:
            if not self._is_whole(name) and (left := self._wait_for(name, now)) > 0:
                again = min(again, left)
                continue
            if not self._deal_with(name):
                self._busy_until = self.clock() + RETRY
                return RETRY
            self._told.discard((name, _COPYING))
            known = {**known, name: found[name]}
            self._save({each: state for each, state in known.items() if each in found})
        return again

    def _found(self) -> dict[str, tuple[int, int]]:
        """List the packages, but for our own answers and the names that carriers give to unfinished files."""
        found = {}
        try:
            names = sorted(self.folder.iterdir())
        except OSError as error:
            self._say("", 0, f"{self.folder} cannot be looked into ({error.strerror}): waiting for it")
            return {}
        for path in names:
            if path.suffix.lower() == COLLECTION_SUFFIX and not path.name.startswith((".", "~")):
                with suppress(OSError):  # gone again
                    info = path.lstat()
                    if path.is_file() and not path.is_symlink() and not is_answer(path):
                        found[path.name] = (info.st_size, info.st_mtime_ns)
        return found

    def _is_whole(self, name: str) -> bool:
        """Whether a file has a package's end: it is what is written last."""
        try:
            return zipfile.is_zipfile(self.folder / name)
        except OSError:
            return False

    def _wait_for(self, name: str, now: float) -> float:
        """Wait for the rest of a copy that stands still; returns for how many seconds yet."""
        waited = now - self._looks[name].since
        if SLOW <= waited < LATE:
            self._say(name, _COPYING, f"{name} is not complete yet: waiting for the rest of it")
        return (SLOW if waited < SLOW else LATE) - waited

    def _deal_with(self, name: str) -> bool:
        """Merge one package; False where it has to wait. One that is refused is told of, and left until it changes."""
        path = self.folder / name
        try:
            outcome: Report | UsbsyncError = sync(replace(self.options, device=f"package:{path}"), self.talk)
        except Busy as error:
            self._say(name, self._looks[name].mtime, f"{name} waits: {error}")
            return False
        except UsbsyncError as error:
            outcome = error
        except OSError as error:
            outcome = PhoneFailed(f"{error}; both sides are whole", hint="drop the package there again")
        self.done(path, outcome)
        return True

    def _say(self, name: str, mtime: int, text: str) -> None:
        """Say something once, until the file is another."""
        if (name, mtime) not in self._told:
            self._told.add((name, mtime))
            self.talk.note(text)

    # ---- what was dealt with, by size and time: it is there again after a restart

    @property
    def _record(self) -> Path:
        return state_home(self.options.environ) / _NAME

    def _load(self) -> dict[str, tuple[int, int]]:
        record = read_record(self._record, version=_VERSION) or {}
        mine = record.get(str(self.folder.resolve()), {})
        return {name: (size, mtime) for name, (size, mtime) in mine.items()}

    def _save(self, known: Mapping[str, tuple[int, int]]) -> None:
        private_folder(self._record.parent)
        record = read_record(self._record, version=_VERSION) or {}
        write_record(self._record, {**record, str(self.folder.resolve()): known}, version=_VERSION)
