"""Deck names as a tree, and Anki's collation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core import model
from core.cases import BASE, after, both_ways, deck, equal
from core.model import SEP, sync
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core.changes import Table
from usbsync.core.conflict import Logic, Policy, Settlement, Side
from usbsync.core.decks import Spot, broken_cycles, distinct, paths, readable, spots
from usbsync.core.unicase import unicase


def name(path: str) -> str:
    return path.replace("::", SEP)


@st.composite
def trees(draw):
    """Sound trees: every parent lives, and no two siblings share a name."""
    ids = draw(st.lists(st.integers(1, 30), unique=True, max_size=8))
    tree = {}
    for at, did in enumerate(ids):
        parent = draw(st.sampled_from([None, *ids[:at]]))
        tree[did] = Spot(parent, draw(st.sampled_from("abc")) + str(did))
    return tree


wild = st.dictionaries(
    st.integers(1, 8),
    st.builds(Spot, st.none() | st.integers(1, 9), st.sampled_from(["a", "A", "b", "a+"])),
    max_size=8,
)


@given(trees())
def test_a_tree_written_out_and_taken_apart_is_the_same(tree):
    assert spots(paths(tree)) == tree
    assert broken_cycles(tree) == tree
    assert distinct(tree) == tree


def test_a_deck_without_a_parent_keeps_its_whole_path():
    names = {1: "A", 2: name("A::b"), 3: name("X::y"), 4: name("a::c")}
    assert spots(names) == {1: Spot(None, "A"), 2: Spot(1, "b"), 3: Spot(None, name("X::y")), 4: Spot(1, "c")}
    assert paths(spots(names)) == {**names, 4: name("A::c")}


def test_a_spot_below_a_deck_that_is_gone_stands_at_the_top():
    assert paths({1: Spot(9, "a")}) == {1: "a"}


@given(wild)
def test_no_tree_has_a_ring_after_it_was_broken(tree):
    sound = broken_cycles(tree)
    assert sound.keys() == tree.keys()
    for did, spot in sound.items():
        assert spot.leaf == tree[did].leaf
        assert spot.parent in {None, tree[did].parent}
        trail = [did]
        while (above := sound[trail[-1]].parent) in sound:
            assert above not in trail
            trail.append(above)


@given(wild)
def test_a_ring_is_broken_in_one_place(tree):
    changed = [did for did, spot in broken_cycles(tree).items() if spot != tree[did]]
    rings = {frozenset(ring) for did in tree if (ring := _ring(tree, did))}
    assert sorted(changed) == sorted(max(ring) for ring in rings)


def _ring(tree, did):
    trail = [did]
    while (above := tree[trail[-1]].parent) in tree:
        if above == did:
            return trail
        if above in trail:
            return None
        trail.append(above)
    return None


@given(wild)
def test_whatever_came_together_ends_up_with_names_of_its_own(tree):
    sound = distinct(broken_cycles(tree))
    siblings = [(spot.parent, unicase(spot.leaf)) for spot in sound.values()]
    assert len(set(siblings)) == len(siblings)
    for did, spot in sound.items():
        assert spot.leaf.rstrip("+") == tree[did].leaf.rstrip("+")
        assert spot.leaf.startswith(tree[did].leaf)


def test_of_two_the_smaller_id_keeps_the_name():
    assert distinct({9: Spot(None, "A"), 2: Spot(None, "a"), 3: Spot(None, "A+"), 4: Spot(2, "A")}) == {
        2: Spot(None, "a"), 3: Spot(None, "A+"), 9: Spot(None, "A++"), 4: Spot(2, "A"),
    }  # fmt: skip


def test_a_name_as_people_read_it():
    assert readable(name("A::b::c")) == "A::b::c"


# --- through the whole merge -------------------------------------------------------------------------


def names(world):
    return {did: readable(row.name) for did, row in world[Table.DECKS].items()}


def moved(*pairs):
    return [deck(did, name=name(path)) for did, path in pairs]


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        # a parent renamed here; a child renamed, moved in, or made there
        ([(13, "X"), (14, "X::E")], [(14, "D::F")], {13: "X", 14: "X::F"}),
        ([(13, "X"), (14, "X::E")], [(12, "D::C")], {13: "X", 12: "X::C", 14: "X::E"}),
        # a parent moved here, renamed there
        ([(13, "A::D"), (14, "A::D::E")], [(13, "X"), (14, "X::E")], {13: "A::X", 14: "A::X::E"}),
        # two swapped names with each other on one side
        ([(13, "F"), (14, "F::E"), (15, "D")], [], {13: "F", 14: "F::E", 15: "D"}),
        # a path of three levels: one link of it renamed on either side
        ([(10, "Z"), (11, "Z::B"), (12, "Z::B::C")], [(11, "A::Y"), (12, "A::Y::C")],
         {10: "Z", 11: "Z::Y", 12: "Z::Y::C"}),
    ],
)  # fmt: skip
def test_trees_merge(mine, theirs, expected):
    for one, other in both_ways(moved(*mine), moved(*theirs)):
        merged = sync(BASE, after(*one), after(*other))
        assert names(equal(merged)) == names(BASE) | expected
        assert not merged.conflicts


def test_both_renamed_a_deck_and_its_children_follow_the_one_that_stands():
    mine, theirs = moved((13, "X"), (14, "X::E")), moved((13, "Y"), (14, "Y::E"))
    theirs = [row._replace(mtime=row.mtime + 1) for row in theirs]
    for one, other in both_ways(mine, theirs):
        merged = sync(BASE, after(*one), after(*other))
        assert names(equal(merged)) == names(BASE) | {13: "Y", 14: "Y::E"}
        (conflict,) = merged.conflicts
        assert {conflict.desktop, conflict.phone} == {"X", "Y"}


LOGICS = [Settlement(logic=logic) for logic in Logic]


def _later(rows):
    return [row._replace(mtime=row.mtime + 1) for row in rows]


BELOW_D = [(10, "D::A"), (11, "D::A::B"), (12, "D::A::B::C")]
BELOW_A = [(13, "A::D"), (14, "A::D::E")]


@pytest.mark.parametrize("settlement", LOGICS)
@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [(BELOW_D, BELOW_A, BELOW_A), (BELOW_A, BELOW_D, BELOW_D)],
)
def test_of_two_moves_below_each_other_the_newer_stands_and_the_other_is_named(
    older, newer, expected, settlement
):
    sides = moved(*older), _later(moved(*newer))
    for desktop, phone in both_ways(*sides):
        merged = sync(BASE, after(*desktop), after(*phone), settlement)
        assert names(equal(merged)) == names(BASE) | dict(expected)
        (conflict,) = merged.conflicts
        side = Side.PHONE if desktop is sides[0] else Side.DESKTOP
        assert (conflict.chosen, conflict.id, conflict.ancestor) == (side, 10, "A, D")
        assert {conflict.desktop, conflict.phone} == {"D::A", "A::D"}
        assert conflict.title == readable(BASE[Table.DECKS][older[0][0]].name)
        assert conflict.reason == "each was moved below the other; the newer edit stands"


@pytest.mark.parametrize("settlement", LOGICS)
def test_the_older_of_two_moves_below_each_other_can_be_taken(settlement):
    worlds = after(*moved(*BELOW_D)), after(*_later(moved(*BELOW_A)))
    (conflict,) = sync(BASE, *worlds, settlement).conflicts
    taken = sync(BASE, *worlds, replace(settlement, answers={conflict.where: conflict.chosen.other}))
    assert names(equal(taken)) == names(BASE) | dict(BELOW_D)
    assert [c.where for c in taken.conflicts] == [conflict.where]


def test_a_deck_that_gives_way_goes_back_to_where_it_was_with_its_new_name():
    mine = moved((12, "D::E::Z"))
    theirs = _later(moved((13, "A::B::C::D"), (14, "A::B::C::D::E")))
    for one, other in both_ways(mine, theirs):
        merged = sync(BASE, after(*one), after(*other))
        expected = {12: "A::B::Z", 13: "A::B::Z::D", 14: "A::B::Z::D::E"}
        assert names(equal(merged)) == names(BASE) | expected
        (conflict,) = merged.conflicts
        assert {conflict.desktop, conflict.phone} == {"D::E::Z", "A::B::C::D"}


def test_a_preferred_side_moves_its_decks_below_the_others():
    for policy, expected in ((Policy.DESKTOP, BELOW_D), (Policy.PHONE, BELOW_A)):
        merged = sync(BASE, after(*moved(*BELOW_D)), after(*moved(*BELOW_A)), Settlement(policy))
        assert names(equal(merged)) == names(BASE) | dict(expected)


@pytest.mark.parametrize("settlement", LOGICS)
@pytest.mark.parametrize("leaf", ["X", "x"])
def test_of_two_decks_that_came_to_one_name_the_older_keeps_it_and_both_are_named(leaf, settlement):
    for mine, theirs in both_ways(moved((14, "X")), moved((12, leaf))):
        merged = sync(BASE, after(*mine), after(*theirs), settlement)
        assert names(equal(merged)) == names(BASE) | {12: leaf, 14: "X+"}
        (conflict,) = merged.conflicts
        assert {conflict.desktop, conflict.phone} == {"X (was D::E)", f"{leaf} (was A::B::C)"}
        assert "A::B::C" in str(conflict.desktop if conflict.chosen is Side.DESKTOP else conflict.phone)
        assert (conflict.title, conflict.id) == ("X+", 14)
        assert conflict.reason == "two decks came to one name; the older deck keeps it"
        answers = {conflict.where: conflict.chosen.other}
        taken = sync(BASE, after(*mine), after(*theirs), replace(settlement, answers=answers))
        assert names(equal(taken)) == names(BASE) | {12: f"{leaf}+", 14: "X"}


def test_a_deck_that_was_there_keeps_its_name_for_its_children_and_whoever_came_is_named():
    """Of the ones that came to it each side's alone is sound: renamed here, moved there."""
    for mine, theirs in both_ways(moved((1, "B")), moved((1, "A::Default"))):
        for settlement in map(Settlement, (Policy.NEWEST, Policy.DESKTOP, Policy.PHONE)):
            merged = sync(BASE, after(*mine), after(*theirs), settlement)
            assert names(equal(merged)) == names(BASE) | {1: "A::B+"}
            (conflict,) = merged.conflicts
            assert {conflict.desktop, conflict.phone} == {"A::B (was Default)", "A::B"}
            assert (conflict.title, conflict.id) == ("A::B+", 1)
            assert conflict.reason == "two decks came to one name; the deck that was there keeps it"


def test_a_new_deck_that_came_to_the_name_of_a_renamed_one_is_named():
    mine = moved((13, "X"), (14, "X::E"))
    theirs = [model.deck(60, "x"), model.deck(61, "x::Sub")]
    for one, other in both_ways(mine, theirs):
        merged = sync(BASE, after(*one), after(*other))
        assert names(equal(merged)) == names(BASE) | {13: "X", 14: "X::E", 60: "x+", 61: "x+::Sub"}
        (conflict,) = merged.conflicts
        assert {conflict.desktop, conflict.phone} == {"X (was D)", "x (new)"}


def test_a_deck_beside_a_filtered_one_of_its_name_is_named():
    mine, theirs = [model.filtered_deck(60, "Y")], [model.deck(61, "Y"), model.deck(62, "Y::Sub")]
    for one, other in both_ways(mine, theirs):
        merged = sync(BASE, after(*one), after(*other))
        assert names(equal(merged)) == names(BASE) | {60: "Y", 61: "Y+", 62: "Y+::Sub"}
        (conflict,) = merged.conflicts
        assert conflict.title == "Y+"


def test_a_plus_is_given_that_no_other_deck_has():
    tree = {2: Spot(None, "a"), 3: Spot(None, "A"), 9: Spot(None, "A+")}
    assert distinct(tree) == {2: Spot(None, "a"), 3: Spot(None, "A++"), 9: Spot(None, "A+")}
    assert distinct(tree, {3})[2] == Spot(None, "a++")


def test_a_child_of_two_decks_that_came_to_one_name_follows_its_own():
    mine = [*moved((13, "X"), (14, "X::E"))]
    theirs = [*moved((12, "X")), model.deck(60, "X::new")]
    for one, other in both_ways(mine, theirs):
        assert names(equal(sync(BASE, after(*one), after(*other)))) == names(BASE) | {
            12: "X", 60: "X::new", 13: "X+", 14: "X+::E",
        }  # fmt: skip


# --- the collation -----------------------------------------------------------------------------------


@given(st.text(st.characters(max_codepoint=127), max_size=20))
def test_ascii_is_folded_as_str_does(text):
    assert unicase(text) == text.casefold() == text.lower()


@given(st.characters(exclude_categories=("Cs", "Cn")))
def test_but_for_what_the_crate_does_otherwise_it_is_casefold(char):
    folded = char.casefold()
    expected = {folded} if len(folded) < 3 else {folded[2] + folded[0] + folded[1]}
    assert unicase(char) in expected | ({char} if ord(char) in _LATER else set())


_LATER = {0x2C2F, 0xA7C0, 0xA7C7, 0xA7C9, 0xA7D0, 0xA7D6, 0xA7D8, 0xA7F5, *range(0x10570, 0x10596)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("Straße", "STRASSE", True), ("Σ", "ς", True), ("K", "\u212a", True), ("é", "É", True), ("é", "e\u0301", False),
     ("i", "İ", False), ("ﬃ", "ffi", False), ("ﬃ", "iff", True), ("\u2c2f", "\u2c5f", False), ("Æ", "æ", True)],
)  # fmt: skip
def test_which_names_anki_takes_for_one(one, other, same):
    assert (unicase(one) == unicase(other)) is same


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_name_is_folded_letter_by_letter(one, other):
    assert unicase(one) + unicase(other) == unicase(one + other)
