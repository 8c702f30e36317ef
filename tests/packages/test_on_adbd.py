"""Packages beside the cable, on a real adbd: the same work gives the same collections; the phone's own folders."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from e2e.test_acceptance import usbsync
from packages.hand import alike, in_step, marked_off
from packages.test_by_hand import work
from raw import raw
from session.rigged import APP, OnAdbd, Phones
from session.scenes import content, files, media, notes, texts, tree
from worlds import add_note, answer, editing

pytestmark = pytest.mark.adbd


def rows(db: sqlite3.Connection, table: str) -> set[tuple]:
    return set(db.execute(f"select * from {table}"))


def carried_over(before: Path, after: Path, target: Path) -> None:
    """Do in `target` what was done between two states of another collection, row for row, times and all."""
    with raw(before) as old, raw(after) as new, raw(target) as db:
        for (table,) in list(db.execute("select name from sqlite_master where type = 'table'")):
            if table == "col" or table.startswith("sqlite_"):
                continue
            key = [row[5] - 1 for row in db.execute(f"pragma table_info({table})")]
            names = [row[1] for row in db.execute(f"pragma table_info({table})")]
            keys = [at for _, at in sorted((rank, at) for at, rank in enumerate(key) if rank >= 0)]
            was, now = rows(old, table), rows(new, table)
            wanted = " and ".join(f"{names[at]} = ?" for at in keys)
            for row in was - now:
                db.execute(f"delete from {table} where {wanted}", [row[at] for at in keys])
            marks = ", ".join("?" * len(names))
            db.executemany(f"insert or replace into {table} values ({marks})", now - was)


@pytest.fixture
def two(adbd, tmp_path):
    """One beginning twice: a phone from which packages are carried, and one on a cable."""
    hand = in_step(tmp_path / "by-hand")
    phones = Phones(adbd, tmp_path)
    cable = OnAdbd(tmp_path / "by-cable", phones=phones)
    shutil.copytree(hand.desktop.parent, cable.desktop.parent)
    shutil.copyfile(hand.phone, cable.phone)
    shutil.copytree(media(hand.phone), media(cable.phone), dirs_exist_ok=True)
    cable.belongs_to_the_app()
    assert cable.sync().result == "unchanged"
    yield hand, cable
    phones.now.kill()


def test_three_rounds_by_package_give_what_the_cable_gives(two, tmp_path) -> None:
    hand, cable = two
    for at in range(3):
        for mine, theirs, who in (
            (hand.desktop, cable.desktop, "desktop"),
            (hand.phone, cable.phone, "phone"),
        ):
            before = Path(shutil.copyfile(mine, tmp_path / f"{who}-{at}.anki2"))
            work(mine, who, at if who == "desktop" else at + 9)
            carried_over(before, mine, theirs)
            for path in media(mine).glob(f"{who}-*"):
                shutil.copy2(path, media(theirs))
        cable.belongs_to_the_app()
        carried, synced = hand.carry(), cable.sync()
        assert carried.result == synced.result == "merged"
        assert carried.changes == synced.changes
        assert content(hand.desktop) == content(cable.desktop)
        assert marked_off(content(hand.phone)) == content(cable.phone)
        assert files(hand.desktop) == files(cable.desktop)
        assert files(hand.phone) == files(cable.phone)
    alike(hand)


class Bench:
    """A desktop and a phone on adb, used by the program alone."""

    def __init__(self, phone, root: Path) -> None:
        self.phone, self.root = phone, root
        self.made = in_step(root / "made")
        self.desktop = self.made.desktop
        self.on_phone = phone.ankidroid / "collection.anki2"
        self.downloads = phone.data / "Download"
        phone.ankidroid.mkdir(parents=True, exist_ok=True)
        self.downloads.mkdir(exist_ok=True)
        self.downloads.chmod(0o2777)
        shutil.copyfile(self.made.phone, self.on_phone)
        shutil.copytree(media(self.made.phone), media(self.on_phone), dirs_exist_ok=True)
        for path in (phone.ankidroid, *phone.ankidroid.rglob("*")):
            path.chmod(0o2770 if path.is_dir() else 0o660)
            if os.geteuid() == 0:
                os.chown(path, *APP)

    def run(self, *words: str, code: int = 0) -> dict:
        given = ("--collection", str(self.desktop), "--device", f"tcp:127.0.0.1:{self.phone.port}", "--json")
        return json.loads(usbsync(self.root, *words, *given, code=code).stdout)

    def deck(self) -> Path:
        """Write a deck's package of what the desktop made since."""
        with editing(self.desktop) as col:
            add_note(col, "Basic", ['<img src="clef.png">', "clef"], col.decks.id("Music"))
        (media(self.desktop) / "clef.png").write_bytes(b"a clef")
        target = self.root / "music.apkg"
        self.run("export", str(target), "--deck", "Music")
        return target


@pytest.fixture
def bench(phone, tmp_path) -> Bench:
    return Bench(phone, tmp_path)


def test_a_deck_goes_into_the_phones_collection_with_ankidroid_stopped_and_a_backup(bench) -> None:
    bench.run("sync")
    deck = bench.deck()
    with editing(bench.desktop) as col:  # what is on the desktop already would prove nothing
        col.remove_notes(col.find_notes("clef"))
    (media(bench.desktop) / "clef.png").unlink()
    was, before = notes(bench.on_phone), bench.on_phone.read_bytes()
    bench.phone.start_app()
    report = bench.run("import", str(deck), "--into", "phone")
    assert report["result"] == "imported"
    assert report["notes"]["new"] == 1
    log = "\n".join(bench.phone.am_log())
    assert log.index("force-stop") < log.rindex("am start")
    assert bench.phone.running()
    bench.phone.shell("am force-stop com.ichi2.anki")
    assert len(notes(bench.on_phone)) == len(was) + 1
    assert files(bench.on_phone)["clef.png"] == b"a clef"
    (kept,) = bench.root.rglob(f"{report['backup']}/phone/collection.anki2")
    assert kept.read_bytes() == before
    bench.run("sync")
    assert "clef" in texts(bench.desktop)
    assert files(bench.desktop)["clef.png"] == b"a clef"


def test_an_import_into_the_phone_is_undone(bench) -> None:
    bench.run("sync")
    deck = bench.deck()
    before = content(bench.on_phone), files(bench.on_phone)
    bench.run("import", str(deck), "--into", "phone")
    assert "clef" in texts(bench.on_phone)
    bench.run("undo")
    assert (content(bench.on_phone), files(bench.on_phone)) == before


def test_a_package_goes_to_the_phones_downloads_and_is_found_and_fetched_there(bench) -> None:
    made = bench.run("export", "desk.colpkg", "--to", "phone")
    assert made["path"].endswith("/Download/desk.colpkg")
    (lying,) = bench.downloads.iterdir()
    assert lying.stat().st_size == made["size"]
    assert "there already" in bench.run("export", "desk.colpkg", "--to", "phone", code=2)["error"]
    (bench.downloads / "holiday.jpg").write_bytes(b"x")
    (bench.phone.ankidroid / "exported.apkg").write_bytes(b"none")
    listed = bench.run("import", "--from", "phone")["packages"]
    assert {each["path"].rpartition("/")[2] for each in listed} == {"desk.colpkg", "exported.apkg"}
    refused = bench.run("import", "--from", "phone", "exported.apkg", code=7)
    assert "nothing was changed" in refused["error"]
    asked = bench.run("import", "--from", "phone", "desk.colpkg", code=4)
    assert asked["error"].startswith("desk.colpkg (")
    assert "copy desk.colpkg from the phone to this computer" in asked["hint"]
    with editing(bench.desktop) as col:
        answer(col, 1)
        add_note(col, "Basic", ["since", "x"], 1)
    bench.run("import", "--from", "phone", "desk.colpkg", "--yes")
    assert "since" not in texts(bench.desktop)
    bench.run("import", "--from", "phone", "absent.apkg", code=2)


def test_the_phones_own_export_is_merged_from_its_downloads_folder(bench) -> None:
    """As a person does who has USB debugging for files, but carries packages all the same."""
    exported = bench.run("export", str(bench.root / "phones.colpkg"), "--of", "phone")
    assert exported["size"] == (bench.root / "phones.colpkg").stat().st_size
    before = tree(bench.phone.ankidroid)
    words = (
        "sync",
        "--device",
        f"package:{bench.root / 'phones.colpkg'}",
        "--collection",
        str(bench.desktop),
    )
    report = json.loads(usbsync(bench.root, *words, "--json").stdout)
    assert report["result"] == "unchanged"
    assert tree(bench.phone.ankidroid) == before


def test_a_package_that_does_not_fit_or_may_not_be_written_leaves_nothing(bench) -> None:
    bench.downloads.chmod(0o555)
    refused = bench.run("export", "desk.apkg", "--to", "phone", code=6)
    assert refused["hint"]
    assert not list(bench.downloads.iterdir())
