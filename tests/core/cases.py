"""Small worlds by hand: the ancestor with a few rows written."""

from __future__ import annotations

from core import model
from core.model import T0, World

from usbsync.core.changes import Note, Table

BASE = model.ancestor()
LATER = T0 + 10


def after(*rows, gone=(), base=BASE) -> World:
    """Return the ancestor with rows written and (table, key)s gone."""
    world = base.copy()
    for table, key in gone:
        del world[table][key]
    for row in rows:
        world.put(_TABLE_OF[type(row).__name__], row)
    return world


_TABLE_OF = {
    "Note": Table.NOTES, "Card": Table.CARDS, "Review": Table.REVLOG, "Deck": Table.DECKS, "Tag": Table.TAGS,
    "DeckConfig": Table.DECK_CONFIG, "Notetype": Table.NOTETYPES, "ConfigEntry": Table.CONFIG, "Grave": Table.GRAVES,
}  # fmt: skip


def note(nid: int, **values) -> Note:
    return BASE[Table.NOTES][nid]._replace(mod=LATER, **values)


def deck(did: int, **values):
    return BASE[Table.DECKS][did]._replace(mtime=LATER, **values)


def equal(merged) -> World:
    """Return the world that both sides hold after a sync."""
    one, two = merged.worlds.values()
    assert {t: one[t] for t in Table if t is not Table.GRAVES} == {
        t: two[t] for t in Table if t is not Table.GRAVES
    }
    return one


def both_ways(mine, theirs):
    """Return two lists of rows as (desktop, phone), and with the sides changed."""
    return (mine, theirs), (theirs, mine)
