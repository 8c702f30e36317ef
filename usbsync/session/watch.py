"""Watching: phones that may be synced by themselves are, whenever that can be. `core/watching.py` decides; this does it.

One thread does everything but waiting for news: one sync at a time, and what happens meanwhile is looked at afterwards.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from queue import Empty

from usbsync.core import watching as core
from usbsync.core.watching import Event, Phone, Standing, Why
from usbsync.device.desktop import DesktopReplica
from usbsync.device.detect import SeenPhone
from usbsync.device.hint import Hint
from usbsync.errors import AnkiOpen, PhoneFailed, UsbsyncError
from usbsync.session.consent import by_itself
from usbsync.session.desk import Desk, changed, desktop_of
from usbsync.session.options import Options
from usbsync.session.report import Report, Result
from usbsync.session.sync import sync
from usbsync.session.talk import Talk
from usbsync.session.watch_needs import About, Also, Source, Unwatched, Voice, problem, why
from usbsync.state.consent import NAME, Answer, Consent, load_consents, remember_consent
from usbsync.state.files import private_folder
from usbsync.state.home import state_home
from usbsync.transport.ways import State

GATHER = 0.3
"""Seconds in which hints are gathered: an event seldom comes alone."""
LOOK_EVERY = 5.0
"""Seconds between two looks at the desktop's side, while that matters: an Anki that was killed changes no file, and in
folders of media nobody listens."""
LONGEST_WAIT = 60.0
"""Seconds until what went wrong in a folder beside is tried again."""


class Watch:
    """The phones that are plugged in, and what is done about each."""

    def __init__(
        self,
        options: Options,
        voice: Voice,
        source: Source,
        *,
        clock: Callable[[], float] = time.monotonic,
        run: Callable[[Options, Talk], Report] = sync,
        also: Also | None = None,
    ) -> None:
        self.phones: dict[str, Phone] = {}
        self._options, self._voice, self._source, self._clock, self._run = options, voice, source, clock, run
        self._also, self._also_due = also, 0.0
        self._home = state_home(options.environ)
        self._seen: Mapping[str, SeenPhone | None] = {}
        self._consents: dict[str, Consent] = {}
        self._about: dict[str, About] = {}
        self._desk = Desk(self._home)
        self._look_again: float | None = None
        self._trouble = ""

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Watch until told otherwise, or interrupted."""
        self.begin()
        try:
            while not until():
                self.turn()
        finally:
            self._source.stop()

    def begin(self) -> None:
        """Listen, and look at what is there already."""
        self._source.watch(private_folder(self._home))
        self._reload()
        self._source.start()
        self._look(frozenset())
        self._look_beside()

    def turn(self, most: float | None = None) -> None:
        """Wait for something to happen, `most` seconds, and do what is to be done about it."""
        hints = self._gather(self._patience(most))
        files = {hint.file for hint in hints if hint.file}
        if self._home / NAME in files:
            self._reload()
        again = self._look_again is not None and self._look_again <= self._clock()
        if again or any(hint.file is None for hint in hints):
            self._look(frozenset().union(*(hint.fresh for hint in hints)))
        self._look_at_anki()
        for name in list(self.phones):
            if name in self.phones:
                self._happens(name, core.Tick())
        self.phones = {name: phone for name, phone in self.phones.items() if not core.forgotten(phone)}
        self._look_beside()

    def _look_beside(self) -> None:
        if self._also:
            self._source.watch(self._also.folder)  # it may have come only now
            wait = LONGEST_WAIT
            try:
                wait = self._also.look()
            except (UsbsyncError, OSError) as error:
                self._once(error)
            self._also_due = self._clock() + wait

    # ---- waiting

    def _patience(self, most: float | None) -> float | None:
        """Return for how long nothing is to be done; None: for ever."""
        due = core.next_due(self.phones)
        waits = [] if due is None else [max(0.0, due - self._clock())]
        waits += [max(0.0, self._also_due - self._clock())] if self._also else []
        stuck = any(phone.standing is Standing.STUCK for phone in self.phones.values())
        waits += [LOOK_EVERY] if stuck or (self._desk.at_work and self.phones) else []
        waits += [] if self._look_again is None else [max(0.0, self._look_again - self._clock())]
        return min([*waits, *([] if most is None else [most])], default=None)

    def _gather(self, patience: float | None) -> list[Hint]:
        hints: list[Hint] = []
        try:
            hints.append(self._source.hints.get(timeout=patience))
            until = time.monotonic() + GATHER
            while (left := until - time.monotonic()) > 0:
                hints.append(self._source.hints.get(timeout=left))
        except Empty:
            pass
        return hints

    # ---- looking

    def _look(self, fresh: frozenset[str]) -> None:
        """Find out who came and who left; a phone that was plugged in anew left in between."""
        before, self._seen = self._seen, self._here()
        for name in [name for name in self.phones if name not in self._seen or name in fresh]:
            self._happens(name, core.Left())
        here = {name for name, phone in self.phones.items() if phone.standing is not Standing.LEFT}
        for name, seen in self._seen.items():
            if not name:
                self._voice.note(f"a phone is there that this account cannot use ({seen}): usbsync setup")
            elif name not in here:
                self._came(name)
            elif _state(seen) != _state(before.get(name)):
                self._happens(name, core.Moved())

    def _here(self) -> Mapping[str, SeenPhone | None]:
        """Return who is here; where that cannot be told (an adb server just ends), who was, and look again soon."""
        self._look_again = None
        try:
            return self._source.here()
        except (UsbsyncError, OSError) as error:
            self._once(error)
            self._look_again = self._clock() + LOOK_EVERY
            return self._seen

    def _once(self, error: Exception) -> None:
        """Write a line about what is wrong, once while it is the same."""
        text = f"{error}; {error.hint}" if isinstance(error, UsbsyncError) else str(error)
        if text != self._trouble:
            self._trouble = text
            self._voice.note(text)

    def _came(self, name: str) -> None:
        self._look_at_anki()
        known = name in self._consents
        phone, actions = core.came(
            self._clock(),
            allowed=by_itself(self._consents, name),
            known=known,
            anki_open=self._anki_open(name),
        )
        self._do(name, phone, actions)
        if not known:
            self._remember_told(name)

    def _remember_told(self, name: str) -> None:
        consent = Consent(name, Answer.TOLD, None, time.time())
        try:
            remember_consent(self._home, consent)
        except UsbsyncError as error:
            self._voice.note(f"{error}; {error.hint}")
        self._consents = {**self._consents, name: consent}

    def _reload(self) -> None:
        """Read what people allowed; damage is told, and then nothing is."""
        try:
            self._consents = load_consents(self._home)
        except (UsbsyncError, OSError) as error:
            self._consents = {}
            self._once(error)
        allowed = {name for name in self._consents if by_itself(self._consents, name)}
        self._source.folders = [name for name in allowed if name.startswith("folder:")]
        for name in list(self.phones):
            self._happens(name, core.Allowed() if name in allowed else core.Revoked())

    def _look_at_anki(self) -> None:
        """Find out whether Anki was opened or closed."""
        allowed = [name for name in self._consents if by_itself(self._consents, name)]
        desktops = {found.collection: found for name in allowed if (found := self._desktop(name))}
        for found in desktops.values():
            self._source.watch(found.folder)  # it may have come only now
        for collection, is_open_now in self._desk.look(desktops.values()).items():
            self._anki_moved(collection, now=is_open_now)

    def _anki_moved(self, collection: Path, *, now: bool) -> None:
        for name in list(self.phones):
            found = self._desktop(name)
            if found and found.collection == collection:
                closed = core.AnkiClosed(changed=not now and changed(found, name, self._home))
                self._happens(name, core.AnkiOpened() if now else closed)

    def _anki_open(self, name: str) -> bool:
        found = self._desktop(name)
        return found is not None and self._desk.is_open(found.collection)

    def _desktop(self, name: str) -> DesktopReplica | None:
        """Return the collection that a phone is synced with: that for which it was allowed."""
        return desktop_of(self._options_for(name))

    # ---- doing

    def _happens(self, name: str, event: Event) -> None:
        self._do(name, *core.step(self.phones[name], event, self._clock()))

    def _do(self, name: str, phone: Phone, actions: tuple[core.Action, ...]) -> None:
        self.phones[name] = phone
        for action in actions:
            match action:
                case core.Tell(topic):
                    self._voice.tell(name, topic, self._about.get(name))
                case core.Sync():
                    self._sync(name)

    def _sync(self, name: str) -> None:
        self._voice.note(f"{name}: syncing")
        if self.phones[name].failures:  # the way to it may be another one now: an adb server came or went
            self._seen = {**self._seen, **self._here()}
        about = self._about[name] = self._outcome(name)
        if isinstance(about, UsbsyncError):
            self._voice.note(f"{name}: {about}")
            self._look_at_anki()
            self._happens(name, core.Failed(self._why(name, about), problem(about)))
        else:
            self._voice.note(f"{name}: {about.result.value}")
            self._happens(name, core.Done(news=about.result is not Result.UNCHANGED))

    def _why(self, name: str, error: UsbsyncError) -> Why:
        """Say why; what is open may also be the phone's own collection, in a folder, or be closed again by now."""
        if isinstance(error, AnkiOpen) and not self._anki_open(name):
            return Why.PASSING
        return why(error)

    def _outcome(self, name: str) -> Report | UsbsyncError:
        """Sync, and return what became of it: nothing that goes wrong in a sync ends the watch."""
        try:
            return self._run(self._options_for(name), Unwatched(self._voice, self._asked(name)))
        except UsbsyncError as error:
            return error
        except OSError as error:
            return PhoneFailed(f"{error}; both sides are whole")
        except Exception as error:  # noqa: BLE001
            traceback.print_exc(file=sys.stderr)
            return UsbsyncError(f"{type(error).__name__}: {error}")

    def _asked(self, name: str) -> Callable[[], None]:
        return lambda: self._happens(name, core.Asked())

    def _options_for(self, name: str) -> Options:
        consent = self._consents.get(name)
        collection = Path(consent.collection) if consent and consent.collection else self._options.collection
        seen = self._seen.get(name)
        return replace(self._options, device=seen.spec if seen else name, collection=collection)


def _state(seen: SeenPhone | None) -> State | None:
    return seen.state if seen else None
