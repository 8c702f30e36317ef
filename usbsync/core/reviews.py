"""The review history: a union. No answer is ever taken away, and two answers of one moment both stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from usbsync.core.changes import Change, Review

_REVIEW, _MANUAL, _RESCHEDULED = 1, 4, 5
_AGAIN = 1


def merge_reviews(
    desktop: Mapping[int, Change], phone: Mapping[int, Change], taken: Collection[int]
) -> dict[int, Review | None]:
    """Unite both histories; `taken` holds the ids in use near those that collide."""
    merged: dict[int, Review | None] = {}
    moved: list[Review] = []
    for key in sorted(desktop.keys() | phone.keys()):
        mine, theirs = (_standing(side.get(key)) for side in (desktop, phone))
        ancestor = (desktop.get(key) or phone[key]).ancestor
        if mine is None or theirs is None or mine == theirs:
            # one side has it, or both the same; one that a side removed comes back from the other
            merged[key] = mine or theirs or ancestor
        elif ancestor is not None:
            # the same answer, altered on one side or on both: the altered one, of two the greater
            merged[key] = max(row for row in (mine, theirs) if row != ancestor)
        else:
            # two answers of one moment: the lesser keeps it, the other moves to the next free one
            merged[key], other = sorted((mine, theirs))
            moved.append(other)
    used = set(taken) | merged.keys()
    for row in sorted(moved):
        at = row.id
        while at in used:
            at += 1
        used.add(at)
        merged[at] = row._replace(id=at)
    return merged


def _standing(change: Change | None) -> Review | None:
    """Return what a side says of an answer; one that it removed it says nothing of."""
    return None if change is None else change.now


def last_acts(reviews: Mapping[int, Change], across: Mapping[int, Change]) -> dict[int, tuple[int, bool]]:
    """Return for each card when one side last acted on it (ms), and whether it was answered at all.

    What both sides hold already, by way of AnkiWeb, is no act of either.
    """
    acts: dict[int, tuple[int, bool]] = {}
    for key, change in reviews.items():
        if change.ancestor is None and (row := change.now) and row != _standing(across.get(key)):
            at, answered = acts.get(row.cid, (0, False))
            acts[row.cid] = (max(at, row.id), answered or row.type not in {_MANUAL, _RESCHEDULED})
    return acts


def shared_answers(desktop: Mapping[int, Change], phone: Mapping[int, Change]) -> dict[int, tuple[int, int]]:
    """Return for each card how many answers and lapses both sides already hold, by way of AnkiWeb."""
    shared: dict[int, tuple[int, int]] = {}
    for key in desktop.keys() & phone.keys():
        row = desktop[key].now
        if row is not None and row == phone[key].now and row.type not in {_MANUAL, _RESCHEDULED}:
            reps, lapses = shared.get(row.cid, (0, 0))
            lapsed = row.type == _REVIEW and row.ease == _AGAIN
            shared[row.cid] = (reps + 1, lapses + lapsed)
    return shared


def forgotten(desktop: Mapping[int, Change], phone: Mapping[int, Change]) -> frozenset[int]:
    """Return the cards of which the last that both sides' new history says is that they were reset.

    Anki then wants no time of a last review in them (rslib `get_last_revlog_info`).
    """
    last: dict[int, bool] = {}
    for row in sorted(
        c.now for side in (desktop, phone) for c in side.values() if c.ancestor is None and c.now
    ):
        if row.ease > 0 or (row.type == _MANUAL and row.factor == 0):
            last[row.cid] = row.ease == 0
    return frozenset(cid for cid, reset in last.items() if reset)
