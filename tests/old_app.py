"""An app that keeps schema 11: the real `anki` package closed with a downgrade, and one that edits the JSON by hand."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from anki.collection import Collection
from raw import raw


@contextmanager
def old_app(path: Path) -> Iterator[Collection]:
    """Work in a collection by Anki, and leave it as schema 11."""
    col = Collection(str(path))
    try:
        yield col
    finally:
        col.close(downgrade=True)
    assert schema_of(path) == 11


def made_old(path: Path) -> Path:
    with old_app(path):
        pass
    return path


def schema_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("select ver from col").fetchone()[0]


class OldCollection:
    """What the Java code of AnkiDroid before the Rust backend sees: SQL, and JSON in the row of col."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.json: dict[str, Any] = {
            column: json.loads(db.execute(f"select {column} from col").fetchone()[0])
            for column in ("conf", "models", "decks", "dconf", "tags")
        }

    def named(self, column: str, name: str) -> dict[str, Any]:
        return next(row for row in self.json[column].values() if row["name"] == name)

    def touch(self, row: dict[str, Any]) -> None:
        row["mod"], row["usn"] = int(time.time()), -1

    def save(self) -> None:
        for column, value in self.json.items():
            self.db.execute(f"update col set {column} = ?", [json.dumps(value)])
        self.db.execute("update col set mod = ?", [int(time.time() * 1000)])
        self.db.commit()


@contextmanager
def by_hand(path: Path) -> Iterator[OldCollection]:
    """Work in a collection of schema 11 with no Anki at all; no collation but SQLite's own is known."""
    with closing(sqlite3.connect(path)) as db:
        col = OldCollection(db)
        yield col
        col.save()


OLD_OPTIONS = {
    "name": "From 2015", "replayq": True, "timer": 0, "maxTaken": 60, "autoplay": True, "usn": 0, "mod": 1420070400,
    "new": {"separate": True, "delays": [1, 10], "perDay": 23, "ints": [1, 4, 7], "initialFactor": 2300, "bury": True, "order": 1},
    "lapse": {"leechFails": 8, "minInt": 1, "delays": [10], "leechAction": 0, "mult": 0},
    "rev": {"perDay": 100, "ivlFct": 1, "maxIvl": 36500, "minSpace": 1, "fuzz": 0.05, "ease4": 1.3, "bury": True},
}  # fmt: skip
"""Deck options as Anki 2.1.2x and before wrote them, with keys that are gone since."""


def aged(path: Path) -> Path:
    """Make a file of schema 11 look older: keys of then, none of today's, in the order of then."""
    with by_hand(path) as col:
        for model in col.json["models"].values():
            model |= {"vers": [], "tags": [], "zeta": 1, "alpha": {"y": 1, "x": [2]}}
            model.pop("originalStockKind", None)
            for part in (*model["flds"], *model["tmpls"]):
                for key in (
                    "id",
                    "tag",
                    "preventDeletion",
                    "plainText",
                    "collapsed",
                    "excludeFromSearch",
                    "description",
                ):
                    part.pop(key, None)
                part["media"] = []
                part["was"] = 1
        for deck in col.json["decks"].values():
            deck |= {"mid": None, "bury": 1, "zeta": 0, "alpha": "a"}
            for key in (
                "reviewLimit",
                "newLimit",
                "reviewLimitToday",
                "newLimitToday",
                "desiredRetention",
                "browserCollapsed",
            ):
                deck.pop(key, None)
        col.json["dconf"]["1420070400000"] = {**OLD_OPTIONS, "id": 1420070400000}
        col.named("decks", "Geography")["conf"] = 1420070400000
        for key in ("sched2021", "creationOffset"):
            col.json["conf"].pop(key, None)
    return path  # fmt: skip


def enrich(path: Path) -> None:
    """Give a collection of schema 18 what schema 11 cannot say."""
    unknown = "x'a00607'"  # field 100 = 7: of an Anki that is not out yet
    with raw(path) as db:
        for table, column in (("decks", "common"), ("deck_config", "config"), ("notetypes", "config"),
                              ("fields", "config"), ("templates", "config")):  # fmt: skip
            db.execute(f"update {table} set {column} = cast({column} || {unknown} as blob)")
        db.execute("update tags set collapsed = 0")


def unknown_fields(path: Path) -> dict[str, int]:
    """Count the blobs that still hold what `enrich` put there."""
    with raw(path) as db:
        found = {
            table: db.execute(
                f"select count() from {table} where instr({column}, x'a00607') > 0"
            ).fetchone()[0]
            for table, column in (("decks", "common"), ("deck_config", "config"), ("notetypes", "config"),
                                  ("fields", "config"), ("templates", "config"))
        }  # fmt: skip
        return found | {"tags": db.execute("select count() from tags where collapsed = 0").fetchone()[0]}
