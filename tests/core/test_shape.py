"""A notetype's parts followed through three versions; notes and cards by key."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core import wire
from usbsync.core.changes import Card, Change, Changes, Col, Field, Note, Notetype, Table, Template
from usbsync.core.conflict import Settlement, Side
from usbsync.core.follow import followed
from usbsync.core.shape import FIELD_ID, matched, merged_order, rename_in_text

COL = Col(0, 0)


def field(name: str, id_: int = 0) -> Field:
    return Field(name, wire.varint_field(FIELD_ID, id_))


def template(name: str, front: str = "{{Front}}") -> Template:
    return Template(name, 0, wire.message_field(1, front.encode()))


def notetype(
    fields: str, templates: str = "A", *, mtime: int = 1, front: str = "{{F}}", sort: int = 0
) -> Notetype:
    """Make a notetype whose parts are called by letters; a field's id is its letter's."""
    return Notetype(
        1,
        "Type",
        mtime,
        wire.varint_field(2, sort),
        tuple(field(name, ord(name)) for name in fields),
        tuple(template(name, front) for name in templates),
    )


def note(id_: int, *texts: str) -> Note:
    return Note(id_, f"guid{id_}", 1, 1, "", "\x1f".join(texts), 0, "", "derived")


def card(id_: int, nid: int, ord_: int, reps: int = 0) -> Card:
    return Card(id_, nid, 1, ord_, 1, 0, 0, 0, 0, 0, reps, 0, 0, 0, 0, 0, "")


def changes(**rows: dict[int, Change]) -> Changes:
    return Changes({Table(name): table for name, table in rows.items()}, COL, COL)


def follow(desktop: Changes, phone: Changes, mids: dict[int, int] | None = None):
    return followed(desktop, phone, mids or {}, Settlement())


def test_a_part_is_known_by_its_id_then_its_name_then_its_place() -> None:
    old = (field("F", 1), field("B", 2), field("X"))
    assert matched(old, (field("B", 2), field("Front", 1), field("X")), FIELD_ID, "d") == ("a1", "a0", "a2")
    assert matched(old, (field("F", 9), field("B", 2), field("X")), FIELD_ID, "d") == ("a0", "a1", "a2")
    assert matched((field("F"), field("B")), (field("F"), field("Back")), FIELD_ID, "d") == ("a0", "a1")
    assert matched(old, (*old, field("N", 5)), FIELD_ID, "d") == ("a0", "a1", "a2", "d3")
    assert matched(old, (field("B", 2),), FIELD_ID, "d") == ("a1",)


ORDERS = [
    # ancestor, desktop, phone, merged                      the human situation
    ("abc", "abc", "abc", "abc"),  # nobody touched it
    ("abc", "acb", "abc", "acb"),  # moved at the desk
    ("abc", "abc", "cab", "cab"),  # moved on the phone
    ("abc", "ac", "abc", "ac"),  # removed at the desk
    ("abc", "ac", "ab", "a"),  # each removed another
    ("abc", "aDbc", "abc", "aDbc"),  # added at the desk
    ("abc", "aDbc", "abPc", "aDbPc"),  # each added one
    ("abc", "Dabc", "Pabc", "PDabc"),  # both at the head: one order, whoever comes first
    ("abc", "abcD", "abcP", "abcPD"),  # both at the end
    ("abc", "cab", "abcP", "cPab"),  # moved here, added there behind c
]


@pytest.mark.parametrize(("ancestor", "desktop", "phone", "merged"), ORDERS)
def test_orders_merge(ancestor: str, desktop: str, phone: str, merged: str) -> None:
    assert "".join(merged_order(tuple(ancestor), tuple(desktop), tuple(phone), Side.DESKTOP)) == merged


@given(st.permutations("abcd"), st.permutations("abcd"), st.sets(st.sampled_from("abcd"), max_size=2))
def test_a_merged_order_holds_each_part_once_and_loses_none(one, two, removed) -> None:
    desktop = tuple(key for key in one if key not in removed)
    merged = merged_order(tuple("abcd"), (*desktop, "D"), (*two, "P"), Side.PHONE)
    assert sorted(merged) == sorted({*"abcd", "D", "P"} - removed)


def test_fields_are_renamed_in_templates_as_anki_does() -> None:
    text = "{{Front}} {{#Front}}x{{/Front}} {{^Front}}{{/Front}} {{cloze:Front}} {{ type:Front }} Front {{Frontal}}"
    renamed = rename_in_text(text, {"Front": "Word"})
    assert renamed == (
        "{{Word}} {{#Word}}x{{/Word}} {{^Word}}{{/Word}} {{cloze:Word}} {{ type:Word }} Front {{Frontal}}"
    )
    assert rename_in_text("{{A}}{{B}}", {"A": "B", "B": "A"}) == "{{B}}{{A}}"


def test_a_new_note_of_the_other_side_gets_the_new_field() -> None:
    desktop = changes(notetypes={1: Change(notetype("FB"), notetype("FNB"))})
    phone = changes(notes={5: Change(None, note(5, "front", "back"))})
    done = follow(desktop, phone)
    assert done.phone.of(Table.NOTES)[5].now.flds == "front\x1f\x1fback"
    assert done.phone.of(Table.NOTES)[5].now.derived == ""


def test_an_edit_follows_a_field_that_moved() -> None:
    desktop = changes(
        notetypes={1: Change(notetype("FB"), notetype("BF"))},
        notes={5: Change(note(5, "front", "back"), note(5, "back", "front"))},
    )
    phone = changes(notes={5: Change(note(5, "front", "back"), note(5, "front", "back, edited"))})
    done = follow(desktop, phone)
    assert done.desktop.of(Table.NOTES)[5].ancestor.flds == "back\x1ffront"
    assert done.phone.of(Table.NOTES)[5].now.flds == "back, edited\x1ffront"


def test_text_written_into_a_removed_field_keeps_the_field() -> None:
    desktop = changes(
        notetypes={1: Change(notetype("FBX"), notetype("FB"))},
        notes={5: Change(note(5, "f", "b", ""), note(5, "f", "b"))},
    )
    phone = changes(notes={5: Change(note(5, "f", "b", ""), note(5, "f", "b", "written"))})
    done = follow(desktop, phone)
    assert [part.name for part in done.desktop.of(Table.NOTETYPES)[1].now.fields] == ["F", "B", "X"]
    assert done.phone.of(Table.NOTES)[5].now.flds == "f\x1fb\x1fwritten"
    assert [conflict.unit for conflict in done.conflicts] == ["X"]


def test_a_removed_field_that_nobody_wrote_in_is_gone_everywhere() -> None:
    desktop = changes(notetypes={1: Change(notetype("FBX"), notetype("FB"))})
    phone = changes(notes={5: Change(note(5, "f", "b", "old"), note(5, "f!", "b", "old"))})
    done = follow(desktop, phone)
    assert done.phone.of(Table.NOTES)[5].now.flds == "f!\x1fb"
    assert not done.conflicts


def test_the_same_new_field_on_both_sides_is_one() -> None:
    desktop = changes(notetypes={1: Change(notetype("FB"), notetype("FBN"))})
    phone = changes(notetypes={1: Change(notetype("FB"), notetype("FBN"))})
    done = follow(desktop, phone)
    for side in (done.desktop, done.phone):
        assert [part.name for part in side.of(Table.NOTETYPES)[1].now.fields] == ["F", "B", "N"]


def test_cards_follow_templates_that_moved() -> None:
    desktop = changes(notetypes={1: Change(notetype("F", "AB"), notetype("F", "BA"))})
    phone = changes(cards={7: Change(card(7, 5, 0), card(7, 5, 0, reps=1))})
    done = follow(desktop, phone, {5: 1})
    assert done.phone.of(Table.CARDS)[7].now.ord == 1
    assert done.phone.of(Table.CARDS)[7].ancestor.ord == 1


def test_a_new_card_of_a_removed_template_is_dropped() -> None:
    desktop = changes(notetypes={1: Change(notetype("F", "AB"), notetype("F", "A"))})
    phone = changes(cards={7: Change(None, card(7, 5, 1)), 8: Change(None, card(8, 5, 0))})
    done = follow(desktop, phone, {5: 1})
    assert done.dropped == {7}
    assert set(done.phone.of(Table.CARDS)) == {8}


def test_a_renamed_field_reads_so_in_the_other_sides_template() -> None:
    old = notetype("FB", front="{{F}}")
    renamed = old._replace(
        fields=(field("Word", ord("F")), old.fields[1]), templates=(template("A", "{{Word}}"),), mtime=2
    )
    restyled = old._replace(templates=(template("A", "<b>{{F}}</b>"),), mtime=3)
    done = follow(changes(notetypes={1: Change(old, renamed)}), changes(notetypes={1: Change(old, restyled)}))
    phone = done.phone.of(Table.NOTETYPES)[1]
    assert wire.message(phone.now.templates[0].config) == b"<b>{{Word}}</b>"
    assert wire.message(phone.ancestor.templates[0].config) == b"{{Word}}"


def test_an_edited_template_that_the_other_side_removed_is_reported() -> None:
    old = notetype("F", "AB")
    edited = old._replace(templates=(old.templates[0], template("B", "new")), mtime=3)
    done = follow(
        changes(notetypes={1: Change(old, notetype("F", "A", mtime=2))}),
        changes(notetypes={1: Change(old, edited)}),
    )
    (conflict,) = done.conflicts
    assert conflict.unit == "B"
    assert conflict.chosen is Side.DESKTOP
    assert "new" in str(conflict.phone)


@pytest.mark.parametrize("sort", range(2))
def test_the_sort_field_stays_the_same_field(sort: int) -> None:
    desktop = changes(notetypes={1: Change(notetype("FB", sort=sort), notetype("FB", sort=sort, mtime=2))})
    phone = changes(notetypes={1: Change(notetype("FB", sort=sort), notetype("NFB", sort=sort + 1, mtime=2))})
    done = follow(desktop, phone)
    for side in (done.desktop, done.phone):
        config = wire.split(side.of(Table.NOTETYPES)[1].now.config)
        assert wire.varint(config.get(2, b"")) == sort + 1


SHAPES = ["".join(order) for size in (1, 2, 3) for order in permutations("FBX", size)]


@pytest.mark.parametrize("mine", SHAPES)
@pytest.mark.parametrize("theirs", SHAPES)
def test_after_following_all_versions_have_one_shape(mine: str, theirs: str) -> None:
    old = notetype("FBX")
    desktop = changes(notetypes={1: Change(old, notetype(mine, mtime=2))})
    phone = changes(notetypes={1: Change(old, notetype(theirs, mtime=3))})
    done = follow(desktop, phone)
    rows = [
        row
        for side in (done.desktop, done.phone)
        for c in side.rows[Table.NOTETYPES].values()
        for row in (c.ancestor, c.now)
    ]
    assert len({tuple(part.name for part in row.fields) for row in rows}) == 1
    assert rows[0].fields
