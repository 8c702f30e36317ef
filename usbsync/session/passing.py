"""What is remembered of phones that come as packages, and the answer that is written for one.

Of each exchange two states are kept: what the phone gave (the desktop contains it since) and what it was sent (which it
holds if somebody imports it). Nothing is kept before the desktop has what the phone gave, and the answer appears last,
so a run that is cut off leaves at worst an older ancestor, by which nothing is lost.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from usbsync.collection.descent import marks_of, put_marks
from usbsync.collection.package_check import COLLECTION_SUFFIX, MEDIA, Package
from usbsync.collection.packages import pack
from usbsync.collection.snapshot import MAIN
from usbsync.core.lineage import Kind
from usbsync.errors import DamagedData
from usbsync.session.descent import BROUGHT, common_state, copied
from usbsync.session.options import OneWay, Options
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor, Seen, load_ancestor
from usbsync.state.files import durable_copy, sha1_of, sha256_of
from usbsync.state.pair import Pair, known_pairs
from usbsync.state.passed import Passed, keep_passed, load_passed

UNPACKED = "package"
"""The folder in a run's scratch folder that stands for the phone."""
GIVEN = "given.anki2"
"""The collection there as it came out of the package."""
MERGED = "-merged"
_ANSWER = "answer"  # the SHA-256 of an answer, by which it is known under any name


def answer_to(package: Path) -> Path:
    """Name the answer to a package: phone.colpkg, phone-merged.colpkg."""
    return package.with_name(f"{package.stem}{MERGED}{COLLECTION_SUFFIX}")


def is_answer(path: Path) -> bool:
    """Whether a file's name is one of our answers'."""
    return path.stem.endswith(MERGED)


def was_answered(pair: Pair, path: Path) -> bool:
    """Whether a file is an answer that is remembered, whatever its name: a copy, or a second version of a carrier's."""
    answers = {each.state.info.get(_ANSWER) for each in load_passed(pair)}
    return sha256_of(path) in answers


@dataclass(slots=True)
class PackageMemory:
    """The memory of a desktop and all phones that come as packages: each package shows itself which of them it is."""

    pair: Pair
    package: Package
    scratch: Path
    desktop: Replica
    options: Options
    talk: Talk
    passing: bool = True
    answer: Path | None = None
    _looked: bool = False
    _base: Ancestor | None = None
    _marks: Mapping[str, str] = field(default_factory=dict)
    _media: Mapping[str, Seen] = field(default_factory=dict)

    def load(self) -> Ancestor | None:
        """Return the newest state that the package and the desktop both descend from."""
        if not self._looked:
            self._looked = True
            copy = self.scratch / "marks.anki2"
            shutil.copyfile(self.scratch / GIVEN, copy)
            self._marks = marks_of(copy)
            self._media = _brought(self.package, self.scratch / UNPACKED / MEDIA)
            self._base = self._choose(_newest_first(self.pair), copy)
        return self._base

    def phone_media(self) -> Mapping[str, str] | None:
        """Return what the phone had when it was last seen, where the package brought no media at all."""
        if self.package.media:
            return None
        return self._base.media if self._base else {}

    def keep(self, new: Ancestor | None) -> None:
        """Remember what the phone gave and what it is sent, and write the answer if it lacks anything."""
        self.load()
        known = load_passed(self.pair)
        if new is None or "left" in new.info:
            keep_passed(self.pair, before_undone(known, new))
            self.talk.note("the phone keeps what it has; its own export is how it was before")
            return
        given = self._given(new)
        arrived = self._arrived(new)
        if new.sha256 == given.state.sha256 and not arrived:
            keep_passed(self.pair, [given, *known])
            return
        mark = secrets.token_hex(8)
        packed = self._packed(new.collection, arrived, mark)
        sent = self._sent(new, given.state, arrived, mark, sha256_of(packed))
        held = [] if self._renumbered(new, given.state) else [given]
        keep_passed(self.pair, [sent, *held, *known])
        self.answer = self._put_beside(packed)

    # ---- the ancestor

    def _choose(self, states: Sequence[Passed], phone: Path) -> Ancestor | None:
        if not states or self.desktop.fingerprint() is None:
            return None
        folder = self.scratch / "lineage"
        desktop = copied(self.desktop, folder).path
        chosen = common_state(states, phone, desktop, self._marks, self._whose, folder)
        if chosen is None:
            self.talk.note(
                "this package descends from nothing that this computer's collection was synced with"
            )
            return None
        seen = states[0].state.seen_desktop  # known by size and time: the newest is the best
        return replace(
            chosen.state, media=self._as_it_came(chosen.state), seen_desktop=seen, seen_phone=self._media
        )

    def _as_it_came(self, state: Ancestor) -> dict[str, str]:
        """Return a state's media but for those that an answer brought and that did not come about.

        An app may pass over a file of the same size as the one it has (AnkiMobile's manual, "iTunes Import"), or fail
        half-way: what the phone then lacks nobody deleted, and what it still has nobody put back.
        """
        media = dict(state.media)
        for name, before in state.info.get(BROUGHT, {}).items() if self.package.media else ():
            now = self._media.get(name)
            if before == (now.sha1 if now else None):
                media.pop(name, None)
                media |= {name: before} if before else {}
        return media

    @property
    def _whose(self) -> str:
        return self.pair.folder.name

    # ---- what is remembered

    def _given(self, new: Ancestor) -> Passed:
        """Make a state of what the phone gave: all of it is on the desktop now, or was settled there."""
        collection = self.scratch / GIVEN
        before = self._base.media if self._base else {}
        media = dict(before)
        if self.options.media and self.phone_media() is None:
            found = {name: seen.sha1 for name, seen in self._media.items()}
            media = {name: sha1 for name, sha1 in found.items() if name in new.media or name in before}
        return Passed(Kind.GIVEN, None, _state(new, collection, sha256_of(collection), media))

    def _sent(self, new: Ancestor, given: Ancestor, arrived: Iterable[str], mark: str, packed: str) -> Passed:
        """Make a state of the answer: a phone that imports it keeps the media that were deleted here."""
        media = {**given.media, **new.media}
        state = _state(new, new.collection, new.sha256, media)
        brought = {BROUGHT: {name: given.media.get(name) for name in arrived}}
        return Passed(Kind.SENT, mark, replace(state, info={**state.info, **brought, _ANSWER: packed}))

    def _renumbered(self, new: Ancestor, given: Ancestor) -> bool:
        """Whether the desktop does not hold what the phone gave, id for id: after a first merge, or by choice."""
        return new.sha256 != given.sha256 and (self._base is None or self.options.one_way is OneWay.UPLOAD)

    # ---- the answer

    def _arrived(self, new: Ancestor) -> list[str]:
        """Name the media that the phone lacks, or has in another version."""
        if not self.options.media:
            return []
        known = self.phone_media()
        has = {name: seen.sha1 for name, seen in self._media.items()} if known is None else known
        return [name for name, sha1 in new.media.items() if has.get(name) != sha1]

    def _packed(self, collection: Path, arrived: Iterable[str], mark: str) -> Path:
        """Make the answer as the phone's own package was made: old for old."""
        folder = self.scratch / "answer"
        media = folder / MEDIA
        media.mkdir(parents=True)
        shutil.copyfile(collection, folder / MAIN)
        put_marks(folder / MAIN, {**self._marks, self._whose: mark})
        for name in arrived:
            _link(self.scratch / UNPACKED / MEDIA / name, media / name)
        packed = self.scratch / "answer.colpkg"
        pack(folder / MAIN, media, packed, legacy=self.package.legacy)
        return packed

    def _put_beside(self, packed: Path) -> Path:
        target = answer_to(self.package.path)
        durable_copy(packed, target)
        with suppress(OSError):  # a mounted phone or card has no modes
            target.chmod(self.package.path.stat().st_mode & 0o777)
        return target


def _state(new: Ancestor, collection: Path, sha256: str, media: Mapping[str, str]) -> Ancestor:
    info = {
        name: value for name, value in new.info.items() if name != "phone"
    }  # whose bytes change with an import
    return replace(
        new, collection=collection, sha256=sha256, media=media, seen_phone={}, info=info, when=time.time()
    )


def _newest_first(pair: Pair) -> list[Passed]:
    """Return all states that a package could descend from, those synced over a cable too."""
    states = [*load_passed(pair), *_synced(pair)]
    return sorted(states, key=lambda each: each.state.when, reverse=True)


def _synced(pair: Pair) -> Iterable[Passed]:
    for other in known_pairs(pair.home):
        if other.desktop == pair.desktop and other != pair:
            with suppress(DamagedData):
                if state := load_ancestor(other):
                    state.check()
                    yield Passed(Kind.SYNCED, None, state)


def before_undone(known: Sequence[Passed], old: Ancestor | None) -> Sequence[Passed]:
    """Return the states that an undo leaves: the one it goes back to, and those older."""
    for at, each in enumerate(known):
        if old is not None and each.state.sha256 == old.sha256:
            return known[at:]
    return ()


def _brought(package: Package, folder: Path) -> dict[str, Seen]:
    """Return the media of a package as they lie unpacked; the hashes that it listed were compared already."""
    listed = {each.name: each.sha1 for each in package.media}
    found = {}
    for path in folder.iterdir():
        info = path.stat()
        found[path.name] = Seen(info.st_size, int(info.st_mtime), listed.get(path.name) or sha1_of(path))
    return found


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
