"""Nothing leaves the cable: no network but the phone, and no word of a person's in what is logged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from raw import raw
from session.rigged import Phones, met
from session.scenes import both_work, killed_while, study, study_in, with_past
from session.test_watch import Scene, anki
from worlds import edit_field, editing, note_ids

from usbsync.cli import notify
from usbsync.cli.notify import Notifier
from usbsync.core.conflict import Policy
from usbsync.errors import ChoiceNeeded
from usbsync.session.consent import answer
from usbsync.state.consent import Answer

HOOKED = """
import sys
log = open(sys.argv.pop(1), "a")
def hook(event, args):
    if event in {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"}:
        print(event, args[0 if event.endswith("info") else 1], file=log, flush=True)
sys.addaudithook(hook)
from usbsync.cli import main
main()
"""
TRACE = ["strace", "-f", "-qq", "-e", "trace=connect,bind,sendto,sendmsg", "-e", "signal=none"]


def words(world, *more: str) -> list[str]:
    return [*more, "--collection", str(world.desktop), "--device", world.options().device]


def run(command: Sequence[str], world) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env={**os.environ, **world.environ}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_phone_in_a_folder_needs_no_network_at_all(world, tmp_path) -> None:
    both_work(world)
    log = tmp_path / "log"
    run([sys.executable, "-c", HOOKED, str(log), *words(world, "sync")], world)
    assert log.read_text() == ""


@pytest.mark.adbd
def test_a_phone_on_a_cable_is_all_that_is_spoken_to(adbd, tmp_path) -> None:
    phones = Phones(adbd, tmp_path / "phones")
    world = met(tmp_path / "w", phones)
    try:
        both_work(world)
        world.belongs_to_the_app()
        log = tmp_path / "log"
        run([sys.executable, "-c", HOOKED, str(log), *words(world, "sync")], world)
    finally:
        phones.now.kill()
    where = f"127.0.0.1', {phones.now.port}"
    said = log.read_text().splitlines()
    assert [line for line in said if where not in line and "getaddrinfo 127.0.0.1" not in line] == []
    assert any(line.startswith("socket.connect") for line in said)


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace, to see what Anki's own code does")
def test_neither_does_ankis_own_code_speak_to_any_network(world, tmp_path) -> None:
    both_work(world)
    log = tmp_path / "log"
    run([*TRACE, "-o", str(log), sys.executable, "-m", "usbsync", *words(world, "sync")], world)
    calls = log.read_text().splitlines()
    assert [line for line in calls if re.search(r"AF_INET|AF_NETLINK|sendto|sendmsg", line)] == []


SECRET = "what I never told anybody"


def test_what_the_service_logs_and_shows_holds_no_word_of_a_note(tmp_path, monkeypatch, capfd) -> None:
    """Through a merge with conflicts, a choice that is needed, a damaged collection and an open Anki."""
    shown: list[str] = []
    monkeypatch.setattr(notify, "notify", lambda title, body, *_: shown.append(f"{title} {body}") or 1)
    scene = Scene(with_past(tmp_path / "w"))
    scene.watch._voice = Notifier()
    answer(scene.options, scene.name, Answer.YES)
    scene.watch.begin()

    def conflict(turn: int) -> None:
        for side in scene.world.both:
            with editing(side) as col:
                nid = note_ids(col)[0]
                edit_field(col, nid, 0, f"{SECRET} {turn}")
                edit_field(col, nid, 1, f"{SECRET} {turn} at {side.parent.name}")
                col.tags.rename("seed", SECRET.replace(" ", "_"))

    def plug() -> None:
        scene.plugs.plug(scene.name)
        scene.settle()

    conflict(1)
    plug()
    study(scene.world.phone, SECRET)
    killed_while(scene.world.phone, lambda col: study_in(col, f"{SECRET} since"))
    with anki(scene.world.desktop):
        plug()
    plug()
    conflict(2)
    scene.watch._options = replace(scene.options, prefer=Policy.ASK)
    plug()
    with pytest.raises(ChoiceNeeded) as told:
        scene.world.sync(prefer=Policy.ASK)
    damage(scene.world.phone)
    plug()
    logged = "".join(capfd.readouterr())
    assert "nobody to ask" in logged
    assert "damaged" in logged
    assert "conflict" in "".join(shown)
    for text in (logged, str(told.value), *shown):
        assert SECRET not in text
        assert SECRET.replace(" ", "_") not in text


def damage(collection: Path) -> None:
    """Put what is no tag's among the tags, and what is no preference's among the preferences."""
    with raw(collection) as db:
        db.execute("update tags set collapsed = 'x'")
        db.execute("update config set val = 'text'")
