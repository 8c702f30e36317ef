"""Which of the states that were passed to and fro in packages the desktop still holds, after an undo, or the undo of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from usbsync.state.ancestor import Ancestor
from usbsync.state.backups import Backup, Backups
from usbsync.state.pair import Pair
from usbsync.state.passed import Passed, keep_passed, load_passed

_STANDING = "standing"
_LEFT = "left"  # both collections' bytes as an undo left them, in the notes of a state


def standing(pair: Pair) -> list[Passed]:
    """Return the states that the desktop descends from, newest first."""
    return [each for each in load_passed(pair) if not each.aside]


def facts(pair: Pair) -> Mapping[str, Any]:
    """Return for the backup of a change what stood before it."""
    return {_STANDING: [each.name for each in standing(pair)]}


def go_back(pair: Pair, old: Ancestor | None, backups: Backups | None = None) -> None:
    """Let those states stand that stood before what the newest backup undoes, and set aside the others.

    The backup is one of `backups`; the pair's own where none are given.

    They are not forgotten: the undo may be undone, and the phone may hold what came of it.
    """
    known = load_passed(pair)
    if not known:
        return
    names = _stood(backups or Backups(pair))
    if names is None and backups:
        return
    if names is None:  # a backup of an older usbsync
        names = {each.name for each in _from(known, old)}
    left = old.info.get(_LEFT, {}) if old else {"phone": ""}
    states = [_settled(each, aside=each.name not in names) for each in known]
    newest = next((each for each in states if not each.aside), None)
    keep_passed(pair, [_noted(each, left) if each is newest else each for each in states])


def _stood(backups: Backups) -> Collection[str] | None:
    found = backups.list()
    undoes = (found[0].facts.get("undoes") or found[0].facts.get("restores")) if found else None
    return next((_names(each) for each in found if each.id == undoes), None)


def _names(backup: Backup) -> Collection[str] | None:
    names = backup.facts.get(_STANDING)
    return frozenset(map(str, names)) if isinstance(names, list) else None


def _from(known: Sequence[Passed], old: Ancestor | None) -> Sequence[Passed]:
    """Return the state that an undo goes back to, and those older."""
    for at, each in enumerate(known):
        if old is not None and each.state.sha256 == old.sha256:
            return known[at:]
    return ()


def _settled(passed: Passed, *, aside: bool) -> Passed:
    info = {name: value for name, value in passed.state.info.items() if name != _LEFT}
    return replace(passed, aside=aside, state=replace(passed.state, info=info))


def _noted(passed: Passed, left: Mapping[str, Any]) -> Passed:
    """Note what the undo left: work done since is known by that, should it be undone."""
    state = passed.state
    return replace(passed, state=replace(state, info={**state.info, _LEFT: dict(left)}))
