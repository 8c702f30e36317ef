from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from usbsync.errors import Busy, DamagedData
from usbsync.state.pair import Pair, known_pairs, lock
from usbsync.state.records import write_record

HOLD = """
import sys
from pathlib import Path
from usbsync.state.pair import Pair, lock
with lock(Pair(Path(sys.argv[1]), sys.argv[2], sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    """Start other processes that hold a pair's lock until they are ended."""
    started = []

    def hold(pair):
        command = [sys.executable, "-c", HOLD, str(pair.home), pair.desktop, pair.phone]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_pair_has_a_folder_of_its_own_that_names_both(pair):
    folder = pair.create()
    assert folder.parent == pair.home / "pairs"
    assert len(folder.name) == 16
    assert json.loads((folder / "pair.json").read_text())["record"] == {
        "desktop": pair.desktop,
        "phone": pair.phone,
    }
    assert pair.create() == folder


def test_different_pairs_have_different_folders(tmp_path):
    pairs = [
        Pair(tmp_path, *names) for names in [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ('a","b', "")]
    ]
    assert len({pair.folder for pair in pairs}) == len(pairs)


def test_a_folder_that_is_another_pairs_is_not_used(pair, tmp_path):
    other = Pair(pair.home, "other", "phone")
    other.create()
    pair.folder.mkdir(parents=True)
    (other.folder / "pair.json").rename(pair.folder / "pair.json")
    with pytest.raises(DamagedData, match="another pair"):
        pair.create()


@pytest.mark.parametrize("junk", ["", "{", "junk", '{"version": 1}'])
def test_a_note_that_cannot_be_read_is_written_anew(pair, junk):
    (pair.create() / "pair.json").write_text(junk)
    assert known_pairs(pair.home) == []
    pair.create()
    assert known_pairs(pair.home) == [pair]


def test_a_note_of_a_newer_usbsync_is_left_to_it(pair):
    note = pair.create() / "pair.json"
    write_record(note, {}, version=99)
    with pytest.raises(DamagedData, match="newer usbsync"):
        pair.create()


def test_known_pairs_lists_what_was_created_and_no_damaged_one(pair):
    assert known_pairs(pair.home) == []
    other = Pair(pair.home, "other", "phone")
    pair.create()
    other.create()
    assert set(known_pairs(pair.home)) == {pair, other}
    (other.folder / "pair.json").write_text("{")
    assert known_pairs(pair.home) == [pair]


def test_a_lock_can_be_taken_again_once_it_is_free(pair):
    for _ in range(3):
        with lock(pair):
            pass


def test_a_second_usbsync_is_told_who_is_at_work(pair, holder):
    process = holder(pair)
    with pytest.raises(Busy, match=rf"process {process.pid}, since 20\d\d-") as told, lock(pair):
        pytest.fail("both hold the lock")
    assert told.value.exit_code == 5


def test_a_second_sync_in_the_same_process_is_refused_too(pair):
    with lock(pair):
        with pytest.raises(Busy, match=f"process {os.getpid()}"), lock(pair):
            pytest.fail("both hold the lock")
        with pytest.raises(Busy), lock(pair, seconds=0.1):
            pytest.fail("both hold the lock")
    with lock(pair):
        pass


def test_a_lock_of_a_killed_process_is_no_obstacle(pair, holder):
    process = holder(pair)
    process.kill()
    process.wait()
    assert list((pair.home / "locks").glob("*.json"))  # its record is left, and means nothing
    with lock(pair):
        pass


def test_one_desktop_with_two_phones_is_one_at_a_time_and_so_is_one_phone_with_two_desktops(pair, holder):
    holder(pair)
    for other in (
        Pair(pair.home, pair.desktop, "another phone"),
        Pair(pair.home, "another desktop", pair.phone),
    ):
        with pytest.raises(Busy), lock(other):
            pytest.fail("both hold the lock")
    with lock(Pair(pair.home, "another desktop", "another phone")):
        pass


def test_a_refused_lock_leaves_nothing_locked(pair, holder):
    process = holder(Pair(pair.home, "another desktop", pair.phone))
    with pytest.raises(Busy), lock(pair):
        pytest.fail("both hold the lock")
    with lock(Pair(pair.home, pair.desktop, "another phone")):
        pass
    process.communicate(b"")
    with lock(pair):
        pass


def test_waiting_for_a_lock_ends_when_it_is_free(pair, holder):
    process = holder(pair)
    threading.Timer(0.2, process.stdin.close).start()
    with lock(pair, seconds=30):
        assert process.wait() == 0


def test_an_unreadable_record_of_the_holder_is_no_trouble(pair, holder):
    holder(pair)
    for record in (pair.home / "locks").glob("*.json"):
        record.write_bytes(os.urandom(20))
    with pytest.raises(Busy, match="another usbsync is at work"), lock(pair):
        pytest.fail("both hold the lock")


def test_a_lock_is_released_when_the_work_fails(pair):
    with pytest.raises(ValueError, match="work"), lock(pair):
        raise ValueError("work")
    with lock(pair):
        pass


def test_what_one_that_was_killed_left_half_written_goes_and_what_others_write_stays(pair):
    """Killed while it wrote who it is: the next that has the same lock tidies up, and only there."""
    mortal = "import os, signal\nos.fsync = lambda _file: os.kill(os.getpid(), signal.SIGKILL)\n"
    pair.create()
    (pair.home / "locks").mkdir()  # so that the first fsync is the name's
    command = [sys.executable, "-c", mortal + HOLD, str(pair.home), pair.desktop, pair.phone]
    assert subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == -signal.SIGKILL
    (left,) = (pair.home / "locks").glob("*.usbsync-part")
    others = pair.home / "locks" / ".0123456789abcdef.json.abc.usbsync-part"
    others.touch()
    with lock(pair):
        assert not left.exists()
    assert others.exists()
