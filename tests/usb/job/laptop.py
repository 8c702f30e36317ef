"""The computer in the guest: its person at the seat, their session, their collection, what they were told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from phone import wait
from work import DONE, work_on
from worlds import database_check, new_collection, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phone import Phone

NAME, UID = "laptop", 1000
STRANGER = "other"  # has an account, and no seat
HOME = Path("/home/laptop")
COLLECTION = HOME / ".local/share/Anki2/User 1/collection.anki2"
STATE = HOME / ".local/share/usbsync"
BIN = "/opt/usbsync/bin"
TOLD = Path("/tmp/notifications")
SERVICE = "usbsync.service"
INSTALLED = (Path("/etc/udev/rules.d/70-usbsync.rules"), HOME / ".config/systemd/user" / SERVICE)
ENV = {
    "HOME": str(HOME),
    "USER": NAME,
    "LANG": "C.UTF-8",
    "NO_COLOR": "1",
    "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin",
    "XDG_RUNTIME_DIR": f"/run/user/{UID}",
    "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{UID}/bus",
}
ANKI = """
import sys
from anki.collection import Collection
col = Collection(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
col.close()
"""


def slow(seconds: float) -> float:
    """Give a deadline more time on a machine without KVM."""
    return seconds * float(os.environ["SLOW"])


def run(*argv: object, seconds: float = 120, **more) -> subprocess.CompletedProcess:
    """Run a command; RuntimeError with what it said when it fails."""
    done = subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=slow(seconds),
        **more,
    )
    if done.returncode:
        words = " ".join(map(str, argv))
        raise RuntimeError(f"{words}: exit {done.returncode}: {done.stderr[-1500:]} {done.stdout[-500:]}")
    return done


def ended(running: subprocess.Popen, seconds: float = 150) -> int:
    """Wait for a command's end; returns its exit code, and prints what it said where that is a bug's."""
    said, _ = running.communicate(timeout=slow(seconds))
    if running.returncode not in {0, 6}:
        print(said, flush=True)
    return running.returncode


def as_person(*argv: object) -> list[object]:
    """Return the command that runs as the person at the seat."""
    return ["runuser", "-u", NAME, "--", *argv]


def may_write(name: str, path: Path) -> bool:
    """Say whether somebody may write to a file."""
    return subprocess.run(["runuser", "-u", name, "--", "test", "-w", path], check=False).returncode == 0


def systemctl(*words: str) -> str:
    """Ask systemd; no answer is an answer."""
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False).stdout.strip()


def install() -> float:
    """Install the wheel as its person would; returns seconds."""
    began = time.monotonic()
    wheel = next(Path("/mnt/host").glob("usbsync-*.whl"))
    run(*as_person(f"{BIN}/python", "-m", "pip", "install", "-q", "--no-index", wheel), env=ENV, cwd="/tmp")
    return time.monotonic() - began


def sit_down() -> None:
    """Log the person in at the seat's first terminal; their own systemd and bus come with it."""
    properties = ["PAMName=login", f"User={NAME}", "TTYPath=/dev/tty1", "StandardInput=tty-force",
                  "StandardOutput=journal", "UtmpIdentifier=tty1", "UtmpMode=user"]  # fmt: skip
    run(
        "systemd-run",
        "-q",
        "--unit=seat",
        *(f"--property={each}" for each in properties),
        "sleep",
        "infinity",
    )
    wait("the person's systemd", lambda: systemctl("is-active", f"user@{UID}.service") == "active", 60, 0.2)
    wait("the person's bus", Path(ENV["DBUS_SESSION_BUS_ADDRESS"].removeprefix("unix:path=")).exists, 60, 0.2)


def journal() -> str:
    """Return what the service and the kernel said last."""
    service = [
        "journalctl",
        "-b",
        "--no-pager",
        "-o",
        "short-monotonic",
        f"_SYSTEMD_USER_UNIT={SERVICE}",
        "-n",
        "40",
    ]
    kernel = ["journalctl", "-b", "--no-pager", "-k", "-n", "8", "-o", "short-monotonic"]
    return "".join(
        subprocess.run(each, capture_output=True, text=True, check=False).stdout for each in (service, kernel)
    )


class Laptop:
    """What the person at the seat has and does."""

    def begin(self) -> None:
        """Give the person a collection."""
        new_collection(COLLECTION, notes=30, reviews=5)
        self.answers = len(table(COLLECTION, "select id from revlog"))
        media = COLLECTION.with_name("collection.media")
        media.mkdir(exist_ok=True)
        for name in ("plain.png", "é à ü.png", "日本語.mp3"):
            (media / name).write_bytes(name.encode() * 5000)
        STATE.mkdir(parents=True)
        (STATE / "config.toml").write_text(f'collection = "{COLLECTION}"\n')
        self.own()

    def share_with(self, phone: Phone) -> None:
        """Let a phone begin with the same."""
        shutil.copy(COLLECTION, phone.collection)
        for file in COLLECTION.with_name("collection.media").iterdir():
            shutil.copy(file, phone.ankidroid / "collection.media")
        phone.own()

    def own(self) -> None:
        """Give the person what we made in their name."""
        run("chown", "-R", f"{NAME}:{NAME}", HOME)

    def not_owned(self) -> list[str]:
        """List what somebody else made in the person's home."""
        return [str(path) for path in HOME.rglob("*") if path.lstat().st_uid != UID]

    def run(self, *argv: object, seconds: float = 120) -> subprocess.CompletedProcess:
        """Run a command as the person."""
        return run(*as_person(*argv), env=ENV, cwd="/tmp", seconds=seconds)

    def usbsync(self, *words: str) -> subprocess.CompletedProcess:
        """Run usbsync as the person."""
        return self.run(f"{BIN}/usbsync", *words)

    def start(self, *words: str) -> subprocess.Popen:
        """Start usbsync as the person; `ended` waits for it."""
        argv = [str(word) for word in as_person(f"{BIN}/usbsync", *words)]
        return subprocess.Popen(
            argv, env=ENV, cwd="/tmp", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def looks_by_mtp(self, phone: Phone) -> bool:
        """Look at a phone by MTP, as a file manager does; says whether that came about."""
        look = ["timeout", "20", "mtp-folders"]
        argv = [str(word) for word in as_person(*look)]
        done = subprocess.run(argv, env=ENV, cwd="/tmp", capture_output=True, text=True, check=False)
        return "Android" in done.stdout and phone.mtp

    def work(self, text: str, *, reviews: int = 2) -> None:
        """Work in Anki on this computer."""
        wait("the collection is free", lambda: self._worked(text, reviews), 60, 0.3)
        self.own()

    def _worked(self, text: str, reviews: int) -> bool:
        try:
            work_on(COLLECTION, text, reviews)
        except Exception as error:
            if "already open" in str(error):
                return False  # a sync holds it closed
            raise
        return True

    # ---- the service

    def stop_service(self) -> None:
        """End the service, as somebody does who wants quiet."""
        systemctl("--user", "-M", f"{NAME}@", "stop", SERVICE)

    def serving(self) -> bool:
        """Say whether the service runs."""
        return systemctl("--user", "-M", f"{NAME}@", "is-active", SERVICE) == "active"

    def service_pid(self) -> str:
        """Say which process it is."""
        return systemctl("--user", "-M", f"{NAME}@", "show", "-p", "MainPID", "--value", SERVICE)

    def service_uid(self) -> int:
        """Say as whom it runs."""
        return Path("/proc", self.service_pid()).stat().st_uid

    def when_synced(self, phone: Phone) -> Callable[[], bool]:
        """Return what says whether a sync that began after now was remembered: the last thing that a sync does."""
        before = self._ancestors()

        def synced() -> bool:
            return self._ancestors() != before and not phone.leftovers() and not self._journals()

        return synced

    def _ancestors(self) -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in STATE.rglob("ancestor.json")}

    def interrupted(self) -> bool:
        """Say whether a sync was cut off after its commit."""
        return bool(self._journals())

    def even_with(self, *phones: Phone) -> bool:
        """Say whether everyone holds every note by now, and no sync goes on; a quick look, for waiting."""
        if self._journals() or any(phone.leftovers() for phone in phones):
            return False
        held = [self._texts(path) for path in (COLLECTION, *(phone.collection for phone in phones))]
        return all(each >= DONE.keys() for each in held)

    def _texts(self, collection: Path) -> set[str]:
        copy = Path("/tmp/look.anki2")
        shutil.copyfile(collection, copy)
        return {row[0].split(" <")[0] for row in table(copy, "select flds from notes")}

    def _journals(self) -> list[Path]:
        return list(STATE.rglob("journal.json"))

    # ---- what they are told

    def listen(self) -> None:
        """Start their desktop's notification service."""
        words = as_person(f"{BIN}/python", "/mnt/host/notifier.py", TOLD)
        subprocess.Popen([str(word) for word in words], env=ENV, cwd="/tmp", start_new_session=True)
        wait("the notification service", TOLD.exists, 60, 0.2)

    def told(self) -> list[dict]:
        """Return what the person was told so far."""
        return [json.loads(line) for line in TOLD.read_text().splitlines()]

    # ---- Anki, and a mounted phone

    @contextmanager
    def anki(self) -> Iterator[Callable[[], None]]:
        """Open the collection as Anki does, in a process of its own; gives what closes it."""
        words = [str(word) for word in as_person(f"{BIN}/python", "-c", ANKI, COLLECTION)]
        process = subprocess.Popen(
            words, env=ENV, cwd="/tmp", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def close() -> None:
            if process.poll() is None:
                process.communicate("\n", timeout=slow(20))

        try:
            assert process.stdout.readline() == "open\n"
            yield close
        finally:
            close()

    @contextmanager
    def mounted(self, phone: Phone) -> Iterator[Path]:
        """Mount a phone by jmtpfs; gives AnkiDroid's folder in it."""
        point = Path(
            "/tmp/mounted-phone"
        )  # root may not look into it: not below the home that is looked through
        point.mkdir(exist_ok=True)
        os.chown(point, UID, UID)
        self.run("jmtpfs", point)
        try:
            folder = Path(self.run("sh", "-c", f"ls -d {point}/*").stdout.strip()) / phone.ankidroid.name
            yield folder
        finally:
            self.run("fusermount3", "-u", "-z", point)  # lazily: an unplugged phone's mount is dead

    def differing(self, phone: Phone) -> list[str]:
        """Say where the two replicas differ; nothing, when they are in step and whole."""
        from usbsync.collection.backend import opened  # noqa: PLC0415  # there once install() was called
        from usbsync.collection.verify import differences  # noqa: PLC0415

        scratch = Path("/tmp/compare")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        found = []
        for side, source in (("desktop", COLLECTION), ("phone", phone.collection)):
            if source.with_name(f"{source.name}-wal").exists():
                found.append(f"the {side} has a -wal")
            shutil.copyfile(source, scratch / f"{side}.anki2")
            found += database_check(scratch / f"{side}.anki2")
        with opened(scratch / "desktop.anki2", {"other": scratch / "phone.anki2"}) as col:
            found += [str(each) for each in differences(col, graves=True)]
        mine = {file.name: file.read_bytes() for file in COLLECTION.with_name("collection.media").iterdir()}
        if mine != phone.media():
            found.append(f"media: {sorted(set(mine) ^ set(phone.media())) or 'contents'}")
        return found + self._lost(scratch / "desktop.anki2", mine)

    def _lost(self, collection: Path, media: dict[str, bytes]) -> list[str]:
        """Say what of all that was worked so far is not there: both might have lost the same."""
        fields = [row[0] for row in table(collection, "select flds from notes")]
        lost = [text for text in DONE if not any(each.startswith(f"{text} <") for each in fields)]
        lost += [f"{text}.png" for text in DONE if media.get(f"{text}.png") != text.encode() * 3000]
        answers, wanted = len(table(collection, "select id from revlog")), self.answers + sum(DONE.values())
        return [f"lost: {lost}"] * bool(lost) + [f"{answers} answers, not {wanted}"] * (answers != wanted)
