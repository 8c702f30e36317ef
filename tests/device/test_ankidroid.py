"""Which AnkiDroid folder is live."""

import pytest
from device.fake_phone import FILES, OPENED, PUBLIC, FakePhone
from hypothesis import given
from hypothesis import strategies as st

from usbsync.device import logcat
from usbsync.device.ankidroid import PhoneReplica, find_phone, installed
from usbsync.errors import DamagedData, NoPhone, PhoneGone, PhoneRefused, UsageError, WhichPhone
from usbsync.transport.base import Completed
from usbsync.transport.folder import FolderTransport
from usbsync.transport.wrap import Metered

ANKI = "com.ichi2.anki"
PRIVATE = f"{FILES.format(ANKI)}/AnkiDroid"
CARD = "/storage/1234-ABCD/cards/AnkiDroid"


@pytest.fixture
def phone():
    return FakePhone(ANKI)


# Packages


def test_every_ankidroid_is_found_whatever_its_case_and_nothing_else():
    others = ["com.ichi2.ankix", "org.com.ichi2.anki", "com.ichi2", "com.android.systemui", ""]
    hostile = [
        "com.ichi2.anki;reboot",
        "com.ichi2.anki.$(id)",
        "com.ichi2.anki/x",
        "com.ichi2.anki.-a",
        "com.ichi2.anki.",
    ]
    phone = FakePhone(ANKI, "com.ichi2.anki.debug", "com.ichi2.anki.A", "Com.Ichi2.Anki.b", *others, *hostile)
    assert installed(phone) == ("Com.Ichi2.Anki.b", ANKI, "com.ichi2.anki.A", "com.ichi2.anki.debug")


@given(st.binary())
def test_whatever_the_phone_lists_only_packages_come_out(listed):
    phone = FakePhone()
    phone.answers["pm"] = Completed(0, b"package:com.ichi2.anki" + listed, b"")
    for name in installed(phone):
        assert name.isascii()
        assert name.replace(".", "").replace("_", "").isalnum()


def test_a_phone_that_does_not_list_its_apps_is_no_phone_without_ankidroid(phone):
    phone.answers["pm"] = Completed(255, b"", b"Failure")
    with pytest.raises(PhoneRefused):
        find_phone(phone)


def test_no_ankidroid(phone):
    phone.packages = ["com.android.systemui"]
    phone.collection(PUBLIC)
    with pytest.raises(NoPhone, match="not installed") as raised:
        find_phone(phone)
    assert "install AnkiDroid" in raised.value.hint


# The folder


@pytest.mark.parametrize("folder", [PUBLIC, PRIVATE, f"{PRIVATE}1", f"{PRIVATE}27"])
def test_the_only_folder(phone, folder):
    phone.collection(folder)
    assert find_phone(phone) == PhoneReplica(folder, (ANKI,), "the only one")


def test_a_replicas_paths(phone):
    phone.collection(PUBLIC)
    found = find_phone(phone)
    assert (found.collection, found.media_folder) == (
        f"{PUBLIC}/collection.anki2",
        f"{PUBLIC}/collection.media",
    )


@pytest.mark.parametrize("name", ["AnkiDroid-old", "p_0a1b2c3d", "ankidroid", "AnkiDroid1234", "AnkiDroid\n"])
def test_other_folders_of_the_app_are_not_guessed_at(phone, name):
    phone.collection(f"{FILES.format(ANKI)}/{name}")
    with pytest.raises(NoPhone):
        find_phone(phone)


def test_a_folder_without_a_collection_says_to_open_ankidroid_once(phone):
    phone.collection(PUBLIC)
    del phone.files[f"{PUBLIC}/collection.anki2"]
    with pytest.raises(NoPhone, match="no collection yet") as raised:
        find_phone(phone)
    assert type(raised.value) is NoPhone
    assert PUBLIC in str(raised.value)
    assert "open AnkiDroid once" in raised.value.hint


def test_a_link_is_not_followed(phone):
    phone.collection(PRIVATE)
    phone.folders.remove(PRIVATE)
    phone.links.add(PRIVATE)
    with pytest.raises(NoPhone):
        find_phone(phone)


def test_a_collection_that_is_no_file_is_none(phone):
    phone.collection(PUBLIC)
    del phone.files[f"{PUBLIC}/collection.anki2"]
    phone.links.add(f"{PUBLIC}/collection.anki2")
    with pytest.raises(NoPhone):
        find_phone(phone)


@pytest.mark.parametrize(
    ("public", "private", "live"),
    [
        ({"mtime": 200}, {"mtime": 100}, PUBLIC),
        ({"mtime": 100}, {"mtime": 200}, PRIVATE),
        ({"mtime": 200}, {"mtime": 100, "wal": 300}, PRIVATE),
        ({"mtime": 200, "wal": 100}, {"mtime": 150}, PUBLIC),
    ],
)
def test_of_several_folders_the_one_written_last(phone, public, private, live):
    phone.collection(PUBLIC, **public)
    phone.collection(PRIVATE, **private)
    assert find_phone(phone) == PhoneReplica(live, (ANKI,), "last written")


def test_folders_written_in_the_same_second_are_a_persons_choice(phone):
    phone.collection(PUBLIC)
    phone.collection(PRIVATE)
    with pytest.raises(WhichPhone) as raised:
        find_phone(phone)
    for folder in (PUBLIC, PRIVATE):
        assert folder in str(raised.value)
        assert f"--phone-dir {folder}" in raised.value.hint


def test_two_apps_with_a_folder_each_are_a_persons_choice(phone):
    """To follow dates or log would sync now one, now the other."""
    phone.packages.append("com.ichi2.anki.debug")
    other = phone.collection(f"{FILES.format('com.ichi2.anki.debug')}/AnkiDroid", mtime=200)
    phone.collection(PUBLIC, mtime=100)
    phone.log = f"{OPENED}{other}/collection.anki2\n".encode()
    with pytest.raises(WhichPhone):
        find_phone(phone)


def test_two_apps_with_one_folder_are_both_to_be_stopped(phone):
    phone.packages.append("com.ichi2.anki.debug")
    phone.collection(PUBLIC)
    assert find_phone(phone) == PhoneReplica(PUBLIC, (ANKI, "com.ichi2.anki.debug"), "the only one")


# The log


@pytest.mark.parametrize("line", ["{}/collection.anki2", "Path(path={}/collection.anki2)"])
def test_what_ankidroid_logged_comes_first(phone, line):
    phone.collection(PUBLIC, mtime=300)
    phone.collection(PRIVATE, mtime=200)
    phone.collection(CARD, mtime=100)
    phone.log = "".join(f"{OPENED}{line.format(folder)}\n" for folder in (PUBLIC, CARD)).encode()
    assert find_phone(phone) == PhoneReplica(CARD, (ANKI,), "AnkiDroid logged it")


def test_what_was_logged_goes_by_the_storages_one_name(phone):
    phone.collection(PUBLIC)
    phone.log = f"{OPENED}/sdcard/AnkiDroid/collection.anki2\n".encode()
    assert find_phone(phone) == PhoneReplica(PUBLIC, (ANKI,), "AnkiDroid logged it")


@pytest.mark.parametrize(
    "folder",
    [
        "/storage/emulated/0/gone",
        "/storage/emulated/0/Android/data/com.evil.app/files/AnkiDroid",
        "/storage/emulated/0/AnkiDroid/../../../data/local",
        "/data\t",
        "/" + "a" * 1024,
        "\udcff",
    ],
)
def test_a_log_line_that_leads_nowhere_is_not_believed(phone, folder):
    phone.collection(PUBLIC)
    phone.collection("/storage/emulated/0/Android/data/com.evil.app/files/AnkiDroid", mtime=1 << 31)
    phone.log = f"{OPENED}{folder}/collection.anki2\n".encode("utf-8", "surrogateescape")
    assert find_phone(phone) == PhoneReplica(PUBLIC, (ANKI,), "the only one")


@pytest.mark.parametrize(
    "answer",
    [
        Completed(1, b"", b"denied"),
        Completed(127, b"", b""),
        Completed(0, b"\xff" * 9, b""),
        PhoneRefused("no"),
        PhoneGone("not in time"),
        DamagedData("without end"),
    ],
)
def test_a_phone_that_gives_no_log(phone, answer):
    phone.answers["logcat"] = answer
    phone.collection(PUBLIC)
    assert find_phone(phone).reason == "the only one"


@pytest.mark.parametrize(
    ("log", "folder"),
    [
        (b"", None),
        (b"--------- beginning of main\n", None),
        (OPENED.encode() + b"/a/collection.anki2", "/a"),
        (OPENED.encode() + b"/a (b)/collection.anki2\r\n", "/a (b)"),
        (OPENED.encode() + b"Path(path=/a (b)/collection.anki2)\n", "/a (b)"),
        (OPENED.encode() + b"/a/collection.anki2.bak\n", None),
        (OPENED.encode() + b"collection.anki2\n", None),
        (OPENED.encode().replace(b"I AnkiDroid", b"I Evil") + b"/a/collection.anki2\n", None),
        (b"11-21 12:00:00.000  1  2 I Evil: x " + OPENED.encode() + b"/a/collection.anki2\n", None),
        ("".join(f"{OPENED}/{x}/collection.anki2\n" for x in "abc").encode() + b"rest of a li", "/c"),
    ],
)
def test_reading_the_log(log, folder):
    assert logcat.parse(log) == folder


def test_only_the_end_of_a_huge_log_is_read():
    phone = FakePhone(ANKI)
    phone.log = f"{OPENED}/old/collection.anki2\n".encode() + b"x\n" * (1 << 18)
    assert logcat.last_opened(phone) is None
    phone.log += f"{OPENED}/new/collection.anki2\n".encode()
    assert logcat.last_opened(phone) == "/new"


@given(
    st.binary() | st.text().map(lambda text: f"{OPENED}/{text}/collection.anki2".encode("utf-8", "replace"))
)
def test_no_log_breaks_anything(log):
    phone = FakePhone(ANKI)
    phone.collection(PUBLIC)
    phone.log = log
    assert find_phone(phone).folder == PUBLIC


# Named by a person


@pytest.mark.parametrize("named", [CARD, f"{CARD}/", f"//{CARD}", f"{CARD}/./"])
def test_the_folder_that_is_named(phone, named):
    phone.collection(PUBLIC)
    phone.collection(CARD)
    assert find_phone(phone, phone_dir=named) == PhoneReplica(CARD, (ANKI,), "named with --phone-dir")


def test_the_folder_that_is_named_may_be_without_a_collection(phone):
    phone.folders.add(CARD)
    assert find_phone(phone, phone_dir=CARD).folder == CARD


@pytest.mark.parametrize("link", ["/sdcard", "/storage/self/primary", "/mnt/sdcard"])
def test_the_shared_storage_has_one_name(phone, link):
    phone.collection(PUBLIC)
    assert find_phone(phone, phone_dir=f"{link}/AnkiDroid").folder == PUBLIC


@pytest.mark.parametrize("named", ["", "AnkiDroid", "/a/../b", "/a\nb", "/a\0b", "/\udcff", "/" + "a" * 1024])
def test_what_is_no_folders_path(phone, named):
    with pytest.raises(UsageError):
        find_phone(phone, phone_dir=named)


def test_a_folder_that_is_not_there(phone):
    with pytest.raises(NoPhone, match="no folder"):
        find_phone(phone, phone_dir=CARD)


def test_the_app_that_is_named_decides_between_private_folders(phone):
    phone.packages.append("com.ichi2.anki.debug")
    phone.collection(PRIVATE)
    other = phone.collection(f"{FILES.format('com.ichi2.anki.debug')}/AnkiDroid")
    found = find_phone(phone, app="com.ichi2.anki.debug")
    assert found == PhoneReplica(other, (ANKI, "com.ichi2.anki.debug"), "the only one")


def test_the_app_that_is_named_has_its_own_log_line_only(phone):
    phone.packages.append("com.ichi2.anki.debug")
    phone.collection(PUBLIC)
    phone.collection(CARD)
    phone.collection(PRIVATE)
    phone.log = f"{OPENED}{CARD}/collection.anki2\n".encode()
    with pytest.raises(WhichPhone):
        find_phone(phone, app=ANKI)
    phone.log = f"{OPENED}{PRIVATE}/collection.anki2\n".encode()
    assert find_phone(phone, app=ANKI).folder == PRIVATE


def test_a_fork_that_is_named_is_stopped_too(phone):
    phone.packages.append("org.fork.cards")
    phone.collection(PUBLIC)
    assert find_phone(phone, app="org.fork.cards").packages == (ANKI, "org.fork.cards")


def test_an_app_that_is_not_there_lists_those_that_are(phone):
    phone.collection(PUBLIC)
    with pytest.raises(NoPhone, match=r"org\.absent\.app is not installed") as raised:
        find_phone(phone, app="org.absent.app")
    assert ANKI in raised.value.hint


@pytest.mark.parametrize("app", ["anki", "", "a.b;reboot", "a.b\n", "a.-n"])
def test_what_is_no_apps_name_is_not_asked_for(phone, app):
    phone.packages.append(app)
    with pytest.raises(UsageError):
        find_phone(phone, app=app)


# A folder


@pytest.mark.parametrize("inside", ["", "AnkiDroid"])
def test_a_folder_is_or_holds_ankidroids(tmp_path, inside):
    (tmp_path / inside).mkdir(exist_ok=True)
    (tmp_path / inside / "collection.anki2").touch()
    found = find_phone(FolderTransport(tmp_path))
    assert (found.folder, found.packages) == (f"/{inside}", ())
    assert found.collection == f"/{inside}/collection.anki2".replace("//", "/")


def test_the_folder_itself_comes_before_one_in_it(tmp_path):
    (tmp_path / "AnkiDroid").mkdir()
    for folder in (tmp_path, tmp_path / "AnkiDroid"):
        (folder / "collection.anki2").touch()
    assert find_phone(FolderTransport(tmp_path)).folder == "/"


def test_an_empty_folder_may_be_a_card_that_is_not_mounted(tmp_path):
    transport = FolderTransport(tmp_path)
    with pytest.raises(NoPhone) as raised:
        find_phone(transport)
    assert "--phone-dir /" in raised.value.hint
    assert find_phone(transport, phone_dir="/").folder == "/"


def test_a_folder_has_no_apps(tmp_path):
    with pytest.raises(UsageError):
        find_phone(FolderTransport(tmp_path), app=ANKI)


def test_a_phone_behind_a_meter_is_still_a_phone(phone):
    phone.collection(PUBLIC)
    assert find_phone(Metered(phone)).packages == (ANKI,)


def test_a_lost_link_stays_a_lost_link(phone):
    phone.gone = True
    with pytest.raises(PhoneGone):
        find_phone(phone)
