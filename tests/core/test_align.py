"""What both sides made: one thing under two ids, two things under one, and one thing that one side renamed."""

from __future__ import annotations

import pytest
from core import model
from core.cases import BASE, LATER, after, both_ways, equal
from core.model import SEP, sync

from usbsync.core.changes import Grave, GraveType, Review, Table
from usbsync.core.conflict import Side


def new_card(cid, nid, did, **values):
    return model.card(cid, nid, did, **values)


# --- one thing under two ids -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["New", "nEW"])
def test_a_deck_of_one_new_name_is_one_and_holds_the_cards_of_both(name):
    mine = [model.deck(50, "New"), model.note(BASE, 3000, 100, ["a", "b"]), new_card(4000, 3000, 50)]
    theirs = [model.deck(51, name), model.note(BASE, 3001, 100, ["c", "d"]), new_card(4001, 3001, 51)]
    for desktop, phone in both_ways(mine, theirs):
        merged = sync(BASE, after(*desktop), after(*phone))
        world = equal(merged)
        assert 51 not in world[Table.DECKS]
        assert {world[Table.CARDS][cid].did for cid in (4000, 4001)} == {50}
        assert {c.unit for c in merged.conflicts} == ({"name"} if name != "New" else set())
        assert all((51, GraveType.DECK) in side[Table.GRAVES] for side in merged.worlds.values())


def test_children_of_a_deck_that_both_made_come_together_below_it():
    mine = [model.deck(50, "New"), model.deck(52, "New::x")]
    theirs = [model.deck(51, "New"), model.deck(53, "New::y")]
    for desktop, phone in both_ways(mine, theirs):
        decks = equal(sync(BASE, after(*desktop), after(*phone)))[Table.DECKS]
        assert {did: row.name for did, row in decks.items() if did >= 50} == {
            50: "New", 52: f"New{SEP}x", 53: f"New{SEP}y",
        }  # fmt: skip


def test_a_filtered_deck_and_a_normal_one_of_one_name_stay_two():
    """As one they would be a filtered deck that holds cards without a home."""
    filtered = [model.filtered_deck(50, "New")]
    normal = [model.deck(51, "New"), model.note(BASE, 3000, 100, ["a", "b"]), new_card(4000, 3000, 51)]
    for desktop, phone in both_ways(filtered, normal):
        world = equal(sync(BASE, after(*desktop), after(*phone)))
        assert {world[Table.DECKS][did].name for did in (50, 51)} == {"New", "New+"}
        assert world[Table.CARDS][4000].did == 51


def test_cards_in_a_filtered_deck_that_both_made_stay_in_it():
    """The home of one of them is a deck that both made, too."""
    away = BASE[Table.CARDS][2000]._replace(did=50, odid=10, odue=2000, due=-1, mod=LATER)
    other = BASE[Table.CARDS][2001]._replace(did=51, odid=53, odue=DUE, due=-1, mod=LATER)
    mine = [model.filtered_deck(50, "New"), model.deck(52, "Home"), away]
    theirs = [model.filtered_deck(51, "New"), model.deck(53, "Home"), other]
    for desktop, phone in both_ways(mine, theirs):
        world = equal(sync(BASE, after(*desktop), after(*phone)))
        assert world[Table.CARDS][2000] == away
        assert world[Table.CARDS][2001] == other._replace(did=50, odid=52, mod=LATER + 1)


DUE = model.DAY


def test_one_card_made_on_both_is_one_with_the_answers_of_both():
    """Note 1000 got a second card on both, under two ids; both were answered."""
    types = model.notetype(100, "Basic", ["Front", "Back"], ["Card 1", "Card 2"])
    base = after(types)
    mine = [new_card(4000, 1000, 10, ord_=1), Review(5, 4000, 3, 0, 0, 0, 0, 0)]
    theirs = [new_card(4001, 1000, 10, ord_=1), Review(6, 4001, 3, 0, 0, 0, 0, 0)]
    for desktop, phone in both_ways(mine, theirs):
        merged = sync(base, after(*desktop, base=base), after(*phone, base=base))
        world = equal(merged)
        assert 4001 not in world[Table.CARDS]
        assert {world[Table.REVLOG][at].cid for at in (5, 6)} == {4000}
        assert all((4001, GraveType.CARD) in side[Table.GRAVES] for side in merged.worlds.values())


def test_the_twin_that_takes_the_place_of_a_deleted_deck_has_no_grave():
    """Nothing is known of a common past; the desktop deleted deck 50 long ago and now has another `New`."""
    desktop = after(model.deck(60, "New"), Grave(50, GraveType.DECK))
    merged = sync(BASE, desktop, after(model.deck(50, "New")))
    assert 50 in equal(merged)[Table.DECKS]
    assert (50, GraveType.DECK) not in merged.worlds[Side.DESKTOP][Table.GRAVES]


def test_decks_that_each_side_knows_apart_are_not_made_one():
    """Deck 50 is `A2` here and `New` there; a deck `New` of another id stands here, too."""
    mine = [model.deck(50, "A2"), model.deck(60, "New")]
    theirs = [model.deck(50, "New")]
    for desktop, phone in both_ways(mine, theirs):
        decks = equal(sync(BASE, after(*desktop), after(*phone)))[Table.DECKS]
        assert {50, 60} <= decks.keys()


# --- two things under one id -------------------------------------------------------------------------


def test_two_notes_made_under_one_id_both_live_with_their_cards_and_answers():
    mine = [model.note(BASE, 3000, 100, ["mine", "b"], guid="m"), new_card(4000, 3000, 10),
            Review(5, 4000, 3, 0, 0, 0, 0, 0)]  # fmt: skip
    theirs = [model.note(BASE, 3000, 100, ["theirs", "d"], guid="t"), new_card(4000, 3000, 13),
              Review(6, 4000, 2, 0, 0, 0, 0, 0)]  # fmt: skip
    for desktop, phone in both_ways(mine, theirs):
        merged = sync(BASE, after(*desktop), after(*phone))
        world = equal(merged)
        made = {n.guid: n for nid, n in world[Table.NOTES].items() if nid >= 3000}
        assert {n.flds.split(SEP)[0] for n in made.values()} == {"mine", "theirs"}
        cards = {c.nid: c for c in world[Table.CARDS].values()}
        assert world[Table.REVLOG][5].cid == cards[made["m"].id].id
        assert world[Table.REVLOG][6].cid == cards[made["t"].id].id
        assert cards[made["m"].id].did == 10
        assert cards[made["t"].id].did == 13
        assert not merged.conflicts


def test_three_strangers_get_an_id_each():
    mine = [model.note(BASE, nid, 100, ["m", ""], guid=f"m{nid}") for nid in (3000, 3001, 3002)]
    theirs = [model.note(BASE, nid, 100, ["t", ""], guid=f"t{nid}") for nid in (3000, 3001, 3002)]
    world = equal(sync(BASE, after(*mine), after(*theirs)))
    assert {n.guid for nid, n in world[Table.NOTES].items() if nid >= 3000} == {
        n.guid for n in (*mine, *theirs)
    }


def test_strangers_move_in_the_order_of_their_ids():
    """Else the two sides' plans would differ from one run to the next."""
    made = {
        side: [model.note(BASE, nid, 100, [side, ""], guid=f"{side}{nid}") for nid in (3007, 3008)]
        for side in "mt"
    }
    world = equal(sync(BASE, after(*made["m"]), after(*made["t"])))
    kept = {nid: n.guid for nid, n in world[Table.NOTES].items() if nid >= 3000}
    assert kept == {3007: "m3007", 3008: "m3008", 3009: "t3007", 3010: "t3008"}


def test_two_notetypes_made_under_one_id_both_live_with_their_notes():
    kind = model.notetype(600, "Mine", ["A"], ["T"])
    mine = [kind, model.note(after(kind), 3000, 600, ["m"], guid="m")]
    kind = model.notetype(600, "Theirs", ["B", "C"], ["T"], ids=False)
    theirs = [kind, model.note(after(kind), 3001, 600, ["t", "u"], guid="t")]
    for desktop, phone in both_ways(mine, theirs):
        world = equal(sync(BASE, after(*desktop), after(*phone)))
        names = {nid: world[Table.NOTETYPES][world[Table.NOTES][nid].mid].name for nid in (3000, 3001)}
        assert names == {3000: "Mine", 3001: "Theirs"}


def test_a_normal_and_a_filtered_deck_made_under_one_id_both_live():
    mine = [
        model.filtered_deck(50, "New"),
        BASE[Table.CARDS][2000]._replace(did=50, odid=10, odue=1, mod=LATER),
    ]
    theirs = [model.deck(50, "New"), model.note(BASE, 3000, 100, ["a", "b"]), new_card(4000, 3000, 50)]
    results = set()
    for desktop, phone in both_ways(mine, theirs):
        world = equal(sync(BASE, after(*desktop), after(*phone)))
        assert model.is_filtered(world[Table.DECKS][world[Table.CARDS][2000].did])
        assert not model.is_filtered(world[Table.DECKS][world[Table.CARDS][4000].did])
        results.add(tuple(sorted(world[Table.DECKS].items())))
    assert len(results) == 1


# --- one thing that both have, by way of AnkiWeb or of one import, and that one side renamed since -----


def test_a_deck_that_both_got_and_one_renamed_is_one_deck():
    mine = [model.deck(50, "New"), model.note(BASE, 3000, 100, ["a", "b"]), new_card(4000, 3000, 50)]
    theirs = [model.deck(50, "Better", LATER), *mine[1:]]
    for desktop, phone in both_ways(mine, theirs):
        merged = sync(BASE, after(*desktop), after(*phone))
        world = equal(merged)
        assert {did for did in world[Table.DECKS] if did >= 50} == {50}
        assert world[Table.DECKS][50].name == "Better"
        assert {c.unit for c in merged.conflicts} == {"name"}


def test_the_default_deck_of_two_languages_is_one_deck():
    base = BASE.copy()
    del base[Table.DECKS][1]
    desktop, phone = (base.copy() for _ in Side)
    desktop.put(Table.DECKS, model.deck(1, "Default"))
    phone.put(Table.DECKS, model.deck(1, "Standard", LATER))
    world = equal(sync(base, desktop, phone))
    assert world[Table.DECKS].keys() == BASE[Table.DECKS].keys()
    assert world[Table.DECKS][1].name == "Standard"


def test_a_notetype_that_both_got_and_one_renamed_is_one():
    mine, theirs = (
        model.notetype(600, name, ["A", "B"], ["T"], mtime=at) for name, at in (("N", 1), ("Better", 2))
    )
    for desktop, phone in both_ways([mine], [theirs]):
        types = equal(sync(BASE, after(*desktop), after(*phone)))[Table.NOTETYPES]
        assert types[600].name == "Better"
        assert len(types) == 4
