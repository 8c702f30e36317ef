"""A merged row is newer than what it takes the place of, or AnkiWeb would put the old one back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core.changes import Card, Change, Changes, Col, Deck, Notetype, Table, Template
from usbsync.core.stamps import stamped

BASE = Deck(7, "base", 100, b"", b"")
COL = Col(1, 1)


def changes(now: Deck | None, ancestor: Deck | None = BASE) -> Changes:
    return Changes({Table.DECKS: {} if now == ancestor else {7: Change(ancestor, now)}}, COL, COL)


def result(row: Deck | None, desktop: Deck | None, phone: Deck | None, ancestor: Deck | None = BASE):
    rows = {Table.DECKS: {7: row}}
    return stamped(rows, changes(desktop, ancestor), changes(phone, ancestor))[Table.DECKS][7]


def deck(name: str, mtime: int) -> Deck:
    return BASE._replace(name=name, mtime=mtime)


@pytest.mark.parametrize(
    ("row", "desktop", "phone", "stamp"),
    [
        (deck("both", 120), deck("mine", 120), deck("theirs", 110), 121),  # made of both
        (deck("mine", 120), deck("mine", 120), deck("theirs", 110), 120),  # the newer stands
        (deck("mine", 120), deck("mine", 110), deck("theirs", 120), 121),  # the older stands, by policy
        (deck("mine", 110), deck("mine", 110), deck("theirs", 110), 111),  # of two in one second
        (deck("same", 120), deck("same", 120), deck("same", 110), 120),  # nothing is replaced
        (deck("mine", 50), deck("mine", 50), BASE, 50),  # one side's alone, by a clock that is behind
        (deck("moved", 120), deck("mine", 120), BASE, 121),  # one side's, and changed on the way
        (deck("mine", 120), deck("mine", 120), None, 120),  # edited here, deleted there
        (deck("moved", 50), deck("mine", 50), BASE, 101),  # by a clock that is behind, and changed on the way
        (deck("base", 0), deck("base", 0), BASE, 0),  # whatever a stamp is that replaces nothing
    ],
)
def test_newer_than_what_it_replaces(row, desktop, phone, stamp):
    assert result(row, desktop, phone) == row._replace(mtime=stamp)
    assert result(row, phone, desktop) == row._replace(mtime=stamp)


def test_what_is_gone_needs_no_stamp():
    assert result(None, None, deck("theirs", 110)) is None


def test_what_both_made_is_newer_than_either():
    made = deck("made", 130)
    assert result(made, deck("mine", 130), deck("theirs", 130), None).mtime == 131


names = st.sampled_from("abc")
decks = st.builds(deck, names, st.integers(90, 130))


@given(decks, decks, decks)
def test_no_version_with_other_words_has_a_stamp_as_new(row, desktop, phone):
    new = result(row, desktop, phone)
    assert new.name == row.name
    if BASE not in {desktop, phone}:
        assert all(held.mtime < new.mtime for held in (desktop, phone) if held.name != new.name)
    assert result(new, desktop, phone) == new


def test_a_notetypes_stamps_are_its_own_and_its_templates():
    """A template that was only stamped is no other one."""
    base = Notetype(7, "base", 100, b"", (), (Template("T", 90, b""),))

    def made(name: str, mtime: int, template: int) -> Notetype:
        return base._replace(name=name, mtime=mtime, templates=(Template("T", template, b""),))

    for row, sides, stamp in (
        (made("both", 120, 90), (made("mine", 120, 90), made("theirs", 110, 90)), 121),
        (made("mine", 110, 99), (made("mine", 110, 90), made("mine", 130, 99)), 110),
    ):
        changes = (Changes({Table.NOTETYPES: {7: Change(base, now)}}, COL, COL) for now in sides)
        (found,) = stamped({Table.NOTETYPES: {7: row}}, *changes)[Table.NOTETYPES].values()
        assert found == row._replace(mtime=stamp)


def test_a_card_goes_by_its_mod():
    card = Card(1, 2, 3, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "")
    sides = [
        Changes({Table.CARDS: {1: Change(card, card._replace(mod=110, flags=flag))}}, COL, COL)
        for flag in (1, 2)
    ]
    rows = {Table.CARDS: {1: card._replace(mod=110, flags=1)}}
    assert stamped(rows, *sides)[Table.CARDS][1].mod == 111
