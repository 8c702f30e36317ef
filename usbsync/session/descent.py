"""Which remembered state two collections both descend from, where no cable showed it: `core/lineage.py` decides."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from usbsync.collection.descent import keeps, marks_of, readable, trace
from usbsync.collection.snapshot import Snapshot, take
from usbsync.core.conflict import Side
from usbsync.core.lineage import Evidence, Kind, base
from usbsync.session.memory import PairMemory
from usbsync.session.replica import Replica
from usbsync.session.standing import facts, go_back
from usbsync.state.ancestor import Ancestor
from usbsync.state.backups import Backups
from usbsync.state.pair import Pair
from usbsync.state.passed import Passed, load_passed

PHONE = "package"
"""The one name of all phones that come as packages: a package itself shows which of them it is of."""
BROUGHT = "brought"
"""The media of an answer, in the notes of its state: name -> what the phone had before, as SHA-1."""


def copied(replica: Replica, scratch: Path, base: Path | None = None) -> Snapshot:
    """Copy one side's collection to be looked into; `base` is what it is probably like."""
    with replica.still():
        raw = replica.fetch(scratch / "raw", lambda _count: None, base)
    return take(raw, scratch, replica.side)


def marks_in(snapshot: Snapshot) -> Mapping[str, str]:
    """Return the marks of a copied collection, which its snapshot's own file has no more."""
    original = snapshot.folded or snapshot.raw
    return marks_of(Path(shutil.copyfile(original, original.with_name("marks.anki2"))))


@dataclass(frozen=True, slots=True)
class Common:
    """The state that two collections both descend from."""

    passed: Passed
    older: tuple[Passed, ...]  # those known from before it, newest first
    in_own_ids: bool  # whether the phone's collection has not the state's ids, but those that it came with


def common_state(
    known: Sequence[Passed], phone: Path, desktop: Path, marks: Mapping[str, str], whose: str, scratch: Path
) -> Common | None:
    """Return the newest of these states, newest first, that two scratch copies are both proven to descend from.

    What an undo took from the desktop tells only what an answer was made of.
    """
    mark = marks.get(whose)
    imported = _answer(known, mark)

    def held(passed: Passed) -> bool | None:
        return passed.name in imported.holds if imported else None

    def evidence(passed: Passed) -> Evidence:
        passed.state.check()
        state = readable(passed.state.collection, scratch / passed.state.sha256)
        own = readable(passed.own, scratch / passed.own.stem) if passed.own and not held(passed) else state
        return Evidence(
            kind=passed.kind,
            mark=_mark(passed, whose, scratch),
            phone_mark=mark,
            held=held(passed),
            phone=trace(phone, own, passed.state.when),
            desktop_keeps=keeps(desktop, state),
        )

    standing = [each for each in known if not each.aside]
    found = base((each, evidence(each)) for each in standing)
    if found is None:
        return None
    older = tuple(standing[standing.index(found) + 1 :])
    return Common(found, older, in_own_ids=found.own is not None and not held(found))


def _answer(known: Sequence[Passed], mark: str | None) -> Passed | None:
    return next((each for each in known if mark and each.kind is Kind.SENT and each.mark == mark), None)


def as_it_came(state: Ancestor, has: Mapping[str, str]) -> dict[str, str]:
    """Return a state's media but for those that an answer brought and that did not come about; `has`: the phone's now.

    An app may pass over a file of the same size as the one it has (AnkiMobile's manual, "iTunes Import"), or fail
    half-way: what the phone then lacks nobody deleted, and what it still has nobody put back.
    """
    media = dict(state.media)
    for name, before in state.info.get(BROUGHT, {}).items():
        if before == has.get(name):
            media.pop(name, None)
            media |= {name: before} if before else {}
    return media


def versions(states: Iterable[Passed]) -> dict[str, frozenset[str]]:
    """Gather what media files were in these states: name -> SHA-1 of each version."""
    found: dict[str, set[str]] = {}
    for each in states:
        for name, sha1 in each.state.media.items():
            found.setdefault(name, set()).add(sha1)
    return {name: frozenset(all_) for name, all_ in found.items()}


def _mark(passed: Passed, whose: str, scratch: Path) -> str | None:
    """Return a state's mark; what a phone held after a sync over a cable was not looked into then."""
    if passed.kind is not Kind.SYNCED:
        return passed.mark
    scratch.mkdir(parents=True, exist_ok=True)
    copy = Path(shutil.copyfile(passed.state.collection, scratch / f"marks-{passed.state.sha256}.anki2"))
    return marks_of(copy).get(whose)


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
        if new is None or "left" in new.info:  # an undo takes the desktop back behind packages, too
            go_back(self._packages, new, Backups(self.known.pair))
        self._newest, self._looked = self.known.load(), True  # with the copy that is kept: the one given goes

    def phone_media(self) -> Mapping[str, str] | None:
        """They can be looked at."""
        return self.known.phone_media()

    def older_media(self, ancestor: Ancestor | None) -> Mapping[str, frozenset[str]]:
        """Return what packages brought before the two were last in step."""
        if ancestor is None:
            return {}
        return versions(each for each in load_passed(self._packages) if each.state.when < ancestor.when)

    def facts(self) -> Mapping[str, Any]:
        """Return which packages' states stand now."""
        return facts(self._packages)

    @property
    def _packages(self) -> Pair:
        return Pair(self.known.pair.home, self.known.pair.desktop, PHONE)

    def _look(self) -> Ancestor | None:
        own, passed = self.known.load(), load_passed(self._packages)
        prints = {side: replica.fingerprint() for side, replica in self.replicas.items()} if passed else {}
        newer = [each for each in passed if own is None or each.state.when > own.when]
        as_left = own is not None and own.info.get("phone") == prints.get(Side.PHONE)
        if not passed or not all(prints.values()) or (as_left and not newer):
            return own
        folder, whose = self.scratch / "lineage", self._packages.folder.name
        phone = copied(self.replicas[Side.PHONE], folder / Side.PHONE, own.collection if own else None)
        marks = marks_in(phone)
        if own and self._set_back(own, passed, marks.get(whose)):
            own, newer = None, list(passed)
        if not newer:
            return own
        desktop = copied(self.replicas[Side.DESKTOP], folder / Side.DESKTOP)
        found = common_state(newer, phone.path, desktop.path, marks, whose, folder)
        return self._on_the_cable(found.passed.state) if found and not found.in_own_ids else own

    def _set_back(self, own: Ancestor, passed: Sequence[Passed], mark: str | None) -> bool:
        """Whether the phone has imported an answer that is older than its last sync over the cable."""
        answer = _answer(passed, mark)
        if answer is None or answer.state.when > own.when:
            return False
        last = Passed(Kind.SYNCED, None, own)
        return _mark(last, self._packages.folder.name, self.scratch / "lineage") != mark

    def _on_the_cable(self, state: Ancestor) -> Ancestor:
        """Return a passed state for a phone whose media can be looked at."""
        place = self.replicas[Side.PHONE].place
        paths = {name: place.path(name) for name in state.info.get(BROUGHT, {})}
        here = place.transport.hash(sorted(paths.values()), "sha1")
        has = {name: here[path] for name, path in paths.items() if path in here}
        return replace(state, media=as_it_came(state, has), seen_desktop={}, seen_phone={}, info={})
