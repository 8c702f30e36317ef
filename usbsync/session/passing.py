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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from usbsync.collection.acquaint import TRANSLATED, acquaint
from usbsync.collection.descent import marks_of, put_marks
from usbsync.collection.package_check import MEDIA, Package
from usbsync.collection.packages import pack
from usbsync.collection.schema11 import SCHEMA, lower
from usbsync.collection.snapshot import MAIN, take
from usbsync.core.first import First
from usbsync.core.lineage import Kind
from usbsync.errors import DamagedData
from usbsync.session.answer import ANSWER, put_beside, take_away
from usbsync.session.descent import BROUGHT, as_it_came, common_state, copied, versions
from usbsync.session.options import OneWay, Options
from usbsync.session.replica import Replica
from usbsync.session.standing import facts, go_back
from usbsync.session.talk import Talk
from usbsync.state.ancestor import Ancestor, Seen, load_ancestor
from usbsync.state.files import sha1_of, sha256_of
from usbsync.state.pair import Pair, known_pairs
from usbsync.state.passed import Passed, keep_passed, load_passed
from usbsync.transport.paths import shown

_FEW = 3
UNPACKED = "package"
"""The folder in a run's scratch folder that stands for the phone."""
GIVEN = "given.anki2"
"""The collection there as it came out of the package."""
_FIRST = "common"
"""The folder in a run's scratch folder where two collections that never met are made comparable (`collection.py`)."""

_UNKNOWN = "this package descends from nothing that this computer's collection was synced with"
_FORGOTTEN = "the phone imported an answer of this computer's that is not remembered any more"


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
    forgotten: bool = False  # whether the phone imported an answer that nobody remembers
    _looked: bool = False
    _base: Ancestor | None = None
    _marks: Mapping[str, str] = field(default_factory=dict)
    _media: Mapping[str, Seen] = field(default_factory=dict)
    _older: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _phone: str = ""

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

    def older_media(self, ancestor: Ancestor | None) -> Mapping[str, frozenset[str]]:
        """Return what media files were before the state that both descend from."""
        return self._older if ancestor else {}

    def facts(self) -> Mapping[str, Any]:
        """Return what stands now."""
        return facts(self.pair)

    def keep(self, new: Ancestor | None) -> None:
        """Remember what the phone gave and what it is sent, and write the answer if it lacks anything."""
        self.load()
        if new is None or "left" in new.info:
            go_back(self.pair, new)
            self.talk.note("the phone keeps what it has; its own export is how it was before")
            return
        self._phone = self._phone or secrets.token_hex(4)  # nobody's that is known
        known = self._outlasting(load_passed(self.pair))
        given = self._given(new)
        arrived = self._arrived(new)
        self._tell_again(arrived)
        if new.sha256 == sha256_of(self.scratch / GIVEN) and not arrived:
            keep_passed(self.pair, [given, *known])
            take_away(self.package.path, known, self.talk)
            return
        mark = secrets.token_hex(8)
        packed = self._packed(new.collection, arrived, mark)
        held = [given] if self._is_held(new) else []
        sent = self._sent(new, given.state, arrived, mark, sha256_of(packed))
        sent = replace(sent, holds=frozenset(each.name for each in (*held, *_standing(self.pair, known))))
        keep_passed(self.pair, [sent, *held, *known])
        self.answer = put_beside(packed, self.package.path)

    # ---- the ancestor

    def _choose(self, states: Sequence[Passed], phone: Path) -> Ancestor | None:
        if not any(not each.aside for each in states) or self.desktop.fingerprint() is None:
            return None
        folder = self.scratch / "lineage"
        desktop = copied(self.desktop, folder).path
        chosen = common_state(states, phone, desktop, self._marks, self._whose, folder)
        if chosen is None:
            mark = self._marks.get(self._whose)
            sent = {each.mark for each in load_passed(self.pair) if each.kind is Kind.SENT}
            self.forgotten = mark is not None and mark not in sent
            self.talk.note(_FORGOTTEN if self.forgotten else _UNKNOWN)
            return None
        state = chosen.passed.state
        if chosen.in_own_ids:
            self._translate(state.collection)
        self._older = versions(chosen.older)
        self._phone = chosen.passed.phone
        seen = states[0].state.seen_desktop  # known by size and time: the newest is the best
        has = {name: file.sha1 for name, file in self._media.items()}
        media = as_it_came(state, has) if self.package.media else state.media
        return replace(state, media=media, seen_desktop=seen, seen_phone=self._media)

    def _translate(self, base: Path) -> None:
        """Give what stands for the phone the ids that the desktop gave it at their first merge, which was not imported."""
        place, scratch = self.scratch / UNPACKED / MAIN, self.scratch / _FIRST
        now = take(place, scratch / "own", "phone")
        acquaint(base, now.path, scratch, int(time.time() * 1000))
        translated = scratch / TRANSLATED
        shutil.copyfile(
            lower(translated, scratch / "old.anki2") if now.schema == SCHEMA else translated, place
        )

    @property
    def _whose(self) -> str:
        return self.pair.folder.name

    # ---- what is remembered

    def _given(self, new: Ancestor) -> Passed:
        """Make a state of what the phone gave: all of it is on the desktop now, or was settled there."""
        own, translated = self.scratch / GIVEN, self.scratch / _FIRST / TRANSLATED
        collection = translated if translated.exists() else own
        before = self._base.media if self._base else {}
        media = dict(before)
        if self.options.media and self.phone_media() is None:
            found = {name: seen.sha1 for name, seen in self._media.items()}
            media = {name: sha1 for name, sha1 in found.items() if name in new.media or name in before}
        state = _state(new, collection, sha256_of(collection), media)
        mark = self._marks.get(self._whose)
        theirs = own if collection != own else None
        return Passed(Kind.GIVEN, mark, state, own=theirs, phone=self._phone)

    def _sent(self, new: Ancestor, given: Ancestor, arrived: Iterable[str], mark: str, packed: str) -> Passed:
        """Make a state of the answer: a phone that imports it keeps the media that were deleted here."""
        media = {**given.media, **new.media}
        state = _state(new, new.collection, new.sha256, media)
        brought = {BROUGHT: {name: given.media.get(name) for name in arrived}}
        noted = replace(state, info={**state.info, **brought, ANSWER: packed})
        return Passed(Kind.SENT, mark, noted, phone=self._phone)

    def _is_held(self, new: Ancestor) -> bool:
        """Whether the desktop holds what the phone gave, id for id: not where it replaces the phone's by choice."""
        same = new.sha256 == sha256_of(self.scratch / GIVEN)
        merged = self._base is not None and self.options.one_way is not OneWay.UPLOAD
        return same or merged or (self.scratch / _FIRST / TRANSLATED).exists()

    def _outlasting(self, known: Sequence[Passed]) -> Sequence[Passed]:
        """Set aside what the desktop does not hold any more, once the phone's collection has replaced it by choice."""
        replaced = self.options.one_way is OneWay.DOWNLOAD or (
            self._base is None and self.options.first is First.DOWNLOAD
        )
        return [replace(each, aside=True) for each in known] if replaced else known

    # ---- the answer

    def _arrived(self, new: Ancestor) -> list[str]:
        """Name the media that the phone lacks, or has in another version."""
        if not self.options.media:
            return []
        known = self.phone_media()
        has = {name: seen.sha1 for name, seen in self._media.items()} if known is None else known
        return [name for name, sha1 in new.media.items() if has.get(name) != sha1]

    def _tell_again(self, arrived: Iterable[str]) -> None:
        """Name the media that an imported answer brought and that are not there: passed over, or deleted since."""
        if self._base is None or self.phone_media() is not None:
            return
        brought, has = (
            self._base.info.get(BROUGHT, {}),
            {name: seen.sha1 for name, seen in self._media.items()},
        )
        again = [name for name in arrived if name in brought and brought[name] == has.get(name)]
        if again:
            more = f" and {len(again) - _FEW} more" if len(again) > _FEW else ""
            self.talk.note(
                f"{', '.join(map(shown, again[:_FEW]))}{more}: the phone does not show what the last answer brought; "
                "sent again (deleted there on purpose? Delete it on the desktop)"
            )

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


def _standing(pair: Pair, known: Iterable[Passed]) -> Iterator[Passed]:
    """Give all that the desktop holds."""
    yield from (each for each in known if not each.aside)
    yield from _synced(pair)


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
