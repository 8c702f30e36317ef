from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.errors import DamagedData
from usbsync.state.ancestor import Ancestor, Seen, as_record, forget, from_record, load_ancestor, remember
from usbsync.state.pair import Pair
from usbsync.state.records import write_record


def make(folder, content):
    """Make an ancestor whose parts all follow from its content, so that a mixture of two shows."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{content}.staged"
    path.write_bytes(content.encode() * 50_000)
    sha1 = hashlib.sha1(content.encode()).hexdigest()
    seen = {f"{content}.png": Seen(3, 4, sha1)}
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Ancestor(
        path, sha256, f"desktop {content}", {f"{content}.png": sha1}, seen, seen, 12.5, {"usn": content}
    )


def same(one, other):
    one.check()
    return replace(one, collection=Path()) == replace(other, collection=Path())


def kept_files(pair):
    return sorted(path.name for path in pair.folder.iterdir() if path.name.startswith(("ancestor", ".")))


def test_before_the_first_sync_there_is_none_and_asking_leaves_no_trace(pair):
    assert load_ancestor(pair) is None
    assert not pair.home.exists()


def test_what_is_remembered_is_loaded_and_the_old_one_goes(pair, tmp_path):
    for content in ("one", "two", "two", "three"):
        new = make(tmp_path / "stage", content)
        kept = remember(pair, new)
        assert load_ancestor(pair) == kept
        assert same(kept, new)
        assert kept.collection.parent == pair.folder
        assert new.collection.exists()
        assert len(kept_files(pair)) == 2


def test_remembering_what_is_remembered_already_keeps_it(pair, tmp_path):
    kept = remember(pair, make(tmp_path / "stage", "one"))
    again = remember(pair, replace(kept, when=99.0))
    assert load_ancestor(pair) == again
    again.check()


def test_a_file_that_is_not_what_was_said_is_not_remembered(pair, tmp_path):
    old = remember(pair, make(tmp_path / "stage", "one"))
    new = make(tmp_path / "stage", "two")
    new.collection.write_bytes(b"something else")
    with pytest.raises(DamagedData, match="changed while"):
        remember(pair, new)
    assert load_ancestor(pair) == old


def test_a_missing_collection_file_is_told_with_what_to_do(pair, tmp_path):
    remember(pair, make(tmp_path / "stage", "one")).collection.unlink()
    with pytest.raises(DamagedData, match="missing") as told:
        load_ancestor(pair)
    assert "--first" in told.value.hint


def test_a_changed_collection_file_is_told_by_check(pair, tmp_path):
    kept = remember(pair, make(tmp_path / "stage", "one"))
    with kept.collection.open("r+b") as file:
        file.seek(1000)
        file.write(b"!")
    with pytest.raises(DamagedData, match="changed") as told:
        load_ancestor(pair).check()
    assert "--first" in told.value.hint


def test_a_damaged_record_is_told_and_a_newer_one_says_to_update(pair, tmp_path):
    remember(pair, make(tmp_path / "stage", "one"))
    path = pair.folder / "ancestor.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedData) as told:
        load_ancestor(pair)
    assert "--first" in told.value.hint
    write_record(path, {}, version=99)
    with pytest.raises(DamagedData, match="newer") as told:
        load_ancestor(pair)
    assert "update" in told.value.hint


def test_a_forgotten_ancestor_is_none(pair, tmp_path):
    remember(pair, make(tmp_path / "stage", "one"))
    forget(pair)
    forget(pair)
    assert load_ancestor(pair) is None
    assert kept_files(pair) == []


names = st.text(st.characters(), min_size=1, max_size=8)
hashes = st.text("0123456789abcdef", min_size=40, max_size=40)
seen = st.dictionaries(names, st.builds(Seen, st.integers(), st.integers(), hashes), max_size=4)


@given(st.dictionaries(names, hashes), seen, seen, st.floats(0, 1e11))
def test_a_record_goes_there_and_back(media, on_desktop, on_phone, when):
    ancestor = Ancestor(Path("/x"), "a" * 64, "b", media, on_desktop, on_phone, when, {"scm": 3})
    assert from_record(as_record(ancestor), Path("/record")) == ancestor


@pytest.mark.parametrize(
    "key", ["collection", "sha256", "desktop_sha256", "media", "seen_desktop", "seen_phone", "when", "info"]
)
def test_a_record_that_lacks_something_is_told(key, tmp_path):
    whole = as_record(make(tmp_path, "one"))
    for wrong in (None, 5, {"x": 5}, {"x": [1, 2]}):
        if key != "info" or not isinstance(wrong, dict):
            with pytest.raises(DamagedData):
                from_record(whole | {key: wrong}, Path("/record"))


def test_a_fault_anywhere_leaves_the_old_ancestor_or_the_new_one(disturbed, tmp_path):
    old, new, third = (make(tmp_path / "stage", content) for content in ("old", "new", "third"))

    def scenario(pair, inject):
        remember(pair, old)
        done = inject(lambda: remember(pair, new))
        found = load_ancestor(pair)
        assert same(found, new) or (not done and same(found, old))
        # and the next sync is not hindered by what was left
        remember(pair, third)
        assert same(load_ancestor(pair), third)
        assert len(kept_files(pair)) == 2
        return done

    disturbed(scenario)


def test_a_fault_in_the_very_first_remember_leaves_none_or_it(disturbed, tmp_path):
    new = make(tmp_path / "stage", "new")

    def scenario(pair, inject):
        done = inject(lambda: remember(pair, new))
        found = load_ancestor(pair)
        assert same(found, new) if found else not done
        assert same(remember(pair, new), new)
        return done

    disturbed(scenario)


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_ancestor import make
from usbsync.state.ancestor import remember
from usbsync.state.pair import Pair
pair, stage = Pair(Path(sys.argv[2]), "desk", "phone"), Path(sys.argv[3])
both = [make(stage, content) for content in ("one", "two")]
while True:
    for ancestor in both:
        remember(pair, ancestor)
        print(flush=True)
"""


def test_a_process_killed_at_any_moment_leaves_one_whole_ancestor(tmp_path):
    both = [make(tmp_path / "expected", content) for content in ("one", "two")]
    pair = Pair(tmp_path / "home", "desk", "phone")
    dice = random.Random(5)
    for _ in range(8):
        command = [
            sys.executable,
            "-c",
            CHILD,
            str(Path(__file__).parent),
            str(pair.home),
            str(tmp_path / "stage"),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"\n"
            time.sleep(dice.random() * 0.03)  # the moment is what is varied here, not waited for
            child.send_signal(signal.SIGKILL)
            child.communicate()
        assert any(same(load_ancestor(pair), each) for each in both)
    remember(pair, both[0])
    assert len(kept_files(pair)) == 2
