"""Packages made and taken in by hand, on the desktop."""

from __future__ import annotations

import shutil
import zipfile

import pytest
from anki.collection import ExportAnkiPackageOptions
from packages.hand import in_step
from session.scenes import content, files, notes, put, reviews, texts
from worlds import add_note, answer, edit_field, editing, note_ids

from usbsync.collection.decks import DeckExport, DeckImport, Update
from usbsync.core.conflict import Side
from usbsync.core.first import First
from usbsync.errors import AnkiOpen, ChoiceNeeded, DamagedData, GuardRefused, UsageError
from usbsync.session.exporting import export, export_to_phone
from usbsync.session.importing import import_package
from usbsync.session.options import Options
from usbsync.session.sync import sync
from usbsync.session.talk import Silent
from usbsync.session.undo import undo


@pytest.fixture
def hand(tmp_path):
    hand = in_step(tmp_path / "w")
    with editing(hand.desktop) as col:
        deck = col.decks.id("Music")
        add_note(col, "Basic", ['<img src="clef.png">', "clef"], deck)
        add_note(col, "Basic", ["scale", "[sound:scale.mp3]"], col.decks.id("Music::Theory"))
        answer(col, 1)
    put(hand.desktop, "clef.png", "a clef")
    put(hand.desktop, "scale.mp3", "a scale")
    return hand


def alone(hand) -> Options:
    return Options(collection=hand.desktop, environ=hand.environ)


def other(hand, tmp_path):
    """Another desktop, that knows nothing of the first."""
    return in_step(tmp_path / "other")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_collection_goes_out_and_comes_back_whole(hand, tmp_path, legacy) -> None:
    target = tmp_path / "all.colpkg"
    before = content(hand.desktop)
    made = export(alone(hand), Silent(), target, DeckExport(legacy=legacy))
    assert made.size == target.stat().st_size
    assert content(hand.desktop) == before
    two = other(hand, tmp_path)
    with pytest.raises(ChoiceNeeded, match="would replace"):
        import_package(alone(two), Silent(), target, DeckImport())
    taken = import_package(alone(two), Silent(), target, DeckImport(), sure=True)
    assert taken.notes is None
    assert notes(two.desktop) == notes(hand.desktop)
    assert reviews(two.desktop) == reviews(hand.desktop)
    assert files(hand.desktop).items() <= files(two.desktop).items()


def test_decks_go_out_with_their_media_and_are_added_elsewhere(hand, tmp_path) -> None:
    target = tmp_path / "music.apkg"
    made = export(alone(hand), Silent(), target, DeckExport(decks=("Music",)))
    assert made.notes == 2
    two = other(hand, tmp_path)
    before = notes(two.desktop)
    taken = import_package(alone(two), Silent(), target, DeckImport())
    assert taken.notes is not None
    assert taken.notes["new"] == 2
    assert taken.report.media[Side.DESKTOP] == {"added": 2, "updated": 0, "deleted": 0}
    assert before.items() <= notes(two.desktop).items()
    assert files(two.desktop)["clef.png"] == b"a clef"
    again = import_package(alone(two), Silent(), target, DeckImport())
    assert again.notes is not None
    assert again.notes["new"] == 0


def test_a_media_file_of_the_same_name_stays_and_the_new_one_gets_another(hand, tmp_path) -> None:
    target = tmp_path / "music.apkg"
    export(alone(hand), Silent(), target, DeckExport(decks=("Music",)))
    two = other(hand, tmp_path)
    put(two.desktop, "clef.png", "another clef")
    import_package(alone(two), Silent(), target, DeckImport())
    assert files(two.desktop)["clef.png"] == b"another clef"
    assert b"a clef" in files(two.desktop).values()
    assert '"clef.png"' not in texts(two.desktop)


@pytest.mark.parametrize(
    ("update", "expected"),
    [(Update.ALWAYS, "as exported"), (Update.NEVER, "since"), (Update.IF_NEWER, "since")],
)
def test_ankis_own_options_are_ankis(hand, tmp_path, update, expected) -> None:
    with editing(hand.desktop) as col:
        nid = max(note_ids(col))
        edit_field(col, nid, 0, "as exported")
    target = tmp_path / "music.apkg"
    export(alone(hand), Silent(), target, DeckExport())
    with editing(hand.desktop) as col:
        edit_field(col, nid, 0, "since")
        col.db.execute("update notes set mod = mod + 10 where id = ?", nid)
    import_package(alone(hand), Silent(), target, DeckImport(update_notes=update))
    assert notes(hand.desktop)[nid].startswith(expected)


def test_an_import_can_be_undone_without_any_phone(hand, tmp_path) -> None:
    target = tmp_path / "music.apkg"
    export(alone(hand), Silent(), target, DeckExport(decks=("Music",)))
    two = other(hand, tmp_path)
    before, media_before = content(two.desktop), files(two.desktop)
    import_package(alone(two), Silent(), target, DeckImport())
    undo(alone(two), Silent())
    assert content(two.desktop) == before
    assert files(two.desktop) == media_before


def test_an_undo_does_not_take_what_was_done_since_unasked(hand, tmp_path) -> None:
    target = tmp_path / "music.apkg"
    export(alone(hand), Silent(), target, DeckExport(decks=("Music",)))
    two = other(hand, tmp_path)
    import_package(alone(two), Silent(), target, DeckImport())
    with editing(two.desktop) as col:
        add_note(col, "Basic", ["since", "x"], 1)
    with pytest.raises(GuardRefused):
        undo(alone(two), Silent())
    assert "since" in texts(two.desktop)


def test_a_package_sync_is_undone_without_the_package(hand) -> None:
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["from the phone", "x"], 1)
    before = content(hand.desktop)
    hand.export()
    hand.sync()
    undo(alone(hand), Silent())
    assert content(hand.desktop) == before
    hand.carry()
    assert "from the phone" in texts(hand.desktop)


def test_what_is_imported_reaches_the_phone_with_the_next_package(hand, tmp_path) -> None:
    target = tmp_path / "music.apkg"
    export(alone(hand), Silent(), target, DeckExport(decks=("Music",)))
    two = other(hand, tmp_path)
    import_package(alone(two), Silent(), target, DeckImport())
    two.carry()
    assert "clef" in texts(two.phone)
    assert files(two.phone)["clef.png"] == b"a clef"


def test_without_scheduling_nothing_was_studied(hand, tmp_path) -> None:
    target = tmp_path / "plain.apkg"
    export(alone(hand), Silent(), target, DeckExport(with_scheduling=False, with_media=False))
    with zipfile.ZipFile(target) as archive:
        assert "0" not in archive.namelist()
    two = other(hand, tmp_path)
    before = reviews(two.desktop)
    import_package(alone(two), Silent(), target, DeckImport())
    assert reviews(two.desktop) == before


def test_what_cannot_be_is_said_before_anything_is_done(hand, tmp_path) -> None:
    opt = alone(hand)
    with pytest.raises(UsageError, match="no deck 'Nowhere'"):
        export(opt, Silent(), tmp_path / "x.apkg", DeckExport(decks=("Nowhere",)))
    with pytest.raises(UsageError, match="whole collection"):
        export(opt, Silent(), tmp_path / "x.colpkg", DeckExport(decks=("Music",)))
    with pytest.raises(UsageError, match="no package's name"):
        export(opt, Silent(), tmp_path / "x.zip", DeckExport())
    with pytest.raises(UsageError, match="no package"):
        import_package(opt, Silent(), tmp_path / "x.zip", DeckImport())
    with pytest.raises(UsageError, match="there is no package"):
        import_package(opt, Silent(), tmp_path / "x.apkg", DeckImport())
    with pytest.raises(UsageError, match="folder here"):
        export_to_phone(
            Options(device=f"folder:{hand.phone.parent}", collection=hand.desktop, environ=hand.environ),
            Silent(),
            "x.colpkg",
            DeckExport(),
        )
    with pytest.raises(UsageError, match="no folder"):
        export(opt, Silent(), tmp_path / "nowhere" / "x.apkg", DeckExport())
    assert not list(tmp_path.glob("x.*"))
    (tmp_path / "mine.apkg").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        export(opt, Silent(), tmp_path / "mine.apkg", DeckExport())
    assert (tmp_path / "mine.apkg").read_text() == "mine"
    assert export(opt, Silent(), tmp_path / "mine.apkg", DeckExport(), over=True).size > len("mine")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_deck_under_a_collections_name_takes_no_collections_place(hand, tmp_path, legacy) -> None:
    """All that is not in it would look as if the phone had deleted it."""
    package = hand.package.with_name("renamed.apkg")
    with editing(hand.phone) as col:
        col.remove_notes(note_ids(col)[:3])
        options = ExportAnkiPackageOptions(
            with_scheduling=True, with_deck_configs=True, with_media=True, legacy=legacy
        )
        col.export_anki_package(out_path=str(package), options=options, limit=None)
    renamed = package.rename(package.with_suffix(".colpkg"))
    before = content(hand.desktop)
    with pytest.raises(UsageError, match="holds decks") as told:
        hand.sync_of(hand, renamed)
    assert ".apkg" in told.value.hint
    with pytest.raises(UsageError, match="holds decks"):
        import_package(alone(hand), Silent(), renamed, DeckImport(), sure=True)
    assert content(hand.desktop) == before
    import_package(alone(hand), Silent(), renamed.rename(tmp_path / "decks.apkg"), DeckImport())


def test_a_damaged_deck_is_refused_and_changes_nothing(hand, tmp_path) -> None:
    target = tmp_path / "music.apkg"
    export(alone(hand), Silent(), target, DeckExport())
    target.write_bytes(target.read_bytes()[:-200])
    before = content(hand.desktop)
    with pytest.raises(DamagedData):
        import_package(alone(hand), Silent(), target, DeckImport())
    assert content(hand.desktop) == before


def test_nothing_is_read_or_written_while_anki_has_it_open(hand, tmp_path) -> None:
    target = tmp_path / "all.apkg"
    export(alone(hand), Silent(), target, DeckExport())
    with editing(hand.desktop), pytest.raises(AnkiOpen):
        export(alone(hand), Silent(), tmp_path / "again.apkg", DeckExport())
    with (
        editing(hand.desktop),
        pytest.raises(AnkiOpen),
    ):  # anew: a lock is lost with any descriptor of its process
        import_package(alone(hand), Silent(), target, DeckImport())


def test_a_package_goes_into_a_phones_collection_too(hand, tmp_path) -> None:
    target = tmp_path / "music.apkg"
    export(alone(hand), Silent(), target, DeckExport(decks=("Music",)))
    two = other(hand, tmp_path)
    options = Options(device=f"folder:{two.phone.parent}", collection=two.desktop, environ=two.environ)
    import_package(options, Silent(), target, DeckImport(), into=Side.PHONE)
    assert "clef" in texts(two.phone)
    assert files(two.phone)["clef.png"] == b"a clef"
    out = tmp_path / "phones.colpkg"
    export(options, Silent(), out, DeckExport(), of=Side.PHONE)
    shutil.rmtree(two.phone.parent / "collection.media")
    import_package(options, Silent(), out, DeckImport(), into=Side.PHONE, sure=True)
    assert files(two.phone)["clef.png"] == b"a clef"


def test_what_merges_instead_of_replacing_a_phones_collection_goes_by_way_of_the_desktop(
    hand, tmp_path
) -> None:
    target = tmp_path / "all.colpkg"
    export(alone(hand), Silent(), target, DeckExport())
    for into, then in ((Side.PHONE, True), (Side.DESKTOP, False)):
        with pytest.raises(ChoiceNeeded) as told:
            import_package(by_folder(hand), Silent(), target, DeckImport(), into=into)
        assert "merges it with the desktop's" in told.value.hint
        assert ("sync with the phone" in told.value.hint) is then


def by_folder(hand, **more) -> Options:
    return Options(
        device=f"folder:{hand.phone.parent}", collection=hand.desktop, environ=hand.environ, **more
    )


@pytest.mark.parametrize(
    ("into", "how"),
    [("desktop", "cable"), ("desktop", "package"), ("phone", "cable"), ("desktop", "nothing older")],
)
def test_an_old_package_in_a_collections_place_deletes_nothing_from_the_other_side(
    hand, tmp_path, into, how
) -> None:
    """What the old collection never held is not taken for deleted there: an older ancestor serves, or the next sync asks."""
    sync(by_folder(hand), Silent())
    old = tmp_path / "old.colpkg"
    export(alone(hand), Silent(), old, DeckExport())
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["made since", "x"], 1)
        answer(col, 1)
    sync(by_folder(hand), Silent())
    hand.carry()
    import_package(by_folder(hand), Silent(), old, DeckImport(), into=Side(into), sure=True)
    if how == "cable":
        sync(by_folder(hand), Silent())
    elif how == "package":
        hand.carry()
    else:
        shutil.rmtree(hand.pair.folder)
        with pytest.raises(ChoiceNeeded, match="never met"):
            sync(by_folder(hand), Silent())
        sync(by_folder(hand, first=First.MERGE), Silent())
    assert "made since" in texts(hand.desktop)
    assert "made since" in texts(hand.phone)


@pytest.mark.parametrize("into", Side)
def test_a_package_that_lacks_nothing_takes_a_collections_place_and_the_next_sync_merges(
    hand, tmp_path, into
) -> None:
    sync(by_folder(hand), Silent())
    with editing(hand.desktop) as col:
        add_note(col, "Basic", ["made since", "x"], 1)
        col.remove_notes([min(note_ids(col))])
    new = tmp_path / "new.colpkg"
    export(alone(hand), Silent(), new, DeckExport())
    import_package(by_folder(hand), Silent(), new, DeckImport(), into=into, sure=True)
    report = sync(by_folder(hand), Silent())
    assert report.result == ("merged" if into is Side.DESKTOP else "unchanged")
    assert notes(hand.desktop) == notes(hand.phone)
    assert "made since" in texts(hand.phone)


def test_a_replacement_is_undone_and_the_next_sync_loses_nothing(hand, tmp_path) -> None:
    old = tmp_path / "old.colpkg"
    export(alone(hand), Silent(), old, DeckExport())
    with editing(hand.phone) as col:
        add_note(col, "Basic", ["made since", "x"], 1)
    sync(by_folder(hand), Silent())
    before = content(hand.desktop)
    import_package(alone(hand), Silent(), old, DeckImport(), sure=True)
    assert "made since" not in texts(hand.desktop)
    undo(alone(hand), Silent())
    assert content(hand.desktop) == before
    assert sync(by_folder(hand), Silent()).result == "unchanged"
