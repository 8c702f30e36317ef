"""A collection as plain values, for the laws of `core`: no file, no Anki, thousands of worlds a minute.

`edits.py` changes such worlds the way Anki does; here they are made, compared and changed by plans.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from anki import deck_config_pb2, decks_pb2, notetypes_pb2

from usbsync.core.changes import (
    Card,
    Change,
    Changes,
    Col,
    ConfigEntry,
    Context,
    Deck,
    DeckConfig,
    Field,
    Grave,
    GraveType,
    Note,
    Notetype,
    Review,
    Table,
    Tag,
    Template,
)
from usbsync.core.conflict import Side
from usbsync.core.notetypes import differ
from usbsync.core.plan import Source, make_plan
from usbsync.core.reconcile import reconcile
from usbsync.core.unicase import unicase

T0 = 1_700_000_000  # s
DAY = 100
SEP = "\x1f"


@dataclass
class World:
    """All rows of a collection, by table and key."""

    tables: dict[Table, dict] = field(default_factory=lambda: {table: {} for table in Table})
    col: Col = field(default_factory=lambda: Col(crt=1_600_000_000, scm=1))

    def __getitem__(self, table: Table) -> dict:
        return self.tables[table]

    def copy(self) -> World:
        return World({table: dict(rows) for table, rows in self.tables.items()}, self.col)

    def put(self, table: Table, row) -> None:
        self[table][key_of(table, row)] = row


def key_of(table: Table, row):
    if table is Table.GRAVES:
        return tuple(row)
    return unicase(row.tag) if table is Table.TAGS else row[0]


# --- rows, as Anki makes them ------------------------------------------------------------------------


def deck(did: int, name: str, mtime: int = T0, config_id: int = 1, **common) -> Deck:
    normal = decks_pb2.Deck.Normal(config_id=config_id)
    kind = decks_pb2.Deck.KindContainer(normal=normal)
    return _deck(did, name, mtime, kind, common)


def filtered_deck(did: int, name: str, mtime: int = T0, search: str = "is:due", **common) -> Deck:
    term = decks_pb2.Deck.Filtered.SearchTerm(search=search, limit=10)
    kind = decks_pb2.Deck.KindContainer(
        filtered=decks_pb2.Deck.Filtered(reschedule=True, search_terms=[term])
    )
    return _deck(did, name, mtime, kind, common)


def _deck(did, name, mtime, kind, common) -> Deck:
    blob = decks_pb2.Deck.Common(**common).SerializeToString()
    return Deck(did, name.replace("::", SEP), mtime, blob, kind.SerializeToString())


def deck_config(key: int, name: str, mtime: int = T0, **options) -> DeckConfig:
    return DeckConfig(key, name, mtime, deck_config_pb2.DeckConfig.Config(**options).SerializeToString())


def notetype(
    mid: int,
    name: str,
    fields: list[str],
    templates: list[str],
    *,
    ids: bool = True,
    mtime: int = T0,
    css: str = ".card {}",
    sort_field: int = 0,
) -> Notetype:
    config = notetypes_pb2.Notetype.Config(css=css, sort_field_idx=sort_field)
    own = notetypes_pb2.Notetype
    return Notetype(
        mid,
        name,
        mtime,
        config.SerializeToString(),
        tuple(
            Field(n, own.Field.Config(font_size=20, **_id(mid, at, ids=ids)).SerializeToString())
            for at, n in enumerate(fields)
        ),
        tuple(
            Template(
                n,
                mtime,
                own.Template.Config(q_format=f"{{{{{n}}}}}", **_id(mid, at, ids=ids)).SerializeToString(),
            )
            for at, n in enumerate(templates)
        ),
    )


def _id(mid: int, at: int, *, ids: bool) -> dict[str, int]:
    return {"id": mid * 1000 + at} if ids else {}


def sort_field(row: Notetype) -> int:
    return notetypes_pb2.Notetype.Config.FromString(row.config).sort_field_idx


def config_id(row: Deck) -> int:
    return decks_pb2.Deck.KindContainer.FromString(row.kind).normal.config_id


def is_filtered(row: Deck) -> bool:
    return decks_pb2.Deck.KindContainer.FromString(row.kind).HasField("filtered")


def note(world: World, nid: int, mid: int, fields: list[str], tags: str = "", guid: str = "") -> Note:
    row = Note(nid, guid or f"g{nid}", mid, T0, tags, SEP.join(fields), 0, "", "")
    return derived(world, row)


def derived(world: World, row: Note) -> Note:
    """Work out what Anki derives of a note: here, its sort field's text."""
    fields = row.flds.split(SEP)
    at = sort_field(world[Table.NOTETYPES][row.mid])
    return row._replace(derived=(fields[at] if at < len(fields) else fields[0]) or "empty")


def card(cid: int, nid: int, did: int, ord_: int = 0, **values) -> Card:
    plain = {
        "type": 0, "queue": 0, "due": cid, "ivl": 0, "factor": 0, "reps": 0, "lapses": 0, "left": 0,
        "odue": 0, "odid": 0, "flags": 0, "data": "{}", "mod": T0,
    }  # fmt: skip
    return Card(id=cid, nid=nid, did=did, ord=ord_, **plain | values)


def seen_card(cid: int, nid: int, did: int, ord_: int = 0, **values) -> Card:
    values = {"type": 2, "queue": 2, "due": DAY, "ivl": 5, "factor": 2500, "reps": 3, "lapses": 1} | values
    return card(cid, nid, did, ord_, **values)


def ancestor() -> World:
    """Return the world from which both sides set out: small, with one of everything."""
    world = World()
    for row in (
        notetype(100, "Basic", ["Front", "Back"], ["Card 1"]),
        notetype(101, "Reversed", ["Front", "Back"], ["Card 1", "Card 2"]),
        notetype(102, "Vocabulary", ["Word", "Meaning", "Example"], ["Recall"], ids=False, sort_field=1),
    ):
        world.put(Table.NOTETYPES, row)
    for row in (deck_config(1, "Default", new_per_day=20), deck_config(2, "Slow", new_per_day=5)):
        world.put(Table.DECK_CONFIG, row)
    studied = {"last_day_studied": DAY, "new_studied": 2, "review_studied": 1, "milliseconds_studied": 9000}
    for row in (
        deck(1, "Default"),
        deck(10, "A", **studied),
        deck(11, "A::B", config_id=2, **studied),
        deck(12, "A::B::C"),
        deck(13, "D"),
        deck(14, "D::E"),
        filtered_deck(15, "F"),
    ):
        world.put(Table.DECKS, row)
    for nid, mid, tags in (
        (1000, 100, " t1 "), (1001, 101, " t1 t2 "), (1002, 102, ""), (1003, 100, ""), (1004, 101, " leech "),
    ):  # fmt: skip
        count = len(world[Table.NOTETYPES][mid].fields)
        world.put(Table.NOTES, note(world, nid, mid, [f"n{nid}f{at}" for at in range(count)], tags))
    for row in (
        card(2000, 1000, 10),
        seen_card(2001, 1001, 11),
        card(2002, 1001, 12, 1, flags=1),
        seen_card(2003, 1002, 15, odid=13, odue=DAY + 3, due=-100_000),
        seen_card(2004, 1003, 14, queue=-1),
        card(2005, 1004, 1, queue=-2),
        seen_card(2006, 1004, 14, 1),
    ):
        world.put(Table.CARDS, row)
    for at, cid in enumerate((2001, 2003, 2004, 2006)):
        world.put(Table.REVLOG, Review((T0 - 1000 + at) * 1000, cid, 3, 5, 2, 2500, 4000, 1))
    for tag in ("t1", "t2", "leech", "unused"):
        world.put(Table.TAGS, Tag(tag, 0))
    for key, val in (("nextPos", b"10"), ("lastUnburied", b"99"), ("curDeck", b"1"), ("rollover", b"4"),
                     ("collapseTime", b"1200")):  # fmt: skip
        world.put(Table.CONFIG, ConfigEntry(key, T0, val))
    world.put(Table.GRAVES, Grave(999, GraveType.NOTE))
    return world


# --- comparing worlds --------------------------------------------------------------------------------


def compare(base: World, desktop: World, phone: World) -> tuple[Changes, Changes, Context]:
    """Do in memory what `collection.diff.compare` does by SQL."""
    rows = [_changes(base, side) for side in (desktop, phone)]
    thinned = _thinned(rows)
    for found, side in zip(rows, (desktop, phone), strict=True):
        _add_reached(found, side, thinned, reshaped=any(each[Table.NOTETYPES] for each in rows))
    cards = {
        nid: frozenset(
            c.id for world in (desktop, phone) for c in world[Table.CARDS].values() if c.nid == nid
        )
        for nid in thinned
    }
    trees = any(found[Table.DECKS] for found in rows)
    mine, theirs = (
        Changes(found, side.col, base.col, _deck_names(side) if trees else {})
        for found, side in zip(rows, (desktop, phone), strict=True)
    )
    both = mine.of(Table.REVLOG).keys() & theirs.of(Table.REVLOG).keys()
    taken = (desktop[Table.REVLOG].keys() | phone[Table.REVLOG].keys()) if both else ()
    types = sorted(row for world in (desktop, phone) for row in world[Table.NOTETYPES].values())
    fields = {row.id: tuple(f.name for f in row.fields) for row in types}
    three = (base, desktop, phone)
    buried = max((oid for world in three for oid, _ in world[Table.GRAVES]), default=0)
    free = {t: 1 + max(buried, *(max(world[t], default=0) for world in three)) for t in WITH_IDS}
    mids = _mids(base, desktop, phone)
    return (
        mine,
        theirs,
        Context(_deck_names(base) if trees else {}, fields, frozenset(taken), free, mids, cards),
    )


WITH_IDS = (Table.NOTETYPES, Table.DECKS, Table.NOTES, Table.CARDS)


def common(one: World, other: World) -> World:
    """Return what two worlds have in common: the past of two that never met (`collection.acquaint`)."""
    rows = {
        table: {key: row for key, row in one[table].items() if other[table].get(key) == row}
        for table in Table
    }
    types = one[Table.NOTETYPES], other[Table.NOTETYPES]
    apart = {mid for mid in types[0].keys() & types[1].keys() if differ(types[0][mid], types[1][mid])}
    notes = {nid: note for nid, note in rows[Table.NOTES].items() if note.mid not in apart}
    of_apart = rows[Table.NOTES].keys() - notes.keys()
    cards = {cid: card for cid, card in rows[Table.CARDS].items() if card.nid not in of_apart}
    return World({**rows, Table.NOTES: notes, Table.CARDS: cards}, one.col)


def _changes(base: World, now: World) -> dict[Table, dict]:
    return {
        table: {
            key: Change(base[table].get(key), now[table].get(key))
            for key in sorted(base[table].keys() | now[table].keys())
            if base[table].get(key) != now[table].get(key)
        }
        for table in Table
    }


def _thinned(rows) -> set[int]:
    """Return the notes that lost cards on both sides, and live on both."""
    lost = ({c.ancestor.nid for c in found[Table.CARDS].values() if c.now is None} for found in rows)
    return set.intersection(*lost) - {
        nid for found in rows for nid, c in found[Table.NOTES].items() if c.now is None
    }


def _add_reached(found, side: World, thinned, *, reshaped: bool) -> None:
    """Add what a side left as it was, but what was done to others may reach."""
    retyped = {
        nid for nid, c in found[Table.NOTES].items() if c.ancestor and c.now and c.ancestor.mid != c.now.mid
    }
    for card in side[Table.CARDS].values():
        if reshaped and card.nid in retyped:
            found[Table.CARDS].setdefault(card.id, Change(card, card))
    for nid in thinned:
        found[Table.NOTES].setdefault(nid, Change(side[Table.NOTES][nid], side[Table.NOTES][nid]))


def _mids(*worlds: World) -> dict[int, int]:
    return {nid: note.mid for world in worlds for nid, note in world[Table.NOTES].items()}


def _deck_names(world: World) -> dict[int, str]:
    return {did: row.name for did, row in world[Table.DECKS].items()}


# --- merging worlds ----------------------------------------------------------------------------------


@dataclass
class Merged:
    """One sync of two worlds."""

    worlds: dict[Side, World]
    plan: object
    result: object

    @property
    def conflicts(self):
        return self.result.conflicts


def sync(base: World, desktop: World, phone: World, settlement=None) -> Merged:
    """Run the whole of `core` over two worlds, and carry the plans out."""
    mine, theirs, context = compare(base, desktop, phone)
    result = reconcile(mine, theirs, context, settlement)
    plan = make_plan(mine, theirs, result)
    worlds = {
        Side.DESKTOP: apply(desktop, phone, plan.desktop),
        Side.PHONE: apply(phone, desktop, plan.phone),
    }
    return Merged(worlds, plan, result)


BURIED = {Table.CARDS: GraveType.CARD, Table.NOTES: GraveType.NOTE, Table.DECKS: GraveType.DECK}


def _exhume(world: World, plan) -> None:
    """What comes back has no grave, not even one from before."""
    for table, kind in BURIED.items():
        for put in plan.tables[table].puts if table in plan.tables else ():
            world[Table.GRAVES].pop((put.key, kind), None)


def apply(own: World, other: World, plan) -> World:
    """Carry out a side's plan as `collection.build` does, and hold it to its word."""
    world = own.copy()
    for table, part in plan.tables.items():
        for key in part.deletions:
            del world[table][key]  # a KeyError here is a plan that deletes what is not there
        for put in part.puts:
            assert put.new == (put.key not in own[table])
            assert key_of(table, put.row) == put.key
            if put.source is Source.OTHER:
                assert other[table].get(put.key) == put.row  # build copies it from the other side's file
            world[table][put.key] = put.row
    _exhume(world, plan)
    for put in plan.tables[Table.NOTES].puts if Table.NOTES in plan.tables else ():
        if put.source is Source.MERGED:
            world.put(Table.NOTES, derived(world, put.row))
    if plan.crt is not None:
        world.col = replace(world.col, crt=plan.crt)
    if plan.scm is not None:
        world.col = replace(world.col, scm=plan.scm)
    return world
