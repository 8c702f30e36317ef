from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usbsync.errors import DamagedData, UsageError
from usbsync.state.backups import Backups
from usbsync.state.files import TEMPORARY
from usbsync.state.pair import Pair
from usbsync.state.records import write_record

START = datetime(2026, 11, 21, 8, 46, 5, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.time = START

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def backups(pair, clock):
    return Backups(pair, now=clock)


def make(backups, size=10, note=""):
    path = backups.begin()
    (path / "desktop" / "collection.anki2").write_bytes(b"d" * size)
    (path / "phone" / "media").mkdir()
    (path / "phone" / "media" / "é 1.png").write_bytes(b"p")
    return backups.finish(path.name, note=note, facts={"added": ["x.png"]})


def test_without_backups_there_are_none_and_asking_leaves_no_trace(backups):
    assert backups.list() == ()
    assert backups.prune() == ()
    backups.sweep()
    assert not backups.pair.home.exists()


def test_a_backup_is_named_by_the_utc_time_and_knows_its_files(backups, clock):
    clock.time = START.astimezone(timezone(timedelta(hours=5)))
    backup = make(backups, note="before the sync")
    assert (backup.id, backup.when, backup.size) == ("2026-11-21T08-46-05Z", START, 11)
    assert set(backup.files) == {"desktop/collection.anki2", "phone/media/é 1.png"}
    assert (backup.note, backup.facts) == ("before the sync", {"added": ["x.png"]})
    assert backups.list() == (backup,)
    backups.verify(backup)


def test_backups_of_one_second_have_names_of_their_own_and_their_order(backups):
    made = [make(backups).id for _ in range(11)]
    assert made[:3] == ["2026-11-21T08-46-05Z", "2026-11-21T08-46-05Z-2", "2026-11-21T08-46-05Z-3"]
    assert [backup.id for backup in backups.list()] == made[::-1]


def test_an_unfinished_backup_is_never_offered_and_swept_unless_a_journal_needs_it(backups):
    whole = make(backups)
    left, used = backups.begin(), backups.begin()
    assert backups.list() == (whole,)
    backups.sweep(using=[used.name])
    assert (left.exists(), used.exists(), whole.path.exists()) == (False, True, True)
    assert backups.begin(used.name) == used
    assert backups.finish(used.name).files == {}


def test_a_complete_backup_is_not_written_to_again(backups):
    with pytest.raises(UsageError, match="complete"):
        backups.begin(make(backups).id)


@pytest.mark.parametrize(
    "id_",
    ["", "..", "../x", "/", "x", "2026-11-21T08-46-05Z/..", "2026-99-21T08-46-05Z", "2026-11-21T08-46-05Z\n"],
)
def test_an_id_that_is_none_becomes_no_path(backups, id_):
    for use in (backups.get, backups.finish, lambda each: backups.begin(each or "..")):
        with pytest.raises(UsageError, match="not the id"):
            use(id_)


def test_finishing_again_changes_nothing(backups):
    backup = make(backups, note="first")
    assert backups.finish(backup.id, note="second") == backup


def test_a_manifest_that_was_cut_off_is_no_part_of_the_backup(backups):
    path = backups.begin()
    (path / f".manifest.json.abc{TEMPORARY}").write_text("{")
    assert backups.finish(path.name).files == {}


def test_one_without_its_manifest_is_kept_and_named_and_in_nobodys_way(backups):
    old, lost = make(backups), make(backups)
    (lost.path / "manifest.json").unlink()
    backups.sweep()
    backups.prune(keep=1)
    assert (lost.path / "desktop" / "collection.anki2").exists()
    assert backups.list() == (old,)
    assert backups.unreadable() == (lost.path,)
    assert backups.newest_id() == lost.id  # no older one is undone in its place
    with pytest.raises(DamagedData, match="missing") as told:
        backups.get(lost.id)
    assert str(lost.path) in told.value.hint
    with pytest.raises(UsageError):
        backups.begin(lost.id)
    assert make(backups).id > lost.id


def test_what_is_not_ours_is_not_swept(backups):
    make(backups)
    strange = backups.folder / "holiday"
    strange.mkdir()
    (backups.folder / "holiday.unfinished").touch()
    (strange / "photo").touch()
    backups.sweep()
    assert (strange / "photo").exists()


def test_an_absent_backup_is_told(backups):
    with pytest.raises(UsageError, match="there is no backup"):
        backups.get("2026-11-21T08-46-05Z")


@pytest.mark.parametrize(
    "harm", [lambda p: p.unlink(), lambda p: p.write_bytes(b"x"), lambda p: p.write_bytes(b"D" * 10)]
)
def test_verify_names_what_is_not_whole(backups, harm):
    backup = make(backups)
    harm(backup.path / "desktop" / "collection.anki2")
    with pytest.raises(DamagedData, match=r"desktop/collection\.anki2"):
        backups.verify(backup)


def test_a_garbled_manifest_is_told_and_hides_no_other_backup(backups):
    bad, good = make(backups), make(backups)
    (bad.path / "manifest.json").write_bytes(b"{")
    assert backups.list() == (good,)
    with pytest.raises(DamagedData) as told:
        backups.get(bad.id)
    assert str(bad.path) in told.value.hint
    assert backups.unreadable() == (bad.path,)
    backups.sweep()
    assert bad.path.exists()


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "a/../../x", ""])
def test_a_manifest_names_no_file_outside(backups, name):
    backup = make(backups)
    write_record(
        backup.path / "manifest.json", {"note": "", "facts": {}, "files": {name: [1, "a"]}}, version=1
    )
    with pytest.raises(DamagedData, match="outside"):
        backups.get(backup.id)


def test_prune_keeps_the_newest(backups, clock):
    made = []
    for day in range(5):
        clock.time = START + timedelta(days=day)
        made.append(make(backups).id)
    assert backups.prune(keep=3) == tuple(made[1::-1])
    assert backups.prune(keep=9, max_age_days=1.5) == (made[2],)
    assert backups.prune(keep=9, max_bytes=11) == (made[3],)
    assert [backup.id for backup in backups.list()] == [made[4]]


@settings(max_examples=25, deadline=None)
@given(
    ages=st.lists(st.integers(0, 200), min_size=1, max_size=4),
    keep=st.integers(0, 5),
    days=st.integers(0, 200),
    most=st.integers(0, 60),
)
def test_prune_never_takes_the_last_and_keeps_no_older_one_than_it_takes(
    tmp_path_factory, ages, keep, days, most
):
    clock = Clock()
    backups = Backups(Pair(tmp_path_factory.mktemp("home"), "desk", "phone"), now=clock)
    for age in ages:
        clock.time = START - timedelta(days=age)
        make(backups)
    clock.time = START
    before = backups.list()
    removed = backups.prune(keep, days, most)
    assert backups.list() == before[: len(before) - len(removed)]
    assert backups.list()
    assert len(backups.list()) <= max(keep, 1)


def test_a_fault_anywhere_leaves_no_backup_or_a_whole_one(disturbed):
    def scenario(pair, inject):
        backups = Backups(pair, now=lambda: START)
        done = inject(lambda: make(backups))
        for backup in backups.list():
            backups.verify(backup)
            assert len(backup.files) == 2
        assert len(backups.list()) == 1 or not done
        backups.sweep()
        assert len(list(backups.folder.glob("*"))) == len(backups.list())
        return done

    disturbed(scenario)


def test_a_fault_while_pruning_leaves_whole_backups_only(disturbed):
    def scenario(pair, inject):
        clock = Clock()
        backups = Backups(pair, now=clock)
        for _ in range(3):
            make(backups)
        newest = backups.list()[0]
        done = inject(lambda: backups.prune(keep=1))
        for backup in backups.list():
            backups.verify(backup)
        assert newest in backups.list()
        backups.sweep()
        backups.prune(keep=1)
        assert [path.name for path in backups.folder.iterdir()] == [newest.id]
        return done

    disturbed(scenario)


def test_the_last_is_the_last_whatever_the_clock_says(backups, clock):
    """A computer whose clock ran years ahead, or that forgets it: undo takes the last, and pruning never does."""
    made = []
    for years in (0, 10, -10, 0, 10):
        clock.time = START + timedelta(days=365 * years)
        made.append(make(backups).id)
    assert [backup.id for backup in backups.list()] == made[::-1]
    assert backups.newest_id() == made[-1]
    assert backups.prune(keep=1) == tuple(made[-2::-1])
    for _ in range(3):
        assert make(backups).id == backups.newest_id()
