"""How long a sync takes that finds little or nothing: `make bench`.

20,000 media files and a collection of 100 MB on both sides, over a real adbd on loopback, by the real command.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from rigs.phone import TestPhone, rig, start
from tables import show
from worlds import grown

MEDIA, SIZE, RUNS, EDITS = 20_000, 100_000_000, 5, 5
FIRST = 1_600_000_000


def fill_media(folder: Path, count: int) -> None:
    """Make small files, as old as a deck that was shared years ago."""
    folder.mkdir(exist_ok=True)
    for at in range(count):
        file = folder / f"paste-{at * 2654435761 % 2**32:08x}.jpg"
        file.write_bytes(b"%d" % at * 20)
        os.utime(file, (FIRST + at, FIRST + at))


def run(home: Path, desktop: Path, phone: TestPhone) -> tuple[float, dict]:
    """Run `usbsync sync` in a process of its own; return its seconds and report."""
    words = [
        "sync",
        "--collection",
        str(desktop),
        "--device",
        f"tcp:127.0.0.1:{phone.port}",
        "--json",
        "--quiet",
    ]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "usbsync", *words],
        env=as_installed(home),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, json.loads(done.stdout)


def as_installed(home: Path) -> dict[str, str]:
    """Return an environment in which Python keeps what it compiled, as it does where usbsync is installed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "USBSYNC_HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "compiled")}


def row(what: str, seconds: float, report: dict) -> str:
    """Return one line of the table."""
    pulled, pushed = (report["wire"][way] / 1e6 for way in ("pulled_bytes", "pushed_bytes"))
    return f"| {what} | {seconds:.2f} s | {pulled:.2f} MB | {pushed:.2f} MB |"


def measure(folder: Path, phone: TestPhone) -> Iterator[str]:
    """First sync, nothing changed, one note edited on each side; yield README's table."""
    desktop, on_phone = folder / "desktop" / "collection.anki2", phone.ankidroid / "collection.anki2"
    grown(desktop, SIZE)
    on_phone.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(desktop, on_phone)
    on_phone.chmod(0o666)
    for path in (desktop, on_phone):
        fill_media(path.parent / "collection.media", MEDIA)
    yield f"| `usbsync sync`, {SIZE / 1e6:.0f} MB of collection, {MEDIA:,} media files | takes | from the phone | to it |"
    yield "|---|---|---|---|"
    yield row("the first, both alike", *run(folder, desktop, phone))
    runs = [run(folder, desktop, phone) for _ in range(RUNS + 1)][1:]
    median = statistics.median(seconds for seconds, _ in runs)
    yield row("nothing changed", median, runs[-1][1])
    taken = []
    for at in range(EDITS):
        for each, path in enumerate((desktop, on_phone), start=1):
            edit(path, 2 * at + each)
        taken.append(run(folder, desktop, phone))
    yield row("one note edited on each side", *sorted(taken, key=itemgetter(0))[EDITS // 2])


def edit(path: Path, at: int) -> None:
    """Edit a note as Anki does, in a process of its own."""
    script = (
        "import sys; from anki.collection import Collection; c = Collection(sys.argv[1]);"
        "n = c.get_note(c.find_notes('')[int(sys.argv[2])]); n.fields[1] += ' edited'; c.update_note(n); c.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(path), str(at * 1000)], check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        running = start(rig(), Path(scratch) / "phone")
        try:
            show("what a sync takes", measure(Path(scratch), running))
        finally:
            running.kill()
