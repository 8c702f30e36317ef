"""THE table: how each unit of each table merges.

A row is taken apart into units (`units.py`), each unit is merged three ways (`merge3.py`), and only where
both sides changed it, differently, does its rule here matter. The longest matching prefix counts; one that
ends in `=` is a whole name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from usbsync.core.changes import Table


class How(StrEnum):
    """What happens to a unit that both sides changed, differently."""

    POLICY = "one stands, by the policy; the other is reported"
    LATER = "the later act stands; the answers of both are kept"
    COUNTED = "what each side added to the ancestor's count is added"
    TODAY = "the day's counts add up; of two days, the later"
    HIGHEST = "the higher number"
    NEWER = "the newer one, without a word: the apps' own bookkeeping"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one unit merges, and whether an edit of it is work that beats a deletion of its row."""

    unit: str
    how: How
    content: bool
    says: str


def _work(unit: str, how: How, says: str) -> Rule:
    """Make the rule of a unit whose edit is work: it beats a deletion."""
    return Rule(unit, how, content=True, says=says)


def _rest(unit: str, how: How, says: str) -> Rule:
    """Make the rule of a unit that the scheduler or the app keeps, or that files rather than writes."""
    return Rule(unit, how, content=False, says=says)


RULES: dict[Table, tuple[Rule, ...]] = {
    Table.NOTES: (
        _work("notetype", How.POLICY, "the note was given another notetype"),
        _work("field", How.POLICY, "someone wrote in a field"),
        _work("tag", How.POLICY, "someone tagged the note"),
        _rest("tag:leech=", How.NEWER, "the scheduler tagged a leech; nobody wrote it"),
        _rest("guid", How.POLICY, "an importer gave it another identity"),
        _rest("flags", How.NEWER, "unused by Anki"),
        _rest("data", How.NEWER, "unused by Anki, used by add-ons"),
        _rest("mod", How.HIGHEST, "when it was last written"),
    ),
    Table.CARDS: (
        _rest("note", How.NEWER, "which note it belongs to: never changes in Anki"),
        _rest("ord", How.NEWER, "which template made it"),
        _rest("deck", How.POLICY, "someone moved the card to another deck"),
        _rest("schedule", How.LATER, "it was answered, reset or rescheduled"),
        _rest("counts", How.COUNTED, "reps and lapses, from the answers of both"),
        _rest("flag", How.POLICY, "someone set a coloured flag"),
        _rest("suspended", How.POLICY, "someone suspended or unsuspended it"),
        _rest("buried", How.NEWER, "buried for the day; unburied by the app without a trace"),
        _rest("mod", How.HIGHEST, "when it was last written"),
    ),
    Table.REVLOG: (_rest("answer", How.POLICY, "one moment, two answers: see reviews.py"),),
    Table.DECKS: (
        _work("place", How.POLICY, "someone moved the deck under another one"),
        _work("leaf", How.POLICY, "someone renamed the deck"),
        _work("options", How.POLICY, "someone chose other options for the deck"),
        _work("description", How.POLICY, "someone described the deck"),
        _work("limits", How.POLICY, "someone set limits for this deck or for today"),
        _work("filter", How.POLICY, "someone changed a filtered deck's search"),
        _work("kind", How.POLICY, "an option that this version does not know"),
        _rest("today", How.TODAY, "cards were studied today"),
        _rest("collapsed", How.NEWER, "someone folded the deck list"),
        _rest("common", How.NEWER, "bookkeeping that this version does not know"),
        _rest("mod", How.HIGHEST, "when it was last written"),
    ),
    Table.DECK_CONFIG: (
        _work("name", How.POLICY, "someone renamed the options"),
        _work("option", How.POLICY, "someone set an option"),
        _rest("mod", How.HIGHEST, "when it was last written"),
    ),
    Table.NOTETYPES: (
        _work("name", How.POLICY, "someone renamed the notetype"),
        _work("config", How.POLICY, "someone changed styling, LaTeX or the sort field"),
        _rest("config:8=", How.NEWER, "which fields a card needs: Anki works it out of the templates"),
        _work("field", How.POLICY, "someone renamed a field or changed its editor"),
        _rest("field:config:9", How.NEWER, "a field's random id"),
        _rest("template:config:8", How.NEWER, "a template's random id"),
        _work("template", How.POLICY, "someone edited a card template"),
        _work("shape", How.POLICY, "fields or templates were added, removed or moved"),
        _rest("stamp", How.HIGHEST, "when a template was last written"),
        _rest("mod", How.HIGHEST, "when it was last written"),
    ),
    Table.CONFIG: (
        _work("value", How.POLICY, "someone changed a preference"),
        _rest("value:nextPos", How.HIGHEST, "the place of the next new card"),
        _rest("value:lastUnburied", How.HIGHEST, "the day on which cards were last unburied"),
        _rest("value:curDeck", How.NEWER, "the deck that was open last"),
        _rest("value:activeDecks", How.NEWER, "the deck that was open last"),
        _rest("value:curModel", How.NEWER, "the notetype that was used last"),
        _rest("value:localOffset", How.NEWER, "the time zone that was seen last"),
        _rest("value:_deck_", How.NEWER, "what was used last in a deck"),
        _rest("value:_nt_", How.NEWER, "what was used last with a notetype"),
        _rest("value:browser", How.NEWER, "how the browser looks"),
        _rest("value:activeCols", How.NEWER, "how the browser looks"),
        _rest("value:sort", How.NEWER, "how the browser looks"),
        _rest("mod", How.HIGHEST, "when it was last written"),
    ),
    Table.TAGS: (
        _rest("spelling", How.NEWER, "the same tag, in other capitals"),
        _rest("collapsed", How.NEWER, "someone folded the tag list"),
    ),
    Table.GRAVES: (_rest("", How.NEWER, "present or not"),),
}


@cache
def rule_for(table: Table, unit: str) -> Rule:
    """Return the rule with the longest prefix of this unit's name; a unit without one is our bug.

    Of fields and templates the place does not count: `field:3:config:9` is under `field:config:9`.
    """
    unit = re.sub(r"^(field|template):\d+", r"\1", unit)
    fitting = [rule for rule in RULES[table] if f"{unit}=".startswith(rule.unit)]
    return max(fitting, key=lambda rule: len(rule.unit))
