"""The program as a person or another program meets it: exit codes, errors, JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from worlds import add_note, clone, edit_field, editing, new_collection, note_ids, wait_a_second

PROGRAM = [sys.executable, "-m", "usbsync"]


class World:
    def __init__(self, root: Path) -> None:
        self.desktop, self.phone = (root / side / "collection.anki2" for side in ("desktop", "phone"))
        self.home = root / "home"
        new_collection(self.desktop, notes=6, reviews=3)
        clone(self.desktop, self.phone)
        self.words = ["--collection", str(self.desktop), "--device", f"folder:{self.phone.parent}"]

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PROGRAM, *words], env=self.environ, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "USBSYNC_HOME": str(self.home), "ANDROID_ADB_SERVER_PORT": "1"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ["sync", "--bogus"],
        ["sync", "--prefer", "me"],
        ["sync", "--merge", "coarse"],
        ["undo", "nope"],
        ["nonsense"],
        ["sync", "--device", "x:y"],
    ],
)
def test_usage_errors_are_exit_2_and_json_where_asked(world: World, words: list[str]) -> None:
    assert world.run(*words, code=2).stderr
    said = json.loads(world.run(*words, "--json", code=2).stdout or "{}")
    assert said["exit_code"] == 2
    assert said["error"]


def test_options_can_stand_in_config_toml(world: World) -> None:
    world.home.mkdir(mode=0o700)
    (world.home / "config.toml").write_text(
        f"collection = '{world.desktop}'\ndevice = 'folder:{world.phone.parent}'\nprefer = 'desktop'\nmerge = 'ankiweb'\n"
    )
    assert json.loads(world.run("sync", "--json").stdout)["result"] == "unchanged"
    assert "in step" in world.run("status").stdout


def test_first_and_one_way_do_not_go_together(world: World) -> None:
    assert (
        "--first"
        in world.run("sync", *world.words, "--first", "upload", "--one-way", "upload", code=2).stderr
    )


@pytest.mark.parametrize("later", [0, 0.05, 0.2])
def test_an_interrupted_sync_says_so_and_is_exit_130(world: World, later: float) -> None:
    with subprocess.Popen(
        [*PROGRAM, "sync", *world.words, "--json"],
        env=world.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        while not world.home.exists() and program.poll() is None:
            time.sleep(0.005)  # until it is at work
        time.sleep(later)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=30)
    assert program.returncode in {0, 130}, err  # 0: it was done before
    assert "Traceback" not in err
    assert json.loads(out).get("exit_code", 0) == program.returncode
    assert json.loads(world.run("sync", *world.words, "--json").stdout)["result"] == "unchanged"


def test_a_phones_folder_that_another_program_has_open_is_refused(world: World) -> None:
    world.run("sync", *world.words)
    with editing(world.desktop) as col:
        add_note(col, "Basic", ["from the desk", "x"], 1)
    hold = "import sys, time; from anki.collection import Collection; c = Collection(sys.argv[1]); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(world.phone)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "open\n"
        before = world.phone.read_bytes()
        world.run("sync", *world.words, code=5)
        assert world.phone.read_bytes() == before
        other.kill()


def test_the_desktops_own_folder_is_no_phone(world: World) -> None:
    words = ["--collection", str(world.desktop), "--device", f"folder:{world.desktop.parent}"]
    assert "own collection" in world.run("sync", *words, code=2).stderr


def test_a_home_that_cannot_be_made_is_named(world: World) -> None:
    world.home.write_text("a file")
    assert "home" in world.run("sync", *world.words, code=2).stderr


def test_conflicts_are_listed_shown_and_taken(world: World) -> None:
    world.run("sync", *world.words)
    for path, who in ((world.desktop, "desk"), (world.phone, "train")):
        wait_a_second()
        with editing(path) as col:
            edit_field(col, note_ids(col)[0], 1, f"from the {who}")
    world.run("sync", *world.words)
    where = world.words[:2]
    (conflict,) = json.loads(world.run("conflicts", *where, "--json").stdout)["conflicts"]
    assert conflict["desktop"] == "from the desk"
    assert "from the desk" in world.run("conflicts", *where).stdout
    assert "[-back 0-]{+from the train+}" in world.run("conflicts", "show", "1", *where).stdout
    assert "taken" in world.run("conflicts", "take", "1", *world.words).stdout
    with editing(world.phone) as col:
        assert col.get_note(note_ids(col)[0]).fields[1] == "from the desk"
    listed = json.loads(world.run("backups", *where, "--json").stdout)["backups"]
    assert [backup["note"] for backup in listed] == ["taken", "merged"]
    world.run("undo", listed[1]["id"], *world.words)
    with editing(world.phone) as col:
        assert col.get_note(note_ids(col)[0]).fields[1] == "from the train"


def test_a_person_at_a_terminal_is_asked(world: World) -> None:
    world.run("sync", *world.words)
    for path, who in ((world.desktop, "desk"), (world.phone, "train")):
        with editing(path) as col:
            for nid in note_ids(col)[:2]:
                edit_field(col, nid, 1, f"from the {who}")
    asked = ["sync", *world.words, "--prefer", "ask"]
    assert "nobody to ask" in world.run(*asked, code=4).stderr
    assert "nothing was changed" in typed(world, asked, "what?", "s", code=4)
    said = typed(world, asked, "d all")
    assert "1 of 2" in said
    assert "[-back 0-]" in said
    assert "{+from the desk+}" in said
    assert said.count("newest or stop [newest]") == 1
    with editing(world.phone) as col:
        assert [col.get_note(nid).fields[1] for nid in note_ids(col)[:2]] == ["from the desk"] * 2


def typed(world: World, words: list[str], *answers: str, code: int = 0) -> str:
    """Run the program at a terminal of its own, and type; returns all that it wrote."""
    terminal, inside = os.openpty()
    environ = {**world.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
    with subprocess.Popen(
        [*PROGRAM, *words], env=environ, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
    ) as program:
        os.close(inside)
        os.write(terminal, "".join(f"{answer}\n" for answer in answers).encode())
        said = b""
        with suppress(OSError):  # EIO: the program has closed its end
            while found := os.read(terminal, 4096):
                said += found
        os.close(terminal)
    assert program.returncode == code, said
    return said.decode()


def test_a_backup_is_restored_and_taken_out(world: World, tmp_path: Path) -> None:
    with editing(world.desktop) as col:
        edit_field(col, note_ids(col)[0], 0, "before")
    id_ = json.loads(world.run("sync", *world.words, "--first", "upload", "--json").stdout)["backup"]
    wanted = world.phone.read_bytes()
    done = json.loads(world.run("restore", id_, "--to", str(tmp_path / "out"), *world.words, "--json").stdout)
    assert done["files"] == 2
    assert (tmp_path / "out" / "phone" / "collection.anki2").is_file()
    assert world.phone.read_bytes() == wanted
    assert "restored" in world.run("restore", id_, "--side", "phone", *world.words).stdout
    assert world.phone.read_bytes() == (tmp_path / "out" / "phone" / "collection.anki2").read_bytes()
    world.run("restore", id_, "--side", "neither", *world.words, code=2)
    world.run("restore", "nonsense", *world.words, code=2)
