"""Packages of every kind that an Anki has written are read, and answered in a kind that their app reads."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from packages.hand import Hand, alike, in_step, rewritten
from packages.test_by_hand import work
from session.scenes import content, files, media, put, texts
from worlds import add_note, editing

from usbsync.collection.decks import DeckExport, DeckImport
from usbsync.errors import UsbsyncError
from usbsync.session.exporting import export
from usbsync.session.importing import import_package
from usbsync.session.options import Options
from usbsync.session.talk import Silent

KINDS = ("anki2", "anki21", "anki21 with meta", "anki21b")


def as_kind(source: Path, target: Path, kind: str) -> Path:
    """Rewrite a package as older versions made it (Anki's import_export/package/meta.rs tells them apart so)."""
    if kind in {"anki21b", "anki21 with meta"}:
        return rewritten(source, target, lambda name, data: [(name, data)])
    inside = f"collection.{kind}"

    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if name == "collection.anki21":
            return [(inside, data)]
        # an old one has no meta, and no warning in the old one's place
        keep = name not in {"meta", inside}
        return [(name, data)] if keep else []

    return rewritten(source, target, change)


def inside(package: Path) -> set[str]:
    with zipfile.ZipFile(package) as archive:
        return {name for name in archive.namelist() if not name.isdigit()}


@pytest.fixture
def hand(tmp_path) -> Hand:
    return in_step(tmp_path / "w")


@pytest.mark.parametrize("kind", KINDS)
def test_a_collections_package_of_every_kind_is_merged(hand: Hand, tmp_path, kind) -> None:
    work(hand.desktop, "desktop", 0)
    work(hand.phone, "phone", 3)
    exported = hand.export(legacy=kind != "anki21b")
    package = as_kind(exported, tmp_path / "phone.colpkg", kind)
    assert ("meta" in inside(package)) is (kind in {"anki21b", "anki21 with meta"})
    package.replace(hand.package)
    report = hand.sync()
    assert report.result == "merged"
    assert ("collection.anki21b" in inside(hand.answer)) is (kind == "anki21b")
    hand.import_()
    alike(hand)


@pytest.mark.parametrize("kind", KINDS)
def test_a_decks_package_of_every_kind_is_taken_in(hand: Hand, tmp_path, kind) -> None:
    options = Options(collection=hand.desktop, environ=hand.environ)
    with editing(hand.desktop) as col:
        nid = add_note(col, "Basic", ['<img src="clef.png">', "clef"], col.decks.id("Music"))
    put(hand.desktop, "clef.png", "a clef")
    made = tmp_path / "made.apkg"
    export(options, Silent(), made, DeckExport(decks=("Music",), legacy=kind != "anki21b"))
    package = as_kind(made, tmp_path / "deck.apkg", kind)
    with editing(hand.desktop) as col:
        col.remove_notes([nid])
    (hand.desktop.with_suffix(".media") / "clef.png").unlink()
    taken = import_package(options, Silent(), package, DeckImport())
    assert taken.notes == {"new": 1, "updated": 0, "duplicate": 0, "conflicting": 0}
    assert "clef" in texts(hand.desktop)
    assert files(hand.desktop)["clef.png"] == b"a clef"


HARMS = ("cut", "byte", "missing", "traversal", "bomb", "no list", "not a zip", "hashes")


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> Hand:
    """A pair that no test here may change, and beside it packages of what it lacks."""
    hand = in_step(tmp_path_factory.mktemp("still") / "w")
    options = Options(collection=hand.desktop, environ=hand.environ)
    with editing(hand.desktop) as col:
        nid = add_note(col, "Basic", ['<img src="clef.png"><img src="scale.png">', "clef"], 1)
    names = ("clef.png", "scale.png")
    for name in names:
        put(hand.desktop, name, f"a {name}")
    for suffix in ("apkg", "colpkg"):
        for legacy in (False, True):
            export(options, Silent(), hand.root / f"{legacy}.{suffix}", DeckExport(legacy=legacy))
    with editing(hand.desktop) as col:
        col.remove_notes([nid])
    for name in names:
        (media(hand.desktop) / name).unlink()
    return hand


@pytest.mark.parametrize(
    ("harm", "legacy"),
    [(harm, legacy) for harm in HARMS for legacy in (False, True) if not (harm == "hashes" and legacy)],
)  # an old package lists no hashes
@pytest.mark.parametrize("suffix", ["apkg", "colpkg"])
def test_a_damaged_or_hostile_one_is_refused_by_import_too(
    still: Hand, tmp_path, harm, suffix, legacy, monkeypatch
) -> None:
    options = Options(collection=still.desktop, environ=still.environ)
    bad = harmed(still.root / f"{legacy}.{suffix}", tmp_path / f"bad.{suffix}", harm)
    before = content(still.desktop), files(still.desktop)
    monkeypatch.setattr("usbsync.collection.package_check._BOMB", 16 << 20)
    with pytest.raises(UsbsyncError, match="nothing was changed") as caught:
        import_package(options, Silent(), bad, DeckImport(), sure=True)
    assert caught.value.exit_code == 7
    assert (content(still.desktop), files(still.desktop)) == before
    assert {path.name for path in tmp_path.iterdir()} == {bad.name}


def harmed(good: Path, bad: Path, harm: str) -> Path:
    data = good.read_bytes()
    if harm == "cut":
        bad.write_bytes(data[: len(data) // 2])
    elif harm == "not a zip":
        bad.write_bytes(b"a diary")
    elif harm == "byte":
        with zipfile.ZipFile(good) as archive:
            info = max(archive.infolist(), key=lambda each: each.compress_size)
        at = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
    elif harm == "bomb":
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                if name != "0":
                    new.writestr(name, old.read(name))
            with new.open("0", "w", force_zip64=True) as file:
                for _ in range(20):
                    file.write(bytes(1 << 20))
    else:
        rewritten(good, bad, lambda name, entry: changed(name, entry, harm))
    return bad


def changed(name: str, entry: bytes, harm: str) -> list[tuple[str, bytes]]:
    if harm == "hashes":
        return [({"0": "1", "1": "0"}.get(name, name), entry)]
    if harm == "missing":
        return [] if name == "0" else [(name, entry)]
    if harm == "no list":
        return [] if name == "media" else [(name, entry)]
    return [(name, entry), *([("../../evil", b"x")] if name == "media" else [])]
