"""Worlds for tests: real collections made and edited by the real `anki` package."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from anki.collection import Collection
from anki.consts import QUEUE_TYPE_NEW

_HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 512, 0x40000000)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[None]:
    """Let a process hold a collection's locks as Anki does (SQLite's, which are the process's)."""
    command = [sys.executable, "-S", "-c", _HOLD, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


@contextmanager
def editing(path: Path) -> Iterator[Collection]:
    """Open a collection as the app does, and close it cleanly."""
    col = Collection(str(path))
    try:
        yield col
    finally:
        col.close()


def new_collection(path: Path, *, notes: int = 20, reviews: int = 10) -> Path:
    """Make a collection with some history."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with editing(path) as col:
        decks = [col.decks.id(name) for name in ("Spanish", "Spanish::Verbs", "Geography", "Old")]
        for at in range(notes):
            kind = ("Basic", "Basic (and reversed card)", "Cloze")[at % 3]
            front = f"{{{{c1::word {at}}}}} and {{{{c2::more}}}}" if kind == "Cloze" else f"front {at}"
            add_note(col, kind, [front, f"back {at}"], decks[at % len(decks)], tags=["seed", f"t{at % 5}"])
        answer(col, reviews)
    return path


def grown(path: Path, size: int) -> Path:
    """Make a collection of about this many bytes, by SQL: notes of 2 KB that no page shares with another's text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new_collection(path, notes=3)
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as db:
        ((mid, did),) = db.execute("select n.mid, c.did from notes n join cards c on c.nid = n.id limit 1")
        many = size // 2_200
        text = (chance.randbytes(950).hex() for _ in range(many))
        db.executemany(
            "insert into notes values (?,?,?,?,0,'',?,?,?,0,'')",
            (
                (1_600_000_000_000 + at, f"g{at}", mid, 1_600_000_000, f"{at}\x1f{back}", f"{at}", at)
                for at, back in enumerate(text)
            ),
        )
        db.executemany(
            "insert into cards values (?,?,?,0,?,0,2,2,?,30,2500,5,0,0,0,0,0,'{}')",
            (
                (1_600_000_000_000 + at, 1_600_000_000_000 + at, did, 1_600_000_000, at % 300)
                for at in range(many)
            ),
        )
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")
    return path


def clone(source: Path, target: Path) -> Path:
    """Copy a cleanly closed collection, as if both had been synced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target


def add_note(col: Collection, kind: str, fields: list[str], deck: int, tags: list[str] | None = None) -> int:
    note = col.new_note(col.models.by_name(kind))
    for at, text in enumerate(fields):
        note.fields[at] = text
    note.tags = tags or []
    col.add_note(note, deck)
    return note.id


def answer(col: Collection, count: int, ease: int | None = None) -> list[int]:
    """Answer cards as the reviewer does; returns their ids."""
    answered = []
    decks = [deck.id for deck in col.decks.all_names_and_ids()]
    for at in range(count):
        for did in decks[at % len(decks) :] + decks[: at % len(decks)]:
            col.decks.select(did)
            if card := col.sched.getCard():
                col.sched.answerCard(card, ease or 1 + at % 4)
                answered.append(card.id)
                break
    return answered


def edit_field(col: Collection, nid: int, at: int, text: str) -> None:
    note = col.get_note(nid)
    note.fields[at] = text
    col.update_note(note)


def note_ids(col: Collection) -> list[int]:
    return list(col.find_notes(""))


Edit = Callable[[Collection, random.Random, str], object]


def wait_a_second() -> None:
    """Let the clock's second go by: `mod` counts in whole seconds."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.01)


def new_cards(col: Collection) -> int:
    return col.db.scalar("select count() from cards where queue = ?", QUEUE_TYPE_NEW)


def table(path: Path, sql: str) -> list[list[object]]:
    with editing(path) as col:
        return col.db.all(sql)


def database_check(path: Path) -> list[str]:
    """Run Anki's own database check on a copy and return what it repaired."""
    copy = path.with_name(f"{path.stem}.check.anki2")
    shutil.copyfile(path, copy)
    with editing(copy) as col:
        problems = list(col._backend.check_database())
    copy.unlink()
    return problems
