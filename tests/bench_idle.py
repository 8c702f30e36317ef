"""What `usbsync watch` costs while nothing happens: `make bench`.

An adb server runs, the phone that may be synced by itself is not plugged in, Anki's profile is there. A minute is
measured, or USBSYNC_IDLE seconds; ten of them must cost less than a second of CPU. Once before that with the phone plugged in and in
step.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rigs.phone import TestServer, rig, run_adb, serving, start
from worlds import editing, new_collection

from usbsync.session.consent import answer
from usbsync.session.options import Options
from usbsync.state.consent import Answer

SECONDS = float(os.environ.get("USBSYNC_IDLE", "60"))
STARTED = 8.0  # seconds after which nothing of the start is left to do
TEN_MINUTES = 600
MOST = 1.0
SYNCED = {"uploaded", "unchanged"}


def spent(pid: int) -> float:
    """Return a process's user and system seconds so far (proc(5): stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watching(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the watch."""
    environ = {
        **os.environ,
        "USBSYNC_HOME": str(folder / "home"),
        "ANKI_BASE": str(folder),
        "HOME": str(folder),
    }
    environ["DBUS_SESSION_BUS_ADDRESS"] = ""
    with (folder / "log").open("w") as log:
        program = subprocess.Popen([sys.executable, "-m", "usbsync", "watch"], env=environ, stderr=log)
    try:
        yield program
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(30)


def measure(folder: Path, server: TestServer, *, plugged: bool) -> float:
    """Return what ten minutes cost, in seconds of CPU."""
    if not plugged:
        run_adb(server.adb, server.home, server.port, "disconnect", server.serial)
    with watching(folder) as program:
        time.sleep(STARTED)
        while plugged and not SYNCED & set((folder / "log").read_text().split()):
            time.sleep(STARTED)
        before = spent(program.pid)
        time.sleep(SECONDS)
        idle = spent(program.pid) - before
        if program.poll() is not None:
            raise RuntimeError((folder / "log").read_text())
    cost = idle * TEN_MINUTES / SECONDS
    where = "plugged in, in step" if plugged else "not plugged in"
    sys.stdout.write(
        f"watch, idle, phone {where}: {idle:.2f} s of CPU in {SECONDS:.0f} s (before that {before:.2f} s), "
        f"{cost:.2f} s in ten minutes; at most {MOST:.0f} wanted\n"
    )
    sys.stdout.flush()
    return cost


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="usbsync-idle-") as name:
        folder = Path(name)
        built = rig()
        phone = start(built, folder / "phone")
        try:
            with serving(built, folder / "adb", phone) as server:
                desktop = new_collection(folder / "User 1" / "collection.anki2")
                with editing(phone.ankidroid / "collection.anki2"):
                    pass
                options = Options(collection=desktop, environ={"USBSYNC_HOME": str(folder / "home")})
                answer(options, server.serial, Answer.YES)
                costs = [measure(folder, server, plugged=plugged) for plugged in (True, False)]
        finally:
            phone.kill()
    sys.exit(max(costs) > MOST)


if __name__ == "__main__":
    main()
