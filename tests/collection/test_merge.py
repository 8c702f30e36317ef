"""Real collections, edited on both sides and merged: each test is one human situation.

`Pair.merge` checks of every one of them that both results are equal, that Anki's own database check finds
nothing in either, and that merging again has nothing to do.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from anki.collection import ExportAnkiPackageOptions, ImportAnkiPackageOptions, ImportAnkiPackageRequest
from anki.consts import QUEUE_TYPE_MANUALLY_BURIED, QUEUE_TYPE_SUSPENDED
from merging import Pair
from worlds import add_note, answer, edit_field, editing, new_collection

from usbsync.core.conflict import Policy, Settlement, Side

SEP = "\x1f"
BOTH = tuple(Side)


def nid_of(col, front):
    """Find the note of `new_collection` with this text as one of its fields."""
    (nid,) = col.db.list(
        "select id from notes where flds like ? or flds like ?", f"{front}{SEP}%", f"%{SEP}{front}"
    )
    return nid


def cards_of(col, front):
    return [card.id for card in col.get_note(nid_of(col, front)).cards()]


def later(col, table, row, seconds=60):
    """Make an edit that much younger: `mod` counts in whole seconds, and tests are quick."""
    col.db.execute(f"update {table} set mod = mod + ? where id = ?", seconds, row)


def deck(col, name):
    return col.decks.id_for_name(name)


def study(col, card_id, ease=3):
    """Answer this very card, wherever it is in the queue."""
    card = col.get_card(card_id)
    card.start_timer()
    states = col._backend.get_scheduling_states(card_id)
    col.sched.answer_card(col.sched.build_answer(card=card, states=states, rating=ease - 1))


def tags(merged, front):
    (found,) = merged.column(f"select tags from notes where flds like '{front}{SEP}%'")
    return set(found.split())


def flds(merged, nid):
    return merged.value(f"select flds from notes where id = {nid}").split(SEP)


# ---- notes


def test_two_fields_of_one_note(pair):
    with pair.desktop() as col:
        nid = nid_of(col, "front 0")
        edit_field(col, nid, 0, "front, at the desk")
    with pair.phone() as col:
        edit_field(col, nid, 1, "back, on the train")
    merged = pair.merge()
    assert flds(merged, nid) == ["front, at the desk", "back, on the train"]
    assert merged.lost == []


@pytest.mark.parametrize(("policy", "stands"), [("newest", 1), ("desktop", 0), ("phone", 1)])
def test_one_field_of_one_note(pair, policy, stands):
    with pair.desktop() as col:
        nid = nid_of(col, "front 0")
        edit_field(col, nid, 1, "desk")
    with pair.phone() as col:
        edit_field(col, nid, 1, "train")
        later(col, "notes", nid)
    merged = pair.merge(Settlement(Policy(policy)))
    assert flds(merged, nid) == ["front 0", ("desk", "train")[stands]]
    assert merged.lost == [("notes", "Back", BOTH[stands])]
    (conflict,) = merged.result.conflicts
    assert (conflict.ancestor, conflict.desktop, conflict.phone) == ("back 0", "desk", "train")


def test_the_older_edit_stands_in_the_field_that_the_newer_left_alone(pair):
    with pair.desktop() as col:
        nid = nid_of(col, "front 0")
        edit_field(col, nid, 0, "desk, much later")
        later(col, "notes", nid, 5000)
    with pair.phone() as col:
        note = col.get_note(nid)
        note.fields[:] = ["train", "only on the train"]
        col.update_note(note)
    merged = pair.merge()
    assert flds(merged, nid) == ["desk, much later", "only on the train"]
    assert merged.lost == [("notes", "Front", Side.DESKTOP)]


def test_the_same_edit_on_both_is_no_conflict(pair):
    for col in pair.both():
        edit_field(col, nid := nid_of(col, "front 0"), 1, "the same")
    merged = pair.merge()
    assert flds(merged, nid) == ["front 0", "the same"]
    assert merged.lost == []


def test_tags_added_and_removed_on_both(pair):
    with pair.desktop() as col:
        nid = nid_of(col, "front 0")
        col.tags.bulk_add([nid], "desk both")
        col.tags.bulk_remove([nid], "seed")
    with pair.phone() as col:
        col.tags.bulk_add([nid], "train both")
        col.tags.bulk_remove([nid], "t0")
    merged = pair.merge()
    assert tags(merged, "front 0") == {"desk", "train", "both"}
    assert merged.lost == []
    assert {"desk", "train", "both"} <= set(merged.column("select tag from tags"))


def test_a_tag_spelled_in_two_ways(pair):
    with pair.desktop() as col:
        col.tags.bulk_add([nid_of(col, "front 0")], "Verbs::Ser")
    with pair.phone() as col:
        col.tags.bulk_add([nid_of(col, "front 0")], "verbs::ser")
        col.tags.bulk_add([nid_of(col, "front 1")], "verbs::ser")
    merged = pair.merge()
    (spelling,) = merged.column("select tag from tags where tag like 'verbs::ser'")
    assert len(tags(merged, "front 0") & {"Verbs::Ser", "verbs::ser"}) == 1
    assert spelling in {"Verbs::Ser", "verbs::ser"}


def test_a_tag_cleared_from_the_list_that_the_other_side_gave_to_a_note(pair):
    with pair.desktop() as col:
        col.tags.remove("t3")
    with pair.phone() as col:
        col.tags.bulk_add([nid_of(col, "front 0")], "t3")
    merged = pair.merge()
    assert "t3" in tags(merged, "front 0")
    assert merged.column("select tag from tags where tag = 't3'") == ["t3"]


@pytest.mark.parametrize("deleter", BOTH)
def test_a_note_deleted_here_and_written_there(pair, deleter):
    with pair.editing(deleter) as col:
        nid, cards = nid_of(col, "front 1"), cards_of(col, "front 1")
        col.remove_notes([nid])
    with pair.editing(deleter.other) as col:
        edit_field(col, nid, 1, "still wanted")
    merged = pair.merge()
    assert flds(merged, nid) == ["front 1", "still wanted"]
    assert merged.column(f"select id from cards where nid = {nid}") == cards
    assert ("notes", "deletion", deleter.other) in merged.lost
    assert merged.rows("select * from graves") == []


@pytest.mark.parametrize("deleter", BOTH)
def test_a_note_deleted_here_and_studied_there(pair, deleter):
    with pair.editing(deleter) as col:
        nid, (cid,) = nid_of(col, "front 0"), cards_of(col, "front 0")
        col.remove_notes([nid])
    with pair.editing(deleter.other) as col:
        study(col, cid)
    merged = pair.merge()
    assert merged.column(f"select id from notes where id = {nid}") == []
    assert merged.column(f"select id from cards where nid = {nid}") == []
    assert merged.value(f"select count() from revlog where cid = {cid}") == 2
    assert merged.lost == []
    graves = "select oid, type from graves order by 1"
    for path in (merged.desktop, merged.phone):
        with editing(path) as col:
            assert {tuple(row) for row in col.db.all(graves)} == {(nid, 1), (cid, 0)}


def test_a_note_deleted_on_both(pair):
    for col in pair.both():
        nid = nid_of(col, "front 0")
        col.remove_notes([nid])
    merged = pair.merge()
    assert merged.column(f"select id from notes where id = {nid}") == []
    assert merged.result.conflicts == ()


def test_both_write_new_notes(pair):
    for at, col in enumerate(pair.both()):
        for number in range(3):
            add_note(col, "Basic", [f"new {at} {number}", "x"], deck(col, "Spanish"), [f"from{at}"])
    merged = pair.merge()
    assert merged.value("select count() from notes where flds like 'new %'") == 6
    assert (
        merged.value("select count() from cards where nid in (select id from notes where flds like 'new %')")
        == 6
    )


def test_a_note_given_another_notetype_here_and_left_alone_there(pair):
    with pair.desktop() as col:
        nid = nid_of(col, "front 0")
        basic, reversed_ = col.models.by_name("Basic"), col.models.by_name("Basic (and reversed card)")
        request = col.models.change_notetype_info(
            old_notetype_id=basic["id"], new_notetype_id=reversed_["id"]
        ).input
        request.note_ids.append(nid)
        col.models.change_notetype_of_notes(request)
    with pair.phone() as col:
        edit_field(col, nid_of(col, "front 3"), 1, "elsewhere")
    merged = pair.merge()
    assert merged.value(f"select mid from notes where id = {nid}") == reversed_["id"]
    assert merged.column(f"select ord from cards where nid = {nid} order by 1") == [0, 1]


def test_a_note_given_another_notetype_here_and_written_there(pair):
    with pair.desktop() as col:
        nid = nid_of(col, "front 0")
        basic, cloze = col.models.by_name("Basic"), col.models.by_name("Basic (and reversed card)")
        request = col.models.change_notetype_info(
            old_notetype_id=basic["id"], new_notetype_id=cloze["id"]
        ).input
        request.note_ids.append(nid)
        col.models.change_notetype_of_notes(request)
    with pair.phone() as col:
        edit_field(col, nid, 1, "on the train")
    merged = pair.merge()
    assert merged.value(f"select mid from notes where id = {nid}") == cloze["id"]
    assert flds(merged, nid) == ["front 0", "on the train"]


def test_the_same_cloze_added_on_both(pair):
    for at, col in enumerate(pair.both()):
        nid = nid_of(col, "back 2")
        edit_field(col, nid, at, col.get_note(nid).fields[at] + " {{c3::new}}" * (1 - at))
        if at:
            edit_field(col, nid, 0, col.get_note(nid).fields[0] + " {{c3::new}}")
    merged = pair.merge()
    assert merged.column(f"select ord from cards where nid = {nid} order by 1") == [0, 1, 2]


def test_unicode_names_and_texts(pair):
    with pair.desktop() as col:
        did = col.decks.id("Ελληνικά::Ρήματα")
        nid = add_note(col, "Basic", ["🏠 maison 家", "Straße ﬃ ΐ"], did, ["ΐ", "Ω"])
    with pair.phone() as col:
        col.decks.id("ελληνικά::Ουσιαστικά")
        col.tags.bulk_add([nid_of(col, "front 0")], "ω İ")
    merged = pair.merge()
    assert flds(merged, nid) == ["🏠 maison 家", "Straße ﬃ ΐ"]
    names = [name for name in merged.column("select name from decks") if name.casefold().startswith("ελλ")]
    assert len(names) == 3
    assert len({name.split(SEP)[0].casefold() for name in names}) == 1


# ---- cards


def test_a_card_moved_here_and_studied_there(pair):
    with pair.desktop() as col:
        (cid,) = cards_of(col, "front 12")
        col.set_deck([cid], deck(col, "Old"))
        old = deck(col, "Old")
    with pair.phone() as col:
        study(col, cid)
        studied = col.get_card(cid)
    merged = pair.merge()
    assert merged.rows(f"select did, reps, queue, due from cards where id = {cid}") == [
        [old, 1, studied.queue, studied.due]
    ]
    assert merged.lost == []


def test_a_flag_here_and_an_answer_there(pair):
    with pair.desktop() as col:
        (cid,) = cards_of(col, "front 12")
        col.set_user_flag_for_cards(4, [cid])
    with pair.phone() as col:
        study(col, cid)
    merged = pair.merge()
    assert merged.rows(f"select flags, reps, type from cards where id = {cid}") == [[4, 1, 1]]
    assert merged.lost == []


@pytest.mark.parametrize("suspender", BOTH)
def test_suspended_here_and_studied_there(pair, suspender):
    with pair.editing(suspender) as col:
        (cid,) = cards_of(col, "front 12")
        col.sched.suspend_cards([cid])
    with pair.editing(suspender.other) as col:
        study(col, cid)
        studied = col.get_card(cid)
    merged = pair.merge()
    assert merged.rows(f"select queue, type, due, reps from cards where id = {cid}") == [
        [QUEUE_TYPE_SUSPENDED, studied.type, studied.due, 1]
    ]


def test_unsuspended_here_and_flagged_there(pair):
    with pair.desktop() as col:
        (cid,) = cards_of(col, "front 12")
        col.sched.suspend_cards([cid])
    pair.sync()
    with pair.desktop() as col:
        col.sched.unsuspend_cards([cid])
    with pair.phone() as col:
        col.set_user_flag_for_cards(1, [cid])
    merged = pair.merge()
    assert merged.rows(f"select queue, flags from cards where id = {cid}") == [[0, 1]]


@pytest.mark.parametrize("last", BOTH)
def test_a_card_studied_on_both(pair, last):
    """Reps and lapses count the answers of both; the later answer sets the schedule."""
    with pair.editing(last.other) as col:
        (cid,) = cards_of(col, "front 0")
        before = col.get_card(cid)
        study(col, cid, 1)
        study(col, cid, 3)
    with pair.editing(last) as col:
        study(col, cid, 4)
        stands = col.get_card(cid)
    merged = pair.merge()
    assert merged.rows(f"select reps, type, queue, due, ivl from cards where id = {cid}") == [
        [before.reps + 3, stands.type, stands.queue, stands.due, stands.ivl]
    ]
    assert merged.value(f"select count() from revlog where cid = {cid}") == before.reps + 3
    assert merged.lost == []


def test_lapses_of_both_are_counted(pair):
    with pair.desktop() as col:
        (cid,) = cards_of(col, "front 0")
        card = col.get_card(cid)
        card.type = card.queue = 2
        card.ivl, card.due, card.lapses, card.factor, card.reps = 30, col.sched.today, 1, 2500, 9
        col.update_card(card)
    pair.sync()
    for col in pair.both():
        study(col, cid, 1)
    merged = pair.merge()
    assert merged.rows(f"select reps, lapses from cards where id = {cid}") == [[11, 3]]


def test_buried_here_and_unburied_there(pair):
    with pair.desktop() as col:
        (one,), (two,) = cards_of(col, "front 12"), cards_of(col, "front 15")
        col.sched.bury_cards([one])
    pair.sync()
    with pair.desktop() as col:
        col.sched.unbury_cards([one])
    with pair.phone() as col:
        col.sched.bury_cards([two])
        col.set_user_flag_for_cards(2, [one])
    merged = pair.merge()
    assert merged.rows(f"select queue, flags from cards where id = {one}") == [[0, 2]]
    assert merged.value(f"select queue from cards where id = {two}") == QUEUE_TYPE_MANUALLY_BURIED


def test_forgotten_here_and_studied_there(pair):
    """What was done last stands; the answer stays in the history."""
    with pair.desktop() as col:
        (cid,) = cards_of(col, "front 0")
        study(col, cid)
    with pair.phone() as col:
        col.sched.schedule_cards_as_new([cid])
    merged = pair.merge()
    assert merged.rows(f"select type, queue from cards where id = {cid}") == [[0, 0]]
    assert merged.value(f"select count() from revlog where cid = {cid}") == 3


# ---- decks


def test_a_deck_renamed_here_and_studied_there(pair):
    with pair.desktop() as col:
        did = deck(col, "Geography")
        col.decks.rename(did, "World")
    with pair.phone() as col:
        col.decks.select(did)
        before = counts_today(col, did)
        for cid in cards_of(col, "front 10"):
            study(col, cid)
        assert counts_today(col, did) != before
        after = counts_today(col, did)
    merged = pair.merge()
    assert merged.value(f"select name from decks where id = {did}") == "World"
    with editing(merged.desktop) as col:
        assert counts_today(col, did) == after
    assert merged.lost == []


def counts_today(col, did):
    found = col.decks.get(did)
    return found["newToday"], found["revToday"], found["lrnToday"], found["timeToday"]


def test_todays_counts_add_up(pair):
    with pair.desktop() as col:
        did = deck(col, "Spanish")
        before = counts_today(col, did)[0][1]
        study(col, cards_of(col, "front 12")[0])
    with pair.phone() as col:
        for cid in cards_of(col, "front 16"):
            study(col, cid)
    merged = pair.merge()
    with editing(merged.phone) as col:
        assert counts_today(col, did)[0][1] == before + 3


def test_a_parent_renamed_here_and_a_child_added_there(pair):
    with pair.desktop() as col:
        col.decks.rename(deck(col, "Spanish"), "Español")
    with pair.phone() as col:
        child = col.decks.id("Spanish::Nouns")
        col.set_deck(cards_of(col, "front 12"), child)
    merged = pair.merge()
    names = set(merged.column("select name from decks"))
    assert {"Español", f"Español{SEP}Verbs", f"Español{SEP}Nouns"} <= names
    assert not any(name.startswith("Spanish") for name in names)


def test_the_same_new_deck_on_both(pair):
    for at, col in enumerate(pair.both()):
        did = col.decks.id(("French::Verbs", "french::verbs")[at])
        add_note(col, "Basic", [f"aller {at}", "go"], did)
    merged = pair.merge()
    assert merged.value(f"select count() from decks where name like 'french{SEP}verbs'") == 1
    assert merged.value("select count() from decks") == 5 + 2
    assert (
        merged.value(
            "select count(distinct did) from cards c join notes n on n.id = nid where flds like 'aller%'"
        )
        == 1
    )


def test_two_decks_swap_their_names(pair):
    with pair.desktop() as col:
        one, two = deck(col, "Geography"), deck(col, "Old")
        col.decks.rename(one, "x")
        col.decks.rename(two, "Geography")
        col.decks.rename(one, "Old")
    with pair.phone() as col:
        edit_field(col, nid_of(col, "front 0"), 1, "elsewhere")
    merged = pair.merge()
    assert merged.value(f"select name from decks where id = {one}") == "Old"
    assert merged.value(f"select name from decks where id = {two}") == "Geography"


def test_a_deck_renamed_on_both(pair):
    with pair.desktop() as col:
        did = deck(col, "Geography")
        col.decks.rename(did, "Earth")
    with pair.phone() as col:
        col.decks.rename(did, "World")
    merged = pair.merge()
    assert merged.value(f"select name from decks where id = {did}") in {"Earth", "World"}
    assert [lost[:2] for lost in merged.lost] == [("decks", "name")]


@pytest.mark.parametrize("deleter", BOTH)
def test_a_deck_deleted_here_and_a_card_added_there(pair, deleter):
    """The deck stays for the new card; the cards that were deleted with it stay deleted."""
    with pair.editing(deleter) as col:
        did = deck(col, "Old")
        had = col.find_notes("deck:Old")
        col.decks.remove([did])
    with pair.editing(deleter.other) as col:
        nid = add_note(col, "Basic", ["new", "card"], did)
    merged = pair.merge()
    assert merged.value(f"select name from decks where id = {did}") == "Old"
    assert merged.column(f"select nid from cards where did = {did}") == [nid]
    assert merged.value(f"select count() from notes where id in ({','.join(map(str, had))})") == 0
    assert ("decks", "deletion", deleter.other) in merged.lost


def test_a_deck_deleted_here_and_studied_there(pair):
    with pair.desktop() as col:
        did = deck(col, "Old")
        col.decks.remove([did])
    with pair.phone() as col:
        for cid in cards_of(col, "front 3"):
            study(col, cid)
    merged = pair.merge()
    assert merged.column(f"select id from decks where id = {did}") == []
    assert merged.value(f"select count() from cards where did = {did}") == 0
    assert merged.value("select count() from revlog") == 11


def test_a_deck_with_children_deleted_here_and_a_grandchild_added_there(pair):
    with pair.desktop() as col:
        col.decks.remove([deck(col, "Spanish")])
    with pair.phone() as col:
        nid = add_note(col, "Basic", ["new", "card"], col.decks.id("Spanish::Verbs::Irregular"))
    merged = pair.merge()
    names = set(merged.column("select name from decks"))
    assert {"Spanish", f"Spanish{SEP}Verbs", f"Spanish{SEP}Verbs{SEP}Irregular"} <= names
    assert merged.column(
        "select nid from cards c join decks d on d.id = did where d.name like 'Spanish%'"
    ) == [nid]


def test_two_options_of_one_preset(pair):
    with pair.desktop() as col:
        config = col.decks.get_config(1)
        config["new"]["perDay"] = 7
        config["name"] = "Mine"
        col.decks.update_config(config)
    with pair.phone() as col:
        config = col.decks.get_config(1)
        config["rev"]["perDay"] = 333
        config["new"]["delays"] = [2.0, 20.0]
        col.decks.update_config(config)
    merged = pair.merge()
    with editing(merged.phone) as col:
        config = col.decks.get_config(1)
        found = config["name"], config["new"]["perDay"], config["rev"]["perDay"], config["new"]["delays"]
    assert found == ("Mine", 7, 333, [2.0, 20.0])
    assert merged.lost == []


def test_one_option_of_one_preset(pair):
    for at, col in enumerate(pair.both()):
        config = col.decks.get_config(1)
        config["new"]["perDay"] = (7, 9)[at]
        col.decks.update_config(config)
        col.db.execute("update deck_config set mtime_secs = mtime_secs + ? where id = 1", 60 * at)
    merged = pair.merge()
    assert merged.lost == [("deck_config", "new per day", Side.PHONE)]
    with editing(merged.desktop) as col:
        assert col.decks.get_config(1)["new"]["perDay"] == 9


def test_options_deleted_here_and_chosen_for_a_deck_there(pair):
    with pair.desktop() as col:
        options = col.decks.add_config_returning_id("Hard")
    pair.sync()
    with pair.desktop() as col:
        col.decks.remove_config(options)
    with pair.phone() as col:
        chosen = col.decks.get(deck(col, "Old"))
        chosen["conf"] = options
        col.decks.save(chosen)
    merged = pair.merge()
    assert merged.column(f"select name from deck_config where id = {options}") == ["Hard"]
    with editing(merged.desktop) as col:
        assert col.decks.config_dict_for_deck_id(deck(col, "Old"))["id"] == options


def test_a_description_here_and_a_limit_there(pair):
    with pair.desktop() as col:
        did = deck(col, "Old")
        found = col.decks.get(did)
        found["desc"] = "dusty"
        col.decks.save(found)
    with pair.phone() as col:
        found = col.decks.get(did)
        found["newLimit"] = 3
        col.decks.save(found)
    merged = pair.merge()
    with editing(merged.desktop) as col:
        found = col.decks.get(did)
        assert (found["desc"], found["newLimit"]) == ("dusty", 3)


def test_a_filtered_deck_emptied_here_and_studied_there(pair):
    with pair.desktop() as col:
        filtered = col.decks.new_filtered("Cram")
        found = col.decks.get(filtered)
        found["terms"] = [["deck:Spanish", 5, 1]]
        found["resched"] = True
        col.decks.save(found)
        col.sched.rebuild_filtered_deck(filtered)
        cards = col.find_cards("deck:Cram")
    pair.sync()
    with pair.desktop() as col:
        col.sched.empty_filtered_deck(filtered)
    with pair.phone() as col:
        study(col, cards[0])
    merged = pair.merge()
    assert merged.value("select count() from cards where odid != 0 and odid = did") == 0
    assert merged.value("select count() from revlog") == 11
    assert merged.value(f"select reps from cards where id = {cards[0]}") >= 1


def test_a_filtered_deck_deleted_here_and_studied_there(pair):
    with pair.desktop() as col:
        filtered = col.decks.new_filtered("Cram")
        found = col.decks.get(filtered)
        found["terms"] = [["deck:Spanish", 5, 1]]
        col.decks.save(found)
        col.sched.rebuild_filtered_deck(filtered)
        cards = col.find_cards("deck:Cram")
        home = {cid: col.get_card(cid).odid for cid in cards}
    pair.sync()
    with pair.desktop() as col:
        col.decks.remove([filtered])
    with pair.phone() as col:
        study(col, cards[0], 1)
        study(col, cards[1], 4)
    merged = pair.merge()
    assert merged.column(f"select id from decks where id = {filtered}") == []
    assert dict(merged.rows(f"select id, did from cards where id in ({','.join(map(str, cards))})")) == home
    assert merged.value("select count() from cards where odid != 0 or odue != 0") == 0


def test_a_filtered_deck_rebuilt_on_both(pair):
    for at, col in enumerate(pair.both()):
        filtered = col.decks.new_filtered("Cram")
        found = col.decks.get(filtered)
        found["terms"] = [[("deck:Spanish", "deck:Geography")[at], 3, 1]]
        col.decks.save(found)
        col.sched.rebuild_filtered_deck(filtered)
    merged = pair.merge()
    assert merged.value("select count() from decks where name like 'Cram%'") == 1
    assert (
        merged.value("select count() from cards where odid != 0 and did not in (select id from decks)") == 0
    )


# ---- notetypes


def test_styling_here_and_a_template_there(pair):
    with pair.desktop() as col:
        basic = col.models.by_name("Basic")
        basic["css"] += " .desk {}"
        col.models.update_dict(basic)
    with pair.phone() as col:
        basic = col.models.by_name("Basic")
        basic["tmpls"][0]["afmt"] += "<hr>train"
        basic["flds"][1]["name"] = "Rear"
        col.models.update_dict(basic)
    merged = pair.merge()
    with editing(merged.desktop) as col:
        basic = col.models.by_name("Basic")
    assert basic["css"].endswith(" .desk {}")
    assert basic["tmpls"][0]["afmt"].endswith("<hr>train")
    assert [field["name"] for field in basic["flds"]] == ["Front", "Rear"]
    assert merged.lost == []


def test_styling_on_both(pair):
    for at, col in enumerate(pair.both()):
        basic = col.models.by_name("Basic")
        basic["css"] = ("desk", "train")[at]
        col.models.update_dict(basic)
        col.db.execute("update notetypes set mtime_secs = mtime_secs + ? where id = ?", 60 * at, basic["id"])
    merged = pair.merge()
    assert merged.lost == [("notetypes", "css", Side.PHONE)]
    with editing(merged.desktop) as col:
        assert col.models.by_name("Basic")["css"] == "train"


def test_a_notetype_renamed_here_and_restyled_there(pair):
    with pair.desktop() as col:
        basic = col.models.by_name("Basic")
        basic["name"] = "Plain"
        col.models.update_dict(basic)
    with pair.phone() as col:
        basic = col.models.by_name("Basic")
        basic["css"] = "train"
        col.models.update_dict(basic)
    merged = pair.merge()
    with editing(merged.desktop) as col:
        assert col.models.by_name("Plain")["css"] == "train"
        assert col.models.by_name("Basic") is None


def test_a_new_notetype_of_one_name_on_both(pair):
    for at, col in enumerate(pair.both()):
        made = col.models.copy(col.models.by_name("Basic"))
        made["name"] = "Vocabulary"
        made["css"] = ("desk", "train")[at]
        col.models.update_dict(made)
        add_note(col, "Vocabulary", [f"word {at}", "x"], deck(col, "Old"))
    merged = pair.merge()
    assert set(merged.column("select name from notetypes where name like 'Vocab%'")) == {
        "Vocabulary",
        "Vocabulary+",
    }
    used = merged.column(
        "select name from notetypes where id in (select mid from notes where flds like 'word _\x1fx')"
    )
    assert set(used) == {"Vocabulary", "Vocabulary+"}


def test_a_notetype_deleted_here_and_used_there(pair):
    with pair.desktop() as col:
        made = col.models.copy(col.models.by_name("Basic"))
    pair.sync()
    with pair.desktop() as col:
        col.models.remove(made["id"])
    with pair.phone() as col:
        nid = add_note(col, made["name"], ["uses", "it"], deck(col, "Old"))
    merged = pair.merge()
    assert merged.value(f"select mid from notes where id = {nid}") == made["id"]
    assert merged.column(f"select name from notetypes where id = {made['id']}") == [made["name"]]
    assert ("notetypes", "deletion", Side.PHONE) in merged.lost


def test_a_field_added_here_and_nothing_of_that_notetype_done_there(pair):
    with pair.desktop() as col:
        basic = col.models.by_name("Basic")
        col.models.add_field(basic, col.models.new_field("Source"))
        col.models.update_dict(basic)
        scm = col.db.scalar("select scm from col")
    with pair.phone() as col:
        edit_field(col, nid_of(col, "front 1"), 1, "of another notetype")
    merged = pair.merge()
    assert len(flds(merged, merged.value("select max(id) from notes where flds like 'front 0%'"))) == 3
    for path in (merged.desktop, merged.phone):
        with editing(path) as col:
            assert col.db.scalar("select scm from col") == scm


def test_the_sort_field_moved_here_and_a_note_written_there(pair):
    with pair.desktop() as col:
        basic = col.models.by_name("Basic")
        col.models.set_sort_index(basic, 1)
        col.models.update_dict(basic)
    with pair.phone() as col:
        nid = add_note(col, "Basic (and reversed card)", ["other", "type"], 1)
    merged = pair.merge()
    assert merged.column(f"select sfld from notes where id = {nid}") == ["other"]
    assert merged.column("select sfld from notes where flds like 'front 0\x1f%'") == ["back 0"]


# ---- the rest


def test_preferences_merge_key_by_key(pair):
    with pair.desktop() as col:
        col.set_config("timeLim", 300)
        col.set_config("mine", {"a": [1, "ü"]})
    with pair.phone() as col:
        col.set_config("newSpread", 2)
        col.remove_config("dayLearnFirst")
    merged = pair.merge()
    with editing(merged.phone) as col:
        assert (col.get_config("timeLim"), col.get_config("newSpread")) == (300, 2)
        assert col.get_config("mine") == {"a": [1, "ü"]}
        assert col.get_config("dayLearnFirst", "gone") == "gone"
    assert merged.lost == []


def test_one_preference_on_both(pair):
    for at, col in enumerate(pair.both()):
        col.set_config("timeLim", 100 + at)
    merged = pair.merge()
    assert [lost[:2] for lost in merged.lost] == [("config", "value")]


def test_the_next_new_position_never_goes_back(pair):
    for at, col in enumerate(pair.both()):
        for number in range(2 + at):
            add_note(col, "Basic", [f"n {at} {number}", ""], 1)
    merged = pair.merge()
    assert merged.value("select cast(val as text) from config where key = 'nextPos'") == "24"


def test_one_package_imported_on_both(pair, tmp_path):
    package = tmp_path / "shared.apkg"
    with editing(new_collection(tmp_path / "other" / "collection.anki2", notes=6, reviews=0)) as col:
        col.decks.rename(deck(col, "Geography"), "Shared")
        col.export_anki_package(out_path=str(package), limit=None, options=ExportAnkiPackageOptions())
    for col in pair.both():
        col.import_anki_package(
            ImportAnkiPackageRequest(package_path=str(package), options=ImportAnkiPackageOptions())
        )
    merged = pair.merge()
    assert merged.value("select count() from decks where name like 'Shared%'") == 1
    assert merged.value("select count() from (select guid from notes group by guid having count() > 1)") == 0
    assert merged.value("select count() from notes") == 26


def test_nothing_done_anywhere(pair):
    merged = pair.merge()
    assert merged.plan.empty
    assert merged.desktop.read_bytes() == pair.desktop_path.read_bytes()
    assert merged.phone.read_bytes() == pair.phone_path.read_bytes()


def test_merely_opening_is_nothing(pair):
    for col in pair.both():
        col.sched.deck_due_tree()
    assert pair.merge().plan.empty


@pytest.mark.parametrize("worker", BOTH)
def test_a_side_whose_work_the_other_lacks_is_not_written(pair, worker):
    with pair.editing(worker) as col:
        edit_field(col, nid_of(col, "front 0"), 1, "x")
        answer(col, 3)
    merged = pair.merge()
    assert merged.plan.side(worker).empty
    assert not merged.plan.side(worker.other).empty


@pytest.mark.parametrize("worker", BOTH)
def test_from_an_empty_collection(tmp_path, worker):
    pair = Pair(tmp_path, new_collection(tmp_path / "empty" / "collection.anki2", notes=0, reviews=0))
    with pair.editing(worker) as col:
        add_note(col, "Cloze", ["{{c1::first}}", ""], col.decks.id("New"), ["fresh"])
        answer(col, 1)
    merged = pair.merge()
    assert merged.value("select count() from notes") == 1
    assert merged.value("select count() from revlog") == 1


def test_all_of_it_deleted_here_and_nothing_there(pair):
    with pair.desktop() as col:
        col.remove_notes(list(col.find_notes("")))
    merged = pair.merge()
    assert merged.value("select count() from notes") == 0
    assert merged.value("select count() from cards") == 0


def test_answered_here_and_given_a_due_date_there(pair):
    with pair.desktop() as col:
        (card,) = cards_of(col, "front 0")
        study(col, card)
    with pair.phone() as col:
        col.sched.set_due_date([card], "14")
        later(col, "cards", card)
    merged = pair.merge()  # Anki's check would add the time of the last review, did the merge lose it
    assert merged.value(f"select reps from cards where id = {card}") >= 1
    assert '"lrt":' in merged.value(f"select data from cards where id = {card}")


def _apart(pair: Pair) -> int:
    """Let the two cards of one note lie in decks of their own, on both sides."""
    with pair.desktop() as col:
        decks = [col.decks.id(name) for name in ("One", "Other")]
        nid = add_note(col, "Basic (and reversed card)", ["in two decks", "x"], decks[0])
        col.set_deck([col.get_note(nid).card_ids()[1]], decks[1])
    pair.sync()
    return nid


def test_a_note_goes_where_both_together_deleted_the_decks_of_all_its_cards(pair: Pair) -> None:
    """As it does where one of them deletes both; Anki's database check would delete it else."""
    nid = _apart(pair)
    with pair.desktop() as col:
        col.decks.remove([col.decks.id("One")])
    with pair.phone() as col:
        col.decks.remove([col.decks.id("Other")])
    merged = pair.merge()
    assert (
        merged.column(f"select 1 from notes where id = {nid} union all select 1 from cards where nid = {nid}")
        == []
    )
    assert merged.column(f"select oid from graves where type = 1 and oid = {nid}") == [nid]
    assert merged.lost == []


def test_a_note_in_which_someone_wrote_is_not_deleted_by_halves(pair: Pair) -> None:
    nid = _apart(pair)
    with pair.desktop() as col:
        col.decks.remove([col.decks.id("One")])
    with pair.phone() as col:
        col.decks.remove([col.decks.id("Other")])
        edit_field(col, nid, 1, "written on the train")
    merged = pair.merge()
    assert merged.value(f"select flds from notes where id = {nid}") == "in two decks\x1fwritten on the train"
    assert (
        merged.value(f"select d.name from decks d join cards c on c.did = d.id where c.nid = {nid}") == "One"
    )
    assert merged.lost == [("decks", "deletion", Side.PHONE)]


@pytest.mark.parametrize("west", [0, -780, 600])
def test_a_report_names_what_both_did_as_people_call_it(pair, west):
    """New Zealand is 780 minutes east of UTC, Hawaii 600 west of it; Anki keeps that with the collection's first day."""
    for side, (flag, days, home) in enumerate([(1, "3", "Geography"), (3, "5", "Spanish")]):
        with pair.editing(tuple(Side)[side]) as col:
            (card,) = cards_of(col, "front 9")[:1]
            col.set_config("creationOffset", west)
            col.set_user_flag_for_cards(flag, [card])
            col.sched.set_due_date([card], days)
            col.set_deck([card], deck(col, home))
            first = col.db.scalar("select crt from col")
            today, due = col.sched.today, col.get_card(card).due
    result = pair.merge().result
    told = {c.unit: c for c in result.conflicts if c.kind == "cards"}
    assert {c.title for c in told.values()} == {'card 1 of "front 9"'}
    assert (told["flag"].desktop, told["flag"].phone) == ("red", "green")
    assert (told["deck"].desktop, told["deck"].phone) == ("Geography", "Spanish")
    began = datetime.fromtimestamp(first, timezone(timedelta(minutes=-west))).date()
    assert due == today + 5
    assert told["schedule"].phone.startswith(f"review, due {began + timedelta(days=due)}, every 5 days")
