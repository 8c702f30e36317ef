"""The states that were passed to and fro in packages: each may turn out to be what a phone holds (`core/lineage.py`)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from usbsync.core.lineage import Kind
from usbsync.state.ancestor import Ancestor, as_record, from_record
from usbsync.state.files import durable_copy, sweep_temporaries
from usbsync.state.records import damaged, part, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from usbsync.state.pair import Pair

MOST = 8
"""So many are kept: three exchanges and more, should two answers in a row never be imported."""
_VERSION = 1
_NAME = "passed.json"


@dataclass(frozen=True, slots=True)
class Passed:
    """One state: a package that a phone gave, or an answer that was written for one."""

    kind: Kind
    mark: str | None  # of an answer
    state: Ancestor


def load_passed(pair: Pair) -> tuple[Passed, ...]:
    """Return what is remembered, newest first; one whose collection is gone is left out: an older one serves.

    Raises DamagedData when the memory is damaged.
    """
    path = pair.folder / _NAME
    record = read_record(path, version=_VERSION)
    if record is None:
        return ()
    states = (_passed(each, path) for each in part(record, "states", list, path))
    return tuple(each for each in states if each.state.collection.is_file())


def keep_passed(pair: Pair, states: Sequence[Passed]) -> None:
    """Remember these, newest first, and no others; their collections are copied in.

    Raises DamagedData when a file does not have the sha256 that its state says.
    """
    folder = pair.create()
    kept = [_copied(each, folder) for each in states[:MOST]]
    write_record(folder / _NAME, {"states": [_out(each) for each in kept]}, version=_VERSION)
    here = {each.state.collection for each in kept}
    with suppress(OSError):  # what cannot be removed now goes next time
        sweep_temporaries(folder)
        for old in folder.glob("passed-*.anki2"):
            if old not in here:
                old.unlink(missing_ok=True)


def _copied(passed: Passed, folder: Path) -> Passed:
    source, target = passed.state.collection, folder / f"passed-{passed.state.sha256}.anki2"
    if not target.is_file() and durable_copy(source, target) != passed.state.sha256:
        target.unlink()
        raise damaged(source, "it changed while it was being remembered")
    return replace(passed, state=replace(passed.state, collection=target))


def _out(passed: Passed) -> dict[str, Any]:
    return {"kind": passed.kind.value, "mark": passed.mark, "state": as_record(passed.state)}


def _passed(record: Any, path: Path) -> Passed:
    try:
        mark = None if record["mark"] is None else str(record["mark"])
        state = from_record(record["state"], path)
        kept = replace(state, collection=path.parent / state.collection.name)
        return Passed(Kind(record["kind"]), mark, kept)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"a state makes no sense ({error})") from error
