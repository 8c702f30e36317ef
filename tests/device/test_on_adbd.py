"""The same on a real adbd, with Android's own shell and toybox; am, pm and logcat are the rig's."""

from __future__ import annotations

import contextlib
import os

import pytest

from usbsync.device.ankidroid import PhoneReplica, find_phone
from usbsync.device.app import AppControl
from usbsync.device.detect import How, open_phone, seen_phones
from usbsync.device.spec import parse
from usbsync.errors import AppRunning, NoPhone, WhichPhone
from usbsync.transport import ways

pytestmark = pytest.mark.adbd

ANKI, DEBUG = "com.ichi2.anki", "com.ichi2.anki.debug"
PRIVATE = f"/storage/emulated/0/Android/data/{ANKI}/files/AnkiDroid"
PUBLIC = "/storage/emulated/0/AnkiDroid"


@pytest.fixture
def link(phone):
    with contextlib.closing(open_phone(parse(f"tcp:127.0.0.1:{phone.port}"))) as opened:
        yield opened


def make_collection(phone, folder, mtime=1_700_000_000):
    path = phone.data / folder.removeprefix("/storage/emulated/0/") / "collection.anki2"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"SQLite format 3\0")
    os.utime(path, (mtime, mtime))
    return path.parent


def test_the_only_folder_is_found(phone, link):
    make_collection(phone, PRIVATE)
    assert find_phone(link) == PhoneReplica(PRIVATE, (ANKI,), "the only one")


def test_a_fresh_phone_says_to_open_ankidroid_once(phone, link):
    with pytest.raises(NoPhone, match="no collection yet"):
        find_phone(link)
    phone.install("com.android.systemui")
    with pytest.raises(NoPhone, match="not installed"):
        find_phone(link)


def test_the_log_says_which_folder_is_live(phone, link):
    make_collection(phone, PRIVATE, 100)
    make_collection(phone, PUBLIC, 200)
    assert find_phone(link) == PhoneReplica(PUBLIC, (ANKI,), "last written")
    phone.start_app()
    assert find_phone(link) == PhoneReplica(PRIVATE, (ANKI,), "AnkiDroid logged it")


def test_two_apps_with_a_folder_each(phone, link):
    phone.install(ANKI, DEBUG)
    make_collection(phone, PRIVATE)
    debug = PRIVATE.replace(ANKI, DEBUG)
    make_collection(phone, debug)
    with pytest.raises(WhichPhone):
        find_phone(link)
    assert find_phone(link, app=DEBUG) == PhoneReplica(debug, (ANKI, DEBUG), "the only one")


def test_every_running_ankidroid_is_stopped_and_started_again(phone, link):
    phone.install(ANKI, DEBUG, "org.other.app")
    make_collection(phone, PUBLIC)
    phone.start_app(DEBUG)
    phone.start_app("org.other.app")
    app = AppControl(link, find_phone(link))
    assert app.running() == (DEBUG,)
    app.stop()
    assert not phone.running(DEBUG)
    assert phone.running("org.other.app")
    assert app.start_again() == ()
    assert phone.running(DEBUG)
    assert not phone.running(ANKI)


def test_an_app_that_comes_back_is_not_taken_for_stopped(phone, link):
    make_collection(phone, PRIVATE)
    phone.start_app()
    phone.restless()
    with pytest.raises(AppRunning):
        AppControl(link, find_phone(link), patience=0.5).stop()
    assert phone.running()


def test_a_start_that_fails_is_reported(phone, link):
    make_collection(phone, PRIVATE)
    phone.start_app()
    app = AppControl(link, find_phone(link))
    app.stop()
    phone.install("org.other.app")
    (failure,) = app.start_again()
    assert ANKI in failure


def test_the_adb_servers_one_phone_is_seen_and_opened(phone, adb_server):
    """With no spec; what this machine has on USB, if anything, is not the test's."""

    class NoUsb:
        def __getattr__(self, name):
            return getattr(ways, name)

        def list_usb(self):
            return []

    make_collection(phone, PRIVATE)
    (seen,) = seen_phones(via=NoUsb())
    assert (seen.spec, seen.state, seen.how) == (f"adb:{adb_server.serial}", ways.State.READY, How.SERVER)
    for spec in (None, parse(seen.spec)):
        with contextlib.closing(open_phone(spec, via=NoUsb())) as link:
            assert find_phone(link).folder == PRIVATE
