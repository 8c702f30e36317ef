"""Which parts of two files differ: what a delta has to carry. Nothing here touches a file or a phone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes of a file from `start` up to `end`."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Part:
    """One step of making a new file of an old one: keep so many bytes, insert so many new, skip so many old."""

    keep: int
    insert: int
    skip: int


def cut(spans: Iterable[Span], block: int) -> Iterator[Span]:
    """Cut spans into blocks; the last of each may be shorter."""
    for span in spans:
        for start in range(span.start, span.end, block):
            yield Span(start, min(start + block, span.end))


def differing(blocks: Iterable[Span], mine: Iterable[object], theirs: Iterable[object]) -> list[Span]:
    """Return the blocks whose content (or its hash) differs; one that only one side has does."""
    pairs = zip_longest(blocks, mine, theirs)
    return [block for block, one, other in pairs if block is not None and one != other]


def joined(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Join ascending spans that are at most `gap` bytes apart: each span costs a round of its own."""
    found: list[Span] = []
    for span in spans:
        if found and span.start - found[-1].end <= gap:
            found[-1] = Span(found[-1].start, span.end)
        else:
            found.append(span)
    return found


def parts(spans: Sequence[Span], old: int, new: int) -> list[Part]:
    """Say how a file of `new` bytes comes of one of `old` bytes, where these spans of the new one are inserted.

    What is not inserted must be the same in both; the last part keeps what is left.
    """
    found, at = [], 0
    for span in spans:
        found.append(Part(span.start - at, len(span), max(0, min(span.end, old) - span.start)))
        at = span.end
    return [*found, Part(new - at, 0, 0)]
