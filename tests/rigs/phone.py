"""A phone for tests: a real adbd with Android's own shell and toybox, in namespaces of its own.

It needs Debian (amd64) with gcc, and root or user namespaces. Built once per version of `adbd/` into the
git-ignored `.cache/adbd`. Fixtures: `phone` (fresh for each test, may be killed), `shared_phone` (one for a module),
`adb_server` and `shared_adb_server` (an adb server of their own, with that phone connected), `cable` (cuts links).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "adbd"
CACHE = Path(os.environ.get("USBSYNC_RIG_CACHE", Path(__file__).parents[2] / ".cache" / "adbd"))
ANKIDROID = "Android/data/com.ichi2.anki/files/AnkiDroid"
NEEDED = ("apt-get", "dpkg-deb", "dpkg", "gcc", "unshare", "nsenter", "chroot", "tar", "bash")


class Unavailable(Exception):  # it is a state of this machine, not an error of the rig's
    """This machine cannot run the rig, and why."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What was built."""

    rootfs: Path
    adb: Path


@dataclass(frozen=True, slots=True)
class TestPhone:
    """A running phone; `data` is its /sdcard, `state` its /data/phone (see adbd/stubs/am and pm)."""

    __test__ = False

    run: Path
    port: int
    pid: int

    @property
    def data(self) -> Path:
        return self.run / "sdcard"

    @property
    def state(self) -> Path:
        return self.run / "state"

    @property
    def ankidroid(self) -> Path:
        """The folder of com.ichi2.anki's collection, seen from here."""
        return self.data / ANKIDROID

    def shell(self, command: str) -> str:
        """Run a command as Android's shell user, by no transport of ours."""
        ids = (
            ["--setuid", "2000", "--setgid", "2000"]
            if os.geteuid() == 0
            else ["--user", "--preserve-credentials"]
        )
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--root", *ids]
        env = {"PATH": "/system/bin:/usr/bin:/bin", "HOME": "/", "TERM": "dumb"}
        enter[0] = shutil.which("nsenter") or "nsenter"
        done = subprocess.run(
            [*enter, "/system/bin/sh", "-c", command], env=env, capture_output=True, check=False, timeout=20
        )
        return done.stdout.decode()

    def install(self, *lines: str) -> None:
        """Say what is installed: "PACKAGE [VERSIONNAME [VERSIONCODE [PERMISSION...]]]" each."""
        (self.state / "packages").write_text("".join(f"{line}\n" for line in lines))

    def start_app(self, package: str = "com.ichi2.anki") -> None:
        """Start the package's process, as a tap on its icon would."""
        self.shell(f"am start -n {package}/com.ichi2.anki.IntentHandler")

    def restless(self, package: str = "com.ichi2.anki") -> None:
        """Let the package come back whenever it is stopped."""
        (self.state / "restless").write_text(f"{package}\n")

    def running(self, package: str = "com.ichi2.anki") -> bool:
        """Tell whether the package has a process."""
        return bool(self.shell(f"pidof {package}").strip())

    def am_log(self) -> list[str]:
        """Every call of `am` so far."""
        return (self.state / "am.log").read_text().splitlines()

    def freeze(self) -> None:
        """Stop adbd where it is (a phone asleep); `thaw` goes on."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End every process of the phone at once; safe to call twice."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def answer_dialog(self, word: bytes, *, always: bool = False) -> threading.Thread:
        """Play the person at "Allow USB debugging?": answer the next question with b"OK" or b"NO"."""
        dialog = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = os.open(self.run, os.O_PATH)
        dialog.connect(f"/proc/self/fd/{here}/adbd.sock")
        os.close(here)
        thread = threading.Thread(target=self._answer, args=(dialog, word, always), daemon=True)
        thread.start()
        return thread

    def _answer(self, dialog: socket.socket, word: bytes, always: bool) -> None:  # noqa: FBT001
        with dialog:
            while asked := dialog.recv(8192):
                if asked[:2] == b"PK":
                    if always:
                        with (self.run / "adb_keys").open("ab") as keys:
                            keys.write(asked[2:].rstrip(b"\0") + b"\n")
                    dialog.send(word)


@dataclass(frozen=True, slots=True)
class TestServer:
    """An adb server of our own, and the serial under which it knows the phone."""

    __test__ = False

    port: int
    serial: str
    adb: Path
    home: Path

    def run(self, *argv: str) -> str:
        """Run the adb client against this server."""
        return run_adb(self.adb, self.home, self.port, *argv)


def run_adb(adb: Path, home: Path, port: int, *argv: str) -> str:
    env = {"HOME": str(home), "PATH": os.environ["PATH"]}
    command = [adb, "-P", str(port), *argv]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60).stdout


def digest() -> str:
    names = sorted(path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    parts = b"".join(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes() for path in names)
    return hashlib.sha256(parts).hexdigest()[:12]


def build(home: Path) -> None:
    """Build; the file `ready`, made last, says that it is whole."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise Unavailable(f"not here: {', '.join(missing)}")
    command = ["bash", HERE / "build-rootfs.sh", home / "rootfs", CACHE / "debs"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    except subprocess.TimeoutExpired:
        raise Unavailable("building the phone's file system took more than 240 s") from None
    if done.returncode:
        raise Unavailable(f"building the phone's file system: {done.stderr.strip()[-300:]}")
    (home / "ready").touch()


@cache
def rig() -> Rig:
    """Build the rig, or find it built; one process at a time."""
    home = CACHE / digest()
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):
        if not (home / "ready").exists():
            build(home)
    return Rig(home / "rootfs", home / "bin" / "adb")


def start(built: Rig, run: Path, *options: str) -> TestPhone:
    """Start a phone; it answers when this returns (0.15 s)."""
    command = [sys.executable, HERE / "launch.py", built.rootfs, run, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise Unavailable(done.stderr.strip()[-300:])
    return TestPhone(run, int((run / "port").read_text()), int((run / "pid").read_text()))


def start_server(built: Rig, home: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start an adb server on a port that no one scans, and wait until it listens."""
    home.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ready_read, ready_write = os.pipe()
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "ADB_MDNS_AUTO_CONNECT": "0"}
    command = [built.adb, "-P", str(port), "server", "nodaemon", "--reply-fd", str(ready_write)]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[ready_write]
        )
    os.close(ready_write)
    with os.fdopen(ready_read, "rb") as ready:
        said = ready.read(3)  # "OK\n", or nothing when it ended
    if said[:2] != b"OK":
        server.kill()
        server.wait()
        raise RuntimeError(f"adb server did not start: {(home / 'server.log').read_text(errors='replace')}")
    return server, port


@contextlib.contextmanager
def serving(built: Rig, home: Path, phone: TestPhone) -> Iterator[TestServer]:
    """Run an adb server with the phone connected; ANDROID_ADB_SERVER_PORT points at it meanwhile."""
    server, port = start_server(built, home)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
            found = TestServer(port, f"127.0.0.1:{phone.port}", built.adb, home)
            found.run("connect", found.serial)
            found.run("-s", found.serial, "wait-for-device")
            yield found
    finally:
        server.kill()
        server.wait()


def absent(why: Unavailable) -> None:
    """Skip, and be named in the run's last lines; where the rig is demanded, fail."""
    if os.environ.get("USBSYNC_REQUIRE_ADBD") == "1":
        pytest.fail(f"the adbd rig is demanded by USBSYNC_REQUIRE_ADBD: {why}", pytrace=False)
    pytest.skip(f"the adbd rig cannot run here: {why}")


@pytest.fixture(scope="session")
def adbd(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """The built rig, proven to start."""
    try:
        built = rig()
        start(built, tmp_path_factory.mktemp("probe") / "phone").kill()
    except Unavailable as why:
        absent(why)
    return built


@pytest.fixture
def phone(adbd: Rig, tmp_path: Path) -> Iterator[TestPhone]:
    """A phone for one test."""
    started = start(adbd, tmp_path / "phone")
    yield started
    started.kill()


@pytest.fixture(scope="module")
def shared_phone(adbd: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPhone]:
    """A phone for a module's tests; each keeps to a folder of its own, none kills it."""
    started = start(adbd, tmp_path_factory.mktemp("shared") / "phone")
    yield started
    started.kill()


@pytest.fixture
def strict_phone(adbd: Rig, tmp_path: Path) -> Iterator[TestPhone]:
    """A phone that asks before it lets a computer in."""
    started = start(adbd, tmp_path / "strict-phone", "--auth")
    yield started
    started.kill()


@pytest.fixture
def adb_server(adbd: Rig, phone: TestPhone, tmp_path: Path) -> Iterator[TestServer]:
    """An adb server with `phone`."""
    with serving(adbd, tmp_path / "adb", phone) as server:
        yield server


@pytest.fixture(scope="module")
def shared_adb_server(
    adbd: Rig, shared_phone: TestPhone, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestServer]:
    """An adb server with `shared_phone`."""
    with serving(adbd, tmp_path_factory.mktemp("adb"), shared_phone) as server:
        yield server
