"""Two texts, word by word: what is in both, what went and what came.

A word is what is read as one: a run of letters and digits, a run of blanks, one sign, one character of a script that
is written without blanks. What belongs to a character (accents, vowel signs, the parts of an emoji) stays with it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TypeAlias

_MOST = 90_000  # pairs that are compared at most: of the worst texts in less than a second
_END = re.compile("[.!?;\n\u3002\uff01\uff1f]")


class Mark(StrEnum):
    """What became of some words."""

    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Piece:
    """Words that stand together and had one fate."""

    text: str
    mark: Mark


Fate: TypeAlias = tuple[Mark, Sequence[str]]


def differing(before: str, now: str) -> tuple[Piece, ...]:
    """Say what became of each word: SAME and GONE together are `before`, SAME and NEW together are `now`."""
    old, new = words(before), words(now)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    middle = _middle(old[head : len(old) - tail], new[head : len(new) - tail])
    end = old[len(old) - tail :]
    return tuple(_joined(_bridged([(Mark.SAME, old[:head]), *middle, (Mark.SAME, end)])))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _middle(old: Sequence[str], new: Sequence[str]) -> Iterator[Fate]:
    """Compare word by word, but sentence by sentence first where there are many."""
    if len(old) * len(new) <= _MOST:
        yield from _compared(old, new)
        return
    one, other = _sentences(old), _sentences(new)
    if len(one) * len(other) > _MOST:
        yield from ((Mark.GONE, old), (Mark.NEW, new))
        return
    gone: Sequence[str] = ()
    for mark, part in _compared(one, other):
        if mark is Mark.GONE:
            gone = words("".join(part))
        elif mark is Mark.NEW:
            yield from _small(gone, words("".join(part)))
            gone = ()
        else:
            yield from ((Mark.GONE, gone), (mark, part))
            gone = ()
    yield Mark.GONE, gone


def _small(old: Sequence[str], new: Sequence[str]) -> Iterator[Fate]:
    few = len(old) * len(new) <= _MOST
    yield from _compared(old, new) if few else ((Mark.GONE, old), (Mark.NEW, new))


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[Fate]:
    for tag, a1, a2, b1, b2 in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Mark.SAME, old[a1:a2]
            continue
        if a1 < a2:
            yield Mark.GONE, old[a1:a2]
        if b1 < b2:
            yield Mark.NEW, new[b1:b2]


def _sentences(found: Sequence[str]) -> list[str]:
    ends = [at + 1 for at, word in enumerate(found) if _END.search(word)]
    cuts = [0, *ends, len(found)]
    return [text for one, other in pairwise(cuts) if (text := "".join(found[one:other]))]


def _bridged(parts: Sequence[Fate]) -> Iterator[Fate]:
    """Let what went and what came reach over the blanks between two changed words: two sentences, not a riddle."""
    gone: list[str] = []
    new: list[str] = []
    blank: Sequence[str] = ()
    for mark, part in parts:
        if mark is Mark.SAME and (gone or new) and not blank and part and all(map(str.isspace, part)):
            blank = part
            continue
        if mark is Mark.SAME:
            yield from ((Mark.GONE, gone), (Mark.NEW, new), (Mark.SAME, [*blank, *part]))
            gone, new = [], []
        elif part:
            gone, new = [*gone, *blank], [*new, *blank]
            (gone if mark is Mark.GONE else new).extend(part)
        blank = () if part else blank
    yield from ((Mark.GONE, gone), (Mark.NEW, new), (Mark.SAME, blank))


def _joined(parts: Iterable[Fate]) -> Iterator[Piece]:
    """Put the words of neighbours of one fate together."""
    kept = [(mark, "".join(part)) for mark, part in parts if part]
    for mark, group in groupby(kept, key=itemgetter(0)):
        yield Piece("".join(text for _, text in group), mark)


def words(text: str) -> list[str]:
    """Cut a text into words; joined again they are the text."""
    starts = []
    last = before = ""
    for at, char in enumerate(text):
        kind = _kind(char)
        belongs = kind == _MARK or before == _JOINER or (kind == last and kind in _RUNS)
        if at == 0 or not belongs:
            starts.append(at)
            last = kind
        before = char
    return [text[one:other] for one, other in pairwise([*starts, len(text)])]


_MARK, _LETTER, _BLANK, _FLAG, _SIGN = "mark", "letter", "blank", "flag", "sign"
_RUNS = {_LETTER, _BLANK, _FLAG}
_JOINER = "\u200d"
_NO_BLANKS = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]")  # Han, Kana


def _kind(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] == "M" or char == _JOINER or "\U0001f3fb" <= char <= "\U0001f3ff":
        return _MARK
    if char.isspace():
        return _BLANK
    if category[0] in "LN" and not _NO_BLANKS.match(char):
        return _LETTER
    return _FLAG if "\U0001f1e6" <= char <= "\U0001f1ff" else _SIGN  # two letters make a flag


# ---- texts from a collection, for people


_TAG = re.compile(r"<[/!a-zA-Z][^<>]*>")
_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)")
_SOURCE = re.compile(r"""\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_BLOCKS = {"br", "div", "p", "tr", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6"}
_LONGEST = 1000  # characters of a tag in which a picture's name is looked for


def readable(field: str) -> str:
    """Return what a field of a note says, without markup, line by line."""
    text = html.unescape(_TAG.sub(_without, field.replace("\n", " "))).replace("\xa0", " ")
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(filter(None, lines))


def _without(tag: re.Match[str]) -> str:
    """Return what is read where a tag stands."""
    found = _NAME.match(tag[0])
    name = found[1].lower() if found else ""
    if name == "img" and (source := _SOURCE.search(tag[0][:_LONGEST])):
        return f"[image {source[1]}]"
    if name == "li":
        return "" if tag[0].startswith("</") else "\n• "
    return "\n" if name in _BLOCKS else ""


def printable(text: str) -> str:
    """Return a text that does nothing to a terminal: signs that would command it are shown by their numbers."""
    return "".join(_escaped(char) if _commands(char) else char for char in text.replace("\r\n", "\n"))


def _commands(char: str) -> bool:
    return (char != "\n" and unicodedata.category(char) in {"Cc", "Cs"}) or char in _OVERRIDES


def _escaped(char: str) -> str:
    return " " if char == "\t" else f"\\u{ord(char):04x}"


_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def right_to_left(text: str) -> bool:
    """Whether some of a text is read from right to left."""
    return any(unicodedata.bidirectional(char) in {"R", "AL"} for char in text)
