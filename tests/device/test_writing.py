"""The full test of a phone's folder: what it finds, and that it leaves nothing, whatever happens in it."""

from __future__ import annotations

import contextlib
import time

import pytest
from device.fake_phone import PUBLIC, FakePhone
from hypothesis import given
from hypothesis import strategies as st
from rigs.cable import Cable

from usbsync.device import writing
from usbsync.device.ankidroid import PhoneReplica, find_phone, version_of
from usbsync.device.detect import open_phone
from usbsync.device.spec import parse
from usbsync.device.writing import NAME, keeps_us_out, write_test
from usbsync.errors import NoSpace, PhoneGone, PhoneRefused
from usbsync.transport.base import Completed, Remove, Rename
from usbsync.transport.folder import FolderTransport
from usbsync.transport.memory import MemoryTransport

ANKI = "com.ichi2.anki"
OWNED = f"/storage/emulated/0/Android/data/{ANKI}/files/AnkiDroid"


@pytest.fixture
def fake():
    made = FakePhone(ANKI)
    made.collection(PUBLIC)
    return made


def write(transport, folder=PUBLIC):
    write_test(transport, PhoneReplica(folder, (ANKI,), ""))


def test_a_writable_folder_is_left_as_it_was(fake):
    before = dict(fake.files), set(fake.folders)
    write(fake)
    assert before == (fake.files, fake.folders)


def test_a_real_folder_is_left_as_it_was_even_by_one_that_was_killed(tmp_path):
    (tmp_path / f"{NAME}0123").write_text("x")
    (tmp_path / f"{NAME}0123-folder").mkdir()
    (tmp_path / "collection.anki2").write_bytes(b"SQLite format 3\0")
    write(FolderTransport(tmp_path), "/")
    assert [path.name for path in tmp_path.iterdir()] == ["collection.anki2"]


@pytest.mark.parametrize("part", [NAME, "-2", "/file"])
def test_a_folder_that_refuses_is_said_so_and_cleaned(fake, part):
    before = dict(fake.files), set(fake.folders)
    fake.refuse = lambda path: part in path
    with pytest.raises(PhoneRefused, match=r"cannot be written: .*Operation not permitted") as raised:
        write(fake)
    assert PUBLIC in str(raised.value)
    assert "AnkiDroid directory" in raised.value.hint
    assert before == (fake.files, fake.folders)


@pytest.mark.parametrize(("lie", "what"), [(Rename, "renamed"), (Remove, "removed")])
def test_a_phone_that_only_says_it_did_is_not_believed(fake, monkeypatch, lie, what):
    plain = fake.apply
    monkeypatch.setattr(
        FakePhone, "apply", lambda _, steps: plain([s for s in steps if not isinstance(s, lie)])
    )
    with pytest.raises(PhoneRefused, match=f"was {what}, and it was not"):
        write(fake)


@pytest.mark.parametrize(("mode", "well"), [(0o660, True), (0o666, True), (0o644, False), (0o600, False)])
def test_a_mode_that_ankidroid_could_not_write_matters_in_its_own_folder(fake, mode, well):
    fake.mode = mode
    write(fake)  # in the shared storage modes mean nothing
    fake.collection(OWNED)
    with contextlib.nullcontext() if well else pytest.raises(PhoneRefused, match="could not write"):
        write(fake, OWNED)


@pytest.mark.parametrize(
    ("folder", "mode", "kept"),
    [(OWNED, 0o600, True), (OWNED, 0o000, False), (OWNED, 0o400, False), (PUBLIC, 0o600, False)],
)
def test_only_what_the_app_itself_may_read_is_kept_from_us(fake, folder, mode, kept):
    fake.mode = mode
    assert keeps_us_out(fake, f"{fake.collection(folder)}/collection.anki2") is kept


def test_a_mere_folder_that_refuses_is_to_be_made_writable(tmp_path, monkeypatch):
    def refuse(*_):
        raise PhoneRefused("read-only file system")

    monkeypatch.setattr(FolderTransport, "push", refuse)
    with pytest.raises(PhoneRefused, match="cannot be written") as raised:
        write(FolderTransport(tmp_path), "/")
    assert raised.value.hint.startswith("make that folder writable")


def test_a_full_phone_is_no_refusal():
    with pytest.raises(NoSpace):
        write(MemoryTransport(room=0), "/")


@given(st.binary(max_size=60))
def test_a_phone_may_say_anything_for_a_version(noise):
    fake = FakePhone(ANKI)
    fake.answers["dumpsys"] = Completed(0, noise, b"")
    assert version_of(fake, ANKI) is None
    fake.answers["dumpsys"] = Completed(0, noise + b"\n    versionName=2.17.6\n" + noise, b"")
    assert version_of(fake, ANKI) in {"2.17.6", None}


# ---- on a real adbd


@pytest.fixture
def place(phone):
    folder = phone.data / "AnkiDroid"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "collection.anki2").write_bytes(b"SQLite format 3\0")
    return folder


def opened(port):
    return contextlib.closing(open_phone(parse(f"tcp:127.0.0.1:{port}")))


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.adbd
def test_on_a_phone_nothing_is_left_and_nothing_runs_on(phone, place):
    with opened(phone.port) as link:
        write_test(link, find_phone(link))
    assert names(place) == ["collection.anki2"]
    deadline = time.monotonic() + 10  # what was killed takes its moment to die; the guard would live for 90 s
    while NAME in (running := phone.shell("ps -A -o ARGS")):
        assert time.monotonic() < deadline, running


@pytest.mark.adbd
def test_on_a_phone_that_keeps_us_out(phone, place):
    place.chmod(0o755)
    with opened(phone.port) as link, pytest.raises(PhoneRefused, match="cannot be written"):
        write_test(link, find_phone(link))
    assert names(place) == ["collection.anki2"]


@pytest.mark.adbd
def test_with_the_cable_pulled_the_phone_cleans_up_by_itself(phone, place, monkeypatch):
    monkeypatch.setattr(writing, "GUARD_SECONDS", 1)
    cable = Cable(phone.port)
    real = writing._folder
    with contextlib.closing(cable), opened(cable.port) as link:
        found = find_phone(link)

        def pull(transport, folder):
            transport.make_folder(folder)
            assert len(names(place)) == 2
            cable.cut()
            real(transport, folder)

        monkeypatch.setattr(writing, "_folder", pull)
        with pytest.raises(PhoneGone):
            write_test(link, found)
    assert len(names(place)) == 2
    deadline = time.monotonic() + 20
    while len(names(place)) > 1:
        assert time.monotonic() < deadline, names(place)
        time.sleep(0.05)
    assert names(place) == ["collection.anki2"]
