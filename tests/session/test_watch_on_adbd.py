"""The program `usbsync watch`, a real phone, and nobody to help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from worlds import add_note, editing, new_collection, note_ids

from usbsync.session.consent import answer
from usbsync.session.options import Options
from usbsync.state.consent import Answer

pytestmark = pytest.mark.adbd

PATIENCE = 40


@contextmanager
def watching(home, log):
    environ = {**os.environ, "USBSYNC_HOME": str(home), "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": ""}
    with log.open("w") as out:
        program = subprocess.Popen(
            [sys.executable, "-m", "usbsync", "watch"], env=environ, stderr=out, stdout=out
        )
    try:
        yield program
    finally:
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0
        assert "Traceback" not in log.read_text()


def until(true, log):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_a_phone_that_an_adb_server_finds_is_synced_and_again_when_anki_closes(phone, adb_server, tmp_path):
    desktop, log, home = tmp_path / "desktop" / "collection.anki2", tmp_path / "log", tmp_path / "home"
    new_collection(desktop)
    on_phone = phone.ankidroid / "collection.anki2"
    on_phone.parent.mkdir(parents=True, exist_ok=True)
    with editing(on_phone):
        pass
    answer(Options(collection=desktop, environ={"USBSYNC_HOME": str(home)}), adb_server.serial, Answer.YES)
    with watching(home, log):
        until(lambda: "uploaded" in log.read_text(), log)
        with editing(desktop) as col:
            add_note(col, "Basic", ["while it is plugged in", "x"], 1)
        until(lambda: "merged" in log.read_text(), log)
        with editing(on_phone) as col:
            assert len(note_ids(col)) == 21
            add_note(col, "Basic", ["on the phone", "x"], 1)
        adb_server.run("disconnect", adb_server.serial)  # and back, sooner than anybody looks
        adb_server.run("connect", adb_server.serial)
        until(lambda: log.read_text().count("merged") == 2, log)
    with editing(desktop) as col:
        assert len(note_ids(col)) == 22


def test_a_second_watch_says_who_watches_and_ends(tmp_path):
    home, log = tmp_path / "home", tmp_path / "log"
    with watching(home, log) as first:
        until((home / "locks" / "watch.json").exists, log)
        environ = {**os.environ, "USBSYNC_HOME": str(home), "HOME": str(home)}
        command = [sys.executable, "-m", "usbsync", "watch"]
        second = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 5
        assert f"process {first.pid}" in second.stderr
        assert "systemctl --user stop usbsync" in second.stderr
