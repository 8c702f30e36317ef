"""Which remembered state two collections both descend from, where no cable showed it: `core/lineage.py` decides."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from usbsync.collection.descent import keeps, marks_of, readable, trace
from usbsync.collection.snapshot import Snapshot, take
from usbsync.core.conflict import Side
from usbsync.core.lineage import Evidence, base
from usbsync.session.memory import PairMemory
from usbsync.session.replica import Replica
from usbsync.state.ancestor import Ancestor
from usbsync.state.pair import Pair
from usbsync.state.passed import Passed, load_passed

PHONE = "package"
"""The one name of all phones that come as packages: a package itself shows which of them it is of."""
BROUGHT = "brought"
"""The media of an answer, in the notes of its state: name -> what the phone had before, as SHA-1."""


def copied(replica: Replica, scratch: Path) -> Snapshot:
    """Copy one side's collection to be looked into."""
    with replica.still():
        raw = replica.fetch(scratch / "raw", lambda _count: None)
    return take(raw, scratch, replica.side)


def marks_in(snapshot: Snapshot) -> Mapping[str, str]:
    """Return the marks of a copied collection, which its snapshot's own file has no more."""
    original = snapshot.folded or snapshot.raw
    return marks_of(Path(shutil.copyfile(original, original.with_name("marks.anki2"))))


def common_state(
    states: Sequence[Passed], phone: Path, desktop: Path, marks: Mapping[str, str], whose: str, scratch: Path
) -> Passed | None:
    """Return the newest of these states, newest first, that two scratch copies are both proven to descend from."""

    def evidence(passed: Passed) -> Evidence:
        passed.state.check()
        state = readable(passed.state.collection, scratch / passed.state.sha256)
        return Evidence(
            kind=passed.kind,
            mark=passed.mark,
            phone_mark=marks.get(whose),
            phone=trace(phone, state, passed.state.when),
            desktop_keeps=keeps(desktop, state),
        )

    return base((each, evidence(each)) for each in states)


@dataclass(slots=True)
class CableMemory:
    """The memory of a phone on a cable, which may have come as a package since it was last there, or ever."""

    known: PairMemory
    replicas: Mapping[Side, Replica]
    scratch: Path
    passing: bool = False
    answer: Path | None = None
    _looked: bool = False
    _newest: Ancestor | None = None

    def load(self) -> Ancestor | None:
        """Return what both held last: after a sync over the cable, or what went to and fro in packages since."""
        if not self._looked:
            self._newest = self._look()
            self._looked = True
        return self._newest

    def keep(self, new: Ancestor | None) -> None:
        """Remember what both hold: it is newer than all packages."""
        self.known.keep(new)
        self._newest, self._looked = self.known.load(), True  # with the copy that is kept: the one given goes

    def phone_media(self) -> Mapping[str, str] | None:
        """They can be looked at."""
        return self.known.phone_media()

    def _look(self) -> Ancestor | None:
        own = self.known.load()
        packages = Pair(self.known.pair.home, self.known.pair.desktop, PHONE)
        newer = [each for each in load_passed(packages) if own is None or each.state.when > own.when]
        if not newer or not all(replica.fingerprint() for replica in self.replicas.values()):
            return own
        folder = self.scratch / "lineage"
        copies = {side: copied(replica, folder / side) for side, replica in self.replicas.items()}
        phone, desktop = copies[Side.PHONE], copies[Side.DESKTOP]
        marks = marks_in(phone)
        found = common_state(newer, phone.path, desktop.path, marks, packages.folder.name, folder)
        return _on_the_cable(found.state) if found else own


def _on_the_cable(state: Ancestor) -> Ancestor:
    """Return a passed state for a phone whose media can be looked at: what an answer brought may not have come about."""
    brought: Mapping[str, str | None] = state.info.get(BROUGHT, {})
    media = {name: sha1 for name, sha1 in state.media.items() if name not in brought}
    before = {name: sha1 for name, sha1 in brought.items() if sha1}
    return replace(state, media={**media, **before}, seen_desktop={}, seen_phone={}, info={})
