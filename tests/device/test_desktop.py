"""Finding the desktop's collection in base folders that are made as Anki makes them."""

import os
import pickle
import sqlite3
import sys
import types
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.device.desktop import DesktopReplica, find_desktop
from usbsync.device.profiles import Profiles, _is_folder_name, _last_used, read_profiles
from usbsync.errors import Busy, ChoiceNeeded, DamagedData, UsageError

SCHEMA = "create table profiles (name text primary key collate nocase, data blob not null)"  # aqt/profiles.py


def write_prefs(base: Path, meta: bytes, *names: str) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    path = base / "prefs21.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(SCHEMA)
        rows = [("_global", meta), *((name, pickled({"syncKey": None, "numBackups": 50})) for name in names)]
        db.executemany("insert into profiles values (?, ?)", rows)
    return path


def pickled(meta: object) -> bytes:
    return pickle.dumps(meta, protocol=4)  # as Anki does


def anki_folder(base: Path, *names: str, last: str | None = None, collections: bool = True) -> Path:
    meta = {"ver": 0, "firstRun": False, "last_loaded_profile_name": last, "uiScale": 1.0}
    write_prefs(base, pickled(meta), *names)
    for name in names:
        (base / name / "collection.media").mkdir(parents=True)
        if collections:
            (base / name / "collection.anki2").write_bytes(b"SQLite format 3\0")
    return base


def find(base: Path, **named) -> DesktopReplica:
    return find_desktop(environ={"ANKI_BASE": str(base)}, platform="linux", **named)


# The base folder


@pytest.mark.parametrize(
    ("platform", "environ", "where"),
    [
        ("linux", {"HOME": "{home}"}, ".local/share/Anki2"),
        ("linux", {"HOME": "{home}", "XDG_DATA_HOME": ""}, ".local/share/Anki2"),
        ("linux", {"HOME": "{home}", "XDG_DATA_HOME": "{home}/data"}, "data/Anki2"),
        ("linux", {"HOME": "{home}"}, ".var/app/net.ankiweb.Anki/data/Anki2"),
        ("linux", {"HOME": "{home}", "XDG_DATA_HOME": "/none", "ANKI_BASE": "{home}/base"}, "base"),
        ("linux", {"HOME": "{home}", "ANKI_BASE": ""}, ".local/share/Anki2"),
        ("darwin", {"HOME": "{home}", "XDG_DATA_HOME": "/none"}, "Library/Application Support/Anki2"),
        ("win32", {"APPDATA": "{home}/Roaming", "HOME": "/none"}, "Roaming/Anki2"),
        ("win32", {"USERPROFILE": "{home}"}, "AppData/Roaming/Anki2"),
    ],
)
def test_ankis_base_folder(tmp_path, platform, environ, where):
    anki_folder(tmp_path / where, "User 1")
    environ = {key: value.format(home=tmp_path) for key, value in environ.items()}
    found = find_desktop(environ=environ, platform=platform)
    assert found == DesktopReplica(tmp_path / where / "User 1" / "collection.anki2", "User 1")


def test_the_usual_folder_comes_before_flatpaks(tmp_path):
    for where in (".local/share/Anki2", ".var/app/net.ankiweb.Anki/data/Anki2"):
        anki_folder(tmp_path / where, "User 1")
    found = find_desktop(environ={"HOME": str(tmp_path)}, platform="linux")
    assert found.folder == tmp_path / ".local/share/Anki2/User 1"


def test_the_real_environment_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("ANKI_BASE", str(anki_folder(tmp_path, "User 1")))
    assert find_desktop().profile == "User 1"


def test_no_anki_at_all_says_where_it_looked(tmp_path):
    with pytest.raises(UsageError, match=r"\.local/share/Anki2") as raised:
        find_desktop(environ={"HOME": str(tmp_path)}, platform="linux")
    assert "--collection" in raised.value.hint
    assert "start Anki once" in raised.value.hint


@pytest.mark.parametrize("prefs", [True, False])
def test_a_base_without_profiles_says_to_start_anki(tmp_path, prefs):
    if prefs:
        write_prefs(tmp_path, pickled({}))
    with pytest.raises(UsageError, match="no profile yet") as raised:
        find(tmp_path)
    assert "start Anki once" in raised.value.hint


# Which profile


def test_the_last_used_profile(tmp_path):
    assert find(anki_folder(tmp_path, "Ada", "Bob", last="Bob")).profile == "Bob"


def test_the_only_profile(tmp_path):
    assert find(anki_folder(tmp_path, "Ada")).profile == "Ada"


@pytest.mark.parametrize("last", [None, "deleted", "_global", "../Ada"])
def test_several_profiles_and_none_last_used_is_a_persons_choice(tmp_path, last):
    anki_folder(tmp_path, "Bob", "Ada", last=last)
    with pytest.raises(ChoiceNeeded, match="Ada, Bob") as raised:
        find(tmp_path)
    assert "--profile" in raised.value.hint
    assert find(tmp_path, profile="Ada").profile == "Ada"


def test_the_profile_that_is_named_comes_before_the_last_used(tmp_path):
    assert find(anki_folder(tmp_path, "Ada", "Bob", last="Bob"), profile="Ada").profile == "Ada"


@pytest.mark.parametrize("name", ["ada", "Cyd", "_global", "..", "", "/etc", "Ada/../Bob"])
def test_a_profile_that_is_not_there_lists_those_that_are(tmp_path, name):
    with pytest.raises(UsageError, match="Ada, Bob") as raised:
        find(anki_folder(tmp_path, "Ada", "Bob", last="Bob"), profile=name)
    assert raised.value.exit_code == 2


def test_names_that_lead_elsewhere_are_no_profiles(tmp_path):
    write_prefs(
        tmp_path, pickled({"last_loaded_profile_name": ".."}), "..", ".", "", "a/b", "a\\b", "a\nb", "Ada"
    )
    assert read_profiles(tmp_path) == Profiles(("Ada",), None)


@given(st.text())
def test_a_profiles_name_is_one_folder_below_the_base(name):
    if _is_folder_name(name):
        assert Path("base", name).parent == Path("base")
        assert Path("base", name).name == name


def test_names_of_any_language(tmp_path):
    assert find(anki_folder(tmp_path, "Élève 日本語 100%?#", last="Élève 日本語 100%?#")).collection.is_file()


def test_a_profile_with_no_collection_yet_is_the_desktop_still(tmp_path):
    found = find(anki_folder(tmp_path, "Ada", collections=False))
    assert found.collection == tmp_path / "Ada" / "collection.anki2"
    assert not found.collection.exists()


def test_a_profile_never_opened_says_to_open_it(tmp_path):
    (anki_folder(tmp_path, "Ada", collections=False) / "Ada" / "collection.media").rmdir()
    (tmp_path / "Ada").rmdir()
    with pytest.raises(UsageError, match="no folder") as raised:
        find(tmp_path)
    assert "'Ada' in Anki once" in raised.value.hint


# The file that is named


def test_the_file_that_is_named_comes_before_all(tmp_path):
    base = anki_folder(tmp_path / "base", "Ada", last="Ada")
    other = tmp_path / "Other.ANKI2"
    other.touch()
    found = find(base, collection=other, profile="Ada")
    assert found == DesktopReplica(other, None)
    assert (found.media_folder, found.name) == (tmp_path / "Other.media", tmp_path.name)


def test_a_replicas_folders_and_name(tmp_path):
    found = find(anki_folder(tmp_path, "Ada"))
    assert (found.folder, found.name) == (tmp_path / "Ada", "Ada")
    assert found.media_folder == tmp_path / "Ada" / "collection.media"


def test_a_relative_name_is_made_absolute(tmp_path, monkeypatch):
    (tmp_path / "collection.anki2").touch()
    monkeypatch.chdir(tmp_path)
    assert find_desktop(collection=Path("collection.anki2")).collection == tmp_path / "collection.anki2"


@pytest.mark.parametrize("name", ["absent.anki2", "folder.anki2", "notes.txt", "nul\0.anki2", "pipe.anki2"])
def test_what_is_no_collection_is_refused(tmp_path, name):
    (tmp_path / "folder.anki2").mkdir()
    (tmp_path / "notes.txt").touch()
    os.mkfifo(tmp_path / "pipe.anki2")
    with pytest.raises(UsageError) as raised:
        find_desktop(collection=tmp_path / name)
    assert "collection.anki2" in raised.value.hint


def test_a_linked_profile_folder_is_followed(tmp_path):
    """What replaces the collection must replace the file, not the link to it."""
    anki_folder(tmp_path / "base", "Ada", collections=False)
    real = tmp_path / "elsewhere"
    (tmp_path / "base" / "Ada").rename(real)
    (tmp_path / "base" / "Ada").symlink_to(real)
    assert find(tmp_path / "base").collection == real / "collection.anki2"


def test_a_link_to_a_collection_is_followed(tmp_path):
    real = anki_folder(tmp_path / "base", "Ada") / "Ada" / "collection.anki2"
    link = tmp_path / "collection.anki2"
    link.symlink_to(real)
    assert find_desktop(collection=link).collection == real


def test_a_link_beside_other_media_is_refused(tmp_path):
    """Anki takes the media beside the link, the new collection would go beside the file."""
    base = anki_folder(tmp_path / "base", "Ada", collections=False)
    (tmp_path / "real.anki2").touch()
    (base / "Ada" / "collection.anki2").symlink_to(tmp_path / "real.anki2")
    with pytest.raises(UsageError, match="is a link"):
        find(base)


def test_a_link_to_what_is_not_called_a_collection_is_refused(tmp_path):
    """Its media folder would be itself."""
    (tmp_path / "data").touch()
    (tmp_path / "collection.anki2").symlink_to(tmp_path / "data")
    with pytest.raises(UsageError, match="is a link"):
        find_desktop(collection=tmp_path / "collection.anki2")


# The list of profiles: read, never written, nothing in it run


def test_reading_changes_nothing(tmp_path):
    path = write_prefs(tmp_path, pickled({}), "Ada")
    before = path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())
    read_profiles(tmp_path)
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


def test_ankis_crash_in_mid_write_is_not_rolled_back_by_us(tmp_path):
    """A hot journal needs a writer to undo it; the names are read all the same and the journal stays for Anki."""
    path = write_prefs(tmp_path, pickled({}), "Ada")
    program = (
        "import sqlite3, sys, os; db = sqlite3.connect(sys.argv[1]); db.execute('pragma cache_size = 1');"
        "db.execute('insert into profiles values (\"Bob\", zeroblob(500000))'); os._exit(0)"
    )
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", program, str(path)) == 0
    journal = path.with_name("prefs21.db-journal")
    before = journal.read_bytes(), path.read_bytes()
    assert "Ada" in read_profiles(tmp_path).names
    assert (journal.read_bytes(), path.read_bytes()) == before


def test_anki_writing_the_list_is_busy_not_damage(tmp_path, monkeypatch):
    path = write_prefs(tmp_path, pickled({}), "Ada")
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: plain(*args, **named, timeout=0))
    with closing(plain(path, isolation_level=None)) as anki:
        anki.execute("begin exclusive")
        with pytest.raises(Busy):
            read_profiles(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_a_list_that_is_none_is_damage(tmp_path, content):
    (tmp_path / "prefs21.db").write_bytes(content)
    with pytest.raises(DamagedData) as raised:
        read_profiles(tmp_path)
    assert "--collection" in raised.value.hint


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_pickle_runs_anything(tmp_path):
    trap = tmp_path / "trap"
    data = pickled({"last_loaded_profile_name": "Ada", "theme": Evil(trap)})
    assert _last_used(data) == "Ada"
    assert not trap.exists()
    pickle.loads(data)
    assert trap.exists()


def test_qts_and_addons_things_are_passed_over(monkeypatch):
    """Old Ankis pickled Qt's byte arrays and enums through sip; add-ons pickle what they like, with state and items."""

    def _unpickle_type(*_):
        raise AssertionError

    class Thing:
        def __reduce__(self):
            arguments = ("PyQt5.QtCore", "QByteArray", (b"\1\2",))
            return _unpickle_type, arguments, {"state": 1}, iter([1]), iter([(1, 2)])

    _unpickle_type.__module__, _unpickle_type.__qualname__ = "sip", "_unpickle_type"
    with monkeypatch.context() as sip:
        sip.setitem(sys.modules, "sip", types.SimpleNamespace(_unpickle_type=_unpickle_type))
        data = pickled({"geometry": Thing(), "keys": {Thing()}, "last_loaded_profile_name": "Ada"})
        with pytest.raises(AssertionError):
            pickle.loads(data)
    assert _last_used(data) == "Ada"


@pytest.mark.parametrize(
    "meta", [b"", b"\x80", pickled(["Ada"]), pickled({"last_loaded_profile_name": 7}), None]
)
def test_a_pickle_that_says_nothing_is_no_last_profile(meta):
    assert _last_used(meta) is None


@given(st.binary())
def test_any_bytes_are_a_name_or_none(data):
    assert _last_used(data) is None
