"""Damaged and hostile packages are refused with exit 7, before anything is touched."""

from __future__ import annotations

import json
import shutil
import zipfile
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.hand import in_step, renamed_media, rewritten
from raw import change
from session.scenes import tree

from usbsync.collection import zstd
from usbsync.collection.package_check import examine
from usbsync.errors import DamagedData, NoSpace, UnsupportedCollection, UsbsyncError


@pytest.fixture(scope="module")
def hand(tmp_path_factory):
    """A pair in step; no test here may change it."""
    return in_step(tmp_path_factory.mktemp("damaged") / "w")


@pytest.fixture(scope="module", params=["new", "legacy"])
def good(hand, request, tmp_path_factory) -> Path:
    package = hand.export(legacy=request.param == "legacy")
    return Path(shutil.copy(package, tmp_path_factory.mktemp("good") / f"{request.param}.colpkg"))


def refused(hand, package: Path, match: str, kind: type[UsbsyncError] = DamagedData) -> None:
    """Nothing but the package may lie about afterwards, and nothing may have changed."""
    shutil.copy(package, hand.package)
    hand.answer.unlink(missing_ok=True)
    before = tree(hand.root)
    with pytest.raises(kind, match=match) as caught:
        hand.sync()
    assert caught.value.exit_code == (6 if kind is NoSpace else 7)
    assert "nothing was changed" in f"{caught.value} {caught.value.hint}"
    after = tree(hand.root)
    mine = {name for name in before if not name.startswith("home/")}
    assert {name: after[name] for name in mine} == {name: before[name] for name in mine}
    assert {name for name in after if not name.startswith("home/")} == mine
    assert not hand.answer.exists()


def named(good: Path, tmp_path: Path, change) -> Path:
    return rewritten(good, tmp_path / "p.colpkg", change)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_cut_short(hand, good, tmp_path, part) -> None:
    data = good.read_bytes()
    cut = tmp_path / "p.colpkg"
    cut.write_bytes(data[: int(len(data) * part)])
    refused(hand, cut, "cut short")


def test_a_byte_changed_inside(hand, good, tmp_path) -> None:
    with zipfile.ZipFile(good) as archive:
        info = max(archive.infolist(), key=lambda each: each.compress_size)
    data = bytearray(good.read_bytes())
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0x55
    bad = tmp_path / "p.colpkg"
    bad.write_bytes(bytes(data))
    refused(hand, bad, "cannot be used")


def test_media_under_each_others_hashes(hand, tmp_path) -> None:
    swap = {"0": "1", "1": "0"}
    package = hand.export(legacy=False)
    bad = rewritten(package, tmp_path / "p.colpkg", lambda name, data: [(swap.get(name, name), data)])
    refused(hand, bad, "not what its hash says")


def test_a_missing_media_file(hand, good, tmp_path) -> None:
    bad = named(good, tmp_path, lambda name, data: [] if name == "1" else [(name, data)])
    refused(hand, bad, "missing")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/b", "..", "a\\b", "", "c:evil", "a\0b"])
def test_media_that_would_leave_its_folder(hand, tmp_path, name) -> None:
    package = hand.export(legacy=True)
    bad = rewritten(
        package,
        tmp_path / "p.colpkg",
        lambda entry, data: [(entry, renamed_media(data, name) if entry == "media" else data)],
    )
    refused(hand, bad, "would write a media file named")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b"])
def test_entries_that_would_leave_the_folder(hand, good, tmp_path, name) -> None:
    bad = named(
        good, tmp_path, lambda entry, data: [(entry, data), *([(name, b"x")] if entry == "meta" else [])]
    )
    refused(hand, bad, "which no Anki writes")


def test_a_list_of_media_with_gaps_or_doubles(hand, tmp_path) -> None:
    package = hand.export(legacy=True)

    def with_list(listed):
        return lambda name, data: [(name, json.dumps(listed).encode() if name == "media" else data)]

    refused(hand, rewritten(package, tmp_path / "a.colpkg", with_list({"0": "a", "2": "b"})), "gaps")
    refused(hand, rewritten(package, tmp_path / "b.colpkg", with_list({"0": "a", "1": "a"})), "one name")
    refused(hand, rewritten(package, tmp_path / "c.colpkg", with_list([1, 2])), "no sense")


def test_a_bomb_of_zstandard(hand, tmp_path) -> None:
    """Four bytes that say 128 KiB, often: what no decoder of ours would stop at."""
    block = (zstd.BLOCK << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    bomb = b"\x28\xb5\x2f\xfd\x00\x58" + block * 20_000 + b"\x01\x00\x00"
    package = hand.export(legacy=False)
    bad = rewritten(
        package,
        tmp_path / "p.colpkg",
        lambda name, data: [(name, bomb if name == "collection.anki21b" else data)],
    )
    refused(hand, bad, "bomb")


def test_a_bomb_of_deflate(hand, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("usbsync.collection.package_check._BOMB", 16 << 20)
    package = hand.export(legacy=True)
    bad = tmp_path / "p.colpkg"
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("meta", old.read("meta"))
        with new.open("collection.anki21", "w", force_zip64=True) as file:
            for _ in range(20):
                file.write(bytes(1 << 20))
        new.writestr("media", "{}")
    refused(hand, bad, "bomb")


def test_what_does_not_fit_on_the_disk(hand, good, monkeypatch) -> None:
    full = SimpleNamespace(free=1 << 20)
    monkeypatch.setattr("usbsync.collection.packages.shutil.disk_usage", lambda _path: full)
    refused(hand, good, "may need", NoSpace)


def test_a_package_of_tomorrow(hand, good, tmp_path) -> None:
    bad = named(good, tmp_path, lambda name, data: [(name, b"\x08\x09" if name == "meta" else data)])
    refused(hand, bad, "newer Anki", UnsupportedCollection)


def test_no_collection_inside(hand, good, tmp_path) -> None:
    def hollow(name, data):
        inside = name in {"collection.anki21", "collection.anki21b"}
        return (
            [(name, zstd.plain(b"nonsense" * 99) if name.endswith("b") else b"nonsense")]
            if inside
            else [(name, data)]
        )

    refused(hand, named(good, tmp_path, hollow), "cannot be used")


@pytest.mark.parametrize(
    "statements",
    [
        ["create trigger t after insert on notes begin delete from revlog; end"],
        [
            "alter table config rename to c",
            """create view config as with recursive n as (select 1 as val union all select val from n)
            select 'usbsync:x' as key, val from n where val > 1""",
        ],
    ],
)
def test_a_hostile_collection_inside(hand, tmp_path, statements) -> None:
    """What SQLite would run on its own is refused though Anki itself would open it."""
    work = tmp_path / "x"
    shutil.copytree(hand.phone.parent, work)
    for statement in statements:
        change(work / "collection.anki2", statement)
    data = zstd.plain((work / "collection.anki2").read_bytes())
    package = hand.export(legacy=False)
    bad = rewritten(
        package,
        tmp_path / "p.colpkg",
        lambda name, old: [(name, data if name == "collection.anki21b" else old)],
    )
    refused(hand, bad, "which no Anki makes")


def test_a_name_that_is_there_twice(hand, good, tmp_path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        bad = named(good, tmp_path, lambda name, data: [(name, data)] * (2 if name == "media" else 1))
    refused(hand, bad, "two of one name")


@given(st.binary(max_size=300_000))
def test_zstandard_without_compression_is_measured_exactly(data: bytes) -> None:
    frame = zstd.plain(data)
    assert zstd.most(BytesIO(frame)) == len(data)
    assert zstd.most(BytesIO(frame * 2)) == 2 * len(data)


@given(st.binary(max_size=64), st.integers(0, 40))
def test_garbage_is_refused_or_measured_never_a_crash(data: bytes, cut: int) -> None:
    for mangled in (data, zstd.plain(data)[:cut], b"\x28\xb5\x2f\xfd" + data):
        try:
            assert zstd.most(BytesIO(mangled)) >= 0
        except DamagedData:
            continue


def test_a_good_one_is_good(good) -> None:
    package = examine(good)
    assert {listed.name for listed in package.media} >= {"stays.txt"}
    assert package.most < 4 << 20
