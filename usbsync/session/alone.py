"""A desktop by itself: for what concerns no phone, or one that cannot be reached."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usbsync.core.conflict import Side
from usbsync.device.ankidroid import PhoneReplica
from usbsync.device.app import AppControl
from usbsync.errors import DamagedData
from usbsync.session.descent import PHONE
from usbsync.session.desktop import desktop_meant, home_of
from usbsync.session.looks import Looks
from usbsync.session.meet import LOCK_SECONDS, Meeting, closing, desktop_replica, scratch_folder
from usbsync.session.options import Options
from usbsync.session.replica import Replica
from usbsync.session.standing import facts, go_back, standing
from usbsync.state.ancestor import Ancestor, forget, load_ancestor
from usbsync.state.files import speaking
from usbsync.state.home import state_home
from usbsync.state.pair import Pair, known_pairs, lock
from usbsync.state.passed import keep_passed, load_passed
from usbsync.transport.ways import open_folder
from usbsync.transport.wrap import Metered

NOBODY = "import"
"""Stands for the phone in the memory of what was done to the desktop alone."""
AFTER = "after"
"""What the collection that took something in was when it was left, by its side, in the facts of a backup."""
NO_PHONE = (NOBODY, PHONE)
"""The phones that are not needed to take the desktop back."""


@dataclass(slots=True)
class AloneMemory:
    """What is remembered of a phone that is not there: only an undo changes it, or another collection in its place."""

    pair: Pair
    outlived: Collection[
        str
    ] = ()  # SHA-256 of the states that the desktop's new collection does not descend from
    passing: bool = True
    answer: Path | None = None

    def load(self) -> Ancestor | None:
        """Return the newest state that was passed: what the desktop held then is known by it."""
        states = standing(self.pair)
        return states[0].state if states else None

    def keep(self, new: Ancestor | None) -> None:
        """Set aside what an undo takes from the desktop, or forget what a collection in its place does."""
        if self.outlived:
            forget_states(self.pair, self.outlived)
        else:
            go_back(self.pair, new)

    def phone_media(self) -> Mapping[str, str] | None:
        """Nothing is known of them."""
        return {}

    def older_media(self, ancestor: Ancestor | None) -> Mapping[str, frozenset[str]]:
        """Nothing is known of them."""
        del ancestor
        return {}

    def facts(self) -> Mapping[str, Any]:
        """Return what stands now."""
        return facts(self.pair)


def states_of(pair: Pair) -> Iterator[tuple[Pair, Ancestor]]:
    """Give all that is remembered of a desktop with any phone; what is damaged is left out."""
    for other in known_pairs(pair.home):
        if other.desktop == pair.desktop:
            with suppress(DamagedData):
                yield from ((other, each.state) for each in standing(other))
            with suppress(DamagedData):
                if state := load_ancestor(other):
                    yield other, state


def forget_states(pair: Pair, gone: Collection[str]) -> None:
    """Forget some of these, whichever phone they are of: the next sync with it is a first one, or has an older ancestor."""
    for other, state in list(states_of(pair)):
        if state.sha256 in gone:
            passed = load_passed(other)
            if passed:
                keep_passed(other, [each for each in passed if each.state.sha256 not in gone])
            else:
                forget(other)


@contextmanager
def meet_alone(options: Options, phone: str = NOBODY) -> Iterator[Meeting]:
    """Keep the desktop still until the block ends, with an empty folder for the phone."""
    found = desktop_meant(options)
    with ExitStack() as stack:
        pair = Pair(state_home(options.environ), str(found.collection), phone)
        stack.enter_context(lock(pair, seconds=LOCK_SECONDS))
        home = stack.enter_context(closing(open_folder(home_of(found))))
        scratch = stack.enter_context(scratch_folder(pair, dry=False))
        folder = scratch / "nobody"
        folder.mkdir()
        link = stack.enter_context(closing(open_folder(folder)))
        desktop = desktop_replica(found, home)
        with desktop.still():
            pass  # "close Anki" comes before all else
        replicas = {
            Side.DESKTOP: desktop,
            Side.PHONE: Replica(Side.PHONE, link, "/collection.anki2", "/collection.media"),
        }
        names = {Side.DESKTOP: found.name, Side.PHONE: phone}
        app = AppControl(link, PhoneReplica("/", (), "no phone"))
        with speaking(scratch):
            yield Meeting(
                pair,
                replicas,
                app,
                Metered(link),
                scratch,
                dry=False,
                names=names,
                memory=AloneMemory(pair),
                looks=Looks(pair),
            )
