"""A phone whose answers are scripted: files in memory, packages that run, a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbsync.errors import PhoneGone, PhoneRefused
from usbsync.transport.base import Completed
from usbsync.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usbsync.transport.base import Step

PUBLIC = "/storage/emulated/0/AnkiDroid"
FILES = "/storage/emulated/0/Android/data/{}/files"
OPENED = "11-21 12:00:00.000  4711  4712 I AnkiDroid: (Re)opening Database: "


class FakePhone(MemoryTransport):
    """`packages` are installed; `alive` run; `immortal` ones come back; `answers` replace what a command would say."""

    def __init__(self, *packages: str) -> None:
        super().__init__("FAKE")
        self.packages = list(packages)
        self.alive: set[str] = set()
        self.immortal: set[str] = set()
        self.log = b""
        self.asked: list[list[str]] = []
        self.answers: dict[str, Completed | Exception] = {}
        self.gone = False
        self.mode = 0o660
        self.refuse: Callable[[str], bool] = lambda _path: False

    def collection(self, folder: str, mtime: int = 1_700_000_000, wal: int | None = None) -> str:
        """Make an AnkiDroid folder with a collection; `wal` is the mtime of its -wal."""
        parts = folder.split("/")
        self.folders |= {"/".join(parts[:n]) or "/" for n in range(1, len(parts) + 1)}
        for name, time in (("collection.anki2", mtime), ("collection.anki2-wal", wal)):
            if time is not None:
                path = f"{folder.rstrip('/')}/{name}"
                self.files[path], self.mtimes[path] = b"SQLite format 3\0", time
        return folder

    def apply(self, steps: Sequence[Step]) -> None:
        for step in steps:
            path = getattr(step, "target", None)
            if path and self.refuse(path):
                raise PhoneRefused(f"{path}: Operation not permitted")
            super().apply([step])

    def push(self, files, on_bytes) -> None:
        files = list(files)
        if any(self.refuse(push.target) for push in files):
            raise PhoneRefused("couldn't create file: Operation not permitted")
        super().push(files, on_bytes)

    def run(self, argv: Sequence[str], *, seconds: float = 30.0) -> Completed:
        self.asked.append(list(argv))
        if self.gone:
            raise PhoneGone("the link was lost")
        answer = self.answers.get(argv[0])
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        match list(argv):
            case ["pm", "list", "packages"]:
                return said("".join(f"package:{name}\n" for name in self.packages))
            case ["pidof", package]:
                return said("4711\n") if package in self.alive else Completed(1, b"", b"")
            case ["am", "force-stop", package]:
                self.alive -= {package} - self.immortal
                return said("")
            case ["am", "start", "-n", component, *_]:
                return self.start(component.partition("/")[0])
            case ["head" | "stat", *_]:
                return self.of_file(*argv)
            case ["logcat", *_]:
                return Completed(0, b"--------- beginning of main\n" + self.log, b"")
        return Completed(127, b"", b"/system/bin/sh: inaccessible or not found\n")

    def of_file(self, command: str, _option: str, how: str, path: str) -> Completed:
        if command == "head":
            return Completed(0, self.files[path][: int(how)], b"")
        return said(f"{self.mode:o}\n")

    def start(self, package: str) -> Completed:
        if package not in self.packages:
            return Completed(
                0, b"Starting: Intent\n", b"Error type 3\nError: Activity class does not exist.\n"
            )
        self.alive.add(package)
        return said("Starting: Intent { }\n")


def said(text: str) -> Completed:
    return Completed(0, text.encode(), b"")
