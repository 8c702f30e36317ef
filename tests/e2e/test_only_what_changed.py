"""Only what changed crosses the cable: counted by the report, and byte for byte on the cable itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import edit_field, editing, grown, note_ids

from usbsync.collection.backend import opened
from usbsync.collection.verify import differences

pytestmark = pytest.mark.adbd

MB = 1_000_000


class Pair:
    """A desktop, a phone that holds the same, and a cable that counts between them."""

    def __init__(self, phone, cable, root: Path, size: int) -> None:
        self.root = root
        self.desktop, self.phone = root / "desktop" / "collection.anki2", phone.ankidroid / "collection.anki2"
        grown(self.desktop, size)
        self.phone.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.desktop, self.phone)
        self.phone.chmod(0o666)
        for side in (self.desktop, self.phone):
            (side.parent / "collection.media").mkdir(exist_ok=True)
            (side.parent / "collection.media" / "a.png").write_bytes(b"a")
        self.cable = cable(phone.port)

    def sync(self) -> tuple[dict, int]:
        """Sync by the real command; return its report, and what the cable carried, protocol and all."""
        before = self.cable.carried
        device = f"tcp:127.0.0.1:{self.cable.port}"
        words = ["sync", "--collection", str(self.desktop), "--device", device, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "usbsync", *words],
            env={**os.environ, "USBSYNC_HOME": str(self.root / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), self.cable.carried - before

    def texts(self, at: int) -> list[str]:
        """Return the second field of a note on both sides."""
        found = []
        for side in (self.desktop, self.phone):
            with editing(shutil.copyfile(side, self.root / "look.anki2")) as col:
                found.append(col.get_note(note_ids(col)[at]).fields[1])
        return found

    def differences(self) -> list:
        copies = [
            shutil.copyfile(side, self.root / f"{side.parent.name}.copy")
            for side in (self.desktop, self.phone)
        ]
        with opened(copies[0], {"other": copies[1]}) as col:
            return list(differences(col, graves=True))


def wire(report: dict) -> int:
    return report["wire"]["pulled_bytes"] + report["wire"]["pushed_bytes"]


def test_a_note_edited_on_each_side_of_100_mb_costs_3_mb_and_nothing_costs_64_kb(
    phone, cable, tmp_path
) -> None:
    pair = Pair(phone, cable, tmp_path, 100 * MB)
    assert pair.phone.stat().st_size >= 95 * MB
    first, carried = pair.sync()
    assert first["result"] == "unchanged"
    assert carried < 64 * 1024  # both are alike already: hashes alone cross
    for at, side in ((1000, pair.desktop), (40_000, pair.phone)):
        with editing(side) as col:
            edit_field(col, note_ids(col)[at], 1, f"edited in {side.parent.name}")
    merged, carried = pair.sync()
    assert merged["result"] == "merged"
    assert 0 < wire(merged) <= 3 * MB
    assert carried <= 3 * MB
    assert pair.differences() == []
    assert pair.texts(1000) == ["edited in desktop"] * 2
    assert pair.texts(40_000) == ["edited in AnkiDroid"] * 2
    nothing, carried = pair.sync()
    assert nothing["result"] == "unchanged"
    assert wire(nothing) == 0
    assert carried < 64 * 1024


STUDY_UNTIL_KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from worlds import edit_field, note_ids
from anki.collection import Collection
col = Collection(sys.argv[1])
edit_field(col, note_ids(col)[2000], 1, "only in the log")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_stands_in_the_log_crosses_with_it_and_the_main_file_does_not(phone, cable, tmp_path) -> None:
    pair = Pair(phone, cable, tmp_path, 12 * MB)
    pair.sync()
    script = STUDY_UNTIL_KILLED.format(tests=str(Path(__file__).parents[1]))
    subprocess.run([sys.executable, "-c", script, str(pair.phone)], check=False)
    wal = pair.phone.with_name("collection.anki2-wal")
    size = wal.stat().st_size
    with editing(pair.desktop) as col:
        edit_field(col, note_ids(col)[1000], 1, "at the desk")
    merged, carried = pair.sync()
    assert merged["result"] == "merged"
    assert size <= merged["wire"]["pulled_bytes"] < size + 64 * 1024
    assert carried < 3 * size + MB
    assert not wal.exists()
    assert pair.differences() == []
    assert pair.texts(2000) == ["only in the log"] * 2
