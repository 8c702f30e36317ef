"""What people do to a collection, each by the real API: seeded, and of kinds that force no one-way sync."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from anki.collection import Collection
from worlds import add_note

TREES = ("Default", "Spanish", "Geography", "Old")
"""The top-level decks of `worlds.new_collection`; hands that must not meet take every other one."""


@dataclass
class Hand:
    """Someone at work: what they may touch, and their luck."""

    col: Collection
    rng: random.Random
    word: str  # unique: names and texts of this hand carry it
    lot: int | None = None  # 0 or 1: only that half of the decks, notes and notetypes; None: all

    def decks(self) -> list[int]:
        """Return the plain decks of this hand."""
        return [
            deck.id
            for deck in self.col.decks.all_names_and_ids(include_filtered=False)
            if self.lot is None or self._tree_is_mine(deck.name.split("::")[0])
        ]

    def _tree_is_mine(self, name: str) -> bool:
        return TREES.index(name) % 2 == self.lot if name in TREES else self.word[0] == name[0]

    def cards(self) -> list[int]:
        """Return the cards that lie, or have their home, in this hand's decks."""
        decks = ",".join(map(str, self.decks()))
        return self.col.db.list(
            f"select id from cards where case odid when 0 then did else odid end in ({decks}) order by id"
        )

    def notes(self) -> list[int]:
        """Return the notes all of whose cards are this hand's."""
        mine = ",".join(map(str, self.cards())) or "0"
        return self.col.db.list(
            f"select id from notes where id not in (select nid from cards where id not in ({mine})) order by id"
        )

    def notetypes(self) -> list[dict]:
        """Return the notetypes whose look is this hand's to change."""
        found = sorted(self.col.models.all(), key=lambda one: one["id"])
        return [one for at, one in enumerate(found) if self.lot is None or at % 2 == self.lot]

    def options(self) -> list[int]:
        """Return the deck options of this hand: Anki's first ones belong to lot 0."""
        found = [one["id"] for one in self.col.decks.all_config()]
        return [did for did in found if self.lot is None or (did == 1) == (self.lot == 0)]

    def some(self, things: list, most: int = 3) -> list:
        """Choose a few."""
        return self.rng.sample(things, min(len(things), self.rng.randint(1, most)))

    def one(self, things: list):
        """Choose one."""
        return self.rng.choice(things)

    def name(self) -> str:
        """Make up a name that nobody else has."""
        return f"{self.word}{self.rng.randrange(10**6)} {self.one(['ä', '家', 'x y', 'ﬃ', 'Ω'])}"


Edit = Callable[[Hand], object]
EDITS: dict[str, Edit] = {}


def edit(function: Edit) -> Edit:
    """Enter a kind of edit into the list."""
    EDITS[function.__name__] = function
    return function


# ---- notes


@edit
def write_notes(hand: Hand) -> None:
    for _ in range(hand.rng.randint(1, 4)):
        kind = hand.one(["Basic", "Basic (and reversed card)", "Cloze"])
        front = (
            f"{{{{c1::{hand.name()}}}}} {{{{c2::b}}}}"
            if kind == "Cloze"
            else hand.one(["007", hand.name(), "<b>x</b>"])
        )
        if hand.col.models.by_name(kind):
            add_note(
                hand.col,
                kind,
                [front, hand.name()],
                hand.one(hand.decks()),
                hand.some(["seed", hand.word, "Ünder::sub"]),
            )


@edit
def rewrite_fields(hand: Hand) -> None:
    for nid in hand.some(hand.notes()):
        note = hand.col.get_note(nid)
        at = hand.rng.randrange(len(note.fields))
        note.fields[at] = hand.one(
            [f"{note.fields[at]} {hand.word}", hand.name(), "1e999", "[sound:a.mp3] é"]
        )
        if "{{c" not in note.fields[0] and "Cloze" in note.note_type()["name"]:
            note.fields[0] = "{{c1::again}}"
        hand.col.update_note(note)


@edit
def tag(hand: Hand) -> None:
    hand.col.tags.bulk_add(hand.some(hand.notes()), hand.one([hand.word, f"{hand.word}::sub marked", "Seed"]))


@edit
def untag(hand: Hand) -> None:
    hand.col.tags.bulk_remove(hand.some(hand.notes(), 5), hand.one(["seed", "t1", hand.word]))


@edit
def clear_tags(hand: Hand) -> None:
    hand.col.tags.clear_unused_tags()


@edit
def fold_tag(hand: Hand) -> None:
    if names := hand.col.tags.all():
        hand.col.tags.set_collapsed(hand.one(names), collapsed=hand.one([True, False]))


@edit
def rename_tag(hand: Hand) -> None:
    notes = hand.notes()
    for name in hand.col.tags.all():
        carriers = hand.col.db.list("select id from notes where tags like ?", f"% {name} %")
        if carriers and set(carriers) <= set(notes):
            hand.col.tags.rename(name, f"{hand.word}-{name}")
            break


@edit
def delete_notes(hand: Hand) -> None:
    if len(notes := hand.notes()) > 3:
        hand.col.remove_notes(hand.some(notes))


@edit
def replace_text(hand: Hand) -> None:
    hand.col.find_and_replace(note_ids=hand.some(hand.notes(), 6), search="1", replacement=hand.word)


# ---- cards


@edit
def study(hand: Hand) -> None:
    for cid in hand.some(hand.cards(), 4):
        card = hand.col.get_card(cid)
        if card.queue >= 0:
            card.start_timer()
            states = hand.col._backend.get_scheduling_states(cid)
            answer = hand.col.sched.build_answer(card=card, states=states, rating=hand.rng.randrange(4))
            hand.col.sched.answer_card(answer)


@edit
def suspend(hand: Hand) -> None:
    hand.col.sched.suspend_cards(hand.some(hand.cards()))


@edit
def unsuspend(hand: Hand) -> None:
    hand.col.sched.unsuspend_cards(hand.cards())


@edit
def bury(hand: Hand) -> None:
    hand.col.sched.bury_cards(hand.some(hand.cards()), manual=hand.one([True, False]))


@edit
def unbury(hand: Hand) -> None:
    hand.col.sched.unbury_deck(hand.one(hand.decks()))


@edit
def flag(hand: Hand) -> None:
    hand.col.set_user_flag_for_cards(hand.rng.randrange(8), hand.some(hand.cards()))


@edit
def move_cards(hand: Hand) -> None:
    hand.col.set_deck(hand.some(hand.cards()), hand.one(hand.decks()))


@edit
def set_due(hand: Hand) -> None:
    hand.col.sched.set_due_date(hand.some(hand.cards()), hand.one(["0", "3-7", "20!"]))


@edit
def forget(hand: Hand) -> None:
    hand.col.sched.schedule_cards_as_new(
        hand.some(hand.cards()), restore_position=True, reset_counts=hand.one([True, False])
    )


@edit
def reposition(hand: Hand) -> None:
    hand.col.sched.reposition_new_cards(
        hand.some(hand.cards()),
        starting_from=hand.rng.randrange(99),
        step_size=1,
        randomize=False,
        shift_existing=False,
    )


# ---- decks


@edit
def make_deck(hand: Hand) -> None:
    above = hand.col.decks.name(hand.one(hand.decks()))
    hand.col.decks.id(hand.one([hand.name(), f"{above}::{hand.name()}", f"{hand.name()}::a::b"]))


@edit
def rename_deck(hand: Hand) -> None:
    movable = [did for did in hand.decks() if did != 1]
    if movable:
        hand.col.decks.rename(hand.one(movable), hand.name())


@edit
def reparent_decks(hand: Hand) -> None:
    movable = [did for did in hand.decks() if did != 1]
    if movable:
        hand.col.decks.reparent(hand.some(movable, 2), hand.one([0, *hand.decks()]))


@edit
def delete_deck(hand: Hand) -> None:
    movable = [did for did in hand.decks() if did != 1]
    if len(movable) > 1:
        hand.col.decks.remove([hand.one(movable)])


@edit
def describe_deck(hand: Hand) -> None:
    deck = hand.col.decks.get(hand.one(hand.decks()))
    deck["desc"] = hand.name()
    hand.col.decks.save(deck)


@edit
def limit_deck(hand: Hand) -> None:
    deck = hand.col.decks.get(hand.one(hand.decks()))
    deck[hand.one(["newLimit", "reviewLimit"])] = hand.rng.randrange(50)
    deck["desiredRetention"] = hand.one([None, 85])
    hand.col.decks.save(deck)


@edit
def extend_limits(hand: Hand) -> None:
    hand.col.decks.select(hand.one(hand.decks()))
    hand.col.sched.extend_limits(hand.rng.randint(-3, 9), hand.rng.randint(1, 9))


@edit
def fold_deck(hand: Hand) -> None:
    deck = hand.col.decks.get(hand.one(hand.decks()))
    deck["collapsed"] = not deck["collapsed"]
    hand.col.decks.save(deck)


@edit
def cram(hand: Hand) -> None:
    if not hand.cards():
        return
    did = hand.col.decks.new_filtered(hand.name())
    deck = hand.col.decks.get(did)
    deck["terms"] = [[f"cid:{','.join(map(str, hand.some(hand.cards(), 5)))}", 9, hand.rng.randrange(6)]]
    deck["resched"] = hand.one([True, False])
    hand.col.decks.save(deck)
    hand.col.sched.rebuild_filtered_deck(did)
    if hand.rng.random() < 0.4:
        hand.col.sched.empty_filtered_deck(did)


@edit
def choose_options(hand: Hand) -> None:
    deck = hand.col.decks.get(hand.one(hand.decks()))
    deck["conf"] = hand.col.decks.add_config_returning_id(hand.name())
    hand.col.decks.save(deck)


@edit
def set_options(hand: Hand) -> None:
    if not (known := hand.options()):
        return
    config = hand.col.decks.get_config(hand.one(known))
    config["new"]["perDay"] = hand.rng.randrange(99)
    config["rev"]["ease4"] = hand.one([1.3, 1.35, 1.15])
    config["desiredRetention"] = hand.one([0.9, 0.87, 0.91])
    hand.col.decks.update_config(config)


# ---- notetypes


def saved(hand: Hand, change: Callable[[dict], object]) -> None:
    if types := hand.notetypes():
        one = hand.one(types)
        change(one)
        hand.col.models.update_dict(one)


@edit
def style(hand: Hand) -> None:
    saved(hand, lambda one: one.update(css=f"{one['css']} .{hand.word} {{}}"))


@edit
def edit_template(hand: Hand) -> None:
    saved(hand, lambda one: one["tmpls"][-1].update(afmt=f"{one['tmpls'][-1]['afmt']}<hr>{hand.word}"))


@edit
def rename_field(hand: Hand) -> None:
    saved(hand, lambda one: one["flds"][-1].update(name=f"Field {hand.word} {hand.rng.randrange(99)}"))


@edit
def rename_template(hand: Hand) -> None:
    saved(hand, lambda one: one["tmpls"][0].update(name=f"Card {hand.word} {hand.rng.randrange(99)}"))


@edit
def rename_notetype(hand: Hand) -> None:
    saved(hand, lambda one: one.update(name=hand.name()))


@edit
def take_back(hand: Hand) -> None:
    edit_template(hand)
    hand.col.undo()


@edit
def make_notetype(hand: Hand) -> None:
    made = hand.col.models.copy(hand.one(hand.col.models.all()))
    made["name"] = hand.name()
    hand.col.models.update_dict(made)


# ---- all of it


def work(hand: Hand, kinds: list[str], count: int) -> list[str]:
    """Do so many things of these kinds; returns what was done."""
    done = [hand.one(kinds) for _ in range(count)]
    for kind in done:
        EDITS[kind](hand)
    return done


# ---- preferences


@edit
def set_preference(hand: Hand) -> None:
    hand.col.set_config(hand.one(["timeLim", "newSpread", hand.word]), hand.rng.randrange(1000))


@edit
def drop_preference(hand: Hand) -> None:
    hand.col.remove_config(hand.one(["estTimes", "dueCounts", hand.word]))
