"""When a phone that is plugged in is synced, waited for, or left alone: one phone's states, and what leads on from each.

A phone has a state only while it is plugged in. All moments are seconds of one clock that never goes back. Each row below
is one human situation; `tests/core/test_watching.py` goes through all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias, assert_never

SETTLE = 0.5
"""From a phone's coming to its sync: udev, an adb server and the phone itself have things to do, too."""
CLOSED_SETTLE = 2.0
"""From Anki's closing: it may be opened again at once (another profile, an update)."""
BACKOFF, LONGEST_BACKOFF = 2.0, 300.0
TRIES = 10
"""After so many failures in a row a phone is left alone until something happens."""
TELL_AFTER = 3
REPLUG = 3.0
"""A phone that left for less was not unplugged: its port was reset (libmtp does that to every phone it looks at)."""
AT_WORK_AGAIN = 10.0
STUCK_AGAIN = 900.0
"""Until what will not work by itself is tried again all the same: the phone's side may be mended unseen."""
STILL = 30.0
"""From the desktop's last change to the next try of what was stuck: a folder of media is put back file by file."""
MOST_PROBLEMS = 5
"""Told from plug to unplug: a phone may fail in ever other words."""


class Standing(StrEnum):
    """Where a phone stands."""

    UNASKED = "unasked"  # nobody said that it may be synced by itself
    DUE = "due"
    WAITING = "waiting"  # for Anki to close
    SYNCING = "syncing"
    RESTING = "resting"  # in step, or left alone after so many failures
    STUCK = "stuck"  # on what will not go by itself
    LEFT = "left"  # unplugged just now; with `cut`, that is still to be told


class Topic(StrEnum):
    """What a person is told; all but DONE at most once from plug to unplug, FAILED once for each problem."""

    ASK = "ask"
    CLOSE_ANKI = "close Anki"
    TAP = "tap"
    DONE = "done"
    FAILED = "failed"
    CUT = "cut"  # the cable came out in the middle


class Why(StrEnum):
    """Why a sync did not come about."""

    ANKI_OPEN = "Anki is open"
    TAP = "the phone waits for a tap"
    CABLE = "the link was lost"
    AT_WORK = "another usbsync is at work on it"  # which does what this one would
    PASSING = "it may work when it is tried again"
    FINAL = "it will not work by itself"  # a choice, damage, no space


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone that is plugged in."""

    standing: Standing
    due: float = 0.0
    anki_open: bool = False
    failures: int = 0
    cut: bool = False  # the last sync lost its link
    told: frozenset[tuple[Topic, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Allowed:
    """A person said that it may be synced by itself."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """And took it back."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The phone's state changed (unlocked, allowed, come anew)."""


@dataclass(frozen=True, slots=True)
class AnkiOpened:
    """The desktop's collection is open."""


@dataclass(frozen=True, slots=True)
class AnkiClosed:
    """It is closed again, and other than it was after the last sync, or not."""

    changed: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The phone shows "Allow USB debugging?", and the sync waits for it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A sync came to its end; `news`: it changed something."""

    news: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A sync did not; `problem` tells one that was told from another."""

    why: Why
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """The phone is gone; its state is forgotten once that is told."""


Event: TypeAlias = Allowed | Revoked | Moved | AnkiOpened | AnkiClosed | Tick | Asked | Done | Failed | Left


@dataclass(frozen=True, slots=True)
class Sync:
    """Sync it now; Done or Failed must follow."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the person."""

    topic: Topic


Action: TypeAlias = Sync | Tell
Next: TypeAlias = tuple[Phone, tuple[Action, ...]]


def came(now: float, *, allowed: bool, known: bool, anki_open: bool) -> Next:
    """Begin with a phone that was plugged in; `known`: the person was told of it before, or said no."""
    if allowed:
        return Phone(Standing.DUE, now + SETTLE, anki_open), ()
    phone = Phone(Standing.UNASKED, anki_open=anki_open)
    return (phone, ()) if known else _tell(phone, Topic.ASK)


def step(phone: Phone, event: Event, now: float) -> Next:
    """Return what becomes of a phone, and what is to be done."""
    if phone.standing is Standing.LEFT:
        return _gone(phone, now) if event == Tick() else (phone, ())
    match event:
        case AnkiOpened():
            return replace(phone, anki_open=True), ()
        case AnkiClosed(changed):
            return _anki_closed(replace(phone, anki_open=False), now, changed=changed), ()
        case Revoked():
            return replace(phone, standing=Standing.UNASKED), ()
        case Allowed():
            return (_due(phone, now) if phone.standing is Standing.UNASKED else phone), ()
        case Moved():
            return (_due(phone, now + SETTLE) if phone.standing in _MOVABLE else phone), ()
        case Tick():
            return _tick(phone, now)
        case Asked() | Done() | Failed():
            return _of_a_sync(phone, event, now)
        case Left():
            return replace(phone, standing=Standing.LEFT, due=now + REPLUG), ()
        case _:
            assert_never(event)


def next_due(phones: Mapping[str, Phone]) -> float | None:
    """Return the moment at which a Tick is wanted next; None: not before something happens."""
    return min((phone.due for phone in phones.values() if _has_a_date(phone)), default=None)


def forgotten(phone: Phone) -> bool:
    """Whether nothing of a phone that left is to be told any more."""
    return phone.standing is Standing.LEFT and not phone.cut


def _has_a_date(phone: Phone) -> bool:
    match phone.standing:
        case Standing.DUE:
            return True
        case Standing.STUCK:
            return not phone.anki_open
        case Standing.LEFT:
            return phone.cut
    return False


def _of_a_sync(phone: Phone, event: Asked | Done | Failed, now: float) -> Next:
    match event:
        case Asked():
            return _tell(phone, Topic.TAP)
        case Done(news):
            return _done(phone, news=news)
        case Failed(why, problem):
            return _failed(phone, why, problem, now)


_MOVABLE = frozenset({Standing.DUE, Standing.RESTING, Standing.STUCK})


def _due(phone: Phone, at: float) -> Phone:
    return replace(phone, standing=Standing.DUE, due=at)


def _anki_closed(phone: Phone, now: float, *, changed: bool) -> Phone:
    """Sync what waited for this, what rested with changes on the desktop, and what was stuck once the desktop is still."""
    if phone.standing is Standing.STUCK:
        return replace(phone, due=now + STILL)
    waited = phone.standing is Standing.WAITING
    return (
        _due(phone, now + CLOSED_SETTLE)
        if waited or (phone.standing is Standing.RESTING and changed)
        else phone
    )


def _tick(phone: Phone, now: float) -> Next:
    if phone.standing not in {Standing.DUE, Standing.STUCK} or not _has_a_date(phone) or now < phone.due:
        return phone, ()
    if phone.anki_open:
        return _tell(replace(phone, standing=Standing.WAITING), Topic.CLOSE_ANKI)
    return replace(phone, standing=Standing.SYNCING), (Sync(),)


def _gone(phone: Phone, now: float) -> Next:
    return _tell(replace(phone, cut=False), Topic.CUT) if phone.cut and now >= phone.due else (phone, ())


def _done(phone: Phone, *, news: bool) -> Next:
    kept = Standing.RESTING if phone.standing is Standing.SYNCING else phone.standing
    phone = replace(phone, standing=kept, failures=0, cut=False, told=frozenset())
    return phone, (Tell(Topic.DONE),) if news else ()


def _failed(phone: Phone, why: Why, problem: str, now: float) -> Next:
    if phone.standing is not Standing.SYNCING:  # revoked meanwhile
        return phone, ()
    phone = replace(phone, cut=why is Why.CABLE)
    match why:
        case Why.ANKI_OPEN:
            return _tell(replace(phone, standing=Standing.WAITING, anki_open=True), Topic.CLOSE_ANKI)
        case Why.FINAL:
            return _tell_of(replace(phone, standing=Standing.STUCK, due=now + STUCK_AGAIN), problem)
        case Why.AT_WORK:
            return _due(phone, now + AT_WORK_AGAIN), ()
        case Why.TAP:
            return _tell(_again(phone, now), Topic.TAP)
        case Why.PASSING | Why.CABLE:
            phone = _again(phone, now)
            return (
                (phone, ()) if phone.failures < TELL_AFTER else _tell_of(replace(phone, cut=False), problem)
            )
        case _:
            assert_never(why)


def _again(phone: Phone, now: float) -> Phone:
    """Try again, later each time, and not for ever."""
    failures = min(phone.failures + 1, TRIES)
    if failures >= TRIES:
        return replace(phone, standing=Standing.RESTING, failures=failures)
    wait = min(LONGEST_BACKOFF, BACKOFF * 2 ** (failures - 1))
    return replace(_due(phone, now + wait), failures=failures)


def _tell_of(phone: Phone, problem: str) -> Next:
    """Tell what failed, but for what was told already."""
    told = sum(topic is Topic.FAILED for topic, _problem in phone.told)
    return _tell(phone, Topic.FAILED, problem) if told < MOST_PROBLEMS else (phone, ())


def _tell(phone: Phone, topic: Topic, problem: str = "") -> Next:
    if (topic, problem) in phone.told:
        return phone, ()
    return replace(phone, told=phone.told | {(topic, problem)}), (Tell(topic),)
