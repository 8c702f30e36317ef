"""Notetypes that changed shape, with real collections: notes and cards of the other side follow."""

from __future__ import annotations

import pytest
from merging import Pair
from worlds import add_note, edit_field, editing

SEP = "\x1f"
BASIC, REVERSED = "Basic", "Basic (and reversed card)"


def add_field(col, kind: str, name: str, at: int | None = None) -> None:
    notetype = col.models.by_name(kind)
    col.models.add_field(notetype, col.models.new_field(name))
    if at is not None:
        col.models.reposition_field(notetype, notetype["flds"][-1], at)
    col.models.update_dict(notetype)


def remove_field(col, kind: str, at: int) -> None:
    notetype = col.models.by_name(kind)
    col.models.remove_field(notetype, notetype["flds"][at])
    col.models.update_dict(notetype)


def rename_field(col, kind: str, at: int, name: str) -> None:
    notetype = col.models.by_name(kind)
    col.models.rename_field(notetype, notetype["flds"][at], name)
    col.models.update_dict(notetype)


def move_field(col, kind: str, at: int, to: int) -> None:
    notetype = col.models.by_name(kind)
    col.models.reposition_field(notetype, notetype["flds"][at], to)
    col.models.update_dict(notetype)


def add_template(col, kind: str, name: str, front: str = "{{Back}} again") -> None:
    notetype = col.models.by_name(kind)
    template = col.models.new_template(name)
    template["qfmt"], template["afmt"] = front, "{{FrontSide}} answer"
    col.models.add_template(notetype, template)
    col.models.update_dict(notetype)


def remove_template(col, kind: str, at: int) -> None:
    notetype = col.models.by_name(kind)
    col.models.remove_template(notetype, notetype["tmpls"][at])
    col.models.update_dict(notetype)


def move_template(col, kind: str, at: int, to: int) -> None:
    notetype = col.models.by_name(kind)
    col.models.reposition_template(notetype, notetype["tmpls"][at], to)
    col.models.update_dict(notetype)


def edit_template(col, kind: str, at: int, front: str) -> None:
    notetype = col.models.by_name(kind)
    notetype["tmpls"][at]["qfmt"] = front
    col.models.update_dict(notetype)


def note_of(col, kind: str) -> int:
    return min(col.find_notes(f'"note:{kind}"'))


def study(col, cid: int) -> None:
    card = col.get_card(cid)
    card.start_timer()
    col.sched.answerCard(card, 3)


def field_names(merged, kind: str) -> list[str]:
    return merged.column(
        f"select f.name from fields f join notetypes n on n.id = f.ntid where n.name = '{kind}' order by f.ord"
    )


def test_a_field_added_here_and_a_note_edited_and_added_there(pair: Pair) -> None:
    with pair.desktop() as col:
        add_field(col, BASIC, "Extra", 1)
    with pair.phone() as col:
        nid = note_of(col, BASIC)
        edit_field(col, nid, 1, "edited on the train")
        new = add_note(col, BASIC, ["new on the train", "its back"], 1)
    merged = pair.merge()
    assert field_names(merged, BASIC) == ["Front", "Extra", "Back"]
    assert merged.value(f"select flds from notes where id = {nid}").split(SEP)[1:] == [
        "",
        "edited on the train",
    ]
    assert merged.value(f"select flds from notes where id = {new}").split(SEP) == [
        "new on the train",
        "",
        "its back",
    ]
    assert merged.lost == []


def test_a_field_added_on_each_side(pair: Pair) -> None:
    with pair.desktop() as col:
        add_field(col, BASIC, "From desk")
        edit_field(col, note_of(col, BASIC), 2, "desk text")
    with pair.phone() as col:
        add_field(col, BASIC, "From train")
        edit_field(col, note_of(col, BASIC), 2, "train text")
    merged = pair.merge()
    assert set(field_names(merged, BASIC)) == {"Front", "Back", "From desk", "From train"}
    nid = min(
        merged.column("select n.id from notes n join notetypes t on t.id = n.mid where t.name = 'Basic'")
    )
    texts = dict(
        zip(
            field_names(merged, BASIC),
            merged.value(f"select flds from notes where id = {nid}").split(SEP),
            strict=True,
        )
    )
    assert (texts["From desk"], texts["From train"]) == ("desk text", "train text")


def test_fields_moved_here_and_written_in_there(pair: Pair) -> None:
    with pair.desktop() as col:
        move_field(col, BASIC, 1, 0)
    with pair.phone() as col:
        nid = note_of(col, BASIC)
        edit_field(col, nid, 1, "the back")
        edit_field(col, nid, 0, "the front")
    merged = pair.merge()
    assert field_names(merged, BASIC) == ["Back", "Front"]
    assert merged.value(f"select flds from notes where id = {nid}") == f"the back{SEP}the front"


def test_a_field_removed_here_and_written_in_there_stays(pair: Pair) -> None:
    with pair.desktop() as col:
        remove_field(col, BASIC, 1)
    with pair.phone() as col:
        nid = note_of(col, BASIC)
        edit_field(col, nid, 1, "still needed")
    merged = pair.merge()
    assert field_names(merged, BASIC) == ["Front", "Back"]
    assert merged.value(f"select flds from notes where id = {nid}").split(SEP)[1] == "still needed"
    assert [unit for _, unit, _ in merged.lost] == ["Back"]


def test_a_field_renamed_here_and_a_template_edited_there(pair: Pair) -> None:
    with pair.desktop() as col:
        rename_field(col, BASIC, 0, "Word")
    with pair.phone() as col:
        edit_template(col, BASIC, 0, "<b>{{Front}}</b>")
    merged = pair.merge()
    assert field_names(merged, BASIC) == ["Word", "Back"]
    with editing(merged.desktop) as col:
        assert col.models.by_name(BASIC)["tmpls"][0]["qfmt"] == "<b>{{Word}}</b>"
    assert merged.lost == []


def test_a_template_added_here_and_notes_made_there_get_its_cards(pair: Pair) -> None:
    with pair.desktop() as col:
        add_template(col, BASIC, "Card 2")
    with pair.phone() as col:
        new = add_note(col, BASIC, ["new on the train", "its back"], 1)
        study(col, col.get_note(new).cards()[0].id)
    merged = pair.merge()
    assert merged.column(f"select ord from cards where nid = {new} order by ord") == [0, 1]
    assert merged.value(f"select reps from cards where nid = {new} and ord = 0") == 1


def test_a_template_removed_here_and_studied_there(pair: Pair) -> None:
    with pair.desktop() as col:
        nid = note_of(col, REVERSED)
        remove_template(col, REVERSED, 0)
    with pair.phone() as col:
        for card in col.get_note(nid).cards():
            study(col, card.id)
        new = add_note(col, REVERSED, ["new on the train", "its back"], 1)
    merged = pair.merge()
    assert merged.column(f"select ord from cards where nid = {nid}") == [0]
    assert merged.value(f"select reps from cards where nid = {nid}") >= 1
    assert merged.column(f"select ord from cards where nid = {new}") == [0]


def test_templates_moved_here_and_studied_there(pair: Pair) -> None:
    with pair.desktop() as col:
        nid = note_of(col, REVERSED)
        first = col.get_note(nid).cards()[0].id
        move_template(col, REVERSED, 1, 0)
    with pair.phone() as col:
        study(col, first)
    merged = pair.merge()
    assert merged.value(f"select ord from cards where id = {first}") == 1
    assert merged.value(f"select reps from cards where id = {first}") >= 1


def test_a_template_added_on_each_side(pair: Pair) -> None:
    with pair.desktop() as col:
        add_template(col, BASIC, "From desk", "{{Back}} desk")
    with pair.phone() as col:
        add_template(col, BASIC, "From train", "{{Back}} train")
    merged = pair.merge()
    names = merged.column(
        "select t.name from templates t join notetypes n on n.id = t.ntid where n.name = 'Basic'"
    )
    assert set(names) == {"Card 1", "From desk", "From train"}
    nid = min(
        merged.column("select n.id from notes n join notetypes t on t.id = n.mid where t.name = 'Basic'")
    )
    assert merged.column(f"select ord from cards where nid = {nid} order by ord") == [0, 1, 2]


def test_each_removed_what_the_other_kept(pair: Pair) -> None:
    with pair.desktop() as col:
        remove_template(col, REVERSED, 0)
    with pair.phone() as col:
        remove_template(col, REVERSED, 1)
    merged = pair.merge()
    names = merged.column(
        f"select t.name from templates t join notetypes n on n.id = t.ntid where n.name = '{REVERSED}'"
    )
    assert len(names) == 1


@pytest.mark.parametrize("sort", [0, 1])
def test_the_sort_field_goes_with_a_field_that_moved(pair: Pair, sort: int) -> None:
    with pair.desktop() as col:
        notetype = col.models.by_name(BASIC)
        col.models.set_sort_index(notetype, sort)
        col.models.update_dict(notetype)
    with pair.phone() as col:
        add_field(col, BASIC, "Before", 0)
        new = add_note(col, BASIC, ["before", "front", "back"], 1)
    merged = pair.merge()
    assert merged.value(f"select sfld from notes where id = {new}") == ("front", "back")[sort]


def test_a_cloze_notetype_gets_a_field(pair: Pair) -> None:
    with pair.desktop() as col:
        add_field(col, "Cloze", "Source", 0)
    with pair.phone() as col:
        new = add_note(col, "Cloze", ["{{c1::a}} {{c3::b}}", "extra"], 1)
    merged = pair.merge()
    assert (
        merged.value(f"select flds from notes where id = {new}")
        == f"{SEP}{{{{c1::a}}}} {{{{c3::b}}}}{SEP}extra"
    )
    assert merged.column(f"select ord from cards where nid = {new} order by ord") == [0, 2]


def test_both_fill_what_a_card_needs_together(pair: Pair) -> None:
    """A card whose template asks for two fields: one is written here, the other there."""
    with pair.desktop() as col:
        add_field(col, BASIC, "Singular")
        add_field(col, BASIC, "Plural")
        add_template(col, BASIC, "Both", "{{#Singular}}{{Plural}}{{/Singular}}")
        nid = add_note(col, BASIC, ["word", "its back"], 1)
    assert pair.sync().column(f"select ord from cards where nid = {nid}") == [0]
    with pair.desktop() as col:
        edit_field(col, nid, 2, "mouse")
    with pair.phone() as col:
        edit_field(col, nid, 3, "mice")
    merged = pair.merge()
    assert merged.column(f"select ord from cards where nid = {nid} order by ord") == [0, 1]


def test_a_note_comes_here_to_a_notetype_whose_templates_moved_there(pair: Pair) -> None:
    """Its old card is as it was on both, and has to move all the same."""
    with pair.desktop() as col:
        nid = note_of(col, BASIC)
        (old,) = col.db.list("select id from cards where nid = ?", nid)
        kinds = [col.models.by_name(kind)["id"] for kind in (BASIC, REVERSED)]
        change = col.models.change_notetype_info(old_notetype_id=kinds[0], new_notetype_id=kinds[1]).input
        change.note_ids.extend([nid])
        col.models.change_notetype_of_notes(change)
    with pair.phone() as col:
        move_template(col, REVERSED, 0, 1)
    merged = pair.merge()
    assert merged.value("select count() from templates where name = 'Card 1' and ord = 1") == 1
    assert merged.value(f"select ord from cards where id = {old}") == 1
    assert merged.column(f"select ord from cards where nid = {nid} order by ord") == [0, 1]
    assert merged.lost == []
