"""Behaviour around any transport: a dry run, a meter, a fault."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn, TypeVar

from usbsync.errors import PhoneGone, UsbsyncError
from usbsync.transport.base import Push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from usbsync.transport.base import Algorithm, FileInfo, OnBytes, Pull, Step, Transport


T = TypeVar("T")


class Wrapped:
    """Hand everything on to `inner`; the wrappers below change some of it."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    @property
    def identity(self) -> str:
        """The inner transport's."""
        return self.inner.identity

    def stat(self, path: str) -> FileInfo | None:
        """As the inner transport."""
        return self.inner.stat(path)

    def stamp(self, paths: Sequence[str]) -> str | None:
        """As the inner transport."""
        return self.inner.stamp(paths)

    def list(self, folder: str) -> list[FileInfo]:
        """As the inner transport."""
        return self.inner.list(folder)

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """As the inner transport."""
        self.inner.pull(wanted, on_bytes)

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> None:
        """As the inner transport."""
        self.inner.push(files, on_bytes)

    def hash(self, paths: Sequence[str], algorithm: Algorithm) -> dict[str, str]:
        """As the inner transport."""
        return self.inner.hash(paths, algorithm)

    def apply(self, steps: Sequence[Step]) -> None:
        """As the inner transport."""
        self.inner.apply(steps)

    def make_folder(self, path: str) -> None:
        """As the inner transport."""
        self.inner.make_folder(path)

    def remove_folder(self, path: str) -> None:
        """As the inner transport."""
        self.inner.remove_folder(path)

    def free_space(self, folder: str) -> int:
        """As the inner transport."""
        return self.inner.free_space(folder)

    def close(self) -> None:
        """As the inner transport."""
        self.inner.close()


class ReadOnly(Wrapped):
    """A dry run: whatever would write raises, and writes nothing."""

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> NoReturn:
        """Raise: a dry run writes nothing."""
        self._refuse("push", files, on_bytes)

    def apply(self, steps: Sequence[Step]) -> NoReturn:
        """Raise: a dry run writes nothing."""
        self._refuse("apply", steps)

    def make_folder(self, path: str) -> NoReturn:
        """Raise: a dry run writes nothing."""
        self._refuse("make_folder", path)

    def remove_folder(self, path: str) -> NoReturn:
        """Raise: a dry run writes nothing."""
        self._refuse("remove_folder", path)

    def _refuse(self, what: str, *_: object) -> NoReturn:
        raise UsbsyncError(f"a dry run tried to write ({what}) to {self.identity}; nothing was written")


class Metered(Wrapped):
    """Count the bytes of files that cross the wire, each way."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.pulled_bytes = 0
        self.pushed_bytes = 0

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """As the inner transport, counted."""

        def count(moved: int) -> None:
            self.pulled_bytes += moved
            on_bytes(moved)

        self.inner.pull(wanted, count)

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> None:
        """As the inner transport, counted."""

        def count(moved: int) -> None:
            self.pushed_bytes += moved
            on_bytes(moved)

        self.inner.push(files, count)


class When(StrEnum):
    """Where in an operation the cable goes."""

    BEFORE = "before"
    INSIDE = "inside"  # half of its files or steps are done, the next file is torn
    AFTER = "after"  # done, but nobody hears of it


class Faulty(Wrapped):
    """Lose the link at the `fail_at`-th operation (from 1), and stay lost; for tests.

    `operations` counts what was asked for, so that a first run without a fault (fail_at=0) tells how many there are.
    """

    def __init__(self, inner: Transport, *, fail_at: int = 0, when: When = When.BEFORE) -> None:
        super().__init__(inner)
        self.fail_at = fail_at
        self.when = when
        self.operations = 0

    def stat(self, path: str) -> FileInfo | None:
        """As the inner transport, or PhoneGone."""
        return self._run(lambda: self.inner.stat(path))

    def stamp(self, paths: Sequence[str]) -> str | None:
        """As the inner transport, or PhoneGone."""
        return self._run(lambda: self.inner.stamp(paths))

    def list(self, folder: str) -> list[FileInfo]:
        """As the inner transport, or PhoneGone."""
        return self._run(lambda: self.inner.list(folder))

    def pull(self, wanted: Iterable[Pull], on_bytes: OnBytes) -> None:
        """As the inner transport, or PhoneGone with half of the files there and one torn."""
        every = list(wanted)

        def half() -> None:
            self.inner.pull(every[: len(every) // 2], on_bytes)
            for torn in every[len(every) // 2 :][:1]:
                self.inner.pull([torn], on_bytes)
                data = torn.target.read_bytes()
                torn.target.write_bytes(data[: len(data) // 2])

        self._run(lambda: self.inner.pull(every, on_bytes), half)

    def push(self, files: Iterable[Push], on_bytes: OnBytes) -> None:
        """As the inner transport, or PhoneGone with half of the files there and one torn."""
        every = list(files)

        def half() -> None:
            self.inner.push(every[: len(every) // 2], on_bytes)
            for torn in every[len(every) // 2 :][:1]:
                part = torn.source.with_name(f"{torn.source.name}.torn")
                data = torn.source.read_bytes()
                part.write_bytes(data[: len(data) // 2])
                self.inner.push([Push(part, torn.target, torn.mtime)], on_bytes)
                part.unlink()

        self._run(lambda: self.inner.push(every, on_bytes), half)

    def hash(self, paths: Sequence[str], algorithm: Algorithm) -> dict[str, str]:
        """As the inner transport, or PhoneGone."""
        return self._run(lambda: self.inner.hash(paths, algorithm))

    def apply(self, steps: Sequence[Step]) -> None:
        """As the inner transport, or PhoneGone with half of the steps done."""
        self._run(lambda: self.inner.apply(steps), lambda: self.inner.apply(steps[: len(steps) // 2]))

    def make_folder(self, path: str) -> None:
        """As the inner transport, or PhoneGone."""
        self._run(lambda: self.inner.make_folder(path))

    def remove_folder(self, path: str) -> None:
        """As the inner transport, or PhoneGone."""
        self._run(lambda: self.inner.remove_folder(path))

    def free_space(self, folder: str) -> int:
        """As the inner transport, or PhoneGone."""
        return self._run(lambda: self.inner.free_space(folder))

    def _run(self, whole: Callable[[], T], half: Callable[[], None] | None = None) -> T:
        self.operations += 1
        due = self.fail_at and self.operations >= self.fail_at
        if not due:
            return whole()
        if self.operations == self.fail_at and self.when is When.INSIDE and half:
            half()
        if self.operations == self.fail_at and self.when is When.AFTER:
            whole()
        raise PhoneGone(f"the link to {self.identity} was lost (operation {self.operations})")
