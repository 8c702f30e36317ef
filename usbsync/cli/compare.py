"""One conflict, both sides beside each other with the differing words marked, whatever the terminal can show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from usbsync.cli.render import named
from usbsync.core.changes import Table
from usbsync.core.conflict import Conflict, Side
from usbsync.core.words import Mark, Piece, differing, printable, readable, right_to_left, words

_WIDE = 72  # columns from which two texts fit beside each other
_NEAR = 40  # words and blanks of what did not change that are shown on either side of what did
_SIGNS = {Mark.GONE: ("[-", "-]"), Mark.NEW: ("{+", "+}"), Mark.SAME: ("", "")}
_STYLES = {Mark.GONE: "red strike", Mark.NEW: "bold green underline", Mark.SAME: ""}


@dataclass(frozen=True, slots=True)
class Versions:
    """What the ancestor and both sides say, as it is shown."""

    ancestor: str | None
    desktop: str | None
    phone: str | None

    def of(self, side: Side) -> str | None:
        """Return one side's."""
        return self.desktop if side is Side.DESKTOP else self.phone

    def held(self) -> tuple[str, ...]:
        """Return those that there are."""
        return tuple(text for text in (self.ancestor, self.desktop, self.phone) if text is not None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A conflict to be printed by rich: in columns where there is room, else one below the other.

    With colour and without, [-words-] went and {+words+} came.
    """

    conflict: Conflict
    whole: bool = False  # all of both texts; else what is far from any difference is left out
    head: str = ""  # before the title, as "2 of 5: "

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the console's width."""
        versions = versions_of(self.conflict)
        texts = {side: self._marked(versions, side) for side in Side}
        yield Text(f"{self.head}{printable(named(self.conflict))}", style="bold")
        if versions.ancestor is not None and (self.whole or not _is_long(versions.ancestor)):
            yield Text("  before", style="dim")
            yield Padding(Text(versions.ancestor, overflow="fold"), (0, 0, 0, 4))
        if options.max_width >= _WIDE and not any(map(right_to_left, versions.held())):
            yield self._columns(texts)
        else:
            yield from self._stacked(texts)
        yield Text(f"  {printable(self.conflict.reason)}", style="dim")

    def _label(self, side: Side) -> str:
        return f"{side.value} ✓" if self.conflict.chosen is side else side.value

    def _columns(self, texts: dict[Side, Text]) -> Grid:
        grid = Grid(box=None, expand=True, padding=(0, 2, 0, 2), header_style="bold")
        for side in Side:
            grid.add_column(self._label(side), ratio=1, overflow="fold")
        grid.add_row(*(texts[side] for side in Side))
        return grid

    def _stacked(self, texts: dict[Side, Text]) -> Iterator[Text | Padding]:
        for side in Side:
            yield Text(f"  {self._label(side)}", style="bold")
            yield Padding(texts[side], (0, 0, 0, 4))

    def _marked(self, versions: Versions, side: Side) -> Text:
        mine, other = versions.of(side), versions.of(side.other)
        if mine is None:
            return Text("(nothing)")
        if self.conflict.unit == "deletion" and mine == "deleted":
            return Text(mine)
        if versions.ancestor is not None:
            pieces = differing(versions.ancestor, mine)
        else:
            pieces = tuple(p for p in differing(other or "", mine) if p.mark is not Mark.GONE)
        return _text(pieces if self.whole else tuple(_near(pieces)))


def versions_of(conflict: Conflict) -> Versions:
    """Return the texts of a conflict as they are shown: of a note's field what it says, unless only markup differs."""
    values = (conflict.ancestor, conflict.desktop, conflict.phone)
    if conflict.kind == Table.NOTES and conflict.unit != "deletion":
        read = [value and readable(value) for value in values]
        if len(set(read)) == len(set(values)):
            return Versions(*(value and printable(value) for value in read))
    return Versions(*(value and printable(value) for value in values))


def _text(pieces: Sequence[Piece]) -> Text:
    text = Text(overflow="fold")
    for piece in pieces:
        before, after = _SIGNS[piece.mark]
        text.append(f"{before}{piece.text}{after}", style=_STYLES[piece.mark])
    return text


def _near(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Leave out what is far from any difference."""
    for at, piece in enumerate(pieces):
        if piece.mark is Mark.SAME:
            yield Piece(_short(piece.text, head=at > 0, tail=at + 1 < len(pieces)), Mark.SAME)
        else:
            yield piece


def _is_long(text: str) -> bool:
    return len(words(text)) > 2 * _NEAR


def _short(text: str, *, head: bool, tail: bool) -> str:
    if not _is_long(text):
        return text
    found = words(text)
    return "".join((*(found[:_NEAR] if head else ()), " … ", *(found[-_NEAR:] if tail else ())))
