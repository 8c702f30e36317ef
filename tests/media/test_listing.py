from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core.conflict import Side
from usbsync.core.media import MediaFile
from usbsync.core.media_names import MAX_FILE_BYTES, name_problem
from usbsync.errors import DamagedData, PhoneGone
from usbsync.media import listing as room
from usbsync.media.listing import list_media
from usbsync.media.move import Place
from usbsync.state.ancestor import Seen
from usbsync.transport.base import FileInfo, Kind
from usbsync.transport.folder import FolderTransport
from usbsync.transport.memory import MemoryTransport
from usbsync.transport.wrap import Faulty

OLD = 1_700_000_000
NOW = OLD + 1000


@pytest.fixture
def phone(places):
    return places[Side.PHONE]


def look(place, seen=None, now=NOW, **options):
    return list_media(place.transport, place.media, seen or {}, where=Side.PHONE, now=lambda: now, **options)


def sha1(data):
    return hashlib.sha1(data).hexdigest()


class Told(MemoryTransport):
    """A phone that lists and hashes whatever it is told to."""

    __slots__ = ("answer", "infos")

    def stat(self, path):
        return FileInfo("collection.media", Kind.FOLDER, 0, 0)

    def list(self, folder):
        return self.infos

    def hash(self, paths, algorithm):
        return self.answer(paths)


def told(infos, answer=lambda paths: dict.fromkeys(paths, "a" * 40)):
    transport = Told()
    transport.infos, transport.answer = infos, answer
    return list_media(transport, "/m", {}, where=Side.PHONE, now=lambda: NOW)


def test_a_missing_folder_is_an_empty_one(phone):
    phone.transport.folders.remove(phone.media)
    assert look(phone) == room.Listing({}, (), {})


def test_what_is_no_folder_is_told(phone):
    phone.transport.folders.remove(phone.media)
    phone.transport.links.add(phone.media)
    with pytest.raises(DamagedData, match="no folder"):
        look(phone)


def test_what_is_no_folder_is_told_by_where_it_is(tmp_path):
    (tmp_path / "collection.media").write_text("x")
    with pytest.raises(DamagedData, match=f"^{tmp_path}/collection.media is no folder") as told:
        list_media(FolderTransport(tmp_path), "/collection.media", {}, where=Side.PHONE)
    assert f"{tmp_path}/collection.media" in told.value.hint


def test_files_are_listed_with_hash_size_and_mtime(phone):
    phone.put("a.png", b"aa", OLD + 5)
    phone.put("é.mp3", b"bbb")
    assert look(phone).files == {
        "a.png": MediaFile(sha1(b"aa"), 2, OLD + 5),
        "é.mp3": MediaFile(sha1(b"bbb"), 3, OLD),
    }


def test_a_second_listing_hashes_only_what_changed(phone):
    for name in ("same", "size", "mtime"):
        phone.put(name, b"aa")
    first = look(phone)
    phone.put("size", b"bbb")
    phone.put("mtime", b"cc", OLD + 1)
    phone.put("new", b"dd")
    phone.transport.hashed.clear()
    second = look(phone, first.seen)
    assert sorted(phone.transport.hashed) == [f"{phone.media}/{name}" for name in ("mtime", "new", "size")]
    assert {name: file.sha1 for name, file in second.files.items()} == {
        n: sha1(d) for n, d in phone.held().items()
    }


def test_the_cache_forgets_what_is_gone(phone):
    phone.put("a", b"a")
    assert look(phone, {"gone": Seen(1, 1, "b" * 40)}).seen == {"a": Seen(1, OLD, sha1(b"a"))}


@pytest.mark.parametrize(("age", "is_trusted"), [(0, False), (1, False), (2, False), (3, True), (-50, False)])
def test_a_file_that_could_change_within_its_second_is_not_cached(phone, age, is_trusted):
    phone.put("a", b"a", NOW - age)
    assert ("a" in look(phone).seen) is is_trusted


def test_a_change_within_the_same_second_is_seen(phone):
    phone.put("a", b"one", NOW)
    first = look(phone)
    phone.put("a", b"two", NOW)
    assert look(phone, first.seen, NOW + 60).files["a"].sha1 == sha1(b"two")


def test_what_is_not_synced_is_named_with_its_reason_and_never_hashed(phone):
    phone.put("good", b"x")
    for name, data in {
        "empty": b"",
        "con.png": b"x",
        "bad?.png": b"x",
        ".usbsync-x": b"x",
        "a\udcff": b"x",
    }.items():
        phone.put(name, data)
    phone.transport.folders.add(f"{phone.media}/folder")
    phone.transport.links.add(f"{phone.media}/link")
    found = look(phone)
    assert set(found.files) == {"good"}
    assert found.others == {"empty", "con.png", "bad?.png", ".usbsync-x", "a\udcff", "folder", "link"}
    assert all(skip.reason and skip.where is Side.PHONE for skip in found.skipped)
    assert phone.transport.hashed == [f"{phone.media}/good"]


def test_a_file_over_the_limit_is_skipped():
    infos = [
        FileInfo("big", Kind.FILE, MAX_FILE_BYTES + 1, OLD),
        FileInfo("fits", Kind.FILE, MAX_FILE_BYTES, OLD),
    ]
    found = told(infos)
    assert (set(found.files), found.others) == ({"fits"}, {"big"})


def test_a_file_that_goes_away_while_it_is_read_is_not_taken_for_deleted():
    found = told([FileInfo("a", Kind.FILE, 1, OLD)], lambda _paths: {})
    assert found.files == {}
    assert found.others == {"a"}


def file(name="a", size=1, mtime=OLD):
    return FileInfo(name, Kind.FILE, size, mtime)


@pytest.mark.parametrize(
    ("infos", "answer"),
    [
        ([file(size=-1)], None),
        ([file(size=1 << 63)], None),
        ([file(), file()], None),
        ([file()], lambda paths: dict.fromkeys(paths, "A" * 40)),
        ([file()], lambda paths: dict.fromkeys(paths, "a" * 39)),
        ([file()], lambda paths: dict.fromkeys(paths, "a" * 40 + "\n")),
        ([file()], lambda _paths: {"/etc/passwd": "a" * 40}),
    ],
)
def test_an_answer_that_makes_no_sense_is_told(infos, answer):
    with pytest.raises(DamagedData, match="makes no sense"):
        told(infos, answer or (lambda paths: dict.fromkeys(paths, "a" * 40)))


def test_a_listing_without_end_is_told(monkeypatch):
    monkeypatch.setattr(room, "MAX_FILES", 2)
    with pytest.raises(DamagedData, match="3 files"):
        told([file(name) for name in "abc"])


@given(st.lists(st.text(st.characters(), max_size=130), unique=True, max_size=20), st.sampled_from(Kind))
def test_a_hostile_name_reaches_no_path(names, kind):
    asked = []
    told([FileInfo(name, kind, 1, OLD) for name in names], lambda paths: asked.extend(paths) or {})
    assert all(path.startswith("/m/") and name_problem(path.removeprefix("/m/")) is None for path in asked)
    assert not asked or kind is Kind.FILE


def test_hashing_goes_in_batches_that_are_counted(phone, monkeypatch):
    monkeypatch.setattr(room, "BATCH", 2)
    for name in "abcde":
        phone.put(name, b"x")
    counted = []
    assert len(look(phone, on_file=counted.append).files) == 5
    assert counted == [2, 2, 1]


def test_a_lost_cable_is_no_empty_folder(phone):
    phone.put("a", b"x")
    operations = 3  # stat, list, hash
    for at in range(1, operations + 1):
        broken = Place(Faulty(phone.transport, fail_at=at), phone.media)
        with pytest.raises(PhoneGone):
            look(broken)
    assert set(look(Place(Faulty(phone.transport, fail_at=operations + 1), phone.media)).files) == {"a"}


def test_a_real_folder_is_listed_too(tmp_path):
    media = tmp_path / "collection.media"
    media.mkdir()
    (media / "a.png").write_bytes(b"aa")
    (media / "link").symlink_to(media / "a.png")
    (media / "folder").mkdir()
    found = list_media(FolderTransport(tmp_path), "/collection.media", {}, where=Side.DESKTOP)
    assert {name: file.sha1 for name, file in found.files.items()} == {"a.png": sha1(b"aa")}
    assert found.others == {"link", "folder"}
    assert found.seen == {}  # just written
