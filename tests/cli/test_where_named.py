"""An error about what was named says where it was named, and what a person can do there."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from usbsync.cli.render import render_devices
from usbsync.device.detect import How, SeenPhone
from usbsync.transport.ways import State


def run(home, *words, code, **environ):
    """Run the program; return what it said to people."""
    environ = {**os.environ, "USBSYNC_HOME": str(home), "ANDROID_ADB_SERVER_PORT": "1", **environ}
    command = [sys.executable, "-m", "usbsync", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("line", ["profile = 'Nobody'", "collection = '/nowhere/collection.anki2'"])
def test_what_config_toml_names_wrongly_is_to_be_changed_there(tmp_path, line):
    (tmp_path / "config.toml").write_text(line)
    (tmp_path / "Anki2" / "User 1").mkdir(parents=True)
    environ = {"ANKI_BASE": str(tmp_path / "Anki2")}
    make_profiles(tmp_path / "Anki2", "User 1")
    said = run(tmp_path, "sync", code=2, **environ)
    name = line.partition(" ")[0]
    assert f"hint: change {name} in {tmp_path}/config.toml" in said
    over = ["--collection", "/not/there.anki2"] if name == "collection" else ["--profile", "Somebody"]
    assert "hint: change" not in run(tmp_path, "sync", *over, code=2, **environ), "the command line said it"


def make_profiles(base, *names):
    with closing(sqlite3.connect(base / "prefs21.db")) as db:
        db.execute("create table profiles (name text primary key, data blob not null)")
        db.executemany("insert into profiles values (?, ?)", [(name, pickle.dumps({})) for name in names])
        db.commit()


def test_an_anki_base_that_is_not_there(tmp_path):
    assert "hint: unset ANKI_BASE" in run(tmp_path, "sync", code=2, ANKI_BASE="/nope")


@pytest.mark.parametrize("home", ["file", "file/below"])
def test_a_home_that_is_a_file_is_not_blamed_on_config_toml(tmp_path, home):
    (tmp_path / "file").write_text("x")
    said = run(tmp_path / home, "sync", code=2)
    assert "hint: let USBSYNC_HOME name a folder" in said
    assert "config.toml" not in said


@pytest.mark.parametrize(("command", "port"), [("devices", "abc"), ("devices", "99999"), ("doctor", "abc")])
def test_a_port_that_is_none(tmp_path, command, port):
    (tmp_path / "Anki2").mkdir()
    said = run(tmp_path, command, code=2, ANDROID_ADB_SERVER_PORT=port, ANKI_BASE=str(tmp_path / "no"))
    assert f"ANDROID_ADB_SERVER_PORT is '{port}'" in said


def test_an_empty_port_is_none_said(tmp_path):
    run(tmp_path, "devices", code=0, ANDROID_ADB_SERVER_PORT="", ANDROID_ADB_SERVER_ADDRESS="127.0.0.2")


def seen(state):
    return SeenPhone(f"adb:{state.value}", state.value, "Pixel", state, How.SERVER)


@pytest.mark.parametrize(
    ("states", "hints"),
    [
        ((), ["plug the phone in"]),
        ((State.READY, State.UNAUTHORIZED), []),
        ((State.UNAUTHORIZED,), ['tap "Allow"']),
        ((State.UNAUTHORIZED, State.UNAUTHORIZED, State.OFFLINE), ['tap "Allow"', "off and on again"]),
        ((State.CHARGING,), ["turn on USB debugging"]),
        ((State.CLAIMED,), ["adb kill-server"]),
        ((State.FORBIDDEN,), ["usbsync setup"]),
        ((State.OTHER,), ["start the phone normally"]),
    ],
)
def test_what_is_to_be_done_about_the_phones_that_are_listed(states, hints):
    lines = [
        line
        for line in str(render_devices([seen(state) for state in states])).splitlines()
        if "hint:" in line
    ]
    assert len(lines) == len(hints)
    assert all(hint in line for hint, line in zip(hints, lines, strict=True))
