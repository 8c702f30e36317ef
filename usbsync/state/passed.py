"""The states that were passed to and fro in packages: each may turn out to be what a phone holds (`core/lineage.py`)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbsync.core.lineage import Kind
from usbsync.state.ancestor import Ancestor, as_record, from_record
from usbsync.state.files import durable_copy, sha256_of, sweep_temporaries
from usbsync.state.records import damaged, part, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from usbsync.state.pair import Pair

MOST = 8
"""So many are kept of one phone: three exchanges and more, should two answers in a row never be imported."""
_ALIKE = 2
"""So many packages that a phone gave without an import between them are kept when there is no room for all."""
_PHONES = 4
"""Of so many phones; those that came last."""
_ASIDE = 4
"""So many are kept of one phone's that an undo took from the desktop: it may be undone."""
_VERSION = 1
_NAME = "passed.json"


@dataclass(frozen=True, slots=True)
class Passed:
    """One state: a package that a phone gave, or an answer that was written for one."""

    kind: Kind
    mark: str | None  # of an answer its own, of a package that which the phone carried
    state: Ancestor
    holds: frozenset[str] = frozenset()  # the names of the states that an answer was made of
    aside: bool = False  # an undo took it from the desktop
    own: Path | None = (
        None  # the phone's collection as it came, where `state` has it in the ids that the desktop gave it
    )

    phone: str = ""  # whose it is: the states that descend from each other

    @property
    def name(self) -> str:
        """Tell it from all others."""
        return f"{self.kind} {self.state.when!r}"


def load_passed(pair: Pair) -> tuple[Passed, ...]:
    """Return what is remembered, newest first; one whose collection is gone is left out: an older one serves.

    Raises DamagedData when the memory is damaged.
    """
    path = pair.folder / _NAME
    record = read_record(path, version=_VERSION)
    if record is None:
        return ()
    states = (_passed(each, path) for each in part(record, "states", list, path))
    return tuple(each for each in states if all(file.is_file() for file in _files(each)))


def keep_passed(pair: Pair, states: Sequence[Passed]) -> None:
    """Remember these, newest first, and no others; their collections are copied in.

    Raises DamagedData when a file does not have the sha256 that its state says.
    """
    folder = pair.create()
    kept = [_copied(each, folder) for each in _newest(states)]
    write_record(folder / _NAME, {"states": [_out(each) for each in kept]}, version=_VERSION)
    here = {file for each in kept for file in _files(each)}
    with suppress(OSError):  # what cannot be removed now goes next time
        sweep_temporaries(folder)
        for old in folder.glob("passed-*.anki2"):
            if old not in here:
                old.unlink(missing_ok=True)


def _newest(states: Sequence[Passed]) -> list[Passed]:
    """Choose what is kept: a phone that comes every day is not to drive out one that comes seldom."""
    phones = list(dict.fromkeys(each.phone for each in states))[:_PHONES]
    wanted = {
        each.name for phone in phones for each in _of_one([one for one in states if one.phone == phone])
    }
    return [each for each in states if each.name in wanted]


def _of_one(states: Sequence[Passed]) -> list[Passed]:
    standing = [each for each in states if not each.aside]
    while len(standing) > MOST:
        standing.remove(_least(standing))
    return [*standing, *islice((each for each in states if each.aside), _ASIDE)]


def _least(standing: Sequence[Passed]) -> Passed:
    """Name the one that is missed least: of many packages without an import between them an older one, else the oldest."""
    for at in range(len(standing) - 1, -1, -1):
        one = standing[at]
        newer = [each for each in standing[:at] if (each.kind, each.mark) == (Kind.GIVEN, one.mark)]
        if one.kind is Kind.GIVEN and len(newer) >= _ALIKE:
            return one
    return standing[-1]


def _files(passed: Passed) -> Iterator[Path]:
    yield passed.state.collection
    if passed.own:
        yield passed.own


def _copied(passed: Passed, folder: Path) -> Passed:
    own = _kept(passed.own, sha256_of(passed.own), folder) if passed.own else None
    collection = _kept(passed.state.collection, passed.state.sha256, folder)
    return replace(passed, state=replace(passed.state, collection=collection), own=own)


def _kept(source: Path, sha256: str, folder: Path) -> Path:
    target = folder / f"passed-{sha256}.anki2"
    if not target.is_file() and durable_copy(source, target) != sha256:
        target.unlink()
        raise damaged(source, "it changed while it was being remembered")
    return target


def _out(passed: Passed) -> dict[str, Any]:
    return {
        "kind": passed.kind.value,
        "mark": passed.mark,
        "state": as_record(passed.state),
        "holds": sorted(passed.holds),
        "aside": passed.aside,
        "own": passed.own.name if passed.own else None,
        "phone": passed.phone,
    }


def _passed(record: Any, path: Path) -> Passed:
    try:
        mark = None if record["mark"] is None else str(record["mark"])
        state = from_record(record["state"], path)
        kept = replace(state, collection=path.parent / state.collection.name)
        own = path.parent / Path(record["own"]).name if record.get("own") else None
        holds = frozenset(map(str, record.get("holds", ())))
        aside, phone = record.get("aside") is True, str(record.get("phone", ""))
        return Passed(Kind(record["kind"]), mark, kept, holds, aside, own, phone)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, f"a state makes no sense ({error})") from error
