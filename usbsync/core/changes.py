"""What one side did since the ancestor, as frozen values.

Rows hold what people and schedulers wrote. `usn` is left out everywhere: it is each side's bookkeeping
with AnkiWeb, and two rows that differ in nothing else are the same row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias


class Table(StrEnum):
    """The tables of a collection that are merged."""

    NOTES = "notes"
    CARDS = "cards"
    REVLOG = "revlog"
    DECKS = "decks"
    DECK_CONFIG = "deck_config"
    NOTETYPES = "notetypes"
    CONFIG = "config"
    TAGS = "tags"
    GRAVES = "graves"


class Note(NamedTuple):
    """A row of notes; `derived` is sfld and csum as an opaque text, for comparison only."""

    id: int
    guid: str
    mid: int
    mod: int  # s
    tags: str
    flds: str
    flags: int
    data: str
    derived: str


class Card(NamedTuple):
    """A row of cards."""

    id: int
    nid: int
    did: int
    ord: int
    mod: int  # s
    type: int
    queue: int
    due: int
    ivl: int
    factor: int
    reps: int
    lapses: int
    left: int
    odue: int
    odid: int
    flags: int
    data: str


class Review(NamedTuple):
    """A row of revlog; its id is the moment of the answer in ms."""

    id: int
    cid: int
    ease: int
    ivl: int
    last_ivl: int
    factor: int
    time: int
    type: int


class Deck(NamedTuple):
    """A row of decks; `name` has its components joined by U+001F, `common` and `kind` are protobuf."""

    id: int
    name: str
    mtime: int  # s
    common: bytes
    kind: bytes


class DeckConfig(NamedTuple):
    """A row of deck_config (deck options); `config` is protobuf."""

    id: int
    name: str
    mtime: int
    config: bytes


class Field(NamedTuple):
    """One field of a notetype."""

    name: str
    config: bytes


class Template(NamedTuple):
    """One card template of a notetype."""

    name: str
    mtime: int
    config: bytes


class Notetype(NamedTuple):
    """A row of notetypes with its fields and templates, in their order."""

    id: int
    name: str
    mtime: int
    config: bytes
    fields: tuple[Field, ...]
    templates: tuple[Template, ...]


class ConfigEntry(NamedTuple):
    """A row of config; `val` is JSON text as bytes."""

    key: str
    mtime: int
    val: bytes


class Tag(NamedTuple):
    """A row of tags."""

    tag: str
    collapsed: int


class Grave(NamedTuple):
    """A row of graves: AnkiWeb is yet to hear, or has heard, that this object was deleted."""

    oid: int
    type: int


class GraveType:
    """Values of graves.type (rslib `storage/graves`)."""

    CARD, NOTE, DECK = 0, 1, 2


Row: TypeAlias = Note | Card | Review | Deck | DeckConfig | Notetype | ConfigEntry | Tag | Grave
Key: TypeAlias = Any  # int, str (config key, folded tag) or (oid, type), by table


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one row: created (no ancestor), deleted (no now), or edited.

    The same row twice: nobody changed it, but what was done to others may reach it.
    """

    ancestor: Any  # Row | None; which row, the table says
    now: Any


@dataclass(frozen=True, slots=True)
class Col:
    """The one row of `col`, as far as it matters here; `scm` and `mod` in ms."""

    crt: int
    scm: int
    mod: int = 0  # when anything was last written


@dataclass(frozen=True, slots=True)
class Changes:
    """All that one side did since the ancestor."""

    rows: Mapping[Table, Mapping[Key, Change]]
    col: Col
    ancestor_col: Col
    deck_names: Mapping[int, str] = field(default_factory=dict)
    """Names of all decks of this side by id; filled only where some deck changed on some side."""

    def of(self, table: Table) -> Mapping[Key, Change]:
        """Return the changes of one table by key."""
        return self.rows.get(table, {})

    @property
    def empty(self) -> bool:
        """Whether this side did nothing."""
        return not any(self.rows.values()) and self.col.crt == self.ancestor_col.crt


@dataclass(frozen=True, slots=True)
class Known:
    """What people call what rows name by number; for reports."""

    decks: Mapping[int, str] = field(default_factory=dict)
    notetypes: Mapping[int, str] = field(default_factory=dict)
    options: Mapping[int, str] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)
    """The fields, or how they begin, of notes of which both sides changed a card."""
    first_day: int = 0
    """The day from which due days are counted (`date.toordinal`)."""


@dataclass(frozen=True, slots=True)
class Context:
    """What reconciling needs to know beyond the changes."""

    ancestor_decks: Mapping[int, str] = field(default_factory=dict)
    """Names of all decks of the ancestor; filled only where some deck changed."""
    fields: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Field names by notetype."""
    taken_reviews: frozenset[int] = frozenset()
    """Review ids in use near those at which both sides hold different answers."""
    free_ids: Mapping[Table, int] = field(default_factory=dict)
    """Ids from which on nobody uses any, by table."""
    mids: Mapping[int, int] = field(default_factory=dict)
    """The notetype of each note of which a card changed; filled only where some notetype changed."""
    cards: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """All cards, on whatever side, of the notes that lost cards on both."""
    known: Known = field(default_factory=Known)
