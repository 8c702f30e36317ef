"""What a person does with Anki, done to a `model.World` the way Anki's backend does it to the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from anki import deck_config_pb2, decks_pb2, notetypes_pb2
from core import model
from core.model import DAY, SEP, T0, World

from usbsync.core.changes import ConfigEntry, Field, Grave, GraveType, Review, Table, Tag, Template
from usbsync.core.conflict import Side
from usbsync.core.unicase import unicase

NOTES, CARDS, DECKS, TAGS = Table.NOTES, Table.CARDS, Table.DECKS, Table.TAGS


@dataclass
class Hand:
    """A side at work: its world, its clock, and words that nobody else writes."""

    side: Side
    world: World
    now: int = T0
    day: int = DAY
    acts: int = 0

    def word(self, c: int) -> str:
        """Return a word of this side's own, or now and then one that the other side may write too."""
        return f"same{c}" if c < 2 else f"{self.side[0]}{self.acts}x{c}"

    def new_id(self) -> int:
        at = self.now * 1000 + 2 * self.acts + (self.side is Side.PHONE)
        while any(
            at in self.world[table] for table in (NOTES, CARDS, DECKS, Table.DECK_CONFIG, Table.NOTETYPES)
        ):
            at += 2
        return at

    def pick(self, table: Table, at: int):
        rows = self.world[table]
        return rows[sorted(rows)[at % len(rows)]] if rows else None

    def bury(self, table: Table, oid: int, kind: int) -> None:
        del self.world[table][oid]
        self.world.put(Table.GRAVES, Grave(oid, kind))


Edit = Callable[[Hand, int, int, int], None]
EDITS: dict[str, Edit] = {}


def edit(act: Edit) -> Edit:
    EDITS[act.__name__] = act
    return act


def play(base: World, side: Side, acts) -> World:
    """Let a side do a list of (name, a, b, c, seconds) on its own copy of the ancestor."""
    hand = Hand(side, base.copy())
    for name, a, b, c, seconds in acts:
        hand.now += seconds
        hand.acts += 1
        EDITS[name](hand, a, b, c)
        hand.world.col = replace(hand.world.col, mod=hand.now * 1000 + hand.acts)
    return hand.world


# --- notes -------------------------------------------------------------------------------------------


def _write(hand: Hand, note, **values) -> None:
    hand.world.put(NOTES, model.derived(hand.world, note._replace(mod=hand.now, **values)))


@edit
def edit_field(hand, a, b, c):
    if note := hand.pick(NOTES, a):
        fields = note.flds.split(SEP)
        fields[b % len(fields)] = hand.word(c)
        _write(hand, note, flds=SEP.join(fields))


@edit
def add_tag(hand, a, b, c):
    if note := hand.pick(NOTES, a):
        tag = ("t2", "T3", "t3", "new", "t1")[b % 5]
        tag = hand.world[TAGS].get(unicase(tag), Tag(tag, 0)).tag
        if unicase(tag) not in map(unicase, note.tags.split()):
            _write(hand, note, tags=_tags([*note.tags.split(), tag]))
        if unicase(tag) not in hand.world[TAGS]:
            hand.world.put(TAGS, Tag(tag, 1))


@edit
def remove_tag(hand, a, b, c):
    note = hand.pick(NOTES, a)
    if note and note.tags:
        tags = note.tags.split()
        del tags[b % len(tags)]
        _write(hand, note, tags=_tags(tags))


def _tags(tags) -> str:
    return f" {' '.join(sorted(tags, key=unicase))} " if tags else ""


@edit
def clear_unused_tags(hand, a, b, c):
    used = {unicase(tag) for note in hand.world[NOTES].values() for tag in note.tags.split()}
    for key in hand.world[TAGS].keys() - used:
        del hand.world[TAGS][key]


@edit
def fold_tag(hand, a, b, c):
    if tag := hand.pick(TAGS, a):
        hand.world.put(TAGS, tag._replace(collapsed=1 - tag.collapsed))


@edit
def respell_tag(hand, a, b, c):
    if tag := hand.pick(TAGS, a):
        new = tag.tag.swapcase()
        hand.world.put(TAGS, tag._replace(tag=new))
        for note in list(hand.world[NOTES].values()):
            if tag.tag in note.tags.split():
                _write(hand, note, tags=_tags([new if t == tag.tag else t for t in note.tags.split()]))


@edit
def add_note(hand, a, b, c):
    kind = hand.pick(Table.NOTETYPES, a)
    home = _normal(hand, b)
    if kind is None:
        return
    nid = hand.new_id()
    fields = [f"{hand.word(2)}.{at}" for at in range(len(kind.fields))]
    hand.world.put(NOTES, model.note(hand.world, nid, kind.id, fields)._replace(mod=hand.now))
    for ord_ in range(len(kind.templates)):
        _add_card(hand, nid, home.id, ord_)


def _add_card(hand, nid, did, ord_, cid=None):
    entry = hand.world[Table.CONFIG]["nextPos"]
    due = int(entry.val)
    hand.world.put(Table.CONFIG, ConfigEntry("nextPos", hand.now, str(due + 1).encode()))
    hand.world.put(CARDS, model.card(cid or hand.new_id(), nid, did, ord_, due=due, mod=hand.now))


def _normal(hand, at):
    """Pick a deck that can hold cards and other decks."""
    decks = sorted(row for row in hand.world[DECKS].values() if not model.is_filtered(row))
    return decks[at % len(decks)]


@edit
def import_shared(hand, a, b, c):
    """Import a shared deck: the same ids and guid wherever it is done, but a deck id of its own."""
    nid, kind = 500 + a % 2, hand.world[Table.NOTETYPES].get(101)
    if kind is None or nid in hand.world[NOTES] or (nid, GraveType.NOTE) in hand.world[Table.GRAVES]:
        return
    home = _deck_named(hand, "Shared")
    if model.is_filtered(home):
        return
    fields = [f"shared{at}" for at in range(len(kind.fields))]
    hand.world.put(NOTES, model.note(hand.world, nid, 101, fields, guid=f"shared{nid}"))
    for ord_ in range(len(kind.templates)):
        _add_card(hand, nid, home.id, ord_, cid=nid * 10 + ord_)


@edit
def import_notetype(hand, a, b, c):
    """Import a shared deck whose notetype is new here, with a note of it."""
    if 600 not in hand.world[Table.NOTETYPES]:
        hand.world.put(Table.NOTETYPES, model.notetype(600, "Shared type", ["One", "Two"], ["T"]))
    if 502 not in hand.world[NOTES] and (502, GraveType.NOTE) not in hand.world[Table.GRAVES]:
        count = len(hand.world[Table.NOTETYPES][600].fields)
        fields = [f"typed{at}" for at in range(count)]
        hand.world.put(NOTES, model.note(hand.world, 502, 600, fields, guid="shared502"))
        _add_card(hand, 502, 1, 0, cid=5020)


@edit
def delete_note(hand, a, b, c):
    if note := hand.pick(NOTES, a):
        _delete_note(hand, note.id)


def _delete_note(hand, nid):
    for card in list(hand.world[CARDS].values()):
        if card.nid == nid:
            hand.bury(CARDS, card.id, GraveType.CARD)
    hand.bury(NOTES, nid, GraveType.NOTE)


@edit
def change_notetype(hand, a, b, c):
    """Give a note another notetype: fields by place, the missing ones empty, cards of templates it has."""
    note, kind = hand.pick(NOTES, a), hand.pick(Table.NOTETYPES, b)
    if note is None or note.mid == kind.id:
        return
    fields = (note.flds.split(SEP) + [""] * 9)[: len(kind.fields)]
    _write(hand, note, mid=kind.id, flds=SEP.join(fields))
    cards = {card.ord: card for card in hand.world[CARDS].values() if card.nid == note.id}
    for ord_, card in cards.items():
        if ord_ >= len(kind.templates):
            hand.bury(CARDS, card.id, GraveType.CARD)
    for ord_ in range(len(kind.templates)):
        if ord_ not in cards:
            any_card = next(iter(cards.values()))
            _add_card(hand, note.id, any_card.odid or any_card.did, ord_)
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


# --- cards -------------------------------------------------------------------------------------------


def _card(hand, a, **values):
    if card := hand.pick(CARDS, a):
        hand.world.put(CARDS, card._replace(mod=hand.now, **values))


@edit
def answer(hand, a, b, c):
    card = hand.pick(CARDS, a)
    if card is None:
        return
    home = card.odid or card.did
    after = card._replace(
        did=home, odid=0, odue=0, mod=hand.now, reps=card.reps + 1, lapses=card.lapses + (b == 0),
        data=f'{{"s":{hand.now}.{c}}}',
    )  # fmt: skip
    if b < 2:
        after = after._replace(type=1, queue=1, due=hand.now + 600, left=1001)
    else:
        after = after._replace(type=2, queue=2, due=hand.day + b * 3, ivl=b * 3, factor=2500 + c, left=0)
    hand.world.put(CARDS, after)
    _log(hand, after, 1 + b % 4, 1)
    _study(hand, home, c)


def _log(hand, card, ease, kind):
    at = hand.now * 1000
    while at in hand.world[Table.REVLOG]:
        at += 1
    hand.world.put(Table.REVLOG, Review(at, card.id, ease, card.ivl, 0, card.factor, 3000, kind))


def _study(hand, did, ms):
    name = hand.world[DECKS][did].name
    for row in list(hand.world[DECKS].values()):
        if row.id == did or unicase(name).startswith(unicase(row.name) + SEP):
            common = decks_pb2.Deck.Common.FromString(row.common)
            if common.last_day_studied != hand.day:
                common.last_day_studied = hand.day
                common.new_studied = common.review_studied = common.milliseconds_studied = 0
            common.review_studied += 1
            common.milliseconds_studied += 1000 + ms
            hand.world.put(DECKS, row._replace(common=common.SerializeToString(), mtime=hand.now))


@edit
def next_day(hand, a, b, c):
    hand.day += 1
    hand.world.put(Table.CONFIG, ConfigEntry("lastUnburied", hand.now, str(hand.day).encode()))


@edit
def reset_card(hand, a, b, c):
    card = hand.pick(CARDS, a)
    if card and not card.odid:
        _card(hand, a, type=0, queue=0, due=77 + c, ivl=0, factor=0, reps=0, lapses=0, left=0, data="{}")
        _log(hand, hand.pick(CARDS, a), 0, 4)


@edit
def set_due(hand, a, b, c):
    card = hand.pick(CARDS, a)
    if card and not card.odid:
        _card(hand, a, type=2, queue=2, due=hand.day + 20 + c, ivl=20 + c, left=0)
        _log(hand, hand.pick(CARDS, a), 0, 5)


@edit
def flag(hand, a, b, c):
    _card(hand, a, flags=b)


@edit
def suspend(hand, a, b, c):
    _card(hand, a, queue=-1)


@edit
def bury(hand, a, b, c):
    if (card := hand.pick(CARDS, a)) and card.queue >= 0:
        _card(hand, a, queue=-2 - b % 2)


@edit
def restore_card(hand, a, b, c):
    """Unsuspend or unbury."""
    if (card := hand.pick(CARDS, a)) and card.queue < 0:
        _card(hand, a, queue={0: 0, 2: 2}.get(card.type, 1 if card.due > 1_000_000_000 else 3))


@edit
def unbury_all(hand, a, b, c):
    """Let the app unbury on a new day: `mod` stays."""
    for card in list(hand.world[CARDS].values()):
        if card.queue in {-2, -3}:
            queue = {0: 0, 2: 2}.get(card.type, 1 if card.due > 1_000_000_000 else 3)
            hand.world.put(CARDS, card._replace(queue=queue))


@edit
def move_card(hand, a, b, c):
    if (card := hand.pick(CARDS, a)) and (home := _normal(hand, b)).id != card.did:
        back = {"odid": 0, "odue": 0, "due": card.odue} if card.odid else {}
        _card(hand, a, did=home.id, **back)


@edit
def delete_card(hand, a, b, c):
    """Delete an empty card; a note's first one stays."""
    if (card := hand.pick(CARDS, a)) and card.ord:
        hand.bury(CARDS, card.id, GraveType.CARD)


# --- decks -------------------------------------------------------------------------------------------


def _deck_named(hand, name):
    """Find a deck or make it, with the parents that it needs; a filtered deck has no children."""
    name = name.replace("::", SEP)
    for row in hand.world[DECKS].values():
        if unicase(row.name) == unicase(name):
            return row
    above, _, leaf = name.rpartition(SEP)
    if above:
        parent = _deck_named(hand, above)
        if model.is_filtered(parent):
            return parent
        name = parent.name + SEP + leaf
    row = model.deck(hand.new_id(), name, hand.now)
    hand.world.put(DECKS, row)
    return row


LEAVES = ("N", "n", "A", "D", "B", "G", "E")


@edit
def add_deck(hand, a, b, c):
    above = (None, *sorted(row for row in hand.world[DECKS].values() if not model.is_filtered(row)))
    parent = above[b % len(above)]
    leaf = LEAVES[a % len(LEAVES)]
    _deck_named(hand, f"{parent.name}{SEP}{leaf}" if parent else leaf)


@edit
def rename_deck(hand, a, b, c):
    row = hand.pick(DECKS, a)
    above, _, _ = row.name.rpartition(SEP)
    leaf = LEAVES[b % len(LEAVES)] if c < 3 else hand.word(c)
    _rename(hand, row, f"{above}{SEP}{leaf}" if above else leaf)


@edit
def move_deck(hand, a, b, c):
    row, parent = hand.pick(DECKS, a), _normal(hand, b)
    leaf = row.name.rpartition(SEP)[2]
    inside = unicase(parent.name) == unicase(row.name) or unicase(parent.name).startswith(
        unicase(row.name) + SEP
    )
    if c == 0:
        _rename(hand, row, leaf)
    elif not inside:
        _rename(hand, row, f"{parent.name}{SEP}{leaf}")


def _rename(hand, row, name):
    others = {unicase(other.name) for other in hand.world[DECKS].values() if other.id != row.id}
    while unicase(name) in others:
        name += "+"
    if name == row.name:
        return
    for other in list(hand.world[DECKS].values()):
        if other.id == row.id or unicase(other.name).startswith(unicase(row.name) + SEP):
            new = name + other.name[len(row.name) :]
            hand.world.put(DECKS, other._replace(name=new, mtime=hand.now))


@edit
def delete_deck(hand, a, b, c):
    row = hand.pick(DECKS, a)
    if row.id == 1 or any(
        unicase(hand.world[DECKS][1].name).startswith(unicase(row.name) + SEP) for _ in (1,)
    ):
        return  # Anki empties the default deck instead
    for other in list(hand.world[DECKS].values()):
        if other.id == row.id or unicase(other.name).startswith(unicase(row.name) + SEP):
            _empty(hand, other)
            hand.bury(DECKS, other.id, GraveType.DECK)


def _empty(hand, row):
    for card in list(hand.world[CARDS].values()):
        if model.is_filtered(row) and card.did == row.id:
            hand.world.put(CARDS, _home(hand, card))
        elif row.id in {card.did, card.odid} and card.id in hand.world[CARDS]:
            hand.bury(CARDS, card.id, GraveType.CARD)
            if not any(other.nid == card.nid for other in hand.world[CARDS].values()):
                hand.bury(NOTES, card.nid, GraveType.NOTE)


def _home(hand, card):
    return card._replace(did=card.odid, odid=0, due=card.odue, odue=0, mod=hand.now)


@edit
def empty_filtered(hand, a, b, c):
    for card in list(hand.world[CARDS].values()):
        if card.odid:
            hand.world.put(CARDS, _home(hand, card))


@edit
def make_filtered(hand, a, b, c):
    """Make a filtered deck and let it gather two cards."""
    name = ("F2", "N", "A")[b % 3]
    while any(unicase(name) == unicase(row.name) for row in hand.world[DECKS].values()):
        name += "+"
    did = hand.new_id()
    hand.world.put(DECKS, model.filtered_deck(did, name, hand.now))
    for at in (a, a + 1):
        card = hand.pick(CARDS, at)
        if card and not card.odid and card.queue >= 0:
            hand.world.put(
                CARDS, card._replace(odid=card.did, did=did, odue=card.due, due=-100_000 + at, mod=hand.now)
            )


@edit
def change_search(hand, a, b, c):
    for row in list(hand.world[DECKS].values()):
        if model.is_filtered(row):
            kind = model.filtered_deck(row.id, "", 0, hand.word(c)).kind
            hand.world.put(DECKS, row._replace(kind=kind, mtime=hand.now))
            return


@edit
def set_deck(hand, a, b, c):
    """Describe a deck, limit it, choose other options for it, or fold it."""
    row = _normal(hand, a)
    kind = decks_pb2.Deck.KindContainer.FromString(row.kind)
    common = decks_pb2.Deck.Common.FromString(row.common)
    if b % 4 == 0:
        kind.normal.description = hand.word(c)
    elif b % 4 == 1:
        kind.normal.new_limit = 10 + c
    elif b % 4 == 2:
        kind.normal.config_id = hand.pick(Table.DECK_CONFIG, c).id
    else:
        common.study_collapsed = not common.study_collapsed
    new = row._replace(kind=kind.SerializeToString(), common=common.SerializeToString(), mtime=hand.now)
    hand.world.put(DECKS, new)


# --- options, notetypes, preferences -----------------------------------------------------------------


@edit
def set_options(hand, a, b, c):
    row = hand.pick(Table.DECK_CONFIG, a)
    config = deck_config_pb2.DeckConfig.Config.FromString(row.config)
    if b % 3 == 0:
        config.new_per_day = c
    elif b % 3 == 1:
        config.learn_steps[:] = [1.0, 10.0 + c]
    else:
        row = row._replace(name=hand.word(c))
    hand.world.put(Table.DECK_CONFIG, row._replace(config=config.SerializeToString(), mtime=hand.now))


@edit
def add_options(hand, a, b, c):
    hand.world.put(Table.DECK_CONFIG, model.deck_config(hand.new_id(), hand.word(c), hand.now, new_per_day=c))


@edit
def delete_options(hand, a, b, c):
    row = hand.pick(Table.DECK_CONFIG, a)
    if row.id == 1:
        return
    del hand.world[Table.DECK_CONFIG][row.id]
    for deck in list(hand.world[DECKS].values()):
        if model.config_id(deck) == row.id:
            kind = decks_pb2.Deck.KindContainer.FromString(deck.kind)
            kind.normal.config_id = 1
            hand.world.put(DECKS, deck._replace(kind=kind.SerializeToString(), mtime=hand.now))
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def set_preference(hand, a, b, c):
    key = ("rollover", "collapseTime", "curDeck", "fsrs", "_deck_1_x")[a % 5]
    if b == 0 and key in hand.world[Table.CONFIG]:
        del hand.world[Table.CONFIG][key]
    else:
        hand.world.put(Table.CONFIG, ConfigEntry(key, hand.now, str(c).encode()))


def _put_notetype(hand, row):
    hand.world.put(Table.NOTETYPES, row._replace(mtime=hand.now))


@edit
def style(hand, a, b, c):
    row = hand.pick(Table.NOTETYPES, a)
    if row and b % 2:
        config = notetypes_pb2.Notetype.Config.FromString(row.config)
        config.css = hand.word(c)
        _put_notetype(hand, row._replace(config=config.SerializeToString()))
    elif row:
        config = notetypes_pb2.Notetype.Template.Config.FromString(row.templates[0].config)
        config.q_format = hand.word(c)
        first = Template(row.templates[0].name, hand.now, config.SerializeToString())
        _put_notetype(hand, row._replace(templates=(first, *row.templates[1:])))


@edit
def rename_in_notetype(hand, a, b, c):
    row = hand.pick(Table.NOTETYPES, a)
    if row is None:
        return
    if b % 2:
        name = "Basic2" if c < 3 else hand.word(c)
        while any(
            unicase(name) == unicase(r.name) for r in hand.world[Table.NOTETYPES].values() if r.id != row.id
        ):
            name += "+"
        _put_notetype(hand, row._replace(name=name))
    else:
        fields = list(row.fields)
        name = hand.word(c)
        if not any(unicase(name) == unicase(f.name) for f in fields):
            fields[b % len(fields)] = fields[b % len(fields)]._replace(name=name)
            _put_notetype(hand, row._replace(fields=tuple(fields)))


@edit
def add_notetype(hand, a, b, c):
    name = ("Basic2", "New type", hand.word(c))[b % 3]
    while any(unicase(name) == unicase(r.name) for r in hand.world[Table.NOTETYPES].values()):
        name += "+"
    row = model.notetype(hand.new_id(), name, ["One", "Two"], ["T"])
    _put_notetype(hand, row)


@edit
def delete_notetype(hand, a, b, c):
    row = hand.pick(Table.NOTETYPES, a)
    if row is None or len(hand.world[Table.NOTETYPES]) < 2 or c > 2:
        return
    for note in list(hand.world[NOTES].values()):
        if note.mid == row.id:
            _delete_note(hand, note.id)
    del hand.world[Table.NOTETYPES][row.id]
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def move_sort_field(hand, a, b, c):
    if row := hand.pick(Table.NOTETYPES, a):
        config = notetypes_pb2.Notetype.Config.FromString(row.config)
        config.sort_field_idx = b % len(row.fields)
        _put_notetype(hand, row._replace(config=config.SerializeToString()))
        for note in list(hand.world[NOTES].values()):
            if note.mid == row.id:
                hand.world.put(NOTES, model.derived(hand.world, note))
        hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def add_field(hand, a, b, c):
    """Change a notetype's shape: every note of it follows."""
    row = hand.pick(Table.NOTETYPES, a)
    if row is None or c > 2:
        return
    name = hand.word(4)
    if any(part.name == name for part in row.fields):
        return
    _put_notetype(hand, row._replace(fields=(*row.fields, Field(name, b""))))
    for note in list(hand.world[NOTES].values()):
        if note.mid == row.id:
            _write(hand, note, flds=note.flds + SEP)
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def remove_field(hand, a, b, c):
    row = hand.pick(Table.NOTETYPES, a)
    if row is None or c > 1 or len(row.fields) < 2 or model.sort_field(row) == len(row.fields) - 1:
        return
    _put_notetype(hand, row._replace(fields=row.fields[:-1]))
    for note in list(hand.world[NOTES].values()):
        if note.mid == row.id:
            _write(hand, note, flds=note.flds.rpartition(SEP)[0])
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def move_field(hand, a, b, c):
    """Let the first two fields change places; every note of the notetype follows, and so does the sort field."""
    row = hand.pick(Table.NOTETYPES, a)
    if row is None or c > 3 or len(row.fields) < 2:
        return
    config = notetypes_pb2.Notetype.Config.FromString(row.config)
    config.sort_field_idx = {0: 1, 1: 0}.get(config.sort_field_idx, config.sort_field_idx)
    one, two, *rest = row.fields
    _put_notetype(hand, row._replace(fields=(two, one, *rest), config=config.SerializeToString()))
    for note in list(hand.world[NOTES].values()):
        if note.mid == row.id:
            first, second, *others = note.flds.split(SEP)
            _write(hand, note, flds=SEP.join([second, first, *others]))
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def add_template(hand, a, b, c):
    row = hand.pick(Table.NOTETYPES, a)
    if row is None or c > 3:
        return
    name = f"T{hand.word(c)}"
    if any(part.name == name for part in row.templates):
        return
    config = notetypes_pb2.Notetype.Template.Config(q_format=name, id=hand.new_id() % 2**40)
    template = Template(name, hand.now, config.SerializeToString())
    _put_notetype(hand, row._replace(templates=(*row.templates, template)))
    for note in list(hand.world[NOTES].values()):
        if note.mid == row.id:
            _add_card(hand, note.id, 1, len(row.templates))
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def remove_template(hand, a, b, c):
    row = hand.pick(Table.NOTETYPES, a)
    if row is None or c > 3 or len(row.templates) < 2:
        return
    gone = 1 + b % (len(row.templates) - 1)
    _put_notetype(hand, row._replace(templates=row.templates[:gone] + row.templates[gone + 1 :]))
    for card in list(hand.world[CARDS].values()):
        if hand.world[NOTES][card.nid].mid == row.id and card.ord == gone:
            hand.bury(CARDS, card.id, GraveType.CARD)
        elif hand.world[NOTES][card.nid].mid == row.id and card.ord > gone:
            hand.world.put(CARDS, card._replace(ord=card.ord - 1, mod=hand.now))
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


@edit
def move_template(hand, a, b, c):
    row = hand.pick(Table.NOTETYPES, a)
    if row is None or c > 3 or len(row.templates) < 2:
        return
    one, two, *rest = row.templates
    _put_notetype(hand, row._replace(templates=(two, one, *rest)))
    for card in list(hand.world[CARDS].values()):
        if hand.world[NOTES][card.nid].mid == row.id and card.ord < 2:
            hand.world.put(CARDS, card._replace(ord=1 - card.ord, mod=hand.now))
    hand.world.col = replace(hand.world.col, scm=hand.now * 1000)


# --- AnkiWeb -----------------------------------------------------------------------------------------


@edit
def full_sync(hand, a, b, c):
    """Sync one way with AnkiWeb: the list of graves is cleared."""
    hand.world[Table.GRAVES].clear()
