"""The laws of `reconcile` and `make_plan`, over worlds that two sides changed as people do."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

import pytest
from core import model
from core.edits import EDITS, play
from core.model import SEP, World, sync
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usbsync.core import units
from usbsync.core.changes import Table
from usbsync.core.conflict import Logic, Policy, Settlement, Side
from usbsync.core.decks import readable, spots
from usbsync.core.merge3 import Outcome, merge3
from usbsync.core.notetypes import differ
from usbsync.core.unicase import unicase

DESKTOP, PHONE = Side.DESKTOP, Side.PHONE
BASE = model.ancestor()
SHAPES = {"add_field", "remove_field"}

small = st.integers(0, 6)


def acts(names=EDITS, size=5):
    one = st.tuples(st.sampled_from(sorted(names)), small, small, small, st.integers(0, 2))
    return st.lists(one, max_size=size)


@dataclass(frozen=True)
class Scene:
    """What both sides did since they last met, or, where they never did, since anyone remembers."""

    desktop_acts: list
    phone_acts: list
    met: bool = True

    @property
    def sides(self) -> tuple[World, World]:
        return play(BASE, DESKTOP, self.desktop_acts), play(BASE, PHONE, self.phone_acts)

    @property
    def worlds(self) -> tuple[World, World, World]:
        """Return the ancestor and both sides; of two that never met the ancestor is what they have in common."""
        desktop, phone = self.sides
        return (BASE if self.met else model.common(desktop, phone)), desktop, phone


scenes = st.builds(Scene, acts(), acts(), st.booleans())
DECK_EDITS = {"add_deck", "rename_deck", "move_deck", "delete_deck"}
forests = st.builds(Scene, acts(DECK_EDITS, 3), acts(DECK_EDITS, 3))
policies = st.sampled_from([Policy.NEWEST, Policy.DESKTOP, Policy.PHONE])
logics = st.sampled_from(Logic)
fine = st.builds(Settlement, policies)
settlements = st.builds(Settlement, policies, logic=logics)
EXAMPLES = int(os.environ.get("USBSYNC_LAWS", "120"))  # many more when hunting
laws = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 120,
    suppress_health_check=[HealthCheck.too_slow],
)


def merge(base, desktop, phone, settlement):
    """Sync two worlds."""
    return sync(base, desktop, phone, settlement)


def differences(one: World, other: World) -> list[tuple]:
    return [
        (table.value, key, one[table].get(key), other[table].get(key))
        for table in Table
        for key in one[table].keys() | other[table].keys()
        if one[table].get(key) != other[table].get(key)
    ]


def apart(base: World, one: World, other: World, *hands) -> list[tuple]:
    """Return the differences that count; a grave is each side's own, but for what went from both."""
    tables = (Table.CARDS, Table.NOTES, Table.DECKS)
    cleared = any(act[0] == "full_sync" for hand in hands for act in hand)

    def counts(table, key) -> bool:
        if table != "graves":
            return True
        return not cleared and key[0] in base[tables[key[1]]] and key[0] not in one[tables[key[1]]]

    return [found for found in differences(one, other) if counts(*found[:2])]


# --- identity, one-sided, convergence, idempotence, symmetry -----------------------------------------


@laws
@given(acts(), settlements)
def test_identity_where_both_did_the_same_nothing_is_to_be_done(hand, settlement):
    world = play(BASE, DESKTOP, hand)
    merged = merge(BASE, world, world.copy(), settlement)
    assert merged.plan.empty
    assert not merged.conflicts


def test_identity_where_nobody_did_anything_nothing_is_to_be_done():
    merged = sync(BASE, BASE.copy(), BASE.copy())
    assert merged.plan.empty
    assert not merged.conflicts


@laws
@given(acts(), st.sampled_from(Side), settlements)
def test_one_sided_the_result_is_exactly_what_that_side_did(hand, side, settlement):
    world = play(BASE, side, hand)
    start = {side: world, side.other: BASE.copy()}
    merged = merge(BASE, start[DESKTOP], start[PHONE], settlement)
    assert not merged.conflicts
    for result in merged.worlds.values():
        assert not apart(BASE, result, world, hand)
    assert merged.plan.side(side).empty or "full_sync" in {act[0] for act in hand}


@laws
@given(scenes, settlements)
def test_convergence_both_sides_end_up_equal(scene, settlement):
    base, one, two = scene.worlds
    merged = merge(base, one, two, settlement)
    hands = (scene.desktop_acts, scene.phone_acts)
    assert not apart(base, merged.worlds[DESKTOP], merged.worlds[PHONE], *hands)
    assert len({world.col.crt for world in merged.worlds.values()}) == 1


@laws
@given(scenes, settlements)
def test_idempotence_a_second_sync_changes_nothing(scene, settlement):
    merged = merge(*scene.worlds, settlement)
    desktop, phone = merged.worlds[DESKTOP], merged.worlds[PHONE]
    again = sync(phone, desktop, phone)
    assert again.plan.empty
    assert not again.conflicts


@laws
@given(scenes, settlements)
def test_symmetry_the_sides_change_places_and_the_result_does_not(scene, settlement):
    base, one, two = scene.worlds
    policy = settlement.policy
    swapped = {Policy.DESKTOP: Policy.PHONE, Policy.PHONE: Policy.DESKTOP}.get(policy, policy)
    merged = merge(base, one, two, settlement)
    mirrored = merge(base, two, one, replace(settlement, policy=swapped))
    assert merged.plan.desktop == mirrored.plan.phone
    assert merged.plan.phone == mirrored.plan.desktop
    told = sorted(
        (c.where, str(c.desktop), str(c.phone), c.chosen, c.reason, c.weight) for c in merged.conflicts
    )
    seen = sorted(
        (c.where, str(c.phone), str(c.desktop), c.chosen.other, _mirror(c.reason), c.weight)
        for c in mirrored.conflicts
    )
    assert told == seen


def _mirror(reason: str) -> str:
    swap = {"desktop": "phone", "phone": "desktop"}
    return " ".join(swap.get(word, word) for word in reason.split(" "))


# --- nothing invented, nothing lost ------------------------------------------------------------------


@laws
@given(scenes, settlements)
def test_no_invention_every_value_comes_from_one_of_the_three(scene, settlement):
    three = base, *_ = scene.worlds
    result = merge(*three, settlement).worlds[DESKTOP]
    for table in (Table.NOTES, Table.CARDS, Table.DECKS, Table.DECK_CONFIG, Table.CONFIG, Table.TAGS):
        for key, row in result[table].items():
            held = [world[table][key] for world in three if key in world[table]]
            assert held, (table, key)
            if key not in base[table]:  # perhaps two of one name: see `align.py`
                held = [row for world in three for row in world[table].values()]
            for unit, value in _plain_units(table, row).items():
                said = [_plain_units(table, other).get(unit) for other in held]
                if (
                    unit.startswith("field:") and table is Table.NOTES
                ):  # it may have moved; a new one is empty
                    said = ["", *(text for other in held for text in other.flds.split(SEP))]
                assert value in said or _declared(table, unit, value, said), (table, key, unit, value, said)
    reviews = {row[1:] for world in three for row in world[Table.REVLOG].values()}
    cids = {card for world in three for card in world[Table.CARDS]}
    assert {row[1:] for row in result[Table.REVLOG].values()} <= reviews | {
        (cid, *row[1:]) for row in reviews for cid in cids
    }
    names = {part.rstrip("+") for w in three for r in w[Table.DECKS].values() for part in r.name.split(SEP)}
    assert {p.rstrip("+") for r in result[Table.DECKS].values() for p in r.name.split(SEP)} <= names


def _plain_units(table, row):
    return units.SPLIT[table](row)


def _declared(table, unit, value, said) -> bool:
    """Whether this is a combination that the rules declare."""
    if unit == "mod" or unit.startswith("stamp"):
        return value - 1 in said  # newer than what it replaces
    if unit == "notetype":
        return value not in BASE[Table.NOTETYPES]  # moved to a free id: test_align.py
    added_up = {"counts", "today"}
    moved = (
        {"schedule", "deck", "ord"} if table is Table.CARDS else set()
    )  # home, to the deck of one name, with its template
    return unit in added_up | moved


@laws
@given(scenes, settlements)
def test_no_silent_loss_of_words(scene, settlement):
    base, one, two = scene.worlds
    merged = merge(base, one, two, settlement)
    result = merged.worlds[DESKTOP]
    told = "\n".join(
        str(text) for c in merged.conflicts for text in (c.title, c.ancestor, c.desktop, c.phone)
    )
    for world in (one, two):
        for nid, note in world[Table.NOTES].items():
            before = base[Table.NOTES].get(nid)
            old = before.flds.split(SEP) if before else []
            for at, text in enumerate(note.flds.split(SEP)):
                if text and text not in old:
                    now = result[Table.NOTES].get(nid)
                    assert (now and text in now.flds.split(SEP)) or text in told, (nid, at, text)
            for tag in note.tags.split():
                if before is None or unicase(tag) not in map(unicase, before.tags.split()):
                    now = result[Table.NOTES].get(nid)
                    kept = now and unicase(tag) in map(unicase, now.tags.split())
                    assert kept or any(c.kind == "notes" and c.id == nid for c in merged.conflicts), (
                        nid,
                        tag,
                    )


@laws
@given(scenes, settlements)
def test_no_silent_loss_of_answers(scene, settlement):
    base, one, two = scene.worlds
    merged = merge(base, one, two, settlement)
    kept = [row[2:] for row in merged.worlds[DESKTOP][Table.REVLOG].values()]
    for world in (one, two):
        for row in world[Table.REVLOG].values():
            assert row[2:] in kept
    distinct = set(one[Table.REVLOG].items()) | set(two[Table.REVLOG].items())
    assert len(kept) >= len(one[Table.REVLOG].keys() | two[Table.REVLOG].keys())
    assert len(kept) <= len(distinct)


WRITTEN = {
    Table.DECKS: ("options", "description", "limits", "filter"),
    Table.DECK_CONFIG: ("name", "option"),
    Table.NOTETYPES: ("name", "config", "field", "template"),
    Table.CONFIG: ("value:rollover", "value:collapseTime", "value:fsrs"),
    Table.CARDS: ("deck", "flag", "suspended"),
    Table.NOTES: ("notetype", "field", "tag"),
}


@laws
@given(scenes, settlements)
def test_no_silent_loss_what_one_side_set_stands_or_is_reported(scene, settlement):
    base, one, two = scene.worlds
    merged = merge(base, one, two, settlement)
    result = merged.worlds[DESKTOP]
    reported = {(c.kind, c.id) for c in merged.conflicts}
    for own, other in ((one, two), (two, one)):
        for table, prefixes in WRITTEN.items():
            for key, row in own[table].items():
                before = base[table].get(key)
                if before is None or before == row or (table, key) in reported:
                    continue
                old, new = units.SPLIT[table](before), units.SPLIT[table](row)
                for unit in old.keys() | new.keys():
                    if not unit.startswith(prefixes) or unit == "config:8" or old.get(unit) == new.get(unit):
                        continue
                    if _reshaped(table, key, (base, own, other)):
                        continue  # its parts have other places: test_follow.py
                    now = result[table].get(key)
                    stands = now is not None and units.SPLIT[table](now).get(unit) == new.get(unit)
                    renamed = (
                        unit == "name" and now is not None and now.name.rstrip("+") == row.name.rstrip("+")
                    )
                    elsewhere = _reshaped(table, key, scene.worlds) and _anywhere(table, unit, new, now)
                    moved = _moved(unit, new, other, now)
                    assert stands or renamed or moved or elsewhere or unit == "tag:leech", (table, key, unit)


@laws
@given(forests, settlements)
def test_no_silent_loss_where_a_side_put_a_deck_it_stands_or_is_reported(scene, settlement):
    base, one, two = scene.worlds
    merged = merge(base, one, two, settlement)
    told = [c for c in merged.conflicts if c.kind == "decks"]
    reported = {c.id for c in told}
    shown = " ".join(f"{c.desktop}, {c.phone}," for c in told)
    old, result = (_spots(world) for world in (base, merged.worlds[DESKTOP]))
    for own in map(_spots, (one, two)):
        for did in own.keys() - old.keys() & result.keys() - reported:
            assert result[did].leaf == own[did].leaf or own[did].leaf in shown, did
        for did in own.keys() & old.keys() - reported:
            now = result.get(did, old[did])  # what was edited is not gone, unless that is reported
            moved = own[did].parent != old[did].parent and own[did].parent in {None, *old}
            assert not moved or now.parent == own[did].parent or readable(own[did].leaf) in shown, did
            renamed = own[did].leaf != old[did].leaf
            assert not renamed or now.leaf == own[did].leaf or own[did].leaf in shown, did


def _spots(world):
    return spots({did: row.name for did, row in world[Table.DECKS].items()})


@laws
@given(forests, settlements)
def test_moves_of_decks_that_cannot_all_stand_keep_every_law(scene, settlement):
    for law in (
        test_convergence_both_sides_end_up_equal,
        test_idempotence_a_second_sync_changes_nothing,
        test_symmetry_the_sides_change_places_and_the_result_does_not,
        test_referential_integrity,
    ):
        law.hypothesis.inner_test(scene, settlement)


def _reshaped(table, key, three) -> bool:
    """Whether a note's or a notetype's fields have other places in one of the worlds."""
    if table is Table.NOTES:
        return len({world[table][key].flds.count(SEP) for world in three if key in world[table]}) > 1
    return table is Table.NOTETYPES and len({len(w[table][key].fields) for w in three if key in w[table]}) > 1


def _anywhere(table, unit, new, now) -> bool:
    """Whether a part's value is in the result, wherever the part is now; an empty or removed one need not be."""
    kind = re.sub(r"\d+", "", unit, count=1)
    values = (
        {v for u, v in units.SPLIT[table](now).items() if re.sub(r"\d+", "", u, count=1) == kind}
        if now
        else ()
    )
    return not new.get(unit) or new.get(unit) in values


def _moved(unit, new, other, now) -> bool:
    """Whether a card came into the deck of the same name that the other side made."""
    return unit == "deck" and now is not None and new["deck"] not in other[Table.DECKS]


@laws
@given(scenes, fine)
def test_a_unit_that_one_side_changed_is_that_sides(scene, settlement):
    base, one, two = scene.worlds
    result = merge(base, one, two, settlement).worlds[PHONE]
    for table in (
        Table.NOTES,
        Table.DECKS,
        Table.DECK_CONFIG,
        Table.NOTETYPES,
        Table.CONFIG,
        Table.TAGS,
        Table.CARDS,
    ):
        for key in base[table].keys() & one[table].keys() & two[table].keys():
            now = result[table].get(key)
            if now is None:
                assert table is Table.CARDS  # its note's notetype was changed on both
                continue
            three = [units.SPLIT[table](world[table][key]) for world in (base, one, two)]
            for unit, value in units.SPLIT[table](now).items():
                old, mine, theirs = (each.get(unit) for each in three)
                expected = {Outcome.SAME: mine, Outcome.DESKTOP: mine, Outcome.PHONE: theirs}.get(
                    merge3(old, mine, theirs), value
                )
                assert value == expected or _follows(table, unit, key, (base, one, two)), (table, key, unit)


def _reshaped(table, key, three) -> bool:
    """Whether somebody gave a notetype, or that of a note, another shape."""
    if table is Table.NOTES:
        mids = {world[table][key].mid for world in three if key in world[table]}
        return any(_reshaped(Table.NOTETYPES, mid, three) for mid in mids)
    rows = [world[table][key] for world in three if key in world[table]]
    return table is Table.NOTETYPES and any(differ(rows[0], row) for row in rows)


def _follows(table, unit, key, three) -> bool:
    """Whether a unit may follow another decision."""
    if table is Table.NOTES and unit.startswith("field:"):
        mids = {world[table][key].mid for world in three}
        return len(mids) > 1 or _reshaped(
            table, key, three
        )  # fields go with the notetype, and move with its shape
    if unit.startswith(("field:", "template:", "stamp:", "config:2")) and _reshaped(table, key, three):
        return True  # its parts have other places
    if table is Table.CARDS and unit == "ord":
        return True  # and so have its cards
    if table is Table.CARDS and unit in {"deck", "schedule", "counts"}:
        return True  # decks of one name are one; a filtered deck that is gone sends its cards home; counts add up
    if unit == "buried":
        return three[0][table][key].queue == -1 or any(world[table][key].queue == -1 for world in three)
    return unit in {"name", "mod"} or unit.startswith("stamp")  # made distinct, or newer


# --- the result is sound -----------------------------------------------------------------------------


@laws
@given(scenes, settlements)
def test_referential_integrity(scene, settlement):
    merged = merge(*scene.worlds, settlement)
    for world in merged.worlds.values():
        assert not faults(world)


def faults(world: World) -> list[str]:
    """Name what Anki's database check would find, and a little more."""
    checks = (_card_faults, _note_faults, _notetype_faults, _deck_faults, _grave_faults)
    return [fault for check in checks for fault in check(world)]


def _card_faults(world):
    notes, cards, decks, types = (world[t] for t in (Table.NOTES, Table.CARDS, Table.DECKS, Table.NOTETYPES))
    for card in cards.values():
        if card.nid not in notes:
            yield f"{card} has no note"
        elif card.ord >= len(types[notes[card.nid].mid].templates):
            yield f"{card} has no template"
        if card.did not in decks:
            yield f"{card} has no deck"
        elif model.is_filtered(decks[card.did]) != bool(card.odid):
            yield f"{card} is in a filtered deck without a home, or in a normal one with"
        if card.odid and (card.odid not in decks or model.is_filtered(decks[card.odid])):
            yield f"{card} has no home"
        if not card.odid and card.odue:
            yield f"{card} has a due day at home, and is there"
    yield from _twins((card.nid, card.ord) for card in cards.values())


def _note_faults(world):
    types, tags = world[Table.NOTETYPES], world[Table.TAGS]
    yield from world[Table.NOTES].keys() - {card.nid for card in world[Table.CARDS].values()}
    for note in world[Table.NOTES].values():
        if note.mid not in types:
            yield f"{note} has no notetype"
        elif len(note.flds.split(SEP)) != len(types[note.mid].fields):
            yield f"{note} has the wrong number of fields"
        elif model.derived(world, note) != note:
            yield f"{note} has a stale sort field"
        yield from (
            f"{note} has an unregistered tag" for tag in note.tags.split() if unicase(tag) not in tags
        )
        yield from _twins(map(unicase, note.tags.split()))


def _notetype_faults(world):
    types = world[Table.NOTETYPES].values()
    yield from _twins(unicase(kind.name) for kind in types)
    for kind in types:
        yield from _twins(unicase(part.name) for part in kind.fields)
        yield from _twins(unicase(part.name) for part in kind.templates)


def _deck_faults(world):
    decks = world[Table.DECKS].values()
    yield from _twins(unicase(deck.name) for deck in decks)
    by_name = {unicase(deck.name): deck for deck in decks}
    for deck in decks:
        above = deck.name.rpartition(SEP)[0]
        if above and unicase(above) not in by_name:
            yield f"{deck} has no parent"
        elif above and model.is_filtered(by_name[unicase(above)]):
            yield f"{deck} stands below a filtered deck"
        if not model.is_filtered(deck) and model.config_id(deck) not in world[Table.DECK_CONFIG]:
            yield f"{deck} has no options"


def _grave_faults(world):
    for kind, table in ((0, Table.CARDS), (1, Table.NOTES), (2, Table.DECKS)):
        for oid, of in world[Table.GRAVES]:
            if of == kind and oid in world[table]:
                yield f"a grave for {table} {oid}, which lives"


def _twins(names) -> list[str]:
    seen, found = set(), []
    for name in names:
        found += [f"two are {name}"] if name in seen else []
        seen.add(name)
    return found


@given(acts(size=8), st.sampled_from(Side))
@laws
def test_the_model_itself_makes_sound_worlds(hand, side):
    assert not [fault for fault in faults(play(BASE, side, hand)) if "unregistered" not in fault]


@pytest.mark.parametrize("name", sorted(EDITS))
def test_every_edit_of_the_model_does_something(name):
    """Else the laws would be kept by worlds in which nothing happens."""
    assert any(
        differences(play(BASE, side, [(name, a, b, c, 1)]), BASE)
        for side in Side
        for a in range(7)
        for b in range(5)
        for c in range(5)
    )
