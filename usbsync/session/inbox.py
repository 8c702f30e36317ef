"""A watched folder: a phone's package that is dropped there is merged, and the answer written beside it.

However it gets there (Syncthing, KDE Connect, AirDrop, a file manager, slowly or at once), it is taken up once, when it
is whole: no program says when it has written the last byte, so a file must keep still and have a package's end.
"""

from __future__ import annotations

import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from usbsync.collection.package_check import COLLECTION_SUFFIX
from usbsync.core.inbox import QUIET, Look, sight
from usbsync.errors import Busy, UsageError, UsbsyncError
from usbsync.session.options import Options
from usbsync.session.passing import is_answer
from usbsync.session.report import Report
from usbsync.session.sync import sync
from usbsync.session.talk import Talk
from usbsync.state.files import private_folder
from usbsync.state.home import state_home
from usbsync.state.records import read_record, write_record

_RETRY = 30.0  # seconds, where the desktop is busy: Anki is open
_VERSION = 1
_NAME = "inbox.json"

Done = Callable[[Path, Report | UsbsyncError], None]
"""Told of each package that was dealt with."""


@dataclass(slots=True)
class Inbox:
    """One watched folder; `look` is all it does, and `watch` calls it when there is something to look at."""

    folder: Path
    options: Options
    talk: Talk
    done: Done = lambda _path, _outcome: None
    clock: Callable[[], float] = time.monotonic
    _looks: Mapping[str, Look] = field(default_factory=dict)
    _busy_until: float = 0.0

    def look(self) -> float | None:
        """Deal with every package that is whole; returns after how many seconds to look again, None: when told.

        Raises UsageError where the folder is gone.
        """
        known = self._load()
        now = self.clock()
        found = self._found()
        sighting = sight(self._looks, found, known, now)
        self._looks = sighting.looks
        if now < self._busy_until:
            return self._busy_until - now
        for name in sighting.still:
            if not self._is_whole(name):
                continue  # a copy that stands still: the bytes to come will be told of
            if not self._deal_with(name):
                self._busy_until = self.clock() + _RETRY
                return _RETRY
            known = {**known, name: found[name]}
            self._save({each: state for each, state in known.items() if each in found})
        return QUIET / 4 if sighting.waiting else None

    def watch(self, stop: threading.Event) -> None:
        """Look whenever the folder changes, until told to stop; nothing is done in between."""
        news = _News()
        observer = Observer()
        observer.schedule(news, str(self.folder), recursive=False)
        observer.start()
        try:
            while not stop.is_set():
                news.heard.clear()
                again = self.look()
                news.heard.wait(again if again is not None else _PATIENCE)
        finally:
            observer.stop()
            observer.join()

    def _found(self) -> dict[str, tuple[int, int]]:
        """List the packages, but for our own answers and the names that carriers give to unfinished files."""
        if not self.folder.is_dir():
            raise UsageError(f"the folder {self.folder} is gone", hint="name a folder with --inbox")
        found = {}
        for path in self.folder.iterdir():
            if path.suffix.lower() == COLLECTION_SUFFIX and not path.name.startswith((".", "~")):
                with suppress(FileNotFoundError):  # gone again
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

    def _deal_with(self, name: str) -> bool:
        """Merge one package; False where it has to wait. One that is refused is told of, and left until it changes."""
        path = self.folder / name
        try:
            outcome: Report | UsbsyncError = sync(replace(self.options, device=f"package:{path}"), self.talk)
        except Busy as error:
            self.talk.note(f"{name} waits: {error}")
            return False
        except UsbsyncError as error:
            outcome = error
        self.done(path, outcome)
        return True

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


_PATIENCE = 3600.0  # seconds after which to look though nothing was heard: some file systems tell nothing


class _News(FileSystemEventHandler):
    """Sets an event whenever anything happens in the folder."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the watcher; reading a file is no news."""
        if event.event_type not in {"opened", "closed_no_write"}:
            self.heard.set()
