"""How fast files cross, beside the real adb client on the same phone, in one run: part of `make bench`.

5,000 files of 5 to 60 KB and one of 200 MB, each way; over the direct link and through the adb server; and over a cable
with the pace of USB 2. Prints a Markdown table (README shows one): medians, and how many times as fast as adb.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rigs.phone import TestPhone, TestServer, Unavailable, rig, serving, start
from rigs.shaped import shaped
from tables import show

from usbsync.transport.base import Pull, Push
from usbsync.transport.ways import Phone, open_server, open_tcp

ROUNDS = int(os.environ.get("USBSYNC_BENCH_ROUNDS", "5"))
FILES = 5_000
BIG = 200_000_000  # bytes
HOME = "/sdcard/bench"
Job = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """One phone, the files on this side (`here`), and where pulled ones go."""

    phone: TestPhone
    here: Path
    server: TestServer

    @property
    def there(self) -> Path:
        return self.phone.data / "bench"

    @property
    def pulled(self) -> Path:
        return self.here.parent / "pulled"

    def source(self, what: str) -> list[Path]:
        return sorted((self.here / what).iterdir())


def make_files(folder: Path) -> None:
    """Fill `small` and `big` with bytes that do not compress, as media does not."""
    rng = random.Random(1)
    for what in ("small", "big"):
        (folder / what).mkdir()
    for number in range(FILES):
        (folder / "small" / f"{number:05d}.mp3").write_bytes(rng.randbytes(rng.randint(5_000, 60_000)))
    (folder / "big" / "big.mp4").write_bytes(rng.randbytes(BIG))


def lay_out(bench: Bench) -> None:
    """Put the files on the phone, by no transport of ours; what is pushed goes elsewhere."""
    shutil.copytree(bench.here, bench.there)
    (bench.there / "new").mkdir()
    for path in (bench.there, *bench.there.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


# --- what is timed


def seconds(job: Job) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def check(folder: Path, sources: list[Path]) -> None:
    """What arrived is what was there: nothing is fast that is wrong."""
    for path in sources:
        if (folder / path.name).read_bytes() != path.read_bytes():
            raise SystemExit(f"{path.name} did not arrive whole")


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """Give an empty folder, and empty it afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o777)


def time_pull(bench: Bench, what: str, pull: Job) -> float:
    with fresh(bench.pulled):
        took = seconds(pull)
        check(bench.pulled, bench.source(what))
        return took


def time_push(bench: Bench, what: str, push: Job) -> float:
    with fresh(bench.there / "new") as into:
        took = seconds(push)
        check(into, bench.source(what))
        return took


def ours(bench: Bench, phone: Phone, way: str, what: str) -> float:
    """Move by our transport, as a sync does: durable here, readable by the app there."""
    sources = bench.source(what)
    if way == "pull":
        pulls = [Pull(f"{HOME}/{what}/{path.name}", bench.pulled / path.name) for path in sources]
        return time_pull(bench, what, lambda: phone.pull(pulls, lambda _count: None))
    pushes = [Push(path, f"{HOME}/new/{path.name}", 1_700_000_000) for path in sources]
    return time_push(bench, what, lambda: phone.push(pushes, lambda _count: None))


def adb(bench: Bench, server: TestServer, way: str, what: str, *options: str) -> float:
    """Move by the adb client, the whole folder at once."""

    def call(*argv: str) -> None:
        env = {"HOME": str(server.home), "PATH": os.environ["PATH"]}
        command = [server.adb, "-P", str(server.port), "-s", server.serial, way, *options, *argv]
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    if way == "pull":
        return time_pull(bench, what, lambda: call(f"{HOME}/{what}/.", str(bench.pulled)))
    return time_push(bench, what, lambda: call(f"{bench.here}/{what}/.", f"{HOME}/new"))


# --- the runs


CASES = [("5,000 files of 5-60 KB", "small"), ("one file of 200 MB", "big")]


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def rounds(cases: dict[str, Callable[[], float]], times: int = ROUNDS) -> dict[str, float]:
    """Time each in turn, again and again, so that a busy moment hits all; return the medians."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(times):
        for name, case in cases.items():
            taken[name].append(case())
    for name, each in taken.items():
        say(f"  {name}: {' '.join(f'{one:.2f}' for one in each)}")
    return {name: statistics.median(each) for name, each in taken.items()}


def beside_adb(bench: Bench) -> Iterator[str]:
    """Compare with adb on the bare link; yield the table's rows."""
    direct, served = open_tcp("127.0.0.1", bench.phone.port), open_server(bench.server.serial)
    for label, what in CASES:
        size = sum(path.stat().st_size for path in bench.source(what))
        for way in ("pull", "push"):
            say(f"{label}, {way}")
            cases = {
                "direct": lambda way=way, what=what: ours(bench, direct, way, what),
                "server": lambda way=way, what=what: ours(bench, served, way, what),
                "adb": lambda way=way, what=what: adb(bench, bench.server, way, what),
            }
            if (what, way) != ("small", "pull"):  # which takes 20 s, and no longer or shorter uncompressed
                cases["adb -Z"] = lambda way=way, what=what: adb(bench, bench.server, way, what, "-Z")
            found = rounds(cases)
            best = min(found["adb"], found.get("adb -Z", found["adb"]))
            cells = [f"{found[each]:.2f} s ({best / found[each]:.1f} x)" for each in ("direct", "server")]
            yield f"| {way} {label} ({size / 1e6:.0f} MB) | {best:.2f} s | {' | '.join(cells)} |"
    direct.close()
    served.close()


def over_usb_2(bench: Bench) -> Iterator[str]:
    """Move over a cable of 35 MB/s and 0.5 ms; yield rows with the share of what the cable carries just then."""
    with shaped(bench.phone.port) as port:
        bench.server.run("connect", f"127.0.0.1:{port}")
        bench.server.run("-s", f"127.0.0.1:{port}", "wait-for-device")
        for label, what in CASES:
            for way in ("pull", "push"):
                yield usb_2_row(bench, port, label, what, way)


def usb_2_row(bench: Bench, port: int, label: str, what: str, way: str) -> str:
    say(f"{label}, {way}, USB 2")
    size = sum(path.stat().st_size for path in bench.source(what))
    cases: dict[str, Callable[[], float]] = {"cable": lambda: size / capacity()}
    with shaped(bench.phone.port) as own:
        direct, served = open_tcp("127.0.0.1", own), open_server(f"127.0.0.1:{port}")
        over = TestServer(bench.server.port, f"127.0.0.1:{port}", bench.server.adb, bench.server.home)
        cases["direct"] = lambda: ours(bench, direct, way, what)
        cases["server"] = lambda: ours(bench, served, way, what)
        if (what, way) != ("small", "pull"):  # 47 s
            cases["adb"] = lambda: adb(bench, over, way, what, "-Z")
        found = rounds(cases, (ROUNDS + 1) // 2)
        direct.close()
        served.close()
    carried = f"{size / found['cable'] / 1e6:.0f} MB/s"
    shares = [
        f"{found['cable'] / found[each]:.0%}" if each in found else "-"
        for each in ("adb", "direct", "server")
    ]
    return f"| {way} {label} | {carried} | {' | '.join(shares)} |"


def capacity(size: int = 50_000_000) -> float:
    """Return the bytes a second that the shaped cable itself carries from end to end."""
    with (
        socket.create_server(("127.0.0.1", 0)) as sink,
        shaped(sink.getsockname()[1]) as port,
        socket.create_connection(("127.0.0.1", port)) as source,
    ):
        far, _ = sink.accept()
        began = time.perf_counter()
        threading.Thread(target=source.sendall, args=(bytes(size),), daemon=True).start()
        with far:
            left = size
            while left:
                left -= len(far.recv(1 << 20))
        return size / (time.perf_counter() - began)


def peak_memory(bench: Bench) -> Iterator[str]:
    """Move the large file in a process that has done nothing else; yield its peak memory each way."""
    for way in ("pull", "push"):
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            command = [sys.executable, __file__, "memory", way, str(bench.phone.port), str(bench.here)]
            os.dup2(write, 1)
            os.execv(sys.executable, command)  # a fork would count what this process holds
        os.close(write)
        with os.fdopen(read) as said:
            peak = said.read().strip()
        if os.waitpid(child, 0)[1]:
            raise SystemExit("the run that measures memory failed")
        yield f"{peak} MB ({way})"


def move_one(way: str, port: str, here: str) -> None:
    """Be that process."""
    phone, name = open_tcp("127.0.0.1", int(port)), "big.mp4"
    if way == "pull":
        phone.pull([Pull(f"{HOME}/big/{name}", Path(here).parent / name)], lambda _count: None)
    else:
        phone.push([Push(Path(here, "big", name), f"{HOME}/new/{name}", 1)], lambda _count: None)
    phone.close()
    # getrusage's maximum would be that of the process that forked this one, where that was larger
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    sys.stdout.write(f"{int(status['VmHWM'].split()[0]) / 1024:.0f}\n")


def run(folder: Path) -> None:
    built = rig()
    phone = start(built, folder / "phone")
    try:
        (folder / "files").mkdir()
        make_files(folder / "files")
        with serving(built, folder / "adb", phone) as server:
            bench = Bench(phone, folder / "files", server)
            lay_out(bench)
            show("the wire", report(bench))
    finally:
        phone.kill()


def report(bench: Bench) -> Iterator[str]:
    """Measure all, and yield the lines of README."""
    version = bench.server.run("version").split("Version ")[-1].split()[0]
    yield f"| against a real adbd on this machine | adb {version} | usbsync, direct | usbsync, adb server |"
    yield "|---|---|---|---|"
    yield from beside_adb(bench)
    yield ""
    yield "| over a cable with the pace of USB 2 | it carries | adb | usbsync, direct | usbsync, adb server |"
    yield "|---|---|---|---|---|"
    yield from over_usb_2(bench)
    yield ""
    peaks = peak_memory(bench)
    yield f"Peak memory while one file of 200 MB crosses: {', '.join(peaks)}."


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        move_one(*sys.argv[2:])
        sys.exit()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        try:
            run(Path(scratch))
        except Unavailable as why:
            sys.exit(f"NOT RUN: the adbd rig cannot run here: {why}")
