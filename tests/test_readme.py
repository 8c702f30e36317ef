"""README is true: its commands are run, in order, and print what it says."""

from __future__ import annotations

import os
import pickle
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from worlds import editing

from usbsync.collection import sample

README = Path(__file__).parents[1] / "README.md"


class Block(NamedTuple):
    """One console block: what is done before it, its command, and what README says it prints."""

    comment: str
    command: str
    output: str


def blocks(text: str) -> Iterator[Block]:
    for comment, body in re.findall(r"(?:<!-- (.*?) -->\n)?```console\n(.*?)```", text, re.DOTALL):
        if not comment.startswith("not run"):
            command, _, output = body.partition("\n")
            yield Block(comment, command.removeprefix("$ "), output)


def masked(text: str) -> str:
    """Leave out what differs from run to run and from computer to computer: moments, sizes, durations, places, versions."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d[:-]\d\d([:-]\d\dZ(-\d+)?)?", "WHEN", text)
    text = re.sub(r"[\d,]+(\.\d)? (B|kB|MB|MiB)\b", "SIZE", text)
    text = re.sub(r"(?<= )/\S+", "PLACE", text)
    text = re.sub(r"\b\d+(\.\d+)+\b", "VERSION", text)
    text = re.sub(r"\d+\.\d s\b", "SECONDS", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class World:
    """A computer with Anki's folder and a phone in a folder, both known by configuration."""

    def __init__(self, root: Path) -> None:
        self.desktop = root / "Anki2" / "User 1" / "collection.anki2"
        self.phone = root / "phone" / "collection.anki2"
        home = root / "state"
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(f"device = 'folder:{self.phone.parent}'\n")
        self.environ = {
            **os.environ,
            "ANKI_BASE": str(root / "Anki2"),
            "USBSYNC_HOME": str(home),
            "COLUMNS": "200",
            "ANDROID_ADB_SERVER_PORT": "1",  # no server of the developer's
        }

    def new_phone(self) -> None:
        sample.make_past(self.desktop)
        self.phone.parent.mkdir()
        sample.make_new(self.phone)
        with closing(sqlite3.connect(self.desktop.parents[1] / "prefs21.db")) as db:
            db.execute("create table profiles (name text primary key, data blob not null)")
            rows = (("_global", {"last_loaded_profile_name": "User 1"}), ("User 1", {}))
            db.executemany(
                "insert into profiles values (?, ?)", [(name, pickle.dumps(data)) for name, data in rows]
            )
            db.commit()

    def work(self) -> None:
        sample.work_at_the_desk(self.desktop)
        sample.work_on_the_train(self.phone)

    def export(self) -> None:
        self.run("usbsync sync")
        sample.a_little_more(self.desktop, "el gato", "the cat", "el perro")
        sample.a_little_more(self.phone, "el vino", "the wine", "la mesa", "la lluvia")
        sample.export_collection(self.phone, self.phone.parents[1] / "phone.colpkg")

    def lose(self) -> None:
        with editing(self.desktop) as col:
            col.remove_notes(col.find_notes('front:"el gato"'))

    def run(self, command: str) -> str:
        program, *words = command.split()
        assert program == "usbsync"
        done = subprocess.run(
            [sys.executable, "-m", "usbsync", *words],
            env=self.environ,
            cwd=self.phone.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_readme_says_what_the_commands_print(tmp_path: Path) -> None:
    world = World(tmp_path)
    before: dict[str, Callable[[], None]] = {
        "": lambda: None,
        "then: a desktop with work on it and a phone that is new": world.new_phone,
        "then: work on both sides": world.work,
        "then: the phone exports": world.export,
        "then: a note is lost": world.lose,
    }
    found = list(blocks(README.read_text()))
    assert len(found) > 5
    for block in found:
        before[block.comment]()
        assert masked(world.run(block.command)) == masked(block.output), block.command


def test_readme_names_every_command_and_option() -> None:
    text = README.read_text()
    help_ = subprocess.run(
        [sys.executable, "-m", "usbsync", "--help"], capture_output=True, text=True, check=True
    )
    for command in re.findall(r"^│ (\w+) ", help_.stdout, re.MULTILINE):
        assert command in text
    options = subprocess.run(
        [sys.executable, "-m", "usbsync", "sync", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "300", "TERM": "dumb"},
    )
    for option in set(re.findall(r"--[a-z][a-z-]+", options.stdout)) - {"--media", "--help"}:
        assert option in text, option
