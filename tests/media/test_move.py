from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usbsync.core.conflict import Policy, Side
from usbsync.core.media import Add, Delete, MediaFile, MediaPlan, Replace, reconcile_media
from usbsync.errors import DamagedData, NoSpace, PhoneFailed, PhoneGone
from usbsync.media import move as room
from usbsync.media.listing import list_media
from usbsync.media.move import (
    Place,
    backup_media,
    bytes_to_move,
    check_targets,
    fetch,
    seen_after,
    steps,
)
from usbsync.transport.base import Remove, Rename
from usbsync.transport.folder import FolderTransport
from usbsync.transport.wrap import Faulty, When

D, P = Side.DESKTOP, Side.PHONE
OLD = 1_700_000_000
NOW = OLD + 100_000


def sha1(data):
    return hashlib.sha1(data).hexdigest()


def listings(places, seen=None):
    seen = seen or {D: {}, P: {}}
    return {
        side: list_media(place.transport, place.media, seen[side], where=side, now=lambda: NOW)
        for side, place in places.items()
    }


def plan_of(places, ancestor, prefer=Policy.NEWEST):
    found = listings(places)
    return reconcile_media(
        ancestor,
        found[D].files,
        found[P].files,
        prefer=prefer,
        desktop_others=found[D].others,
        phone_others=found[P].others,
    )


def nothing(_bytes):
    pass


def carry_out(plan, places, scratch, backup):
    """Do all of it, as the session does."""
    backup_media(plan, places, backup, nothing)
    fetch(plan, places, scratch, nothing)
    check_targets(plan, places)
    for when in ("before", "after"):
        for side in Side:
            places[side].transport.apply(getattr(steps(plan, side, places[side]), when))
    for place in places.values():
        place.transport.remove_folder(place.stage)


ANCESTOR = {name: sha1(b"old") for name in ("both", "gone here", "gone there", "new here", "new there")}


@pytest.fixture
def busy(places):
    """Both replicas, each with something added, replaced and deleted."""
    for side, mine, theirs in ((D, "here", "there"), (P, "there", "here")):
        places[side].put("both", b"old")
        places[side].put(f"gone {theirs}", b"old")
        places[side].put(f"new {mine}", side.encode(), OLD + 5)
        places[side].put(f"new {theirs}", b"old")
        places[side].put(f"added {mine}", b"+" + side.encode(), OLD + 7)
        places[side].put("clash", b"clash " + side.encode(), OLD + (1 if side is D else 2))
    return places


WANTED = {
    "both": b"old",
    "new here": b"desktop",
    "new there": b"phone",
    "added here": b"+desktop",
    "added there": b"+phone",
    "clash": b"clash phone",
}


def test_both_hold_what_the_plan_says_and_nothing_is_left_over(busy, scratch, tmp_path):
    plan = plan_of(busy, ANCESTOR)
    carry_out(plan, busy, scratch, tmp_path / "backup")
    assert busy[D].held() == busy[P].held() == WANTED
    assert {name: sha1(data) for name, data in WANTED.items()} == plan.after
    assert list(scratch.iterdir()) == []
    assert not any(room.STAGE in path for place in busy.values() for path in place.transport.files)
    again = plan_of(busy, plan.after)
    assert (again.desktop, again.phone) == ((), ())


def test_what_is_replaced_or_deleted_is_in_the_backup(busy, tmp_path):
    backup_media(plan_of(busy, ANCESTOR), busy, tmp_path, nothing)
    kept = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert kept == {
        "desktop/media/clash": b"clash desktop",
        "desktop/media/gone there": b"old",
        "desktop/media/new there": b"old",
        "phone/media/gone here": b"old",
        "phone/media/new here": b"old",
    }


def test_staging_changes_nothing_under_a_final_name(busy, scratch):
    before = {side: place.held() for side, place in busy.items()}
    fetch(plan_of(busy, ANCESTOR), busy, scratch, nothing)
    assert {side: place.held() for side, place in busy.items()} == before
    staged = [(place, path) for place in busy.values() for path in place.transport.paths]
    assert staged
    assert all(path.startswith(f"{place.stage}/") for place, path in staged)


def test_the_stage_is_beside_the_media_not_in_it(places):
    assert places[D].stage == "/.usbsync-stage"
    assert places[P].stage == "/sdcard/AnkiDroid/.usbsync-stage"


def test_additions_come_before_the_flip_and_deletions_after_it(busy):
    plan = plan_of(busy, ANCESTOR)
    for side, place in busy.items():
        found = steps(plan, side, place)
        assert {type(step) for step in found.before} == {Rename}
        assert {type(step) for step in found.after} == {Remove}
        assert len(found.before) + len(found.after) == len(plan.of(side))


def test_the_bytes_are_known_before_and_all_are_counted(busy, scratch):
    plan = plan_of(busy, ANCESTOR)
    assert bytes_to_move(plan, D) == len(b"phone" + b"+phone" + b"clash phone")
    counted = []
    fetch(plan, busy, scratch, counted.append)
    assert sum(counted) == bytes_to_move(plan, D) + bytes_to_move(plan, P)


@pytest.mark.parametrize(
    ("mtime", "old", "wanted"),
    [(100, None, 100), (100, 99, 100), (100, 100, 101), (0, None, 1), (-5, 1, 2), (1 << 40, None, (1 << 32) - 2), (1 << 40, (1 << 32) - 2, (1 << 32) - 1)],
)  # fmt: skip
def test_a_new_file_has_its_sources_mtime_but_never_the_replaced_files(places, scratch, mtime, old, wanted):
    places[D].put("x", b"new", mtime)
    if old is not None:
        places[P].put("x", b"old", old)
    fetch(plan_of(places, {}, Policy.DESKTOP), places, scratch, nothing)
    assert places[P].transport.mtimes[f"{places[P].stage}/{sha1(b'new')}-1"] == wanted


def test_the_cache_afterwards_needs_nothing_read_again(busy, scratch, tmp_path):
    found = listings(busy)
    plan = plan_of(busy, ANCESTOR)
    carry_out(plan, busy, scratch, tmp_path)
    seen = {side: seen_after(plan, side, place, found[side], NOW) for side, place in busy.items()}
    for place in busy.values():
        place.transport.hashed.clear()
    again = listings(busy, seen)
    assert [place.transport.hashed for place in busy.values()] == [[], []]
    for side, place in busy.items():
        assert {name: file.sha1 for name, file in again[side].files.items()} == {
            n: sha1(d) for n, d in place.held().items()
        }
        assert set(seen[side]) == set(WANTED)


def test_a_change_of_case_survives_a_replica_that_takes_both_names_for_one(places, scratch, tmp_path):
    places[D].put("A.png", b"x")
    places[P].put("a.png", b"x")
    plan = plan_of(places, {"A.png": sha1(b"x")})
    found = steps(plan, D, places[D])
    assert found.before == (
        Remove("/collection.media/A.png"),
        Rename(f"/.usbsync-stage/{sha1(b'x')}-1", "/collection.media/a.png"),
    )
    assert found.after == ()
    carry_out(plan, places, scratch, tmp_path)
    assert places[D].held() == places[P].held() == {"a.png": b"x"}


def test_what_a_cut_off_try_has_brought_is_not_brought_again(busy, scratch, tmp_path):
    plan = plan_of(busy, ANCESTOR)
    fetch(plan, busy, scratch, nothing)
    (torn, *whole) = sorted(path for path in busy[P].transport.files if room.STAGE in path)
    busy[P].transport.files[torn] = b"torn"
    busy[P].transport.files[f"{busy[P].stage}/nobody-wants"] = b"old"
    for place in busy.values():
        place.transport.paths.clear()
    counted = []
    fetch(plan, busy, scratch, counted.append)
    assert (busy[D].transport.paths, busy[P].transport.paths) == ([], [torn])
    assert sum(counted) == bytes_to_move(plan, D) + bytes_to_move(plan, P), "the bar comes to its end"
    assert sorted(path for path in busy[P].transport.files if room.STAGE in path) == [torn, *whole]
    carry_out(plan, busy, scratch, tmp_path / "backup")
    assert busy[D].held() == busy[P].held() == WANTED


def test_files_of_one_content_are_staged_apart(places, scratch, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        places[D].put(name, b"same")
    plan = plan_of(places, {})
    for _ in range(2):
        fetch(plan, places, scratch, nothing)
    carry_out(plan, places, scratch, tmp_path)
    assert set(places[P].held()) == {"a.png", "b.png", "c.png"}


def test_a_media_folder_that_is_missing_is_made(places, scratch, tmp_path):
    places[D].put("a.png", b"x")
    places[P].transport.folders.remove(places[P].media)
    carry_out(plan_of(places, {}), places, scratch, tmp_path)
    assert places[P].held() == {"a.png": b"x"}


def test_a_large_plan_goes_in_pieces_that_never_fill_the_scratch_folder(places, scratch, monkeypatch):
    monkeypatch.setattr(room, "BATCH_BYTES", 250)
    sizes = []
    for number in range(10):
        places[D].put(f"{number}.png", bytes([number]) * 100)
    places[D].put("big.png", b"x" * 1000)
    push = places[P].transport.push

    def see(files, on_bytes):
        sizes.append(sum(path.stat().st_size for path in scratch.iterdir()))
        push(files, on_bytes)

    plan = plan_of(places, {})
    fetch(plan, places | {P: Place(Seeing(places[P].transport, see), places[P].media)}, scratch, nothing)
    assert max(size for size in sizes if size < 1000) <= 250
    assert sum(sizes) == 2000


class Seeing(Faulty):
    def __init__(self, inner, push):
        super().__init__(inner)
        self.push = push


# --- what goes wrong ---------------------------------------------------------------------------------


def spoil(place, name, data):
    place.transport.files[f"{place.media}/{name}"] = data


def test_a_file_that_changed_since_it_was_listed_is_not_brought(busy, scratch):
    plan = plan_of(busy, ANCESTOR)
    spoil(busy[P], "added there", b"something else")
    with pytest.raises(PhoneFailed, match="added there"):
        fetch(plan, busy, scratch, nothing)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("work", [fetch, backup_media])
def test_a_phone_that_sends_without_end_is_stopped(busy, scratch, work):
    plan = plan_of(busy, ANCESTOR)
    for name in ("added there", "gone here"):
        spoil(busy[P], name, b"x" * 3_000_000)
    counted = []
    with pytest.raises(PhoneFailed, match="far larger"):
        work(plan, busy, scratch, counted.append)
    assert sum(counted) < 2_000_000


@pytest.mark.parametrize("name", ["gone here", "new here"])
def test_a_file_that_changed_since_it_was_listed_is_not_backed_up_as_what_it_was(busy, tmp_path, name):
    plan = plan_of(busy, ANCESTOR)
    spoil(busy[P], name, b"something else")
    with pytest.raises(PhoneFailed, match=name):
        backup_media(plan, busy, tmp_path, nothing)


@pytest.mark.parametrize(
    ("name", "data"), [("gone here", b"larger"), ("new here", b"larger"), ("added here", b"suddenly there"), ("gone here", None)]
)  # fmt: skip
def test_a_target_that_changed_is_found_just_before_the_commit(busy, name, data):
    plan = plan_of(busy, ANCESTOR)
    check_targets(plan, busy)
    if data is None:
        del busy[P].transport.files[f"{busy[P].media}/{name}"]
    else:
        busy[P].put(name, data)
    with pytest.raises(PhoneFailed, match=f"{name}.*nothing was changed"):
        check_targets(plan, busy)


@pytest.mark.parametrize("name", ["../collection.anki2", "a/b", "..", "", "a\nb"])
def test_a_plan_with_a_hostile_name_writes_nothing(places, scratch, tmp_path, name):
    file = MediaFile(sha1(b"x"), 1, OLD)
    for step in (Add(name, file, ""), Replace(name, file, file, ""), Delete(name, file, "")):
        plan = MediaPlan((step,), (), (), (), {})
        with pytest.raises(DamagedData, match="nothing was changed"):
            steps(plan, D, places[D])
        with pytest.raises(DamagedData, match="nothing was changed"):
            (backup_media if isinstance(step, Delete) else fetch)(plan, places, scratch, nothing)
    assert places[D].transport.files == {}


def test_a_full_phone_is_told_and_nothing_under_a_final_name_changed(busy, scratch):
    before = busy[P].held()
    busy[P].transport.room = sum(map(len, busy[P].transport.files.values())) + 5
    with pytest.raises(NoSpace):
        fetch(plan_of(busy, ANCESTOR), busy, scratch, nothing)
    assert busy[P].held() == before


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("broken", Side)
def test_a_cable_pulled_while_staging_leaves_both_as_they_were_and_the_next_run_does_it(
    busy, scratch, tmp_path, when, broken
):
    plan = plan_of(busy, ANCESTOR)
    before = {side: place.held() for side, place in busy.items()}
    at, failed = 0, True
    while failed:
        at += 1
        faulty = busy | {
            broken: Place(Faulty(busy[broken].transport, fail_at=at, when=when), busy[broken].media)
        }
        try:
            backup_media(plan, faulty, tmp_path / str(at), nothing)
            fetch(plan, faulty, scratch, nothing)
            check_targets(plan, faulty)
            failed = False
        except PhoneGone:
            assert {side: place.held() for side, place in busy.items()} == before
            assert list(scratch.iterdir()) == []
    assert at > 5
    carry_out(plan, busy, scratch, tmp_path / "backup")
    assert busy[D].held() == busy[P].held() == WANTED


names = st.sampled_from(["a.png", "b.png", "B.png", "c d.mp3", "é.png"])
folders = st.dictionaries(names, st.tuples(st.sampled_from([b"1", b"22", b"333"]), st.integers(OLD, OLD + 3)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(was=st.dictionaries(names, st.sampled_from([b"1", b"22", b"333"])), desktop=folders, phone=folders)
def test_on_real_folders_both_end_as_the_plan_says(tmp_path_factory, was, desktop, phone):
    base = tmp_path_factory.mktemp("replicas")
    places = {}
    for side, files in {D: desktop, P: phone}.items():
        (base / side / "collection.media").mkdir(parents=True)
        places[side] = Place(FolderTransport(base / side), "/collection.media")
        for name, (data, mtime) in files.items():
            path = base / side / "collection.media" / name
            path.write_bytes(data)
            os.utime(path, (mtime, mtime))
    plan = plan_of(places, {name: sha1(data) for name, data in was.items()})
    (base / "scratch").mkdir()
    carry_out(plan, places, base / "scratch", base / "backup")
    skipped = {skip.name for skip in plan.skipped}
    for side in Side:
        found = {path.name: sha1(path.read_bytes()) for path in (base / side / "collection.media").iterdir()}
        assert {name: content for name, content in found.items() if name not in skipped} == plan.after
        assert [path.name for path in (base / side).iterdir()] == ["collection.media"]
