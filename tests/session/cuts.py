"""A process that dies at any change it makes to the disk, and a cable that goes at any operation.

Deaths: an audit hook sees every change that Python makes below a folder (files opened for writing, renamed, linked,
removed, folders made and removed) just before it happens; a forked child is killed (SIGKILL) there, so that no
`except` and no `finally` of ours runs. "Torn" lets a file be opened and written, and cuts it to its half before the next change.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from session.scenes import in_child

DIED = -signal.SIGKILL
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Watch:
    """What is to be counted, and where to die."""

    below: Path
    but: Path | None = None  # the scratch folders: what is written there is seen by nobody
    at: int = 0
    torn: bool = False
    seen: list[str] = field(default_factory=list)
    open: Path | None = None

    def meet(self, what: str, path: Path) -> None:
        if self.torn and len(self.seen) == self.at:
            self.die()
        self.seen.append(f"{what} {path.relative_to(self.below)}")
        if len(self.seen) == self.at:
            if not self.torn:
                self.die()
            self.open = path if what == "open" else None

    def die(self) -> None:
        _watch.clear()
        if self.open and self.open.exists():
            os.truncate(self.open, self.open.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


_watch: list[Watch] = []


def _placed(path, folder_fd) -> Path | None:
    if isinstance(path, int):
        return None
    text = os.fsdecode(path)
    if isinstance(folder_fd, int) and folder_fd >= 0:
        text = str(Path(f"/proc/self/fd/{folder_fd}").readlink() / text)
    return Path(os.path.abspath(text))  # noqa: PTH100  # a link is not to be followed


def _hook(event: str, args: tuple) -> None:
    if not _watch:
        return
    match event, args:
        case "open", (path, _, int(flags)) if flags & _WRITING:
            changed = _placed(path, None)
        case "os.remove" | "os.rmdir", (path, folder_fd):
            changed = _placed(path, folder_fd)
        case "os.mkdir", (path, _, folder_fd):
            changed = _placed(path, folder_fd)
        case "os.rename" | "os.link", (_, target, _, folder_fd):
            changed = _placed(target, folder_fd)
        case _:
            return
    watch = _watch[0]
    if changed is None or not changed.is_relative_to(watch.below) or changed.suffix == ".lock":
        return
    if watch.but is None or not changed.is_relative_to(watch.but):
        watch.meet(event, changed)


sys.addaudithook(_hook)


def changes(below: Path, but: Path | None, work) -> list[str]:
    """Run undisturbed and name every change to the disk."""
    watch = Watch(below, but)
    _watch.append(watch)
    try:
        work()
    finally:
        _watch.clear()
    return watch.seen


def dies(below: Path, but: Path | None, work, at: int, *, torn: bool = False) -> bool:
    """Run in a process that dies at its `at`-th change to the disk (from 1); False when it came to its end."""
    watch = Watch(below, but, at, torn)

    def mortal() -> None:
        _watch.append(watch)
        work()

    code = in_child(mortal)
    assert code in {0, DIED}, f"it ended with {code} instead of dying at {at}"
    return code == DIED
