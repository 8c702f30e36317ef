"""What the numbers in Anki's protobuf messages are called, for people (proto/anki/*.proto, Anki 26.09)."""

from __future__ import annotations

from collections.abc import Mapping

from usbsync.core.changes import Table

DECK_OPTIONS: Mapping[int, str] = {
    1: "learn steps",
    2: "relearn steps",
    3: "fsrs params 4",
    4: "easy days percentages",
    5: "fsrs params 5",
    6: "fsrs params 6",
    9: "new per day",
    10: "reviews per day",
    11: "initial ease",
    12: "easy multiplier",
    13: "hard multiplier",
    14: "lapse multiplier",
    15: "interval multiplier",
    16: "maximum review interval",
    17: "minimum lapse interval",
    18: "graduating interval good",
    19: "graduating interval easy",
    20: "new card insert order",
    21: "leech action",
    22: "leech threshold",
    23: "disable autoplay",
    24: "cap answer time to secs",
    25: "show timer",
    26: "skip question when replaying answer",
    27: "bury new",
    28: "bury reviews",
    29: "bury interday learning",
    30: "new mix",
    31: "interday learning mix",
    32: "new card sort order",
    33: "review order",
    34: "new card gather priority",
    35: "new per day minimum",
    36: "question action",
    37: "desired retention",
    38: "stop timer on answer",
    40: "historical retention",
    41: "seconds to show question",
    42: "seconds to show answer",
    43: "answer action",
    44: "wait for audio",
    45: "param search",
    46: "ignore revlogs before date",
    255: "other",
}
DECK: Mapping[int, str] = {
    1: "config id",
    2: "extend new",
    3: "extend review",
    4: "description",
    5: "markdown description",
    6: "review limit",
    7: "new limit",
    8: "review limit today",
    9: "new limit today",
    10: "desired retention",
}
NOTETYPE: Mapping[int, str] = {
    1: "kind",
    2: "sort field idx",
    3: "css",
    4: "target deck id unused",
    5: "latex pre",
    6: "latex post",
    7: "latex svg",
    8: "reqs",
    9: "original stock kind",
    10: "original id",
    255: "other",
}
FIELD: Mapping[int, str] = {
    1: "sticky",
    2: "rtl",
    3: "font name",
    4: "font size",
    5: "description",
    6: "plain text",
    7: "collapsed",
    8: "exclude from search",
    9: "id",
    10: "tag",
    11: "prevent deletion",
    255: "other",
}
TEMPLATE: Mapping[int, str] = {
    1: "front",
    2: "back",
    3: "q format browser",
    4: "a format browser",
    5: "target deck id",
    6: "browser font name",
    7: "browser font size",
    8: "id",
    255: "other",
}


def unit_name(table: Table, unit: str, fields: tuple[str, ...] = ()) -> str:
    """Name a unit as a person knows it: a field by its name, an option by Anki's word for it."""
    kind, _, rest = unit.partition(":")
    match table, kind:
        case Table.NOTES, "field":
            return fields[int(rest)] if int(rest) < len(fields) else f"field {int(rest) + 1}"
        case Table.NOTES, "tag":
            return f"tag {rest}"
        case Table.DECK_CONFIG, "option":
            return DECK_OPTIONS.get(int(rest), f"option {rest}")
        case Table.DECKS, "options" | "description" | "limits" | "kind":
            return "options" if kind == "options" else DECK.get(int(rest), unit)
        case Table.DECKS, "leaf" | "place":
            return "name" if kind == "leaf" else "parent deck"
        case Table.DECKS, "filter":
            return "search"
        case Table.NOTETYPES, "config":
            return NOTETYPE.get(int(rest), unit)
        case Table.NOTETYPES, "field" | "template":
            return _part_name(kind, rest)
        case Table.CONFIG, "value":
            return "value"
        case _:
            return unit


def _part_name(kind: str, rest: str) -> str:
    """Name `3:name` or `3:config:1` of a field or template."""
    at, _, setting = rest.partition(":")
    names = FIELD if kind == "field" else TEMPLATE
    what = setting if setting == "name" else names.get(int(setting.rpartition(":")[2]), setting)
    return f"{what} of {kind} {int(at) + 1}"
