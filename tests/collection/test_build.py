"""A plan becomes a file that Anki could have written, and nothing in it is changed that the plan leaves alone."""

from __future__ import annotations

import pytest
from anki import decks_pb2
from anki.consts import MODEL_CLOZE
from merging import NOW_MS, Pair
from oracle.contents import contents
from raw import change, raw
from worlds import add_note, edit_field, editing, table

from usbsync.collection.build import build, grow
from usbsync.core.conflict import Side
from usbsync.core.plan import SidePlan

TEXTS = [
    "007",
    "1e999",
    "12345678901234567890",
    "-0.0",
    "<b>bold</b> &amp; plain",
    "<img src='x y.png'>",
    " x ",
    "é",
    "",
]


def col_row(path):
    return table(path, "select crt, mod, scm, usn, ls from col")[0]


@pytest.mark.parametrize("text", TEXTS)
def test_what_sorting_and_finding_go_by_is_what_anki_itself_gives(pair: Pair, text):
    """A note made of both sides is held by neither: sort field and checksum are worked out anew."""
    with pair.desktop() as col:
        nid = col.find_notes("tag:t0")[0]
        edit_field(col, nid, 0, text)
    with pair.phone() as col:
        edit_field(col, nid, 1, "back, on the train")
    merged = pair.merge()
    for path in (merged.desktop, merged.phone):
        mine = table(path, f"select quote(sfld), csum, flds from notes where id = {nid}")
        with editing(path) as col:
            col._backend.after_note_updates(nids=[nid], mark_notes_modified=False, generate_cards=False)
        assert table(path, f"select quote(sfld), csum, flds from notes where id = {nid}") == mine
        assert mine[0][2] == f"{text}\x1fback, on the train"


def test_what_comes_back_has_no_grave_from_before(pair):
    """A note that a phone deleted long ago, and that another phone brings: AnkiWeb must not hear of the deletion."""
    with pair.desktop() as col:
        nid = add_note(col, "Basic", ["comes back", ""], 1)
        (cid,) = col.get_note(nid).card_ids()
    for path in (pair.phone_path, pair.ancestor):
        change(
            path, "insert into graves (oid, type, usn) values (?, 1, -1), (?, 0, -1), (1, 1, -1)", nid, cid
        )
    merged = pair.merge()
    assert table(merged.phone, f"select id from notes where id = {nid}") == [[nid]]
    assert table(merged.phone, "select oid, type from graves") == [[1, 1]]


def test_each_sides_standing_with_ankiweb_is_left_alone(pair):
    change(pair.desktop_path, "update col set usn = 41, ls = 1001")
    change(pair.phone_path, "update col set usn = 7, ls = 2002")
    for path in (pair.desktop_path, pair.phone_path):
        change(path, "update notes set usn = 3")
    for col in pair.both():
        add_note(col, "Basic", [f"{col.path}", ""], 1)
    merged = pair.merge()
    for path, own in ((merged.desktop, pair.desktop_path), (merged.phone, pair.phone_path)):
        (crt, mod, scm, usn, ls), (own_crt, _, own_scm, own_usn, own_ls) = col_row(path), col_row(own)
        assert (crt, scm, usn, ls) == (own_crt, own_scm, own_usn, own_ls)
        assert mod == NOW_MS
        usns = table(path, "select usn, count() from notes group by 1 order by 1")
        assert usns == [[-1, 2], [3, 20]]


def test_what_is_written_is_news_for_ankiweb_and_what_is_deleted_has_a_grave(pair):
    with pair.phone() as col:
        nid = col.find_notes("tag:t0")[0]
        cards = [card.id for card in col.get_note(nid).cards()]
        col.remove_notes([nid])
        did = col.decks.id("Doomed")
    pair.sync()
    for path in (pair.desktop_path, pair.phone_path):
        for name in ("notes", "cards", "revlog", "decks", "deck_config", "notetypes", "tags", "graves"):
            change(path, f"update {name} set usn = 3")
    with pair.phone() as col:
        col.decks.remove([did])
        basic = col.models.by_name("Basic")
        basic["css"] = "x"
        col.models.update_dict(basic)
        col.tags.bulk_add([col.find_notes("tag:t1")[0]], "fresh")
        config = col.decks.get_config(1)
        config["new"]["perDay"] = 3
        col.decks.update_config(config)
        card = col.sched.getCard()
        col.sched.answerCard(card, 3)
    merged = pair.merge()
    news = {
        name: table(merged.desktop, f"select count() from {name} where usn = -1")[0][0]
        for name in ("notes", "cards", "revlog", "deck_config", "notetypes", "tags", "graves")
    }
    assert news == dict.fromkeys(news, 1)
    graves = {tuple(row) for row in table(merged.desktop, "select oid, type, usn from graves")}
    assert graves == {(nid, 1, 3), *((cid, 0, 3) for cid in cards), (did, 2, -1)}


def test_only_what_the_plan_names_is_changed(pair):
    with pair.phone() as col:
        nid = col.find_notes("tag:t0")[0]
        edit_field(col, nid, 1, "edited")
    merged = pair.merge()
    before, after = contents(pair.desktop_path), contents(merged.desktop)
    changed = {
        (name, key)
        for name, rows in after.items()
        for key, row in rows.items()
        if row != before[name].get(key)
    }
    assert changed == {("notes", (nid,)), ("col", (1,))}
    assert merged.phone.read_bytes() == pair.phone_path.read_bytes()


def test_two_notetypes_swap_their_names(pair):
    with pair.desktop() as col:
        one, two = col.models.by_name("Basic"), col.models.by_name("Cloze")
        for which, name in ((one, "x"), (two, "Basic"), (one, "Cloze")):
            found = col.models.get(which["id"])
            found["name"] = name
            col.models.update_dict(found)
    merged = pair.merge()
    for path in (merged.desktop, merged.phone):
        with editing(path) as col:
            assert col.models.by_name("Cloze")["id"] == one["id"]
            assert col.models.by_name("Basic")["type"] == MODEL_CLOZE


def test_three_decks_move_round(pair):
    with pair.phone() as col:
        ids = {name: col.decks.id_for_name(name) for name in ("Geography", "Old", "Spanish")}
        for did, name in (
            (ids["Geography"], "x"),
            (ids["Old"], "Geography"),
            (ids["Spanish"], "Old"),
            (ids["Geography"], "Spanish"),
        ):
            col.decks.rename(did, name)
    merged = pair.merge()
    names = dict(merged.rows("select name, id from decks"))
    assert (names["Geography"], names["Old"], names["Spanish"]) == (
        ids["Old"],
        ids["Spanish"],
        ids["Geography"],
    )
    assert "Old\x1fVerbs" in names


def test_options_that_this_version_has_never_heard_of_survive(pair):
    """Field 99 of a deck and field 77 of its options: what a newer Anki added is merged as any other option."""
    unknown = {"decks": bytes([0x9A, 0x06, 0x03]) + b"new", "deck_config": bytes([0xEA, 0x04, 0x03]) + b"new"}
    with raw(pair.phone_path) as db:
        ((did, common),) = db.execute("select id, common from decks where name = 'Old'")
        db.execute(
            "update decks set common = ?, mtime_secs = mtime_secs + 9 where id = ?",
            (common + unknown["decks"], did),
        )
        db.execute("update deck_config set config = config || ?", (unknown["deck_config"],))
        db.execute("update deck_config set config = cast(config as blob)")
    with pair.desktop() as col:
        col.decks.rename(did, "Older")
        config = col.decks.get_config(1)
        config["new"]["perDay"] = 5
        col.decks.update_config(config)
    merged = pair.merge()
    for path in (merged.desktop, merged.phone):
        found = contents(path)
        assert found["decks"][did,]["name"] == "Older"
        assert unknown["decks"] in found["decks"][did,]["common"]
        assert unknown["deck_config"] in found["deck_config"][1,]["config"]
        assert decks_pb2.Deck.Common.FromString(found["decks"][did,]["common"])


def test_an_empty_plan_changes_only_the_time(pair, tmp_path):
    target = tmp_path / "target.anki2"
    build(pair.desktop_path, pair.phone_path, SidePlan(), target, 5)
    before, after = contents(pair.desktop_path), contents(target)
    before["col"][1,]["mod"] = 5
    assert after == before


def test_nothing_but_the_result_is_left_behind(pair):
    with pair.phone() as col:
        add_note(col, "Basic", ["x", ""], 1)
    merged = pair.merge()
    left = {path.name for path in merged.desktop.parent.iterdir() if path.suffix != ".media"}  # the test's
    assert left == {"ancestor", "desktop", "phone", "again", "desktop.merged.anki2", "phone.merged.anki2"}


@pytest.mark.parametrize("worker", Side)
def test_large_numbers_of_everything_at_once(pair, worker):
    with pair.editing(worker) as col:
        for number in range(1500):
            add_note(col, "Basic", [f"{number}", "x" * 100], 1)
    merged = pair.merge()
    assert merged.value("select count() from notes") == 1520
    assert [len(plan.tables) > 0 for plan in (merged.plan.desktop, merged.plan.phone)] == [
        worker is Side.PHONE,
        worker is Side.DESKTOP,
    ]


def test_cards_are_made_for_those_notes_that_are_still_there(pair):
    with pair.desktop() as col:
        nid = col.find_notes("tag:t0")[0]
    assert grow(pair.desktop_path, pair.phone_path, [1, nid], NOW_MS) == 0
