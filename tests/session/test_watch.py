"""The watch, on real pairs: synced when a phone comes, when Anki closes, never twice at once, never unasked."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue

import pytest
from session.scenes import fresh, put, with_past
from worlds import add_note, editing

from usbsync.collection.lock import hold, is_open
from usbsync.core.watching import LONGEST_BACKOFF, STILL, STUCK_AGAIN, Standing, Topic
from usbsync.device.hint import Hint
from usbsync.device.watch import Wakers, _tell, mounted
from usbsync.errors import DamagedData, NoPhone, NoSpace, PhoneGone, PhoneRefused, PhoneUnauthorized
from usbsync.session import meet
from usbsync.session.consent import answer, revoke
from usbsync.session.report import Report, Result
from usbsync.session.sync import sync
from usbsync.session.watch import LOOK_EVERY, Watch
from usbsync.state.consent import NAME, Answer
from usbsync.state.home import state_home
from usbsync.state.pair import Pair, lock
from usbsync.transport.ways import Seen, State

HOLD = "import sys; from anki.collection import Collection; c = Collection(sys.argv[1]); print('open', flush=True); sys.stdin.readline(); c.close()"


class Voice:
    def __init__(self):
        self.told, self.notes = [], []

    def tell(self, phone, topic, about):
        self.told.append((phone, topic))

    def note(self, text):
        self.notes.append(text)


class Plugs:
    """A source whose phones are plugged in by the test."""

    def __init__(self):
        self.hints, self.folders, self.phones, self.stopped = SimpleQueue(), (), {}, False

    def start(self): ...
    def stop(self):
        self.stopped = True

    def watch(self, folder): ...
    def here(self):
        return dict(self.phones)

    def plug(self, name):
        self.phones[name] = None
        self.hints.put(Hint(fresh=frozenset({name})))

    def unplug(self, name):
        del self.phones[name]
        self.hints.put(Hint())

    def touched(self, path):
        self.hints.put(Hint(file=path))


class Clock:
    """The watch's clock: what is due in an hour is due at once."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


class Scene:
    def __init__(self, world, run=sync):
        self.world, self.voice, self.plugs, self.clock, self.runs = world, Voice(), Plugs(), Clock(), []
        self.name = f"folder:{world.phone.parent}"
        self.outcome = run
        self.options = replace(world.options(), device=None)
        self.watch = Watch(self.options, self.voice, self.plugs, clock=self.clock, run=self.sync)

    def sync(self, options, talk):
        self.runs.append(options.device)
        return self.outcome(options, talk)

    def settle(self):
        """Go on until nothing is due."""
        for _ in range(40):
            if self.plugs.hints.empty() and not any(
                phone.standing in {Standing.DUE, Standing.LEFT} for phone in self.watch.phones.values()
            ):
                return
            self.clock.ahead += LONGEST_BACKOFF
            self.watch.turn(most=0.01)
        raise AssertionError(self.watch.phones)

    def topics(self):
        return [topic for _, topic in self.voice.told]


@pytest.fixture
def scene(tmp_path):
    found = Scene(with_past(tmp_path / "w"))
    answer(found.options, found.name, Answer.YES)
    found.watch.begin()
    return found


@contextmanager
def anki(collection):
    """Have a process hold the collection, as Anki does."""
    command = [sys.executable, "-c", HOLD, str(collection)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "open\n"
        try:
            yield holder
        finally:
            holder.communicate("\n")


def edit(path, text="from the desk"):
    with editing(path) as col:
        add_note(col, "Basic", [text, "x"], 1)


def test_a_phone_that_comes_is_synced_and_then_left_alone(scene):
    edit(scene.world.desktop)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.topics() == [Topic.DONE]
    assert len(scene.runs) == 1
    scene.plugs.unplug(scene.name)
    scene.settle()
    scene.plugs.plug(scene.name)
    scene.settle()
    assert len(scene.runs) == 2
    assert scene.topics() == [Topic.DONE]  # nothing changed: quiet


def test_plugged_in_anew_too_fast_to_be_missed_it_is_synced_again(scene):
    for _ in range(2):
        scene.plugs.plug(scene.name)
        scene.settle()
    assert len(scene.runs) == 2


def test_a_strange_phone_is_told_of_once_and_not_touched(scene, tmp_path):
    stranger = f"folder:{tmp_path / 'stranger'}"
    fresh(tmp_path / "stranger" / "collection.anki2")
    before = (tmp_path / "stranger" / "collection.anki2").read_bytes()
    for _ in range(3):
        scene.plugs.plug(stranger)
        scene.settle()
        scene.plugs.unplug(stranger)
        scene.settle()
    assert scene.voice.told == [(stranger, Topic.ASK)]
    assert scene.runs == []
    assert (tmp_path / "stranger" / "collection.anki2").read_bytes() == before


def test_allowed_while_it_is_plugged_in_it_is_synced_and_revoked_it_is_not(scene):
    home = state_home(scene.options.environ)
    revoke(scene.options, scene.name)
    scene.plugs.touched(home / NAME)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.runs == []
    answer(scene.options, scene.name, Answer.YES)
    scene.plugs.touched(home / NAME)
    scene.settle()
    assert len(scene.runs) == 1
    revoke(scene.options)
    scene.plugs.touched(home / NAME)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert len(scene.runs) == 1


def test_anki_open_when_the_phone_comes_it_waits_and_syncs_when_anki_closes(scene):
    with anki(scene.world.desktop):
        scene.plugs.plug(scene.name)
        scene.settle()
        scene.watch.turn(most=0.01)
        assert (scene.runs, scene.topics()) == ([], [Topic.CLOSE_ANKI])
    scene.plugs.touched(scene.world.desktop)
    scene.settle()
    scene.watch.turn(most=0.01)
    scene.settle()
    assert len(scene.runs) == 1
    assert scene.watch.phones[scene.name].standing is Standing.RESTING


@pytest.mark.parametrize("changed", [True, False])
def test_anki_closed_with_changes_and_the_phone_plugged_in(scene, changed):
    scene.plugs.plug(scene.name)
    scene.settle()
    before = scene.world.desktop.read_bytes()
    with anki(scene.world.desktop):
        scene.plugs.touched(scene.world.desktop)
        scene.watch.turn(most=0.01)
    if changed:
        edit(scene.world.desktop)
    else:
        scene.world.desktop.write_bytes(before)  # opening a collection may write into it
    scene.plugs.touched(scene.world.desktop)
    scene.watch.turn(most=0.01)
    scene.settle()
    assert len(scene.runs) == (2 if changed else 1)


def test_anki_open_too_shortly_to_be_seen(scene):
    scene.plugs.plug(scene.name)
    scene.settle()
    scene.watch.turn(most=0.01)
    edit(scene.world.desktop)
    scene.watch.turn(most=0.01)
    scene.settle()
    assert len(scene.runs) == 2
    scene.watch.turn(most=0.01)  # what our own sync wrote is no news
    scene.settle()
    assert len(scene.runs) == 2


def test_what_one_phone_brings_goes_to_the_other_too(scene, tmp_path):
    other = tmp_path / "w" / "other"
    other.mkdir()
    fresh(other / "collection.anki2", notes=0)
    answer(scene.options, f"folder:{other}", Answer.YES)
    scene.watch._reload()
    scene.plugs.plug(f"folder:{other}")
    scene.settle()
    edit(scene.world.phone, "from the train")
    scene.plugs.plug(scene.name)
    scene.settle()
    scene.watch.turn(most=0.01)
    scene.settle()
    with editing(other / "collection.anki2") as col:
        assert col.find_notes("train")


def test_a_phone_is_synced_with_the_collection_it_was_allowed_for(scene, tmp_path):
    other = fresh(tmp_path / "other" / "collection.anki2")
    scene.watch._options = replace(scene.options, collection=other)
    before = other.read_bytes()
    edit(scene.world.desktop)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.topics() == [Topic.DONE]
    assert other.read_bytes() == before


@pytest.mark.parametrize(
    ("error", "topics", "runs"),
    [
        (DamagedData("no"), [Topic.FAILED], 1),
        (PhoneGone("gone"), [Topic.FAILED], 10),
        (PhoneUnauthorized("no"), [Topic.TAP], 10),
        (ValueError("a bug"), [Topic.FAILED], 1),
        (OSError(5, "I/O error"), [Topic.FAILED], 10),
    ],
)
def test_what_fails_is_told_once_and_ends_nothing(scene, capsys, error, topics, runs):
    def fail(_options, _talk):
        raise error

    scene.outcome = fail
    scene.plugs.plug(scene.name)
    scene.settle()
    assert (scene.topics(), len(scene.runs)) == (topics, runs)
    scene.outcome = sync
    edit(scene.world.desktop)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.topics() == [*topics, Topic.DONE]


def test_a_cable_pulled_in_mid_sync_is_told_and_the_next_plug_finishes(scene):
    def pull(_options, _talk):
        scene.plugs.unplug(scene.name)
        raise PhoneGone("gone")

    scene.outcome = pull
    scene.plugs.plug(scene.name)
    scene.settle()
    assert (scene.topics(), len(scene.runs)) == ([Topic.CUT], 1)
    scene.outcome = sync
    edit(scene.world.desktop)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.topics() == [Topic.CUT, Topic.DONE]


def test_what_was_stuck_goes_on_when_it_is_mended_and_each_problem_is_told(scene):
    scene.plugs.plug(scene.name)
    scene.settle()
    desktop, media = scene.world.desktop, scene.world.desktop.with_name("collection.media")
    away = scene.world.root / "away"
    desktop.rename(away)
    turned(scene)
    assert scene.topics() == [Topic.FAILED]
    away.rename(desktop)  # as it was: nothing to sync, but no problem either
    turned(scene)
    assert len(scene.runs) == 3
    assert scene.watch.phones[scene.name].standing is Standing.RESTING
    put(desktop, "a.png", "a")
    put(desktop, "b.png", "b")
    turned(scene)
    assert scene.topics() == [Topic.FAILED, Topic.DONE]
    (scene.world.root / "kept").mkdir()
    for path in media.iterdir():
        path.rename(scene.world.root / "kept" / path.name)
    turned(scene)
    assert scene.topics() == [Topic.FAILED, Topic.DONE, Topic.FAILED]
    for path in (scene.world.root / "kept").iterdir():
        path.rename(media / path.name)
    turned(scene)
    assert scene.watch.phones[scene.name].standing is Standing.RESTING
    assert (media.parent.with_name("phone") / "collection.media" / "b.png").exists()


def turned(scene):
    """Look at the desktop, and let all that is due come."""
    for _ in range(3):
        scene.watch.turn(most=0.01)
        scene.clock.ahead += STILL
    scene.settle()


def test_another_problem_is_told_and_the_same_with_other_numbers_is_not(scene):
    problems = iter(
        [NoSpace("12 MiB free"), NoSpace("1,011.5 MiB free"), DamagedData("torn"), NoSpace("7 MiB free")]
    )

    def fail(_options, _talk):
        raise next(problems)

    scene.outcome = fail
    scene.plugs.plug(scene.name)
    scene.settle()
    for _ in range(3):
        scene.clock.ahead += STUCK_AGAIN
        scene.watch.turn(most=0.01)
    assert (len(scene.runs), scene.topics()) == (4, [Topic.FAILED, Topic.FAILED])


def test_a_phone_whose_port_was_reset_was_not_unplugged(scene):
    """libmtp resets the port of every phone that it looks at."""

    def reset(_options, _talk):
        scene.plugs.unplug(scene.name)
        scene.outcome = sync
        raise PhoneGone("gone")

    scene.outcome = reset
    edit(scene.world.desktop)
    scene.plugs.plug(scene.name)
    while scene.name in scene.plugs.phones:
        scene.clock.ahead += 1.0
        scene.watch.turn(most=0.01)
    scene.watch.turn(most=0.01)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.topics() == [Topic.DONE]


def test_a_sync_by_hand_that_takes_long_is_no_failure(scene, monkeypatch):
    monkeypatch.setattr(meet, "LOCK_SECONDS", 0.05)
    with lock(
        Pair(state_home(scene.options.environ), str(scene.world.desktop), "another phone"), seconds=0.0
    ):
        scene.plugs.plug(scene.name)
        for _ in range(5):
            scene.clock.ahead += LONGEST_BACKOFF
            scene.watch.turn(most=0.01)
        assert scene.topics() == []
    edit(scene.world.desktop)
    scene.settle()
    assert scene.topics() == [Topic.DONE]


def test_a_sync_by_hand_is_not_taken_for_anki(scene, monkeypatch):
    monkeypatch.setattr(meet, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr("usbsync.collection.lock.OURS_SECONDS", 0.05)
    home, desktop = state_home(scene.options.environ), scene.world.desktop
    with lock(Pair(home, str(desktop), "another phone"), seconds=0.0), hold(desktop):
        scene.plugs.touched(desktop)
        scene.plugs.plug(scene.name)
        for _ in range(3):
            scene.clock.ahead += LONGEST_BACKOFF
            scene.watch.turn(most=0.01)
        assert not scene.watch.phones[scene.name].anki_open
    edit(desktop)
    scene.settle()
    assert scene.topics() == [Topic.DONE]


def test_what_a_sync_by_hand_is_at_work_on_is_looked_at_when_that_is_done(scene):
    scene.plugs.plug(scene.name)
    scene.settle()
    scene.watch.turn(most=0.01)
    with lock(Pair(state_home(scene.options.environ), str(scene.world.desktop), "another phone")):
        edit(scene.world.desktop)
        scene.watch.turn(most=0.01)
        assert scene.watch.phones[scene.name].standing is Standing.RESTING
        assert scene.watch._patience(None) == LOOK_EVERY
    scene.watch.turn(most=0.01)
    scene.settle()
    assert len(scene.runs) == 2


def test_a_phone_that_asks_is_told_what_to_tap(scene):
    def ask(_options, talk):
        talk.waiting()
        return Report(Result.UNCHANGED, {})

    scene.outcome = ask
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.topics() == [Topic.TAP]


def test_garbled_answers_allow_nothing_and_are_told(tmp_path):
    scene = Scene(with_past(tmp_path / "w"))
    answer(scene.options, scene.name, Answer.YES)
    path = state_home(scene.options.environ) / NAME
    path.write_bytes(path.read_bytes()[:-5])
    scene.watch.begin()
    assert any("damaged" in note for note in scene.voice.notes)
    scene.plugs.plug(scene.name)
    before = path.read_bytes()
    scene.settle()
    assert scene.runs == []
    assert path.read_bytes() == before


def test_an_adb_server_that_just_ends_ends_nothing(scene):
    edit(scene.world.desktop)
    here, scene.plugs.here = scene.plugs.here, gone
    scene.plugs.plug(scene.name)
    scene.watch.turn(most=0.01)
    scene.clock.ahead += LONGEST_BACKOFF
    scene.watch.turn(most=0.01)
    assert len([note for note in scene.voice.notes if "the adb server ends" in note]) == 1
    scene.plugs.here = here  # no hint says so: it looks again by itself
    scene.clock.ahead += LONGEST_BACKOFF
    scene.watch.turn(most=0.01)
    scene.settle()
    assert scene.topics() == [Topic.DONE]


def gone():
    raise PhoneGone("the adb server ends")


def test_damage_beside_ends_nothing(tmp_path):
    class Beside:
        folder, looks = tmp_path, 0

        def look(self):
            self.looks += 1
            raise DamagedData("inbox.json is damaged")

    scene = Scene(with_past(tmp_path / "w"))
    beside = scene.watch._also = Beside()
    scene.watch.begin()
    for _ in range(3):
        scene.watch.turn(most=0.01)
    assert beside.looks == 4
    assert ["inbox.json is damaged" in note for note in scene.voice.notes] == [True]
    assert scene.watch._patience(None) > 10


def test_a_phones_collection_that_a_program_here_has_open_is_no_endless_matter(scene):
    edit(scene.world.desktop)
    with anki(scene.world.phone):
        scene.plugs.plug(scene.name)
        scene.settle()
        assert (scene.topics(), len(scene.runs)) == ([Topic.FAILED], 10)
        for _ in range(3):
            scene.clock.ahead += LONGEST_BACKOFF
            scene.watch.turn(most=0.01)
        assert len(scene.runs) == 10
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.topics() == [Topic.FAILED, Topic.DONE]


def test_a_profile_that_comes_later_is_watched_too(scene):
    watched = set()
    scene.plugs.watch = lambda folder: folder.is_dir() and watched.add(folder)
    away = scene.world.desktop.parent.rename(scene.world.root / "away")
    scene.watch._reload()
    scene.watch.turn(most=0.01)
    assert watched == set()
    away.rename(scene.world.desktop.parent)
    scene.watch.turn(most=0.01)
    assert watched == {scene.world.desktop.parent}


# ---- the real wakers


class Nobody:
    """Ways by which no phone is seen, and a server that cannot be followed."""

    def follow_server(self):
        raise PhoneRefused("no host:track-devices")

    def list_server(self):
        return []

    def list_usb(self):
        return []

    def on_the_bus(self):
        return frozenset()


@contextmanager
def waking(via=None, **more):
    wakers = Wakers(via=via or Nobody(), udev=False, every=0.02, **more)
    wakers.start()
    try:
        yield wakers
    finally:
        wakers.stop()


def first(wakers, wanted):
    """Return the first hint that is wanted."""
    while True:
        hint = wakers.hints.get(timeout=20)
        if wanted(hint):
            return hint


def test_answers_that_the_disk_does_not_give_allow_nothing_and_end_nothing(scene, monkeypatch):
    def unreadable(_home):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("usbsync.session.watch.load_consents", unreadable)
    scene.plugs.touched(state_home(scene.options.environ) / NAME)
    scene.plugs.plug(scene.name)
    scene.settle()
    assert scene.runs == []
    assert any("Input/output error" in note for note in scene.voice.notes)


def test_a_folder_that_is_mounted_is_noticed(tmp_path):
    card = tmp_path / "card"
    card.mkdir()  # a mount point with nothing on it
    with waking(folders=[f"folder:{card}"]) as wakers:
        assert wakers.here() == {}
        (card / "AnkiDroid").mkdir()
        assert first(wakers, lambda hint: hint.fresh).fresh == {f"folder:{card}"}
        assert wakers.here() == {f"folder:{card}": None}


def test_one_that_was_unmounted_and_mounted_in_between_is_another(tmp_path, quick):
    for folder in (tmp_path / "one", quick / "two"):
        (folder / "AnkiDroid").mkdir(parents=True)
    card = tmp_path / "card"
    card.symlink_to(tmp_path / "one")
    before = mounted([f"folder:{card}"])
    (tmp_path / "one" / "AnkiDroid").rmdir()  # there already, it is not listed again
    assert mounted([f"folder:{card}"], before) == before
    card.unlink()
    card.symlink_to(quick / "two")
    after = mounted([f"folder:{card}"], before)
    assert before.keys() == after.keys()
    assert (tmp_path.stat().st_dev == quick.stat().st_dev) == (before == after)


def test_a_dead_mount_is_none(monkeypatch, tmp_path):
    def dead(_path):
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr("usbsync.device.watch.os.scandir", dead)
    assert mounted([f"folder:{tmp_path}"]) == {}


def test_a_server_that_ends_in_the_middle_of_an_answer_is_asked_again(tmp_path):
    class Restarting(Nobody):
        asked = 0

        def list_server(self):
            self.asked += 1
            return [Seen("adb:A", "A", State.READY)] if self.asked > 3 else gone()

    with waking(Restarting()) as wakers:
        assert first(wakers, lambda hint: hint.file is None)
        assert list(wakers.here()) == ["A"]


class Server(Nobody):
    """A server that tells what it knows when the test says so; one that is asked for a list fails the test."""

    def __init__(self, *lists):
        self.told, self.closed = SimpleQueue(), False
        for each in lists:
            self.told.put(each)

    def follow_server(self):
        if self.closed:
            raise NoPhone("no adb server is running")
        return self

    def next(self):
        told = self.told.get()
        return told if isinstance(told, dict) else gone()

    def close(self):
        self.closed = True
        self.told.put(None)


def test_a_phone_that_a_server_lost_and_found_again_at_once_is_fresh():
    """However short: nobody has to look for it."""
    ready = {"A": "device", "B": "device"}
    server = Server(ready, {"B": "device"}, {"A": "offline", "B": "device"}, ready)
    with waking(server) as wakers:
        told = [wakers.hints.get(timeout=20) for _ in range(4)]
    assert told == [Hint(), Hint(), Hint(fresh=frozenset({"A"})), Hint()]


def test_a_server_that_ends_is_news_and_is_come_back_to():
    server = Server({"A": "device"}, None)
    with waking(server) as wakers:
        assert [wakers.hints.get(timeout=20) for _ in range(2)] == [Hint(), Hint()]
        server.told = SimpleQueue()
        server.told.put({"A": "device"})
        server.closed = False
        assert wakers.hints.get(timeout=20) == Hint()


@pytest.mark.parametrize("servers", [{}, {"A": "device"}])
def test_a_phone_that_has_another_place_on_the_bus_was_unplugged(servers):
    """Where there is no udev; what a server has it tells of itself."""

    class Replugged(Server):
        places = iter([{(1, 7)}, {(1, 7)}, {(1, 8)}])

        def on_the_bus(self):
            return frozenset(next(self.places, {(1, 8)}))

        def list_usb(self):
            following.wait(20)
            return [Seen("usb:A", "A", State.READY), Seen("usb", "", State.FORBIDDEN)]

    following = threading.Event()
    with waking(Replugged(servers)) as wakers:
        assert wakers.hints.get(timeout=20) == Hint()
        following.set()
        assert wakers.hints.get(timeout=20) == Hint(fresh=frozenset({"A"} - servers.keys()))


class Device:
    """What udev tells of one."""

    def __init__(self, action, interfaces=":ff4201:", serial=b"A"):
        self.action, self.attributes = action, {"serial": serial}
        self.properties = {"ID_USB_INTERFACES": interfaces}


@pytest.mark.parametrize(
    ("device", "hints"),
    [
        (Device("add"), [Hint(fresh=frozenset({"A"}))]),
        (Device("change"), [Hint()]),
        (Device("remove"), [Hint()]),
        (Device("add", ":080650:"), []),
        (Device("add", None), []),
        (Device("add", serial="not bytes"), [Hint()]),
    ],
)
def test_what_udev_tells_becomes_a_hint_and_what_makes_no_sense_a_look(device, hints):
    told = []
    _tell(device, told.append)
    assert told == hints


def test_a_listener_that_ended_is_begun_again(monkeypatch):
    """The kernel's queue ran over: what was told meanwhile is lost, so all is looked at."""
    begun = []

    class Listener:
        def __init__(self, _put):
            begun.append(self)

        def is_alive(self):
            return len(begun) > 1

        def send_stop(self):
            begun.append("stopped")

    monkeypatch.setattr("usbsync.device.watch._listening", Listener)
    wakers = Wakers(via=Nobody(), udev=True, every=0.02)
    wakers.start()
    assert wakers.hints.get(timeout=20) == Hint()
    wakers.stop()
    assert len(begun) == 3
    assert wakers.hints.empty()


def test_a_file_that_changes_is_told_and_one_that_is_only_looked_at_is_not(tmp_path):
    """Looking whether a collection is open must wake nobody, or the watch would keep itself awake for ever."""
    collection = fresh(tmp_path / "collection.anki2")
    with waking() as wakers:
        wakers.watch(tmp_path)
        for _ in range(3):
            assert not is_open(collection)
        (tmp_path / "last").write_text("x")
        told = []
        first(wakers, lambda hint: told.append(hint.file) or hint.file == tmp_path / "last")
        assert collection not in told
        collection.with_name("collection.anki2-wal").write_text("x")
        first(wakers, lambda hint: hint.file == tmp_path / "collection.anki2-wal")


def test_where_the_kernel_watches_no_more_folders_they_are_looked_at(tmp_path, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("usbsync.device.watch.Observer.schedule", full)
    with waking() as wakers:
        wakers.watch(tmp_path)
        (tmp_path / "collection.anki2").write_text("x")
        first(wakers, lambda hint: hint.file == tmp_path / "collection.anki2")


def test_the_watch_ends_when_it_is_told_to(scene):
    ended = threading.Event()
    thread = threading.Thread(target=scene.watch.run, args=(ended.is_set,))
    thread.start()
    ended.set()
    scene.plugs.plug(scene.name)
    thread.join(20)
    assert not thread.is_alive()
    assert scene.plugs.stopped
