"""`usbsync doctor` names the right culprit in set-ups that are broken in one place each, and changes nothing."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace

import pytest
from jmtpfs import Jmtpfs
from raw import change
from rigs.cable import Cable
from rigs.phone import run_adb, serving, start_server
from session.rigged import APP, Phones, met
from session.scenes import by_profile, fresh, in_child, media, put, study, texts, tree, with_past
from worlds import held_elsewhere

from usbsync.collection.lock import hold
from usbsync.device import writing
from usbsync.device.spec import parse
from usbsync.errors import NoPhone, PhoneGone, UsageError, UsbsyncError
from usbsync.session import probe_data, probe_phone
from usbsync.session.case import Case
from usbsync.session.chain import chain
from usbsync.session.consent import answer
from usbsync.session.doctor import Finding, Link, Said, Verdict, culprit, examine, warning
from usbsync.session.options import Options
from usbsync.session.setup import Computer
from usbsync.session.sync import sync
from usbsync.session.talk import Silent
from usbsync.state.ancestor import load_ancestor, remember
from usbsync.state.consent import Answer
from usbsync.state.pair import lock
from usbsync.transport import ways
from usbsync.transport.folder import FolderTransport
from usbsync.transport.ways import Seen, State

FAIL, WARN = Verdict.FAILURE, Verdict.WARNING


class Ways:
    """The real ways to phones, but for what is on this machine's USB."""

    def __init__(self, usb=(), *, libusb=True):
        self.usb, self.libusb = [Seen(f"usb:{serial}", serial, state) for serial, state in usb], libusb

    def __getattr__(self, name):
        return getattr(ways, name)

    def check_usb(self):
        if not self.libusb:
            raise NoPhone("USB cannot be used: libusb-1.0.so: cannot open", hint="install libusb")

    def list_usb(self):
        return self.usb


def examined(case, seconds=None):
    links = chain(case.spec)
    found = list(examine([replace(link, seconds=seconds or link.seconds) for link in links], case))
    case.sweep()
    if not any(finding.late for finding in found):
        case.close()
    return found


def kept(*folders):
    """Return all that is below; a folder's own time changes when a file in it comes and goes."""
    found = [tree(folder) for folder in folders]
    return [
        {name: (data, mode, data and when) for name, (data, mode, when) in each.items()} for each in found
    ]


def worst(found):
    """Return the culprit; where nothing fails, all warnings."""
    first = culprit(found)
    return [first] if first else [finding for finding in found if finding.verdict is WARN]


def after(found, name):
    names = [finding.link for finding in found]
    return {finding.link: finding.verdict for finding in found[names.index(name) + 1 :]}


# ---- the chain itself


@pytest.mark.parametrize("spec", [None, "usb", "adb", "tcp:h", "folder:/x"])
def test_every_link_hangs_on_links_before_it(spec):
    known = {link.name for way in (None, "usb", "adb") for link in chain(way and parse(way))}
    seen = set()
    for link in chain(spec and parse(spec)):
        assert link.name not in seen
        assert set(link.needs) <= known
        assert not {each.name for each in chain(spec and parse(spec))} - seen & set(link.needs) - known
        seen.add(link.name)
    names = [link.name for link in chain(spec and parse(spec))]
    for link in chain(spec and parse(spec)):
        assert all(names.index(need) < names.index(link.name) for need in link.needs if need in names)


def test_what_hangs_on_a_failure_is_not_reached_and_the_first_cause_is_named():
    asked = []

    def probe(outcome):
        def run(_case):
            asked.append(outcome)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return run

    links = [
        Link("a", probe(warning("so so"))),
        Link("b", probe(ZeroDivisionError("bug")), ("a",)),
        Link("disk", probe(OSError(13, "Permission denied", "/x"))),
        Link("c", probe(Said("never")), ("b",)),
        Link("d", probe(Said("never")), ("c",)),
        Link("e", probe(Said("well")), ("a",)),
    ]
    found = list(examine(links, None))
    assert [finding.verdict.value for finding in found] == [
        "warning",
        "failure",
        "failure",
        "not reached",
        "not reached",
        "pass",
    ]
    assert {finding.text for finding in found if finding.verdict is Verdict.NOT_REACHED} == {"first: b"}
    assert found[1].code == 1
    assert len(asked) == 4
    assert "this account" in found[2].todo
    assert culprit(found) == found[1]


def test_a_late_link_takes_with_it_all_that_it_hangs_on():
    """It may be at work there still, and one thread at a time uses a transport."""
    end = threading.Event()
    links = [
        Link("here", lambda _: Said("well")),
        Link("door", lambda _: Said("well")),
        Link("room", lambda _: Said("well"), ("door",)),
        Link("late", lambda _: Said(str(end.wait(20))), ("room",), seconds=0.05, late="turn it off"),
        Link("other", lambda _: Said("never"), ("door",)),
        Link("here, too", lambda _: Said("well"), ("here",)),
    ]
    found = list(examine(links, None))
    end.set()
    assert [finding.verdict.value for finding in found[3:]] == ["failure", "not reached", "pass"]
    assert (found[3].todo, found[3].code, found[3].late) == ("turn it off", 6, True)
    assert found[4].text == "first: late"


# ---- set-ups that are broken before a phone is reached


@pytest.fixture
def bare_case(tmp_path, monkeypatch):
    """A computer with Anki's folder, no phone, and no adb server."""
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    monkeypatch.setenv("ANDROID_USER_HOME", str(tmp_path / "keys"))
    profile = tmp_path / "Anki2" / "User 1"
    profile.mkdir(parents=True)
    (profile / "collection.anki2").write_bytes(b"SQLite format 3\0")
    profiles(tmp_path / "Anki2", "User 1")
    (tmp_path / "root").mkdir()
    environ = {
        "ANKI_BASE": str(tmp_path / "Anki2"),
        "USBSYNC_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
    }
    computer = Computer(environ=environ, root=tmp_path / "root", platform="linux", uid=1000)
    return Case(Options(environ=environ), computer, Ways([("A", State.READY)]))


def profiles(base, *names):
    with closing(sqlite3.connect(base / "prefs21.db")) as db:
        db.execute("create table if not exists profiles (name text primary key, data blob not null)")
        db.executemany(
            "insert or replace into profiles values (?, ?)", [(n, pickle.dumps({})) for n in names]
        )
        db.commit()


def other(case, **environ):
    return replace(case.options, environ={**case.options.environ, **environ})


def never_started(case, _tmp):
    case.options = other(case, ANKI_BASE="/nowhere")


def two_profiles(case, tmp):
    profiles(tmp / "Anki2", "User 2")


def anki_is_open(case, tmp):
    return held_elsewhere(tmp / "Anki2" / "User 1" / "collection.anki2")


def home_is_a_file(case, tmp):
    (tmp / "file").write_text("x")
    case.options = other(case, USBSYNC_HOME=str(tmp / "file" / "home"))


def home_cannot_be_made(case, _tmp):
    case.options = other(case, USBSYNC_HOME="/proc/usbsync")


def no_server(case, _tmp):
    case.options = replace(case.options, device="adb")


def nothing_plugged_in(case, _tmp):
    case.via.usb = []


def another_phone(case, _tmp):
    case.options = replace(case.options, device="usb:B")


def two_phones(case, _tmp):
    case.via.usb.append(Seen("usb:B", "B", State.READY))


def claimed(case, _tmp):
    case.via.usb = [Seen("usb:A", "A", State.CLAIMED)]


def offline(case, _tmp):
    case.via.usb = [Seen("usb:A", "A", State.OFFLINE)]


def in_recovery(case, _tmp):
    case.via.usb = [Seen("usb:A", "A", State.OTHER)]


def plug(root, interface, product="Pixel 9", serial="A", number=7, *, node=True):
    """Put a device into the kernel's list."""
    device = root / "sys/bus/usb/devices" / f"1-{number}"
    (device / f"1-{number}:1.0").mkdir(parents=True)
    said = {"busnum": "1", "devnum": str(number), "product": product, "serial": serial}
    for name, word in said.items():
        (device / name).write_text(f"{word}\n")
    for part, word in zip(("Class", "SubClass", "Protocol"), interface, strict=True):
        (device / f"1-{number}:1.0" / f"bInterface{part}").write_text(f"{word}\n")
    path = root / "dev/bus/usb/001" / f"{number:03}"
    if node:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return path


def debugging_off(case, _tmp):
    plug(case.computer.root, ("06", "01", "01"))
    case.via.usb = []


def no_node(case, _tmp):
    plug(case.computer.root, ("ff", "42", "01"), node=False)


def server_hangs(_case, _tmp):
    return serving_badly(b"")


def server_is_none(_case, _tmp):
    return serving_badly(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def serving_badly(answer):
    """Let something that is no adb server listen where it should be."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(server.getsockname()[1]))
        kept = []

        def serve():
            with suppress(OSError):
                while True:
                    kept.append(server.accept()[0])
                    if answer:
                        kept[-1].sendall(answer)
                        kept[-1].shutdown(socket.SHUT_RDWR)

        threading.Thread(target=serve, daemon=True).start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        for each in kept:
            each.close()


@pytest.mark.parametrize(
    ("broken", "link", "code", "todo"),
    [
        (never_started, "Anki", 2, "ANKI_BASE"),
        (two_profiles, "Anki", 4, "--profile"),
        (anki_is_open, "Anki closed", 5, "close Anki"),
        (home_is_a_file, "memory", 2, "USBSYNC_HOME"),
        (home_cannot_be_made, "memory", 2, "USBSYNC_HOME"),
        (server_hangs, "adb server", 6, "adb kill-server"),
        (server_is_none, "adb server", 6, "ANDROID_ADB_SERVER_PORT"),
        (no_server, "adb server", 3, "adb start-server"),
        (debugging_off, "USB device", 3, "USB debugging"),
        (no_node, "USB device", 6, "container"),
        (nothing_plugged_in, "phone", 3, "turn on USB debugging"),
        (another_phone, "phone", 3, "plug it in"),
        (two_phones, "connection", 3, "--device usb:A or --device usb:B"),
        (claimed, "connection", 6, "adb kill-server"),
        (offline, "connection", 6, "unlock"),
        (in_recovery, "connection", 3, "start the phone normally"),
    ],
)
def test_what_is_wrong_before_the_phone_is_named(bare_case, tmp_path, broken, link, code, todo):
    with broken(bare_case, tmp_path) or ExitStack():
        before = tree(tmp_path)
        found = examined(bare_case, seconds=1 if broken is server_hangs else None)
        assert tree(tmp_path) == before
    (first,) = worst(found)
    assert (first.link, first.verdict, first.code) == (link, FAIL, code)
    assert todo in first.todo
    assert {"write test", "last sync"} <= {
        each for each, v in after(found, link).items() if v == "not reached"
    }


def test_a_device_that_this_account_may_not_open(bare_case, tmp_path):
    """Looked at by an account that is not root's: root may open all."""
    plug(bare_case.computer.root, ("ff", "42", "01")).chmod(0o600)
    for path in [*tmp_path.rglob("*"), tmp_path, *tmp_path.parents[:3]]:
        if path.is_dir():
            path.chmod(0o755)
    ends = os.pipe()

    def somebody():
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        else:
            (bare_case.computer.root / "dev/bus/usb/001/007").chmod(0)
        (first,) = [f for f in examined(bare_case) if f.link == "USB device"]
        os.write(ends[1], json.dumps([first.as_json(), first.code]).encode())

    assert in_child(somebody) == 0
    said, code = json.loads(os.read(ends[0], 9999))
    assert (said["verdict"], code) == ("failure", 6)
    assert "no rights" in said["text"]
    assert "usbsync setup" in said["todo"]


def test_a_camera_beside_the_phone_is_not_the_culprit(bare_case):
    plug(bare_case.computer.root, ("06", "01", "01"), "Camera", "C", 3)
    plug(bare_case.computer.root, ("ff", "42", "01"))
    (found,) = [f for f in examined(bare_case) if f.link == "USB device"]
    assert found.verdict is Verdict.PASS
    assert "Pixel 9 A" in found.text


def without_libusb(case):
    case.via.libusb = False


def rule_not_installed(case):
    (case.computer.root / "etc/udev").mkdir(parents=True)


def rule_of_another_version(case):
    case.computer.rule.parent.mkdir(parents=True)
    case.computer.rule.write_text("# of long ago\n")


def nothing_watches(case):
    (case.computer.root / "run/systemd/system").mkdir(parents=True)
    answer(case.options, "A", Answer.YES)


@pytest.mark.parametrize(
    ("so", "link", "todo"),
    [
        (without_libusb, "packages", "install libusb"),
        (rule_not_installed, "udev rule", "usbsync setup"),
        (rule_of_another_version, "udev rule", "usbsync setup"),
        (nothing_watches, "service", "usbsync setup"),
    ],
)
def test_what_is_not_as_it_should_be_is_a_warning(bare_case, so, link, todo):
    so(bare_case)
    (found,) = [finding for finding in examined(bare_case) if finding.verdict is WARN]
    assert (found.link, found.code) == (link, 0)
    assert todo in found.todo


# ---- a real phone, broken in one place


@pytest.fixture(scope="module")
def rigged(adbd, tmp_path_factory):
    root = tmp_path_factory.mktemp("doctor")
    phones = Phones(adbd, root / "phone")
    world = met(root / "w", phones)
    study(world.desktop, "so that there is a backup")
    world.sync()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_USER_HOME", str(root / "keys"))
        patch.setenv("ANDROID_ADB_SERVER_PORT", "1")
        yield world
    phones.now.kill()
    assert not (root / "keys").exists()


def case_of(world, **more):
    computer = Computer(environ=world.environ, root=world.root / "no root", uid=1000)
    return Case(world.options(**more), computer, Ways())


@pytest.mark.adbd
@pytest.mark.parametrize("way", ["tcp", "adb server", "whatever is there"])
def test_where_all_is_well_all_links_hold(adbd, rigged, tmp_path, way):
    case = case_of(rigged)
    with ExitStack() as stack:
        if way != "tcp":
            server = stack.enter_context(serving(adbd, tmp_path / "adb", rigged.phones.now))
            case.options = replace(
                case.options, device=None if way != "adb server" else f"adb:{server.serial}"
            )
        found = examined(case)
    assert [(each.link, each.text) for each in found if each.verdict is not Verdict.PASS] == []
    assert [each.link for each in found][-12:] == [
        "AnkiDroid",
        "folder",
        "AnkiDroid closed",
        "last sync",
        "Anki's data",
        "AnkiDroid's data",
        "nothing lost",
        "media",
        "write test",
        "space",
        "clocks",
        "backups",
    ]


@contextmanager
def moved(path):
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@contextmanager
def with_mode(path, mode):
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


@contextmanager
def with_bytes(path, change):
    before, info = path.read_bytes(), path.stat()
    path.write_bytes(change(before))
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@contextmanager
def with_packages(world, *lines):
    world.phones.now.install(*lines)
    try:
        yield
    finally:
        world.phones.now.install("com.ichi2.anki")


def no_ankidroid(world, _case):
    return with_packages(world, "com.android.chrome")


def an_old_one(world, _case):
    return with_packages(world, "com.ichi2.anki 2.15.6")


def nothing_in_it_yet(world, _case):
    return moved(world.phone)


@contextmanager
def two_folders(world, _case):
    public = world.phones.now.data / "AnkiDroid"
    public.mkdir()
    shutil.copy2(world.phone, public)
    try:
        yield
    finally:
        shutil.rmtree(public)


@contextmanager
def two_of_it_at_work(world, _case):
    world.phones.now.install("com.ichi2.anki", "com.ichi2.anki.a")
    for package in ("com.ichi2.anki", "com.ichi2.anki.a"):
        world.phones.now.start_app(package)
    try:
        yield
    finally:
        for package in ("com.ichi2.anki", "com.ichi2.anki.a"):
            world.phones.now.shell(f"am force-stop {package}")
        (world.phones.now.state / "logcat").write_text("")
        world.phones.now.install("com.ichi2.anki")


def needs_root():
    if os.geteuid():
        pytest.skip("needs root: else the phone's files are all its own")


@contextmanager
def keeps_us_out(world, _case):
    needs_root()
    folder = world.phone.parent
    os.chown(folder, 0, 0)
    with with_mode(folder, 0o755):
        yield
    os.chown(folder, *APP)
    folder.chmod(0o2770)


@contextmanager
def only_the_apps_to_read(world, _case):
    needs_root()
    info = world.phone.stat()
    os.chown(world.phone, 10123, 10123)
    with with_mode(world.phone, 0o600):
        yield
    os.chown(world.phone, info.st_uid, info.st_gid)


@contextmanager
def on_a_small_disk(world, case, fill):
    """AnkiDroid's folder is on the phone's file system of 8 MB."""
    phone = world.phones.now
    phone.shell(f"mkdir /mnt/A; cp {world_path(world)} /mnt/A; head -c {fill} /dev/zero >/mnt/A/fill")
    case.options = replace(case.options, phone_dir="/mnt/A")
    try:
        yield
    finally:
        phone.shell("rm -r /mnt/A")


def world_path(world):
    return f"/storage/emulated/0/{world.phone.relative_to(world.phones.now.data)}"


def small(world, case):
    return on_a_small_disk(world, case, 1 << 20)


def full(world, case):
    return on_a_small_disk(world, case, 16 << 20)


def wrong_clock(_world, case):
    case.clock = lambda: time.time() + 3600


def ancestor_garbled(world, _case):
    return with_bytes(load_ancestor(world.pair).collection, lambda old: old[:-1] + b"?")


def ancestor_gone(world, _case):
    return moved(load_ancestor(world.pair).collection)


@contextmanager
def remembered_at(world, when):
    now = load_ancestor(world.pair)
    remember(world.pair, replace(now, when=when))
    try:
        yield
    finally:
        remember(world.pair, now)


def long_ago(world, _case):
    return remembered_at(world, time.time() - 90 * 86_400)


def in_the_future(world, _case):
    return remembered_at(world, time.time() + 86_400)


@contextmanager
def cut_off(world, _case):
    world.journal.write_text("{}")
    try:
        yield
    finally:
        world.journal.unlink()


def backup_garbled(world, _case):
    (newest, *_) = world.backups.list()
    return with_bytes(newest.path / "phone" / "collection.anki2", lambda old: old[:-1])


def manifest_garbled(world, _case):
    (newest, *_) = world.backups.list()
    return with_bytes(newest.path / "manifest.json", lambda old: old[:-9])


@contextmanager
def folder_was_moved(world, _case):
    public = world.phones.now.data / "AnkiDroid"
    world.phone.parent.rename(public)
    public.chmod(0o777)
    try:
        yield
    finally:
        public.rename(world.phones.now.ankidroid)
        world.belongs_to_the_app()


@pytest.mark.adbd
@pytest.mark.parametrize(
    ("broken", "link", "verdict", "code", "todo"),
    [
        (no_ankidroid, "AnkiDroid", FAIL, 3, "install AnkiDroid"),
        (an_old_one, "AnkiDroid", WARN, 0, "update com.ichi2.anki"),
        (nothing_in_it_yet, "folder", FAIL, 3, "open AnkiDroid once"),
        (two_of_it_at_work, "AnkiDroid closed", WARN, 0, "a folder of its own"),
        (keeps_us_out, "write test", FAIL, 6, "AnkiDroid directory"),
        (only_the_apps_to_read, "AnkiDroid's data", FAIL, 6, "AnkiDroid directory"),
        (full, "write test", FAIL, 6, "make room"),
        (small, "space", FAIL, 6, "make room"),
        (wrong_clock, "clocks", WARN, 0, "by the network"),
        (ancestor_garbled, "last sync", FAIL, 7, "--first"),
        (ancestor_gone, "last sync", FAIL, 7, "--first"),
        (long_ago, "last sync", WARN, 0, "usbsync sync"),
        (in_the_future, "last sync", WARN, 0, "clock"),
        (cut_off, "last sync", WARN, 0, "finishes"),
        (folder_was_moved, "last sync", WARN, 0, "--phone-dir"),
        (backup_garbled, "backups", WARN, 0, "disk"),
        (manifest_garbled, "backups", WARN, 0, "disk"),
    ],
)
def test_what_is_wrong_with_the_phone_or_the_memory_is_named(rigged, broken, link, verdict, code, todo):
    case = case_of(rigged)
    with broken(rigged, case) or ExitStack():
        before = kept(rigged.root, rigged.phones.now.data)
        found = worst(examined(case))
        assert kept(rigged.root, rigged.phones.now.data) == before
    assert [(each.link, each.verdict, each.code) for each in found] == [(link, verdict, code)]
    assert todo in found[0].todo


@pytest.mark.adbd
def test_a_phone_that_nobody_unlocked_since_its_start(rigged, monkeypatch):
    monkeypatch.setattr("usbsync.device.locked._STORAGE", "/storage/encrypted")
    (found,) = worst(examined(case_of(rigged)))
    assert (found.link, found.code) == ("connection", 6)
    assert "unlock the phone once" in found.todo


@pytest.mark.adbd
def test_two_apps_with_a_folder_each_are_a_persons_choice(rigged):
    with with_packages(rigged, "com.ichi2.anki", "com.ichi2.anki.a"), two_folders(rigged, None):
        (found,) = worst(examined(case_of(rigged)))
    assert (found.link, found.code) == ("folder", 3)
    assert "--phone-dir /storage/emulated/0/AnkiDroid" in found.todo


@pytest.mark.adbd
@pytest.mark.parametrize("at", ["connection", "folder"])
def test_a_phone_that_falls_asleep_hangs_nothing(rigged, monkeypatch, at):
    phone, real = rigged.phones.now, probe_phone.place_of

    def fall_asleep(*args, **more):
        phone.freeze()
        return real(*args, **more)

    monkeypatch.setattr(probe_phone, "place_of", fall_asleep)
    if at == "connection":
        phone.freeze()
    case, began = case_of(rigged), time.monotonic()
    found = examined(case, seconds=1)
    assert time.monotonic() - began < 10
    phone.thaw()
    for thread in threading.enumerate():
        if thread.name == at:
            thread.join(20)
    case.close()
    (first,) = worst(found)
    assert (first.link, first.late, first.code) == (at, True, 6)
    reached = {link for link, verdict in after(found, at).items() if verdict != "not reached"}
    assert reached <= {"Anki's data"}


@pytest.mark.adbd
def test_a_cable_pulled_in_the_write_test(rigged, monkeypatch):
    monkeypatch.setattr(writing, "GUARD_SECONDS", 1)
    real = writing._folder
    cable = Cable(rigged.phones.now.port)

    def pull(transport, folder):
        cable.cut()
        real(transport, folder)

    monkeypatch.setattr(writing, "_folder", pull)
    with closing(cable):
        found = examined(case_of(rigged.by(cable.port)))
    (first,) = worst(found)
    assert (first.link, first.code) == ("write test", 6)
    deadline = time.monotonic() + 20
    while any(writing.NAME in name for name in tree(rigged.phones.now.data)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.adbd
@pytest.mark.parametrize("way", ["tcp", "adb server"])
def test_a_phone_that_did_not_allow_it_is_not_asked(adbd, strict_phone, bare_case, tmp_path, way):
    with ExitStack() as stack:
        if way == "tcp":
            bare_case.options = replace(bare_case.options, device=f"tcp:127.0.0.1:{strict_phone.port}")
        else:
            server, port = start_server(adbd, tmp_path / "adb")
            stack.callback(server.wait)
            stack.callback(server.kill)
            serial = f"127.0.0.1:{strict_phone.port}"
            run_adb(adbd.adb, tmp_path / "adb", port, "connect", serial)
            while "unauthorized" not in run_adb(adbd.adb, tmp_path / "adb", port, "devices"):
                time.sleep(0.05)
            stack.enter_context(pytest.MonkeyPatch.context()).setenv("ANDROID_ADB_SERVER_PORT", str(port))
            bare_case.via.usb = []
        (first,) = worst(examined(bare_case))
    assert (first.link, first.code) == ("connection", 6)
    assert "Allow" in first.todo
    assert not (tmp_path / "keys").exists(), "no key is made"


# ---- what both hold: doctor ends as a sync does, with the same words


@pytest.fixture(scope="module")
def in_step(quick):
    """A pair in step on a quick disk, and a copy of it."""
    world = with_past(quick / "doctor" / "w")
    return world, world.save()


@pytest.fixture
def pair(in_step):
    world, saved = in_step
    world.restore(saved)
    return world


def said_by_sync(world, **more):
    """Sync; the exit code and the error's words."""
    try:
        world.sync(**more)
    except UsbsyncError as error:
        return error.exit_code, str(error), error.hint
    return 0, None, None


def said_by_doctor(world, **more):
    """Examine, which changes nothing; the exit code and the culprit's words."""
    before = kept(world.root)
    first = culprit(examined(Case(world.options(**more), via=Ways())))
    assert kept(world.root) == before
    return (first.code, first.text, first.todo) if first else (0, None, None)


def garbage(path):
    path.write_text("hello")


def empty(path):
    path.write_bytes(b"")


def cut_short(path):
    os.truncate(path, path.stat().st_size - 5000)


def cut_at_a_page(path):
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def of_another_schema(path):
    change(path, "update col set ver = 99")


def a_page_of_zeros(path):
    """Also such damage as only reading all of it shows."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 8192)
        file.write(bytes(8192))


def a_journal_beside(path):
    path.with_name(f"{path.name}-journal").write_bytes(b"unfinished")


def begun_anew(path):
    path.unlink()
    fresh(path, 0)


def gone(path):
    path.unlink()


def media_gone(path):
    shutil.rmtree(media(path))


def media_empty(path):
    media_gone(path)
    media(path)


def media_a_file(path):
    media_gone(path)
    path.with_suffix(".media").write_text("hello")


def media_of_another(path):
    media_empty(path)
    put(path, "a holiday", "not Anki's")


def worked_with(path):
    study(path, "nothing is wrong with this")


SOUND = (worked_with,)
DAMAGED = (garbage, empty, cut_short, cut_at_a_page, of_another_schema, a_page_of_zeros, a_journal_beside)
LOST = (begun_anew, gone, media_gone, media_empty, media_of_another)
CODES = {**dict.fromkeys(SOUND, 0), **dict.fromkeys((*DAMAGED, media_a_file), 7), **dict.fromkeys(LOST, 4)}


@pytest.mark.parametrize("side", ["desktop", "phone"])
@pytest.mark.parametrize("broken", CODES)
def test_doctor_ends_as_a_sync_does(pair, broken, side):
    broken(getattr(pair, side))
    more = {"phone_dir": "/"}  # a phone without a collection has to be named
    found = said_by_doctor(pair, **more)
    assert found == said_by_sync(pair, **more)
    assert found[0] == CODES[broken]


@pytest.mark.parametrize("side", ["desktop", "phone"])
@pytest.mark.parametrize("broken", [garbage, of_another_schema, media_a_file])
def test_doctor_ends_as_a_first_sync_does(pair, broken, side):
    shutil.rmtree(pair.root / "home")
    broken(getattr(pair, side))
    found = said_by_doctor(pair)
    assert found == said_by_sync(pair)
    assert found[0] == 7


def test_a_desktop_that_never_had_a_collection_is_filled_by_a_first_sync(pair):
    shutil.rmtree(pair.root / "home")
    options = by_profile(pair)
    pair.desktop.unlink()
    assert culprit(examined(Case(options, via=Ways()))) is None
    assert sync(options, Silent()).result == "downloaded"


def test_a_card_that_is_not_mounted(pair):
    for path in pair.phone.parent.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = said_by_doctor(pair)
    assert found == said_by_sync(pair)
    assert "not mounted" in found[1]


def test_a_usbsync_at_work_is_not_called_anki(pair, monkeypatch):
    monkeypatch.setattr("usbsync.collection.lock.OURS_SECONDS", 0.1)
    with lock(pair.pair), hold(pair.desktop):
        first = culprit(examined(Case(pair.options(), via=Ways())))
        assert (first.link, first.code, first.text) == ("Anki closed", *said_by_sync(pair)[:2])
    assert "another usbsync (process" in first.text


def test_the_desktops_own_folder_is_no_phone(pair):
    options = replace(pair.options(), device=f"folder:{pair.desktop.parent}")
    with pytest.raises(UsageError) as told:
        sync(options, Silent())
    first = culprit(examined(Case(options, via=Ways())))
    assert (first.code, first.text) == (told.value.exit_code, str(told.value))


@pytest.mark.parametrize(
    ("where", "work", "code"),
    [
        ("phone", lambda world: study(world.desktop, "new"), 6),
        ("desktop", lambda world: study(world.phone, "new"), 6),
        ("phone", lambda world: put(world.desktop, "film", "x" * (2 << 20)), 6),
        ("phone", lambda world: study(world.phone, "for the other side alone"), 0),
        ("phone", lambda _world: None, 0),
    ],
)
def test_too_little_space_is_what_a_sync_would_call_so(pair, monkeypatch, where, work, code):
    work(pair)
    small, real = getattr(pair, where).parent.resolve(), FolderTransport.free_space
    monkeypatch.setattr(
        FolderTransport,
        "free_space",
        lambda self, folder: (16 << 20) + 999 if self.identity == str(small) else real(self, folder),
    )
    found = said_by_doctor(pair)
    assert (found[0], said_by_sync(pair)[0]) == (code, code)
    assert code == 0 or f"the {where} has 16 MiB free" in found[1]


def test_a_home_that_cannot_be_made(pair):
    options = replace(pair.options(), environ={"USBSYNC_HOME": "/proc/usbsync"})
    with pytest.raises(UsageError) as told:
        sync(options, Silent())
    first = culprit(examined(Case(options, via=Ways())))
    assert (first.link, first.code) == ("memory", told.value.exit_code)
    assert "USBSYNC_HOME" in first.todo
    assert "USBSYNC_HOME" in told.value.hint


@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_media_that_may_not_be_read(pair, side):
    """Looked at by an account that is not root's: root may read all."""
    for path in [*pair.root.rglob("*"), pair.root]:
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    for path in pair.root.parents:
        if path.stat().st_uid == os.geteuid() and path.is_relative_to(pair.root.parents[1]):
            path.chmod(0o755)
    media(getattr(pair, side)).chmod(0)
    ends = os.pipe()

    def somebody():
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        found = said_by_doctor_without_looking(pair), said_by_sync(pair)
        os.write(ends[1], json.dumps(found).encode())

    assert in_child(somebody) == 0
    media(getattr(pair, side)).chmod(0o755)
    doctor, by_sync = json.loads(os.read(ends[0], 9999))
    assert doctor == by_sync
    assert doctor[0] == 6


def said_by_doctor_without_looking(world):
    first = culprit(examined(Case(world.options(), via=Ways())))
    return (first.code, first.text, first.todo) if first else (0, None, None)


def test_an_attempt_that_came_to_nothing_is_no_other_phone(pair):
    """It leaves a memory of the two, and they are not to be named to one another."""
    shutil.rmtree(pair.root / "home")
    study(pair.phone, "on the phone")
    study(pair.desktop, "on the desktop")
    assert said_by_sync(pair)[0] == 4
    (found,) = [each for each in examined(Case(pair.options(), via=Ways())) if each.link == "last sync"]
    assert found.verdict is Verdict.PASS
    assert str(pair.phone.parent) not in found.text


@contextmanager
def broken_on_the_phone(world, broken):
    path = world.phone
    before, info = path.read_bytes(), path.stat()
    broken(path)
    try:
        yield
    finally:
        path.chmod(info.st_mode)
        path.write_bytes(before)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def nobody_may_read(path):
    needs_root()
    path.chmod(0)


@pytest.mark.adbd
@pytest.mark.parametrize("broken", [garbage, empty, cut_short, of_another_schema, nobody_may_read])
def test_over_a_cable_doctor_ends_as_a_sync_does(rigged, broken):
    with broken_on_the_phone(rigged, broken):
        (first,) = worst(examined(case_of(rigged)))
        assert (first.link, first.code, first.text, first.todo) == ("AnkiDroid's data", *said_by_sync(rigged))
    assert first.code == (6 if broken is nobody_may_read else 7)


@pytest.mark.adbd
def test_over_a_cable_media_that_may_not_be_read_end_both(rigged):
    needs_root()
    with with_mode(media(rigged.phone), 0):
        (first,) = worst(examined(case_of(rigged)))
        assert (first.link, first.code, first.text, first.todo) == ("media", *said_by_sync(rigged))
    assert first.code == 6


@pytest.mark.adbd
@pytest.mark.parametrize(
    ("broken", "code"), [(garbage, 7), (empty, 7), (cut_short, 7), (cut_at_a_page, 7), (nobody_may_read, 6)]
)
def test_of_a_large_collection_the_beginning_is_looked_at(rigged, monkeypatch, broken, code):
    for bound in ("_SOON_READ", "_MOST"):
        monkeypatch.setattr(probe_data, bound, 0)
    with broken_on_the_phone(rigged, broken):
        (first,) = worst(examined(case_of(rigged)))
    assert (first.link, first.code) == ("AnkiDroid's data", code)
    assert "AnkiDroid directory" not in first.todo


@pytest.mark.adbd
def test_of_a_sound_large_collection_it_is_said_that_it_was_not_read(rigged, monkeypatch):
    for bound in ("_SOON_READ", "_MOST"):
        monkeypatch.setattr(probe_data, bound, 0)
    with broken_on_the_phone(rigged, worked_with):
        found = examined(case_of(rigged))
    assert culprit(found) is None
    (said,) = [each.text for each in found if each.link == "AnkiDroid's data"]
    assert "only the beginning was looked at" in said


@pytest.mark.adbd
def test_what_the_app_writes_just_now_is_not_read(rigged):
    rigged.phones.now.start_app("com.ichi2.anki")
    found = examined(case_of(rigged))
    assert culprit(found) is None
    assert any("AnkiDroid is at work there" in each.text for each in found)
    assert rigged.phones.now.shell("pidof com.ichi2.anki")
    rigged.phones.now.shell("am force-stop com.ichi2.anki")


# ---- a folder, and the program


def test_a_folder_whose_collection_another_program_has_open(tmp_path):
    world = with_past(tmp_path / "w")
    with held_elsewhere(world.phone):
        (found,) = worst(examined(Case(world.options(), via=Ways())))
    assert (found.link, found.code) == ("AnkiDroid closed", 5)


@pytest.fixture
def by_mtp(tmp_path, monkeypatch):
    world = with_past(tmp_path / "w")
    study(world.desktop, "for the phone")
    monkeypatch.setattr(ways, "open_folder", Jmtpfs)
    return world


def test_a_phone_that_is_mounted_by_mtp_is_told_what_that_means(by_mtp):
    before = kept(by_mtp.root)
    found = worst(examined(Case(by_mtp.options(), via=Ways())))
    assert [(each.link, each.code) for each in found] == [("connection", 0), ("AnkiDroid closed", 0)]
    assert kept(by_mtp.root) == before


def test_nothing_is_tried_on_a_phone_whose_rename_was_cut_off(by_mtp, monkeypatch):
    """What is written down there of that rename is what the next sync finishes it by."""
    cuts = 0
    saved = by_mtp.save()
    for ops in range(1, 9):
        by_mtp.restore(saved)
        monkeypatch.setattr(Jmtpfs, "ops", ops)
        with suppress(PhoneGone):
            by_mtp.sync()
        monkeypatch.setattr(Jmtpfs, "ops", 1 << 30)
        before = kept(by_mtp.root)
        first = culprit(examined(Case(by_mtp.options(), via=Ways())))
        if first:
            cuts += 1
            assert (first.link, first.code) == ("connection", 5)
            assert kept(by_mtp.root) == before
        by_mtp.sync()
        assert texts(by_mtp.phone) == texts(by_mtp.desktop)
    assert cuts


def run(world, *words, **environ):
    """Run the program; its exit code and what it printed."""
    command = [sys.executable, "-m", "usbsync", "doctor", "--collection", str(world.desktop), *words]
    environ = {**os.environ, **world.environ, **environ}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def test_the_program_says_it_to_people_and_to_programs(tmp_path):
    world = with_past(tmp_path / "w")
    words = ["--device", f"folder:{world.phone.parent}"]
    before = kept(world.root)
    code, text = run(world, *words)
    assert (code, "✓ write test" in text) == (0, True)
    (world.phone).rename(world.root / "away")
    code, text = run(world, *words, "--json")
    said = json.loads(text)
    assert (code, said["exit_code"], said["culprit"]) == (3, 3, "folder")
    assert {each["verdict"] for each in said["links"]} >= {"pass", "failure", "not reached"}
    (world.root / "away").rename(world.phone)
    assert kept(world.root) == before


def test_the_program_ends_though_a_probe_hangs(tmp_path):
    world = with_past(tmp_path / "w")
    with serving_badly(b""):
        code, text = run(world, "--json", ANDROID_ADB_SERVER_PORT=os.environ["ANDROID_ADB_SERVER_PORT"])
    assert (code, json.loads(text)["culprit"]) == (6, "adb server")


def test_a_package_needs_no_way_and_is_looked_into_by_another_command():
    with pytest.raises(UsageError, match="package needs none") as told:
        chain(parse("package:x.colpkg"))
    assert "usbsync plan" in told.value.hint


def test_a_finding_for_a_program_has_its_four_words():
    assert Finding("a", WARN, "b", "c").as_json() == {
        "link": "a",
        "verdict": "warning",
        "text": "b",
        "todo": "c",
    }
