"""Two collections made for show by the real `anki` package: a shared past, then work on each side."""

from __future__ import annotations

import struct
import time
import wave
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anki.collection import Collection
from anki.decks import DeckId
from anki.notes import NoteId

_WORDS = {
    "la casa": "the house",
    "el perro": "the dog",
    "la manzana": "the apple",
    "el tren": "the train",
    "la lluvia": "the rain",
    "el libro": "the book",
    "la mesa": "the table",
    "el pan": "the bread",
}
_CAPITALS = {"France": "Paris", "Australia": "Canberra", "Peru": "Lima", "Kenya": "Nairobi"}


@contextmanager
def _editing(path: Path) -> Iterator[Collection]:
    col = Collection(str(path))
    try:
        yield col
    finally:
        col.close()


def make_past(path: Path) -> None:
    """Make the collection that both sides begin with: two decks, pictures, a sound, some answers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _editing(path) as col:
        spanish, capitals = (col.decks.id(name) for name in ("Spanish", "Capitals"))
        for front, back in _WORDS.items():
            _add(col, front, back, spanish)
        for land, town in _CAPITALS.items():
            _add(col, f'<img src="flag-{land.lower()}.png"> {land}', town, capitals)
        _answer(col, "la casa", "el perro", "el tren", "el pan")
    media = path.parent / "collection.media"
    media.mkdir(exist_ok=True)
    for at, land in enumerate(_CAPITALS):
        picture(media / f"flag-{land.lower()}.png", at)


def make_new(path: Path) -> None:
    """Make a collection as an app that was just installed does."""
    with _editing(path):
        pass


def work_at_the_desk(path: Path) -> None:
    """Edit, add, delete and study, as one does at a computer."""
    with _editing(path) as col:
        _edit(col, "la casa", back="the house, the home")
        _edit(col, "el tren", back="the train (railway)")
        _edit(col, "el perro", tag="animals")
        _add(col, "la luna [sound:luna.wav]", "the moon", col.decks.id("Spanish"))
        col.remove_notes([_find(col, "el libro")])
        deck = col.decks.by_name("Capitals")
        if deck:
            col.decks.rename(deck, "Geography::Capitals")
        _answer(col, "la mesa", "la lluvia", "la casa")
    media = path.parent / "collection.media"
    sound(media / "luna.wav")
    (media / "flag-kenya.png").unlink()
    picture(media / "flag-kenya-new.png", 7)


def work_on_the_train(path: Path) -> None:
    """Edit, add, delete and study, as one does on a phone."""
    _next_second()
    with _editing(path) as col:
        _edit(col, "la casa", front="la casa 🏠")
        _edit(col, "el tren", back="the train, e.g. the 8:15")
        _edit(col, "el libro", back="the book (still wanted)")
        _add(col, "el sol", "the sun", col.decks.id("Spanish"))
        col.remove_notes([_find(col, "el pan")])
        _answer(col, "la casa", "la manzana", "la lluvia", "el perro", "el sol")
    picture(path.parent / "collection.media" / "flag-peru.png", 9)


def a_little_more(path: Path, front: str, back: str, *studied: str) -> None:
    """Add a note and study some others."""
    with _editing(path) as col:
        _add(col, front, back, col.decks.id("Spanish"))
        _answer(col, *studied)


def export_collection(path: Path, target: Path) -> None:
    """Export as a phone's app does, with media."""
    with _editing(path) as col:
        col.export_collection_package(str(target), include_media=True, legacy=False)
        col.reopen(after_full_sync=False)


def words(path: Path) -> dict[str, tuple[str, str, int]]:
    """Return front, back and number of answers of each note of a closed collection, by its id."""
    with _editing(path) as col:
        rows = (
            col.db.all(
                "select n.id, n.flds, (select count() from revlog r join cards c on c.id = r.cid where c.nid = n.id) "
                "from notes n order by n.id"
            )
            if col.db
            else []
        )
    return {str(nid): (*flds.split("\x1f")[:2], answers) for nid, flds, answers in rows}


def decks(path: Path) -> list[str]:
    """Return the names of a closed collection's decks."""
    with _editing(path) as col:
        return sorted(deck.name for deck in col.decks.all_names_and_ids(skip_empty_default=True))


def problems(path: Path) -> list[str]:
    """Run Anki's own database check and return what it repaired."""
    with _editing(path) as col:
        return list(col._backend.check_database())  # noqa: SLF001 - `fix_integrity` adds an "ok" for people


def _add(col: Collection, front: str, back: str, deck: int | DeckId | None) -> None:
    notetype = col.models.by_name("Basic")
    if notetype is None or deck is None:
        raise AssertionError("a new collection has a Basic notetype")
    note = col.new_note(notetype)
    note.fields[:] = [front, back]
    col.add_note(note, DeckId(deck))


def _find(col: Collection, front: str) -> NoteId:
    return NoteId(next(iter(col.find_notes(f'"front:{front}*"'))))


def _edit(
    col: Collection, find: str, front: str | None = None, back: str | None = None, tag: str = ""
) -> None:
    note = col.get_note(_find(col, find))
    note.fields[:] = [front or note.fields[0], back or note.fields[1]]
    if tag:
        note.add_tag(tag)
    col.update_note(note)


def _answer(col: Collection, *fronts: str) -> None:
    """Answer these notes' cards with "Good"; chosen by name, for the queue's order is random."""
    for front in fronts:
        card = col.get_note(_find(col, front)).cards()[0]
        card.start_timer()
        col.sched.answerCard(card, 3)


def _next_second() -> None:
    """Let a second go by: notes carry the second of their last edit, and the newer one stands."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.02)


def picture(path: Path, seed: int) -> None:
    """Write a small PNG of three stripes."""
    stripes = [bytes((seed * 40 + at * 80) % 256 for at in (0, 1, shift)) for shift in range(3)]
    pixels = b"".join(b"\0" + stripes[row // 8] * 36 for row in range(24))
    header = struct.pack(">IIBBBBB", 36, 24, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def sound(path: Path) -> None:
    """Write a tenth of a second of a tone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(128 + (60 if at // 10 % 2 else -60) for at in range(800)))
