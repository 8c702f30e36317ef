"""Both sides edited the same things: by AnkiWeb's logic what Anki makes of it, by ours nothing is missing."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
from merging import merge
from oracle.contents import Contents, Difference, contents, differences
from oracle.edits import EDITS
from oracle.kept import Told, answers_missing, missing
from oracle.seeds import SEEDS
from oracle.test_as_ankiweb import NAMED_DIVERGENCES, Trial
from oracle.test_beside_ankiweb import STAMPS
from worlds import clone, database_check, editing

from usbsync.core.conflict import Logic, Settlement, Side
from usbsync.core.unicase import unicase

BY_ANKIWEB = Settlement(logic=Logic.ANKIWEB)


@dataclass(frozen=True)
class Made:
    """What came of one world: by us, and by Anki."""

    ancestor: Contents
    worked: dict[Side, Contents]
    ours: Contents
    anki: Contents

    def carries(self, tag: str) -> bool:
        """Whether some note of the result has this tag."""
        words = chain.from_iterable(row["tags"].split() for row in self.ours["notes"].values())
        return unicase(tag) in map(unicase, words)

    def houses(self, did: int) -> bool:
        """Whether cards of Anki's result lie in a deck, or in one below it, that Anki deleted."""
        rows = self.anki["cards"].values()
        lost = {
            deck
            for row in rows
            for deck in (row["did"], row["odid"])
            if deck and (deck,) not in self.anki["decks"]
        }
        above = self.ours["decks"][did,]["name"] + "\x1f"
        return did in lost or any(
            row["name"].startswith(above)
            for row in (*self.anki["decks"].values(), *map(self.deck, lost))
            if row
        )

    def was_answered(self, key: tuple) -> bool:
        """Whether our card is Anki's, but for the time of its last answer."""
        ours, anki = (json.loads(made["cards"][key]["data"] or "{}") for made in (self.ours, self.anki))
        return ours.pop("lrt", None) != anki.pop("lrt", None) and ours == anki

    def deck(self, did: int) -> dict | None:
        return self.ours["decks"].get((did,))

    def is_an_orphan(self, did: int) -> bool:
        """Whether Anki left a deck under a name of which no deck has the upper part."""
        above = self.anki["decks"][did,]["name"].rpartition("\x1f")[0]
        return bool(above) and unicase(above) not in {
            unicase(row["name"]) for row in self.anki["decks"].values()
        }


@dataclass(frozen=True)
class Named:
    """A divergence that is meant, and why."""

    table: str
    columns: tuple[str, ...]
    reason: str
    allowed: Callable[[Difference, Made], bool] = lambda _found, _made: True


def _deck_is_needed(found: Difference, made: Made) -> bool:
    return found.other is None and made.houses(found.key[0])


def _deck_is_back(found: Difference, made: Made) -> bool:
    return found.one is None and found.key[1] == 2 and made.deck(found.key[0]) is not None


def _tag_was_never_shared(found: Difference, made: Made) -> bool:
    return found.one is None and found.key in made.ancestor["tags"]


def _grave_of_the_unshared(found: Difference, made: Made) -> bool:
    oid, kind = found.key
    return found.one is None and (oid,) not in made.ancestor[("cards", "notes", "decks")[kind]]


APART = (
    *(Named(n.table, n.columns, n.reason) for n in NAMED_DIVERGENCES if n.table in {"*", "col", "templates"}),
    Named(
        "config",
        ("mtime_secs",),
        "Anki rewrites the receiver's whole table; its stamp is the time of the sync",
    ),
    Named("tags", ("collapsed",), "Anki does not carry that a tag's list was folded; we do"),
    Named(
        "graves",
        ("row",),
        "Anki tells of the deletion of what the other side never saw; we do not",
        _grave_of_the_unshared,
    ),
    Named("tags", ("row",), "Anki does not carry that a tag left the list; we do", _tag_was_never_shared),
    Named(
        "tags",
        ("row",),
        "Anki's list lacks a tag that a note carries, where the tag was cleared here and the note came from there",
        lambda found, made: found.other is None and made.carries(found.key[0]),
    ),
    Named("decks", ("row",), "Anki leaves cards without a deck; we bring the deck back", _deck_is_needed),
    Named("graves", ("row",), "as above: what lives has no grave", _deck_is_back),
    Named(
        "cards",
        ("data", "mod"),
        "Anki's check mends the time of the last answer of a card whose newer row tells it otherwise than the history; so do we",
        lambda found, made: made.was_answered(found.key),
    ),
    Named(
        "decks",
        ("name", "mtime_secs"),
        "Anki leaves a deck under the old name of a deck that was renamed or moved; we let it go along",
        lambda found, made: made.is_an_orphan(found.key[0]),
    ),
)


def unnamed(side: Side, made: Made) -> list[object]:
    return [
        (side, found)
        for found in differences(made.ours, made.anki)
        if not any(
            named.table in {"*", found.table} and found.column in named.columns and named.allowed(found, made)
            for named in APART
        )
    ]


def age(path: Path, before: Contents, rng: random.Random, odd: int) -> None:
    """Make what changed younger, each row by so much: of two edits of one second Anki's own sync takes either."""
    now = contents(path)
    with closing(sqlite3.connect(path)) as db:
        for table, stamp in STAMPS.items():
            changed = [key for key, row in now[table].items() if row != before[table].get(key)]
            by = [(1000 * (2 * rng.randrange(5) + odd), *key) for key in changed]
            db.executemany(f"update {table} set {stamp} = {stamp} + ? where id = ?", by)
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")


@pytest.fixture
def trial(ankiweb, tmp_path):
    return Trial(ankiweb, tmp_path)


def worked(trial: Trial, seed: int) -> dict[Side, list[str]]:
    """Let both sides do whatever they like; returns what they did."""
    rng = random.Random(seed)
    before = contents(trial.web.phone)
    first = Side.DESKTOP if seed % 2 else Side.PHONE
    done = {}
    for side in (first, first.other):
        done[side] = trial.work(side, rng, list(EDITS))
        age(trial.paths[side], before, rng, side is Side.PHONE)
    return done


@pytest.mark.parametrize("seed", SEEDS)
def test_by_ankiwebs_logic_edits_that_overlap_come_out_as_anki_has_them(trial, seed):
    done = worked(trial, seed)
    last = max(Side, key=lambda side: contents(trial.paths[side])["col"][1,]["mod"])
    ours = merge(trial.folder / "ours", trial.web.phone, *trial.paths.values(), BY_ANKIWEB)
    theirs = {
        side: clone(path, trial.folder / f"{side}-anki" / "collection.anki2")
        for side, path in trial.paths.items()
    }
    account = trial.web.open_account()
    for side in (
        last,
        last.other,
        last,
    ):  # Anki takes preferences from the side that is newer than the server
        trial.web.sync(theirs[side], account)
    three = contents(trial.web.phone), {side: contents(path) for side, path in trial.paths.items()}
    made = {side: Made(*three, contents(getattr(ours, side)), contents(theirs[side])) for side in Side}
    assert [found for side in Side for found in unnamed(side, made[side])] == [], done
    assert [fault for side in Side for fault in database_check(getattr(ours, side))] == []


@pytest.mark.parametrize("logic", Logic)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_of_either_side_is_missing_from_result_and_report_both(trial, seed, logic):
    done = worked(trial, seed)
    before, *sides = (contents(path) for path in (trial.web.phone, *trial.paths.values()))
    merged = merge(trial.folder / "ours", trial.web.phone, *trial.paths.values(), Settlement(logic=logic))
    told = Told(merged.result.conflicts)
    result = contents(merged.desktop)
    for own, other in (sides, reversed(sides)):
        assert missing(before, own, other, result, told) == [], done
    assert not answers_missing(before, sides, result), done
    assert [fault for side in Side for fault in database_check(getattr(merged, side))] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_every_result_opens_and_reviews_on(trial, seed):
    worked(trial, seed)
    merged = merge(trial.folder / "ours", trial.web.phone, *trial.paths.values())
    for side in Side:
        with editing(getattr(merged, side)) as col:
            answered = 0
            for deck in col.decks.all_names_and_ids():
                col.decks.select(deck.id)
                if card := col.sched.getCard():
                    sql = "select did, queue, due, reps, left from cards where id = ?"
                    before = col.db.first(sql, card.id)
                    col.sched.answerCard(card, 3)
                    assert col.db.first(sql, card.id) != before
                    answered += 1
            assert answered
