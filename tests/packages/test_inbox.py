"""A package that is dropped into the watched folder is merged once, when it is whole, and answered beside it."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace

import pytest
from packages.hand import Hand, alike, in_step
from session.scenes import fresh, texts
from worlds import add_note, editing

from usbsync.core.inbox import LATE, QUIET, SLOW
from usbsync.device.watch import Wakers
from usbsync.errors import ChoiceNeeded, UsageError, UsbsyncError
from usbsync.session.inbox import Inbox
from usbsync.session.report import Report
from usbsync.session.talk import Silent
from usbsync.session.watch import Watch


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Dropped(Silent):
    """A watched folder, and all that came of it."""

    def __init__(self, hand) -> None:
        self.hand = hand
        self.folder = hand.root / "inbox"
        self.folder.mkdir(exist_ok=True)
        self.clock = Clock()
        self.outcomes: list[tuple[str, Report | UsbsyncError]] = []
        self.notes: list[str] = []
        self.told = threading.Event()
        self.box = self.new()

    def new(self) -> Inbox:
        return Inbox(self.folder, self.hand.options(), self, self._done, self.clock)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def _done(self, path, outcome) -> None:
        self.outcomes.append((path.name, outcome))
        self.told.set()

    def pass_by(self, seconds: float = QUIET) -> None:
        self.box.look()
        self.clock.now += seconds
        self.box.look()

    def follow(self, seconds: float) -> None:
        """Look as often as the folder asks to be looked at, and not oftener."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += min(self.box.look(), end - self.clock.now)
        self.box.look()

    def dropped(self, name: str = "phone.colpkg") -> None:
        shutil.copyfile(self.hand.export(), self.folder / name)

    @property
    def answer(self):
        return self.folder / "phone-merged.colpkg"


@pytest.fixture
def drop(tmp_path) -> Dropped:
    hand = in_step(tmp_path / "w")
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["made on the phone", "x"], 1)
    with editing(hand.desktop) as col:
        add_note(col, "Basic", ["made at the desk", "x"], 1)
    return Dropped(hand)


def test_it_is_merged_once_and_answered_beside_it(drop) -> None:
    drop.dropped()
    drop.pass_by()
    assert [(name, outcome.result) for name, outcome in drop.outcomes] == [("phone.colpkg", "merged")]
    drop.hand.import_(drop.answer)
    alike(drop.hand)
    for _ in range(3):  # neither again, nor its own answer
        drop.pass_by()
    drop.box = drop.new()  # nor after a restart
    drop.pass_by()
    assert len(drop.outcomes) == 1
    with editing(drop.hand.phone) as col:
        add_note(col, "Basic", ["made later", "x"], 1)
    drop.dropped()
    drop.pass_by()
    assert len(drop.outcomes) == 2
    assert "made later" in texts(drop.hand.desktop)


def test_a_slow_copy_is_waited_for(drop) -> None:
    data = drop.hand.export().read_bytes()
    target = drop.folder / "phone.colpkg"
    with target.open("wb") as file:
        for start in range(0, len(data), len(data) // 5 + 1):
            file.write(data[start : start + len(data) // 5 + 1])
            file.flush()
            if file.tell() < len(data):
                drop.pass_by()  # it stands still for long: still not taken up
                assert not drop.outcomes
    drop.pass_by(QUIET / 2)
    assert not drop.outcomes
    drop.pass_by()
    assert len(drop.outcomes) == 1


def test_a_copy_that_first_takes_its_room_is_waited_for(drop) -> None:
    data = drop.hand.export().read_bytes()
    target = drop.folder / "phone.colpkg"
    target.write_bytes(bytes(len(data)))
    drop.pass_by()
    assert not drop.outcomes
    target.write_bytes(data)
    drop.pass_by()
    assert len(drop.outcomes) == 1


def test_unfinished_files_of_carriers_and_other_files_are_left_alone(drop) -> None:
    package = drop.hand.export()
    for name in (".syncthing.phone.colpkg.tmp", ".phone.colpkg", "~phone.colpkg", "notes.txt", "deck.apkg"):
        shutil.copyfile(package, drop.folder / name)
    (drop.folder / "link.colpkg").symlink_to(package)
    (drop.folder / "folder.colpkg").mkdir()
    drop.pass_by()
    assert not drop.outcomes


def test_a_damaged_one_is_told_of_once_and_changes_nothing(drop) -> None:
    drop.dropped()
    data = bytearray((drop.folder / "phone.colpkg").read_bytes())
    data[len(data) // 3] ^= 0xFF
    (drop.folder / "phone.colpkg").write_bytes(bytes(data))
    before = texts(drop.hand.desktop)
    drop.pass_by()
    drop.pass_by()
    ((_, outcome),) = drop.outcomes
    assert isinstance(outcome, UsbsyncError)
    assert outcome.exit_code == 7
    assert texts(drop.hand.desktop) == before
    assert not drop.answer.exists()


def test_it_waits_while_anki_is_open(drop) -> None:
    drop.dropped()
    with editing(drop.hand.desktop):
        drop.pass_by()
        assert not drop.outcomes
    drop.pass_by()
    assert not drop.outcomes  # not at once again
    drop.pass_by(60)
    assert len(drop.outcomes) == 1


def test_a_folder_that_goes_is_said_and_waited_for(drop) -> None:
    drop.folder.rmdir()
    drop.pass_by()
    drop.pass_by()
    assert len(drop.notes) == 1
    drop.folder.mkdir()
    drop.dropped()
    drop.pass_by()
    assert len(drop.outcomes) == 1


def test_a_file_that_is_renamed_into_place_is_taken_up_whatever_its_age(drop) -> None:
    part = drop.folder / ".syncthing.phone.colpkg.tmp"
    shutil.copyfile(drop.hand.export(), part)
    os.utime(part, (1_600_000_000, 1_600_000_000))
    drop.pass_by()
    assert not drop.outcomes
    part.rename(drop.folder / "phone.colpkg")
    drop.pass_by()
    drop.pass_by()
    assert [name for name, _ in drop.outcomes] == ["phone.colpkg"]


def test_an_answer_under_another_name_is_not_taken_for_a_package(drop) -> None:
    """As Syncthing names a second version, and a browser or a phone a second copy."""
    drop.dropped()
    drop.pass_by()
    shutil.copyfile(drop.answer, drop.folder / "phone-merged (1).colpkg")
    before = texts(drop.hand.desktop)
    drop.pass_by()
    (_, first), (_, second) = drop.outcomes
    assert first.result == "merged"
    assert isinstance(second, UsageError)
    assert "answer" in str(second)
    assert texts(drop.hand.desktop) == before
    drop.hand.carry()
    alike(drop.hand)


def test_what_stands_still_cut_short_is_said_once_within_seconds_and_taken_up_when_it_is_whole(drop) -> None:
    data = drop.hand.export().read_bytes()
    path = drop.folder / "phone.colpkg"
    path.write_bytes(data[:-50])
    drop.follow(QUIET + 1)
    assert not drop.notes
    drop.follow(SLOW)
    assert len(drop.notes) == 1
    assert "not complete yet" in drop.notes[0]
    path.write_bytes(data[:-40])
    drop.follow(2 * SLOW)
    assert len(drop.notes) == 1
    path.write_bytes(data)
    drop.pass_by()
    assert [outcome.result for _, outcome in drop.outcomes] == ["merged"]


@pytest.mark.parametrize("left", [-50, 1000, 0])
def test_what_stays_cut_short_is_refused_once_and_taken_up_all_the_same_when_it_is_whole(drop, left) -> None:
    data = drop.hand.export().read_bytes()
    path = drop.folder / "phone.colpkg"
    path.write_bytes(data[:left])
    drop.follow(3 * LATE)
    ((_, outcome),) = drop.outcomes
    assert isinstance(outcome, UsbsyncError)
    assert outcome.exit_code == 7
    assert len(drop.notes) == 1
    path.write_bytes(data)
    drop.pass_by()
    assert drop.outcomes[1][1].result == "merged"


def test_a_stranger_is_refused_with_the_whole_command(drop) -> None:
    other = Hand(drop.hand.root / "two")
    fresh(other.phone, notes=3)
    drop.folder.rename(drop.folder.with_name("in box"))
    drop.folder = drop.folder.with_name("in box")
    drop.box = drop.new()
    shutil.copyfile(other.export(), drop.folder / "phone.colpkg")
    drop.pass_by()
    ((_, outcome),) = drop.outcomes
    assert isinstance(outcome, ChoiceNeeded)
    command = f"usbsync sync --device 'package:{drop.folder / 'phone.colpkg'}' --first merge;"
    assert command in outcome.hint


def test_two_of_one_phone_are_taken_up_in_the_order_they_were_made(drop) -> None:
    drop.dropped("z.colpkg")
    with editing(drop.hand.phone) as col:
        add_note(col, "Basic", ["made later", "x"], 1)
    drop.dropped("a.colpkg")
    drop.pass_by()
    assert [name for name, _ in drop.outcomes] == ["z.colpkg", "a.colpkg"]
    drop.hand.import_(drop.folder / "a-merged.colpkg")
    alike(drop.hand)


class Quiet:
    """A voice that says nothing."""

    def tell(self, *_about) -> None: ...
    def note(self, text) -> None: ...


def test_the_watch_wakes_for_what_is_dropped(drop) -> None:
    """With the system's own events and clock."""
    box = Inbox(drop.folder, drop.hand.options(), Silent(), drop._done)
    source = Wakers(udev=False, every=3600)
    watch = Watch(replace(drop.hand.options(), device=None), Quiet(), source, also=box)
    thread = threading.Thread(target=watch.run, args=(drop.told.is_set,))
    thread.start()
    drop.dropped()
    thread.join(60)
    assert not thread.is_alive()
    assert drop.answer.exists()
