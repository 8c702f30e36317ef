"""What a person can answer when asked about conflicts, and what an answer means for all of their kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from usbsync.core.changes import Table
from usbsync.core.conflict import Conflict, Side, Where


class Choice(StrEnum):
    """Who is to stand; or nobody, for all is to stay as it is."""

    DESKTOP = "desktop"
    PHONE = "phone"
    NEWEST = "newest"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    choice: Choice
    of_all: bool = False  # for this conflict and all of its kind that are still to come


@dataclass(frozen=True, slots=True)
class Question:
    """A conflict to be settled, with where it stands among the others."""

    conflict: Conflict
    number: int  # from 1
    total: int
    kind: str  # what "all" would mean
    left: int  # of this kind, this one included


Ask: TypeAlias = Callable[[Question], Answer | None]


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered so far: in `choices` for whole kinds."""

    answers: Mapping[Where, Side] = field(default_factory=dict)
    choices: Mapping[str, Choice] = field(default_factory=dict)
    stopped: Answer | None = None  # whoever was asked wants nothing changed
    nobody: Conflict | None = None  # there was nobody to ask about this one


def ask_all(conflicts: Sequence[Conflict], ask: Ask, said: Said | None = None) -> Said:
    """Ask, kind by kind, about each conflict that no answer for all of its kind covers.

    Of `newest`, whoever stands now stands.
    """
    conflicts = sorted(conflicts, key=_order)
    said = said or Said()
    answers, choices = dict(said.answers), dict(said.choices)
    left = Counter(map(kind_of, conflicts))
    for number, conflict in enumerate(conflicts, start=1):
        kind = kind_of(conflict)
        choice = choices.get(kind)
        if choice is None:
            answer = ask(Question(conflict, number, len(conflicts), kind, left[kind]))
            if answer is None:
                return Said(answers, choices, nobody=conflict)
            if answer.choice is Choice.STOP:
                return Said(answers, choices, stopped=answer)
            choice = answer.choice
            if answer.of_all:
                choices[kind] = choice
        left[kind] -= 1
        answers[conflict.where] = conflict.chosen if choice is Choice.NEWEST else Side(choice.value)
    return Said(answers, choices)


def _order(conflict: Conflict) -> tuple[str, str, str, str]:
    return kind_of(conflict), conflict.kind, str(conflict.id).zfill(20), conflict.unit


def kind_of(conflict: Conflict) -> str:
    """Name the kind of a conflict: what a person would settle alike."""
    if conflict.unit == "deletion":
        return "deletions"
    match conflict.kind:
        case Table.NOTES:
            return "tags of notes" if conflict.unit.startswith("tag ") else "fields of notes"
        case Table.CARDS:
            return f"{conflict.unit} of cards"
        case _:
            return _KINDS.get(conflict.kind, conflict.kind)


_KINDS: Mapping[str, str] = {
    Table.DECKS: "settings of decks",
    Table.DECK_CONFIG: "deck options",
    Table.NOTETYPES: "parts of notetypes",
    Table.CONFIG: "preferences",
}

_WORDS = {"all": True, "a": True, "this": False}


def read_answer(text: str) -> Answer | None:
    """Read what was typed: a choice or its first letters, and perhaps "all"; None where it is no answer."""
    found = text.lower().split()
    first, rest = (found[0], found[1:]) if found else (Choice.NEWEST.value, [])
    fitting = [choice for choice in Choice if choice.value.startswith(first)]
    if len(fitting) != 1 or len(rest) > 1 or not all(word in _WORDS for word in rest):
        return None
    return Answer(fitting[0], of_all=any(_WORDS[word] for word in rest))
