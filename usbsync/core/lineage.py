r"""Which of the states that were passed to and fro a phone's package descends from: the ancestor of its merge.

A package carried by hand leaves no connection in which both sides are known to hold the same. Of each exchange two
states remain: what the phone *gave* (its package, which the desktop contains since) and what it was *sent* (the answer,
which it holds only if somebody imported it). In a history drawn as a graph they are the candidates for the merge base:

    given P1 ----------- phone goes on (the answer was forgotten) ---> P2: the base is P1
        \
    desktop --- sent M1 --- imported, phone goes on ----------------> P2: the base is M1

Too old a base loses nothing: what both sides took over since looks like the same change made on both (at worst a thing
deleted since comes back, or a conflict is named twice). Too new a base loses: what the phone never got looks deleted
there. So a state counts only with proof, and the newest proven one is the base.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar


class Kind(StrEnum):
    """How a state came to be known."""

    GIVEN = "given"  # a package that the phone exported
    SENT = "sent"  # an answer that was written for it
    SYNCED = "synced"  # what a phone held after a sync over a cable


@dataclass(frozen=True, slots=True)
class Trace:
    """What tells against a collection's having been that state once."""

    lost: int  # notes, cards and decks of the state that are gone without a grave
    older: int  # rows in a version older than the state's: time does not run backwards
    answers_lost: int  # reviews of the state that are not there: Anki deletes none

    @property
    def complete(self) -> bool:
        """Whether all that the state held is there, or was deleted since."""
        return not (self.lost or self.answers_lost)

    @property
    def whole(self) -> bool:
        """Whether it is there as it was, or changed since."""
        return self.complete and not self.older


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one state and of the two collections that are to be merged."""

    kind: Kind
    mark: str | None  # an answer's own; of another state that of the answer which the phone had imported last
    phone_mark: str | None  # that the phone's collection carries now
    held: (
        bool | None
    )  # whether the answer that this names was made of the state; None: it is not known any more
    phone: Trace
    desktop_keeps: bool  # whether the desktop holds the state's reviews, and its notes but for deleted ones


def descends(evidence: Evidence) -> bool:
    """Say whether both collections are proven to descend from a state.

    A phone that reviewed after an answer was written, without importing it, may by chance have touched again all that
    the answer changed: only the mark proves an import, of the answer and of all that it was made of. What a phone gave
    needs none, but a phone that imported an older answer since has lost it. A restored backup took the state from the
    desktop again: then its reviews or notes are missing there.
    """
    if not evidence.desktop_keeps:
        return False
    if evidence.held or (evidence.kind is Kind.SENT and evidence.mark == evidence.phone_mark):
        # time is no witness against the mark: what was stamped by a clock that is ahead looks newer than work done since
        return evidence.phone_mark is not None and evidence.phone.complete
    if evidence.kind is Kind.SENT or (evidence.held is False and evidence.mark != evidence.phone_mark):
        return False
    return evidence.phone.whole


S = TypeVar("S")


def base(newest_first: Iterable[tuple[S, Evidence]]) -> S | None:
    """Choose the ancestor: the newest state that both descend from; None: as if they had never met."""
    return next((state for state, evidence in newest_first if descends(evidence)), None)
