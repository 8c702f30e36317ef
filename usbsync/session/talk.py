"""What a session needs of whoever is watching it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from usbsync.core.asking import Answer, Question
from usbsync.core.first import First
from usbsync.transport.base import OnBytes


class Talk(Protocol):
    """Somebody to tell, and perhaps to ask."""

    def stage(self, text: str, total: int | None = None) -> OnBytes:
        """Say what happens now, with the bytes it will move where that is known; returns what to tell of bytes."""

    def note(self, text: str) -> None:
        """Say something worth a line."""

    def waiting(self) -> None:
        """Say that the phone waits for a tap on "Allow"."""

    def please(self, text: str) -> bool:
        """Ask for something to be done at the phone; False when nobody is there who could."""

    def which(self, phones: Sequence[str]) -> int | None:
        """Ask which of several phones is meant, by its place; None when nobody can be asked."""

    def first(self, desktop_notes: int, phone_notes: int) -> First | None:
        """Ask how two collections that never met are to begin; None when nobody can be asked."""

    def settle(self, question: Question) -> Answer | None:
        """Ask who stands; None when nobody can be asked."""


@contextmanager
def filling(on_bytes: OnBytes, total: int) -> Iterator[OnBytes]:
    """Count up to a total, and all of it in the end: where only what changed crosses, the rest was not to be moved."""
    left = total

    def count(moved: int) -> None:
        nonlocal left
        moved = min(moved, left)
        left -= moved
        on_bytes(moved)

    yield count
    on_bytes(left)


class Silent:
    """Nobody is watching."""

    def stage(self, text: str, total: int | None = None) -> OnBytes:
        """Say nothing."""
        del text, total
        return lambda _count: None

    def note(self, text: str) -> None:
        """Say nothing."""

    def waiting(self) -> None:
        """Say nothing."""

    def please(self, text: str) -> bool:
        """Nobody is there."""
        del text
        return False

    def which(self, phones: Sequence[str]) -> int | None:
        """Nobody can be asked."""
        del phones
        return None

    def first(self, desktop_notes: int, phone_notes: int) -> First | None:
        """Nobody can be asked."""
        del desktop_notes, phone_notes
        return None

    def settle(self, question: Question) -> Answer | None:
        """Nobody can be asked."""
        del question
        return None
