"""Both sides' changes in, one result out: what every changed row becomes, and what could not be kept.

The order matters. Notes come first, for a card's fate hangs on its note's; then cards, which say which
decks must live; then decks, which say which options must; and notetypes, which notes need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypeAlias

from usbsync.core import titles
from usbsync.core.align import Aligned, align
from usbsync.core.changes import (
    Card,
    Change,
    Changes,
    Deck,
    Grave,
    GraveType,
    Key,
    Note,
    Notetype,
    Row,
    Table,
)
from usbsync.core.conflict import Conflict, Settlement, Side, Weight
from usbsync.core.contest import Contest, merge_units
from usbsync.core.decks import Spot, broken_cycles, distinct, paths, spots
from usbsync.core.follow import followed
from usbsync.core.merge3 import Outcome, merge3
from usbsync.core.notetypes import schema_moved, sort_field_apart
from usbsync.core.retyped import fitted, standing
from usbsync.core.reviews import last_acts, merge_reviews, shared_answers
from usbsync.core.rules import rule_for
from usbsync.core.unicase import unicase
from usbsync.core.units import (
    JOIN,
    SPLIT,
    Units,
    is_filtered,
    options_of,
    sent_home,
    split_deck,
    with_last_review,
)

Rows: TypeAlias = dict[Key, Any]
Pair: TypeAlias = Mapping[Side, Mapping[Key, Change]]


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


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What becomes of every row that changed on some side (None: it is gone), and what lost."""

    rows: Mapping[Table, Mapping[Key, Row | None]]
    conflicts: tuple[Conflict, ...]
    crt: int
    scm: int | None  # to be set on both sides, where a change of schema crosses
    grow: frozenset[int] = frozenset()
    """Notes for which Anki is to make the cards that they now need."""


def reconcile(
    desktop: Changes, phone: Changes, context: Context, settlement: Settlement | None = None
) -> Reconciled:
    """Decide what becomes of everything that either side changed."""
    settlement = settlement or Settlement()
    shaped = followed(desktop, phone, context.mids, settlement)
    both = align(shaped.desktop, shaped.phone, context.free_ids)
    context = replace(context, fields={**context.fields, **shaped.fields})
    merge = _Merge({Side.DESKTOP: desktop, Side.PHONE: phone}, both, context, settlement)
    merge.drop_cards(shaped.dropped)
    merge.stands = shaped.stands
    merge.run()
    crt, conflicts = _merge_crt(desktop, phone)
    crossing = shaped.moved or schema_moved(desktop, phone, merge.rows)
    return Reconciled(
        rows=merge.rows,
        conflicts=(*shaped.conflicts, *merge.conflicts, *conflicts),
        crt=crt,
        scm=max(desktop.col.scm, phone.col.scm) if crossing else None,
        grow=merge.growing(shaped.grown),
    )


class _Merge:
    """One reconciliation under way."""

    def __init__(
        self, held: Mapping[Side, Changes], both: Aligned, context: Context, settlement: Settlement
    ) -> None:
        self.held = held  # in each side's own ids and shapes
        self.sides = {Side.DESKTOP: both.desktop, Side.PHONE: both.phone}
        self.dropped = both.dropped
        self.context = context
        self.settlement = settlement
        self.rows: dict[Table, Rows] = {table: {} for table in Table}
        self.conflicts: list[Conflict] = []
        self.stands: Mapping[int, Side] = {}  # whose templates count, by notetype
        self.contested: dict[int, Spot] = {}  # where decks stand that both sides changed
        self.retyped: dict[int, Side] = {}  # notes that have two notetypes, and whose stands
        reviews = self.pair(Table.REVLOG)
        self.acts = {side: last_acts(reviews[side], reviews[side.other]) for side in Side}
        self.shared = shared_answers(reviews[Side.DESKTOP], reviews[Side.PHONE])

    def run(self) -> None:
        """Merge every table, in the order in which one needs the other."""
        self.notes()
        self.decks()
        self.cards()
        reviews = self.pair(Table.REVLOG)
        self.rows[Table.REVLOG] = dict(
            merge_reviews(reviews[Side.DESKTOP], reviews[Side.PHONE], self.context.taken_reviews)
        )
        self.restore_decks()
        self.name_decks()
        for table in (Table.DECK_CONFIG, Table.NOTETYPES, Table.CONFIG, Table.TAGS):
            self.rows[table] = self.merge_table(table, _plain(table))
        self.restore(Table.DECK_CONFIG, self.used_options())
        self.restore(Table.NOTETYPES, {note.mid for note in self.living(Table.NOTES)})
        self.name_apart()
        self.register_tags()
        self.drop()
        self.graves()

    def pair(self, table: Table) -> Pair:
        """Return the changes of one table by side."""
        return {side: changes.of(table) for side, changes in self.sides.items()}

    def living(self, table: Table) -> Iterable[Any]:
        """Return the rows that changed and live on."""
        return (row for row in self.rows[table].values() if row is not None)

    # ---- any table

    def merge_table(self, table: Table, split: _Split) -> Rows:
        """Merge a table row by row."""
        pair = self.pair(table)
        return {key: self.merge_row(table, key, pair, split) for key in _keys(pair)}

    def merge_row(self, table: Table, key: Key, pair: Pair, split: _Split) -> Any:
        """Decide what becomes of one row."""
        mine, theirs = pair[Side.DESKTOP].get(key), pair[Side.PHONE].get(key)
        if mine is None or theirs is None:
            return (mine or theirs).now  # type: ignore[union-attr]  # only one side touched it
        if mine.now == theirs.now and not (table is Table.CARDS and self.answered_on_both(key)):
            return mine.now  # both did the same
        if mine.now is None:
            return self.deletion(table, key, Side.DESKTOP, theirs, split)  # deleted here, changed there
        if theirs.now is None:
            return self.deletion(table, key, Side.PHONE, mine, split)
        return self.contest(table, key, mine, theirs, split)  # changed on both

    def answered_on_both(self, key: int) -> bool:
        """Whether each side has answers of its own to a card; it may look the same after them, but counts both."""
        return all(self.acts[side].get(key, (0, False))[1] for side in Side)

    def deletion(self, table: Table, key: Key, deleter: Side, other: Change, split: _Split) -> Any:
        """Decide between a deletion and a change: work that someone wrote beats it, a mere review does not."""
        before, after = split(None, other.ancestor), split(deleter.other, other.now)
        touched = _touched(before, after)
        written = any(rule_for(table, unit).content for unit in touched)
        where = (table.value, key, "deletion")
        if written:
            chosen, reason = self.settlement.settle(where, deleter.other)
            reason = "an edit beats a deletion" if chosen is not deleter else reason
        else:
            chosen = self.settlement.answers.get(where, deleter)
            reason = "deleted there, only studied or filed here; answers stay in the review history"
        weight = Weight.LOST if written or touched & {"deck", "flag", "suspended"} else Weight.COUNTED
        weight = Weight.QUIET if table is Table.TAGS else weight  # a folded tag list
        self.report(table, key, other, deleter, chosen, reason, weight)
        return None if chosen is deleter else other.now

    def report(
        self,
        table: Table,
        key: Key,
        other: Change,
        deleter: Side,
        chosen: Side,
        reason: str,
        weight: Weight,
    ) -> None:
        """Note a conflict between a deletion and a change."""
        shown = {deleter: "deleted", deleter.other: titles.shown(table, other.now)}
        self.conflicts.append(
            Conflict(
                table.value,
                key,
                titles.of(table, other.now),
                "deletion",
                titles.shown(table, other.ancestor) if other.ancestor else None,
                shown[Side.DESKTOP],
                shown[Side.PHONE],
                chosen,
                reason,
                weight,
            )
        )

    def contest(self, table: Table, key: Key, mine: Change, theirs: Change, split: _Split) -> Any:
        """Merge a row that both sides changed, unit by unit."""
        about = self.about(table, key, mine.now, theirs.now)
        ancestor = split(None, mine.ancestor) if mine.ancestor else None
        three = ancestor, split(Side.DESKTOP, mine.now), split(Side.PHONE, theirs.now)
        if table is Table.NOTES and mine.now.mid != theirs.now.mid:
            self.retyped[key] = side = standing(about, *three)
            mid = (mine if side is Side.DESKTOP else theirs).now.mid
            about = replace(about, fields=self.context.fields.get(mid, ()))
            fit = fitted(about, side, *three)
            self.conflicts += fit.conflicts
            three = fit.ancestor, fit.desktop, fit.phone
        units, conflicts = merge_units(about, *three)
        self.conflicts += conflicts
        row = JOIN[table](units, mine.now)
        if isinstance(row, Note):
            return _settled_note(row, mine.now, theirs.now)
        if isinstance(row, Card):
            return with_last_review(row, mine.now, theirs.now)
        return self.placed(row, units)

    def about(self, table: Table, key: Key, mine: Any, theirs: Any) -> Contest:
        """Gather what is known of a row that both changed."""
        edited = {Side.DESKTOP: _edited(mine), Side.PHONE: _edited(theirs)}
        acts = {side: self.acts[side].get(key, (edited[side] * 1000, False)) for side in Side}
        if table is not Table.CARDS:
            acts = dict.fromkeys(Side, (0, False))
        return Contest(
            table=table,
            id=key,
            title=titles.of(table, mine),
            settlement=self.settlement,
            edited=edited,
            acted={side: at for side, (at, _) in acts.items()},
            answered=frozenset(side for side, (_, answered) in acts.items() if answered),
            shared=self.shared.get(key, (0, 0)) if table is Table.CARDS else (0, 0),
            fields=self.context.fields.get(mine.mid, ()) if table is Table.NOTES else (),
        )

    def restore(self, table: Table, needed: Iterable[Key]) -> None:
        """Bring back rows that one side deleted and the other's work needs."""
        for key in sorted(needed):
            if key in self.rows[table] and self.rows[table][key] is None:
                self.rows[table][key] = self.brought_back(table, key)

    def brought_back(self, table: Table, key: Key) -> Any:
        """Return a deleted row as the side that still has it holds it, and report that."""
        pair = self.pair(table)
        deleter = next(side for side in Side if key in pair[side] and pair[side][key].now is None)
        other = pair[deleter.other].get(key) or Change(
            pair[deleter][key].ancestor, pair[deleter][key].ancestor
        )
        row = other.now or other.ancestor
        kept = Change(other.ancestor, row)
        self.conflicts = [c for c in self.conflicts if c.where != (table.value, key, "deletion")]
        reason = "deleted there, but what was done here needs it"
        self.report(table, key, kept, deleter, deleter.other, reason, Weight.LOST)
        return row

    # ---- notes and cards

    def notes(self) -> None:
        """Merge notes; a note whose notetype's sort field moved on the other side gets its `sfld` anew."""
        pair = self.pair(Table.NOTES)
        rows = self.merge_table(Table.NOTES, _plain(Table.NOTES))
        for side in Side:
            moved = sort_field_apart(self.sides[side], self.sides[side.other])
            for key in pair[side].keys() & rows.keys():
                if rows[key] is not None and rows[key].mid in moved:
                    rows[key] = rows[key]._replace(derived="")
            alone = pair[side].keys() - pair[side.other].keys()
            self.retyped |= {key: side for key in alone if _retyped(pair[side][key])}
        self.rows[Table.NOTES] = rows

    def cards(self) -> None:
        """Merge cards; a card whose note was deleted on some side goes the way of its note."""
        pair, notes = self.pair(Table.CARDS), self.pair(Table.NOTES)
        deleted = {side: {key for key, c in notes[side].items() if c.now is None} for side in Side}
        split = _plain(Table.CARDS)
        for key in _keys(pair):
            nid = _note_of(pair, key)
            deleters = [side for side in Side if nid in deleted[side]]
            if deleters:
                self.rows[Table.CARDS][key] = self.card_of_deleted(key, nid, deleters[0], pair)
            elif nid in self.retyped:
                self.rows[Table.CARDS][key] = self.card_of_retyped(key, self.retyped[nid], pair)
            else:
                self.rows[Table.CARDS][key] = self.merge_row(Table.CARDS, key, pair, split)
        self.bare_notes()
        for key, card in self.rows[Table.CARDS].items():
            if card is not None and card.odid and self.filtered_deck_gone(card.did):
                self.rows[Table.CARDS][key] = sent_home(card)

    def card_of_deleted(self, key: int, nid: int, deleter: Side, pair: Pair) -> Card | None:
        """Let a card follow its note: back as the other side has it, or gone."""
        other = pair[deleter.other].get(key)
        if self.rows[Table.NOTES][nid] is None:
            if other is not None and other.now is not None:
                reason = "its note was deleted there; answers stay in the review history"
                self.report(Table.CARDS, key, other, deleter, deleter, reason, Weight.COUNTED)
            return None
        card: Card | None = other.now if other is not None else pair[deleter][key].ancestor
        return card

    def card_of_retyped(self, key: int, side: Side, pair: Pair) -> Card | None:
        """Let a note whose notetype one side set have the cards that it has on that side."""
        own, other = pair[side].get(key), pair[side.other].get(key)
        # as that side holds it, which knows nothing of where the other moved a template
        mine = own or self.held[side.other].of(Table.CARDS).get(key)
        held: Card | None = (mine.now if own else mine.ancestor) if mine else None
        if held is None:
            if other is not None and other.now is not None:
                reason = "the notetype that the note was given has no such card; answers stay in the review history"
                self.report(Table.CARDS, key, other, side, side, reason, Weight.COUNTED)
            return None
        if other is not None and other.now is None:
            return held
        merged: Card = self.merge_row(Table.CARDS, key, pair, _plain(Table.CARDS))
        return merged._replace(ord=held.ord)

    def bare_notes(self) -> None:
        """Let a note of which both sides together deleted all cards go with them, as if one had; work keeps it."""
        notes, cards = self.rows[Table.NOTES], self.rows[Table.CARDS]
        for nid, cids in self.context.cards.items():
            if notes.get(nid) is None or any(cards.get(cid, cid) is not None for cid in cids):
                continue
            keeper = self.stands.get(notes[nid].mid) or self.writer(nid)
            if keeper is None:
                notes[nid] = None
            else:
                self.keep_cards(cids, keeper)

    def writer(self, nid: int) -> Side | None:
        """Return who wrote in a note last, if someone did."""
        changes = {side: c for side, rows in self.pair(Table.NOTES).items() if (c := rows.get(nid))}
        wrote = [side for side, change in changes.items() if _wrote(change)]
        return max(wrote, key=lambda side: (changes[side].now.mod, repr(changes[side].now)), default=None)

    def keep_cards(self, cids: Iterable[int], keeper: Side) -> None:
        """Keep a note's cards as one side has them, whatever the other deleted."""
        pair = self.pair(Table.CARDS)
        for cid in cids:
            own, other = pair[keeper].get(cid), pair[keeper.other].get(cid, Change(None, None))
            if card := own.now if own else other.ancestor:
                self.rows[Table.CARDS][cid] = card
                self.conflicts = [
                    c for c in self.conflicts if c.where != (Table.CARDS.value, cid, "deletion")
                ]

    def filtered_deck_gone(self, did: int) -> bool:
        """Whether this is a filtered deck that was deleted."""
        if self.rows[Table.DECKS].get(did, did) is not None:
            return False
        rows = [
            c.ancestor for side in Side if (c := self.sides[side].of(Table.DECKS).get(did)) and c.ancestor
        ]
        return all(is_filtered(row) for row in rows)

    # ---- decks

    def decks(self) -> None:
        """Merge decks: what they are, and where they stand as two units beside."""
        self.trees = {None: spots(self.context.ancestor_decks)} | {
            side: spots(changes.deck_names) for side, changes in self.sides.items()
        }
        self.spots = dict(self.trees[None])
        for key, row in self.merge_table(Table.DECKS, self.split_deck).items():
            self.rows[Table.DECKS][key] = row
            self.spots[key] = self.merged_spot(key)

    def split_deck(self, whose: Side | None, row: Deck) -> Units:
        """Take a deck apart, with its spot in the tree of the side it comes from."""
        spot = self.trees[whose].get(row.id, Spot(None, row.name))
        return {**split_deck(row), "place": spot.parent, "leaf": spot.leaf}

    def placed(self, row: Any, units: Units) -> Any:
        """Remember where a merged deck stands; other rows pass through."""
        if isinstance(row, Deck):
            self.contested[row.id] = Spot(units["place"], units["leaf"])
        return row

    def merged_spot(self, key: int) -> Spot:
        """Return where a deck stands: as merged, or as the side has it that changed it."""
        if key in self.contested:
            return self.contested[key]
        changed = [side for side in Side if key in self.sides[side].of(Table.DECKS)]
        for whose in (*changed, None):
            if key in self.trees[whose]:
                return self.trees[whose][key]
        return Spot(None, str(key))

    def restore_decks(self) -> None:
        """Bring back decks that cards live in, and the parents of decks that live."""
        cards = list(self.living(Table.CARDS))
        needed = {card.did for card in cards} | {card.odid for card in cards if card.odid}
        while True:
            self.restore(Table.DECKS, needed)
            alive = {did for did, row in self.rows[Table.DECKS].items() if row is not None}
            parents = {self.spots[did].parent for did in alive if did in self.spots}
            needed = {did for did in parents if did and self.rows[Table.DECKS].get(did, did) is None}
            if not needed:
                return

    def name_decks(self) -> None:
        """Write the merged tree out as names."""
        rows = self.rows[Table.DECKS]
        alive = {did: spot for did, spot in self.spots.items() if rows.get(did, did) is not None}
        names = paths(distinct(broken_cycles(alive)))
        for did, row in rows.items():
            if row is None:
                continue
            # what one side wrote stays as it is, even where it spells a parent in other capitals
            spelled = did in self.contested and row.name != names[did]
            if spelled or unicase(row.name) != unicase(names[did]):
                rows[did] = row._replace(name=names[did])

    def used_options(self) -> set[int]:
        """Return the options that changed, living decks use."""
        return {options_of(deck) for deck in self.living(Table.DECKS)}

    # ---- the rest

    def name_apart(self) -> None:
        """Give notetypes that came by one name distinct ones (their names are unique in the file)."""
        tree = {row.id: Spot(None, row.name) for row in self.living(Table.NOTETYPES)}
        for key, spot in distinct(tree).items():
            row: Notetype = self.rows[Table.NOTETYPES][key]
            self.rows[Table.NOTETYPES][key] = row._replace(name=spot.leaf)

    def register_tags(self) -> None:
        """Keep a tag that one side removed from the list where a changed note carries it."""
        used = chain.from_iterable(note.tags.split() for note in self.living(Table.NOTES))
        told = list(self.conflicts)
        self.restore(Table.TAGS, {unicase(tag) for tag in used})
        self.conflicts = told  # nobody will miss hearing of it

    def drop(self) -> None:
        """Let go of the ids that gave way to their twins."""
        for table, keys in self.dropped.items():
            self.rows[table] |= dict.fromkeys(keys)

    def drop_cards(self, keys: frozenset[int]) -> None:
        """Let go of new cards whose template the other side removed."""
        self.dropped = {**self.dropped, Table.CARDS: self.dropped[Table.CARDS] | keys}

    def growing(self, grown: frozenset[int]) -> frozenset[int]:
        """Return the notes that may need cards which no side made: of both sides' fields, or of a new template."""
        return frozenset(
            note.id for note in self.living(Table.NOTES) if not note.derived or note.mid in grown
        )

    def graves(self) -> None:
        """Dig a grave on the side that loses something, and leave none for what lives on.

        Others stay where they are: each side clears its own at a full sync with AnkiWeb, so that one grave
        more on a side says nothing.
        """
        found = self.pair(Table.GRAVES)
        for table, kind in _BURIED.items():
            pair = {side: changes.of(table) for side, changes in self.held.items()}
            for oid, row in self.rows[table].items():
                if row is None and not all(_lacks(pair, side, oid) for side in Side):
                    self.rows[Table.GRAVES][oid, kind] = Grave(oid, kind)
                elif row is not None and any(
                    _lacks(pair, side, oid) and (oid, kind) in found[side] for side in Side
                ):
                    self.rows[Table.GRAVES][oid, kind] = None


_Split: TypeAlias = Callable[[Side | None, Any], Units]
_BURIED = {Table.CARDS: GraveType.CARD, Table.NOTES: GraveType.NOTE, Table.DECKS: GraveType.DECK}


def _plain(table: Table) -> _Split:
    """Return a table's splitter, the same for every side."""
    return lambda _whose, row: SPLIT[table](row)


def _keys(pair: Pair) -> list[Key]:
    return sorted(pair[Side.DESKTOP].keys() | pair[Side.PHONE].keys())


def _lacks(pair: Pair, side: Side, key: Key) -> bool:
    """Whether a side does not hold a row that changed or comes to be."""
    own, other = pair[side].get(key), pair[side.other].get(key)
    return own.now is None if own else other is None or other.ancestor is None


def _edited(row: Any) -> int:
    """Return when a row was last written, in s; rows that do not say so are all equally old."""
    return int(row.mod if hasattr(row, "mod") else getattr(row, "mtime", 0))


def _touched(before: Units, after: Units) -> set[str]:
    return {unit for unit in before.keys() | after.keys() if before.get(unit) != after.get(unit)}


def _wrote(change: Change) -> bool:
    """Whether someone wrote in a note that lives."""
    units = _touched(*map(SPLIT[Table.NOTES], (change.ancestor, change.now)))
    return any(rule_for(Table.NOTES, unit).content for unit in units)


def _retyped(change: Change) -> bool:
    return bool(change.ancestor and change.now) and change.ancestor.mid != change.now.mid


def _note_of(pair: Pair, key: int) -> int:
    change = pair[Side.DESKTOP].get(key) or pair[Side.PHONE][key]
    nid: int = (change.now or change.ancestor).nid
    return nid


def _settled_note(row: Note, mine: Note, theirs: Note) -> Note:
    """Take a side's own row where the merge came out as it, with the sort field that goes with it."""
    for own in sorted((mine, theirs), key=lambda own: str(own.derived)):
        if row[:-1] == own[:-1]:
            return own
    return row


def _merge_crt(desktop: Changes, phone: Changes) -> tuple[int, tuple[Conflict, ...]]:
    """Merge the day the collection began; it moves only when someone sets it by force."""
    ancestor, mine, theirs = desktop.ancestor_col.crt, desktop.col.crt, phone.col.crt
    match merge3(ancestor, mine, theirs):
        case Outcome.SAME | Outcome.DESKTOP:
            return mine, ()
        case Outcome.PHONE:
            return theirs, ()
        case Outcome.CONFLICT:
            chosen = Side.DESKTOP if mine <= theirs else Side.PHONE
            shown = (str(ancestor), str(mine), str(theirs))
            reason = "the earlier day stands"
            return min(mine, theirs), (Conflict("col", 1, "first day", "crt", *shown, chosen, reason),)
