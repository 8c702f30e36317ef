"""Talk and progress on stderr: what happens now, bytes and rate where bytes move."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.prompt import Confirm, Prompt
from rich.table import Column
from rich.text import Text

from usbsync.cli.compare import Comparison
from usbsync.core.asking import Answer, Choice, Question, read_answer
from usbsync.core.first import First
from usbsync.transport.base import OnBytes


class _WhereKnown(ProgressColumn):
    """A column for what moves bytes, and how many is known; other stages are only named."""

    def __init__(self, inner: ProgressColumn, *, narrows: bool = False) -> None:
        super().__init__(
            table_column=Column(no_wrap=not narrows)
        )  # where the line is short, the bar is shorter
        self._inner = inner

    def render(self, task: Task) -> RenderableType:
        """Draw the inner column, or nothing."""
        return self._inner(task) if task.total else Text()


class Terminal:
    """Somebody at a terminal, or a pipe: then only notes are written."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            _WhereKnown(BarColumn(bar_width=24), narrows=True),
            _WhereKnown(DownloadColumn()),
            _WhereKnown(TransferSpeedColumn()),
            _WhereKnown(TimeRemainingColumn(compact=True)),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self.can_ask = sys.stdin.isatty() and self._console.is_terminal and not quiet

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, text: str, total: int | None = None) -> OnBytes:
        """Show what happens now."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        task = self._task = self._progress.add_task(text, total=total)
        return lambda count: self._progress.update(task, advance=count)

    def note(self, text: str) -> None:
        """Write a line."""
        self._console.print(text, markup=False)

    def waiting(self) -> None:
        """Say what to tap."""
        self.note('waiting for the phone: unlock it and tap "Allow" on "Allow USB debugging?"')

    def please(self, text: str) -> bool:
        """Say what is to be done at the phone, while it is waited for."""
        if self.can_ask:
            self.note(f"{text} (waiting; Ctrl-C ends it)")
        return self.can_ask

    def which(self, phones: Sequence[str]) -> int | None:
        """List the phones and ask for one's number."""
        if not self.can_ask:
            return None
        self._progress.stop()
        for number, phone in enumerate(phones, 1):
            self.note(f"  {number}  {phone}")
        numbers = [str(number) for number in range(1, len(phones) + 1)]
        choice = Prompt.ask("Which phone", choices=[*numbers, "quit"], console=self._console)
        self._progress.start()
        return None if choice == "quit" else int(choice) - 1

    def first(self, desktop_notes: int, phone_notes: int) -> First | None:
        """Ask whose collection replaces the other's."""
        if not self.can_ask:
            return None
        self._progress.stop()
        self.note(
            f"These two never met: {desktop_notes:,} notes on the desktop, {phone_notes:,} on the phone."
        )
        self.note("  merge     both keep everything: notes are matched, reviews united")
        self.note("  upload    the desktop's collection replaces the phone's")
        self.note("  download  the phone's collection replaces the desktop's")
        self.note("A backup of both is kept; media files of both are kept in any case.")
        choice = Prompt.ask(
            "Which", choices=["merge", "upload", "download", "quit"], console=self._console, default="merge"
        )
        self._progress.start()
        return None if choice == "quit" else First(choice)

    def by_itself(self, phone: str) -> bool:
        """Ask whether a phone may be synced without asking."""
        self._progress.stop()
        question = f"Sync {phone} by itself when it is plugged in?"
        return Confirm.ask(escape(question), console=self._console, default=False)

    def settle(self, question: Question) -> Answer | None:
        """Ask who stands; the end of what can be typed means stop."""
        if not self.can_ask:
            return None
        self._progress.stop()
        self.note("")
        head = f"{question.number} of {question.total}: " if question.total > 1 else ""
        self._console.print(Comparison(question.conflict, head=head))
        answer = self._read(question)
        self._progress.start()
        return answer

    def _read(self, question: Question) -> Answer:
        stands = question.conflict.chosen.value
        self.note(f"Keep the desktop's, the phone's, or the newest (here: {stands})? stop changes nothing.")
        if question.left > 1:
            self.note(f'Add "all" to settle every one of the {question.left} {question.kind} so.')
        while True:
            try:
                typed = self._console.input("desktop, phone, newest or stop [newest]: ", markup=False)
            except EOFError:
                return Answer(Choice.STOP)
            if answer := read_answer(typed):
                return answer
            self.note('desktop, phone, newest or stop, or a first letter of it, and perhaps "all"')
