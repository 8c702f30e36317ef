"""The merge of media folders: the truth table, enumerated, and its laws."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core import media_names
from usbsync.core.conflict import Policy, Side
from usbsync.core.media import Add, Delete, Doubts, MediaFile, Replace, losses, reconcile_media
from usbsync.core.media_names import MAX_FILE_BYTES, file_problem, name_problem, place

# --- names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a.png", "A.PNG", ".hidden", "-a", " a", "a b.mp3", "con_.png", ".con", "conx", "com0.x", "a%b{c}'`~.x", "é.png",
     "日本語.mp3", "a\u200bb", "x" * 116 + ".png", "é" * 60, "_con", "thumbs.dbx", "\U0001f970.png", "a\x85b", "usbsync.png"],
)  # fmt: skip
def test_a_name_that_anki_syncs_has_no_problem(name):
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [("", "file's name"), (".", "file's name"), ("..", "file's name"), ("a/b", "forbids"), ("..\\b", "forbids"),
     ("a\0b", "control"), ("a\nb", "control"), ("a\x7f", "control"), ("e\u0301.png", "NFC"), ("a\udcff", "UTF-8"),
     ("a\ud800", "UTF-8"), ("con", "Windows"), ("CON.png", "Windows"), ("Lpt9.a.b", "Windows"), ("a ", "space"),
     ("a.", "dot"), ("x" * 121, "120"), ("é" * 61, "120"), ("Thumbs.db", "operating"), (".DS_Store", "operating"),
     (".usbsync-stage", "usbsync's"), (".USBSYNC-x", "usbsync's"), ("a\u0378b", "Unicode"), ("a\uffff", "Unicode"),
     ("a\u00a0b", "no-break")]
    + [(f"a{char}b", "forbids") for char in '[]<>:"/?*^\\|'],
)  # fmt: skip
def test_a_name_that_anki_leaves_alone_has_one(name, word):
    assert word in name_problem(name)


PLAIN = st.from_regex(media_names._PLAIN, fullmatch=True)
RESERVED = st.sampled_from(
    ["con", "AUX", "com1", "lpt9", "thumbs.db", "Thumbsxdb", "ds_store", "usbsync", "_"]
)


@given(PLAIN | st.builds("{}{}".format, RESERVED, PLAIN) | st.builds("{}.{}".format, RESERVED, PLAIN))
def test_a_name_that_looks_plain_breaks_no_rule(name):
    assert media_names.name_problem(name) == media_names._rule_broken(name)


@given(st.text(st.characters(), max_size=130))
def test_a_name_without_a_problem_is_one_plain_path_component(name):
    if name_problem(name) is None:
        assert name not in {"", ".", ".."}
        assert not set(name) & set("/\\\0\n\r")
        assert 1 <= len(name.encode()) <= 120


def test_sizes_from_one_byte_to_100_mib_are_synced():
    assert [file_problem(size) is None for size in (-1, 0, 1, MAX_FILE_BYTES, MAX_FILE_BYTES + 1)] == [
        False, False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [("A.png", "a.PNG"), ("É.png", "é.png"), ("straße", "STRASSE"), ("K.png", "\u212a.png"), ("é", "e\u0301"),
     ("a\ufe0f.png", "a.png"), ("a\u200bb", "AB"), ("Σ", "ς")],
)  # fmt: skip
def test_names_that_a_case_insensitive_folder_takes_for_one_have_one_place(one, other):
    assert place(one) == place(other)


@given(st.text(max_size=20))
def test_a_name_has_the_place_of_its_place(name):
    assert place(place(name)) == place(name)


# --- the truth table ---------------------------------------------------------------------------------

OLD, NEW = MediaFile("1" * 40, 11, 100), MediaFile("2" * 40, 22, 200)
NEWER = MediaFile("3" * 40, 33, 300)


def one(was, desktop, phone, **options):
    """Reconcile one file and say what becomes of it: (steps, conflicts, content of both after)."""
    plan = reconcile_media(*({"x": held} if held else {} for held in (was, desktop, phone)), **options)
    done = {(side, type(step)) for side in Side for step in plan.of(side)}
    return done, [conflict.chosen for conflict in plan.conflicts], plan.after.get("x")


D, P = Side.DESKTOP, Side.PHONE
TABLE = [
    # was, desktop, phone: what happens, what conflicts, what both hold
    (None, None, None, set(), [], None),
    (None, OLD, None, {(P, Add)}, [], OLD),
    (None, None, OLD, {(D, Add)}, [], OLD),
    (None, OLD, OLD, set(), [], OLD),
    (None, NEW, OLD, {(P, Replace)}, [D], NEW),
    (None, OLD, NEW, {(D, Replace)}, [P], NEW),
    (OLD, None, None, set(), [], None),
    (OLD, OLD, OLD, set(), [], OLD),
    (OLD, None, OLD, {(P, Delete)}, [], None),
    (OLD, OLD, None, {(D, Delete)}, [], None),
    (OLD, NEW, OLD, {(P, Replace)}, [], NEW),
    (OLD, OLD, NEW, {(D, Replace)}, [], NEW),
    (OLD, NEW, NEW, set(), [], NEW),
    (OLD, NEW, None, {(P, Add)}, [D], NEW),
    (OLD, None, NEW, {(D, Add)}, [P], NEW),
    (OLD, NEW, NEWER, {(D, Replace)}, [P], NEWER),
    (OLD, NEWER, NEW, {(P, Replace)}, [D], NEWER),
]


@pytest.mark.parametrize(("was", "desktop", "phone", "done", "conflicts", "after"), TABLE)
def test_the_truth_table(was, desktop, phone, done, conflicts, after):
    assert one(was and was.sha1, desktop, phone) == (done, conflicts, after and after.sha1)


def test_the_truth_table_has_every_case():
    """Each way in which three contents can be equal, different or absent is in TABLE."""

    def shape(*contents):
        first = {content: place for place, content in reversed(list(enumerate(contents))) if content}
        return tuple(first.get(content) for content in contents)

    assert {shape(*row[:3]) for row in TABLE} == {
        shape(*three) for three in product((None, OLD, NEW, NEWER), repeat=3)
    }


def test_of_two_equally_old_replacements_the_same_one_stands_whoever_has_it():
    same_age = MediaFile(NEW.sha1, NEW.size, NEWER.mtime)
    assert one(None, NEWER, same_age)[2] == one(None, same_age, NEWER)[2] == NEWER.sha1


@pytest.mark.parametrize(
    ("prefer", "stands"), [(Policy.DESKTOP, NEW), (Policy.PHONE, NEWER), (Policy.ASK, NEWER)]
)
def test_a_policy_settles_different_replacements(prefer, stands):
    assert one(OLD.sha1, NEW, NEWER, prefer=prefer)[2] == stands.sha1


ANCIENT = MediaFile("0" * 40, 44, 900)
"""What a file was before the ancestor; whoever brought it back gave it a new time."""
BEFORE = Doubts({"x": [ANCIENT.sha1]})


@pytest.mark.parametrize(
    ("was", "desktop", "done", "conflicts", "after"),
    [
        (OLD, OLD, {(P, Replace)}, [D], OLD),  # set back on the phone
        (OLD, NEW, {(P, Replace)}, [D], NEW),
        (OLD, ANCIENT, set(), [], ANCIENT),  # set back on both
        (ANCIENT, NEW, {(P, Replace)}, [], NEW),  # it is the ancestor's own
        (OLD, None, {(D, Add)}, [P], ANCIENT),  # thrown away at the desk: the one copy that there is
        (None, None, {(D, Add)}, [], ANCIENT),
        (None, NEW, {(D, Replace)}, [P], ANCIENT),  # new on both: what came before it says nothing
    ],
)
def test_a_version_of_before_the_ancestor_is_not_the_phones_edit(was, desktop, done, conflicts, after):
    assert one(was and was.sha1, desktop, ANCIENT, doubts=BEFORE) == (done, conflicts, after and after.sha1)


def test_it_is_where_the_phone_is_preferred():
    assert one(OLD.sha1, OLD, ANCIENT, doubts=BEFORE, prefer=Policy.PHONE) == (
        {(D, Replace)},
        [],
        ANCIENT.sha1,
    )


@pytest.mark.parametrize(
    ("prefer", "stands"),
    [
        (Policy.NEWEST, OLD),
        (Policy.ASK, OLD),
        (Policy.DESKTOP, OLD),
        (Policy.PHONE, NEW),
    ],
)
@pytest.mark.parametrize("was", [None, NEWER.sha1])
def test_of_files_without_times_the_desktops_stands_and_the_conflict_is_named(was, prefer, stands):
    _, conflicts, after = one(was, OLD, NEW, prefer=prefer, doubts=Doubts(undated=True))
    assert (len(conflicts), after) == (1, stands.sha1)
    assert one(OLD.sha1, OLD, NEW, prefer=prefer, doubts=Doubts(undated=True)) == (
        {(D, Replace)},
        [],
        NEW.sha1,
    )


@pytest.mark.parametrize("prefer", Policy)
def test_an_edit_beats_a_deletion_under_every_policy(prefer):
    assert one(OLD.sha1, NEW, None, prefer=prefer)[2] == NEW.sha1
    assert one(OLD.sha1, None, NEW, prefer=prefer)[2] == NEW.sha1


def test_a_file_that_became_unreadable_is_not_a_deleted_one():
    plan = reconcile_media({"x": OLD.sha1}, {}, {"x": OLD}, desktop_others=["x"])
    assert plan.phone == plan.desktop == ()
    assert plan.after == {"x": OLD.sha1}


def test_nothing_is_written_under_a_name_that_is_a_folder_there():
    plan = reconcile_media({}, {}, {"x": OLD}, desktop_others=["x"])
    assert (plan.desktop, plan.phone, plan.after) == ((), (), {})


# --- case --------------------------------------------------------------------------------------------


def test_a_name_that_differs_only_by_case_does_not_overwrite():
    plan = reconcile_media({"A.png": OLD.sha1}, {"A.png": OLD, "a.png": NEW}, {"A.png": OLD})
    assert plan.phone == plan.desktop == ()
    assert [(skip.name, skip.where) for skip in plan.skipped] == [("a.png", Side.DESKTOP)]
    assert "A.png" in plan.skipped[0].reason
    assert plan.after == {"A.png": OLD.sha1}


def test_of_two_new_names_that_differ_by_case_one_is_brought():
    plan = reconcile_media({}, {"A.png": OLD, "a.png": NEW}, {})
    assert [step.name for step in plan.phone] == ["A.png"]
    assert [skip.name for skip in plan.skipped] == ["a.png"]


def test_a_file_whose_case_was_changed_is_renamed():
    plan = reconcile_media({"A.png": OLD.sha1}, {"A.png": OLD}, {"a.png": OLD})
    assert {(step.name, type(step)) for step in plan.desktop} == {("A.png", Delete), ("a.png", Add)}
    assert plan.skipped == ()
    assert plan.after == {"a.png": OLD.sha1}


def test_an_unsyncable_name_takes_its_place_too():
    plan = reconcile_media({}, {"é.png": OLD}, {}, phone_others=["e\u0301.png"])
    assert plan.phone == ()
    assert [skip.name for skip in plan.skipped] == ["é.png"]
    assert "written with other accents" in plan.skipped[0].reason


# --- the laws ----------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", "d", "A", "é", "É"])
contents = st.sampled_from([digit * 40 for digit in "123"])
files = st.builds(MediaFile, contents, st.just(7), st.integers(0, 3))
folders = st.dictionaries(names, files)
ancestors = st.dictionaries(names, contents)
policies = st.sampled_from(Policy)
swapped = {Policy.DESKTOP: Policy.PHONE, Policy.PHONE: Policy.DESKTOP}


def hashes(folder):
    return {name: file.sha1 for name, file in folder.items()}


def applied(folder, steps):
    """Do what the steps say, checking that each finds what it expects."""
    result = dict(folder)
    for step in steps:
        assert result.get(step.name) == (None if isinstance(step, Add) else step.old)
        if isinstance(step, Delete):
            del result[step.name]
        else:
            result[step.name] = step.file
    return result


@given(folders, policies)
def test_identity_where_nobody_did_anything_nothing_is_done(folder, prefer):
    plan = reconcile_media(hashes(folder), folder, folder, prefer=prefer)
    assert (plan.desktop, plan.phone, plan.conflicts, plan.skipped) == ((), (), (), ())
    assert plan.after == hashes(folder)


@given(folders, folders, policies)
def test_one_sided_the_result_is_that_side(was, now, prefer):
    for side, (desktop, phone) in {P: (now, was), D: (was, now)}.items():
        plan = reconcile_media(hashes(was), desktop, phone, prefer=prefer)
        skipped = {skip.name for skip in plan.skipped}
        assert (plan.conflicts, plan.of(side.other)) == ((), ())
        result = hashes(applied(was, plan.of(side)))
        assert {n: h for n, h in result.items() if n not in skipped} == {
            n: h for n, h in hashes(now).items() if n not in skipped
        }


@given(ancestors, folders, folders, policies)
def test_symmetry_no_replica_is_favoured(was, desktop, phone, prefer):
    plan = reconcile_media(was, desktop, phone, prefer=prefer)
    mirror = reconcile_media(was, phone, desktop, prefer=swapped.get(prefer, prefer))
    assert plan.after == mirror.after

    def bare(steps):
        return [(step.name, type(step), getattr(step, "file", None)) for step in steps]

    def only_sha1(steps):
        return [(name, kind, file and file.sha1) for name, kind, file in bare(steps)]

    # Files alike in everything (content and mtime) may be taken from either side, so contents are compared
    assert only_sha1(plan.desktop) == only_sha1(mirror.phone)
    assert only_sha1(plan.phone) == only_sha1(mirror.desktop)
    assert {(skip.name, skip.where) for skip in plan.skipped} == {
        (s.name, s.where.other) for s in mirror.skipped
    }
    assert {(c.name, c.chosen) for c in plan.conflicts} == {
        (c.name, c.chosen.other) for c in mirror.conflicts
    }


@given(ancestors, folders, folders, policies)
def test_convergence_both_hold_what_the_plan_says(was, desktop, phone, prefer):
    plan = reconcile_media(was, desktop, phone, prefer=prefer)
    skipped = {skip.name for skip in plan.skipped}
    for result in (applied(desktop, plan.desktop), applied(phone, plan.phone)):
        assert {name: sha1 for name, sha1 in hashes(result).items() if name not in skipped} == plan.after


@given(ancestors, folders, folders, policies)
def test_idempotence_a_second_sync_changes_nothing(was, desktop, phone, prefer):
    plan = reconcile_media(was, desktop, phone, prefer=prefer)
    desktop, phone = applied(desktop, plan.desktop), applied(phone, plan.phone)
    again = reconcile_media(plan.after, desktop, phone, prefer=prefer)
    assert (again.desktop, again.phone, again.conflicts) == ((), (), ())
    assert again.after == plan.after
    assert {skip.name for skip in again.skipped} == {skip.name for skip in plan.skipped}


@given(ancestors, folders, folders, policies)
def test_no_silent_loss(was, desktop, phone, prefer):
    """Whatever was there is there after, or is what the ancestor had (a person changed it), or is a conflict."""
    plan = reconcile_media(was, desktop, phone, prefer=prefer)
    conflicts = {conflict.name for conflict in plan.conflicts}
    after = {D: hashes(applied(desktop, plan.desktop)), P: hashes(applied(phone, plan.phone))}
    for side, before in {D: desktop, P: phone}.items():
        for name, sha1 in hashes(before).items():
            assert after[side].get(name) == sha1 or was.get(name) == sha1 or name in conflicts


@given(ancestors, folders, folders, policies)
def test_no_invention_every_content_was_somewhere_under_its_name(was, desktop, phone, prefer):
    plan = reconcile_media(was, desktop, phone, prefer=prefer)
    for name, sha1 in plan.after.items():
        assert sha1 in {folder[name].sha1 for folder in (desktop, phone) if name in folder}


@given(ancestors, folders, folders, policies)
def test_no_addition_lands_on_another_file_of_a_case_insensitive_folder(was, desktop, phone, prefer):
    plan = reconcile_media(was, desktop, phone, prefer=prefer)
    for side, before in {D: desktop, P: phone}.items():
        after = applied(before, plan.of(side))
        for step in plan.of(side):
            if isinstance(step, Add):
                assert [name for name in after if place(name) == place(step.name)] == [step.name]


@given(ancestors, folders)
def test_losses_counts_what_a_side_lost(was, folder):
    lost, total = losses(was, folder)
    assert (lost, total) == (len([name for name in was if name not in folder]), len(was))
