"""The merge of every table, unit by unit: the fine one, from which the other (`whole.py`) is derived.

The order matters. Notes come first, for a card's fate hangs on its note's; then cards, which say which
decks must live; then decks, which say which options must; and notetypes, which notes need.
"""

from __future__ import annotations

from itertools import chain

from usbsync.core.changes import Card, Change, Grave, GraveType, Notetype, Table
from usbsync.core.conflict import Side, Weight
from usbsync.core.decks import Spot, distinct
from usbsync.core.notetypes import sort_field_apart
from usbsync.core.reviews import merge_reviews
from usbsync.core.rowmerge import Pair, RowMerge, keys_of, plain
from usbsync.core.rules import rule_for
from usbsync.core.shape import with_parts_apart
from usbsync.core.unicase import unicase
from usbsync.core.units import is_filtered, options_of, sent_home, split_note, touched


class Merge(RowMerge):
    """One reconciliation under way."""

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
        self.conflicts += self.forest.name(self.rows[Table.DECKS], self.settlement)
        for table in (Table.DECK_CONFIG, Table.NOTETYPES, Table.CONFIG, Table.TAGS):
            self.rows[table] = self.merge_table(table, plain(table))
        self.restore(Table.DECK_CONFIG, self.used_options())
        self.restore(Table.NOTETYPES, {note.mid for note in self.living(Table.NOTES)})
        self.name_apart()
        self.register_tags()
        self.drop()
        self.graves()

    # ---- notes and cards

    def notes(self) -> None:
        """Merge notes; a note whose notetype's sort field moved on the other side gets its `sfld` anew."""
        pair = self.pair(Table.NOTES)
        rows = self.merge_table(Table.NOTES, plain(Table.NOTES))
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
        split = plain(Table.CARDS)
        for key in keys_of(pair):
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
        merged: Card = self.merge_row(Table.CARDS, key, pair, plain(Table.CARDS))
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

    def keep_cards(self, cids: frozenset[int], keeper: Side) -> None:
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
        self.rows[Table.DECKS] = self.merge_table(Table.DECKS, self.forest.split)
        for key in self.rows[Table.DECKS]:
            self.forest.settle(key)

    def restore_decks(self) -> None:
        """Bring back decks that cards live in, and the parents of decks that live."""
        cards = list(self.living(Table.CARDS))
        needed = {card.did for card in cards} | {card.odid for card in cards if card.odid}
        while True:
            self.restore(Table.DECKS, needed)
            alive = {did for did, row in self.rows[Table.DECKS].items() if row is not None}
            parents = self.forest.parents(alive)
            needed = {did for did in parents if self.rows[Table.DECKS].get(did, did) is None}
            if not needed:
                return

    def used_options(self) -> set[int]:
        """Return the options that changed, living decks use."""
        return {options_of(deck) for deck in self.living(Table.DECKS)}

    # ---- the rest

    def name_apart(self) -> None:
        """Give notetypes, fields and templates that came by one name distinct ones (they are unique in the file)."""
        tree = {row.id: Spot(None, row.name) for row in self.living(Table.NOTETYPES)}
        for key, spot in distinct(tree).items():
            row: Notetype = self.rows[Table.NOTETYPES][key]
            self.rows[Table.NOTETYPES][key] = with_parts_apart(row._replace(name=spot.leaf))

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


_BURIED = {Table.CARDS: GraveType.CARD, Table.NOTES: GraveType.NOTE, Table.DECKS: GraveType.DECK}


def _lacks(pair: Pair, side: Side, key: int) -> bool:
    """Whether a side does not hold a row that changed or comes to be."""
    own, other = pair[side].get(key), pair[side.other].get(key)
    return own.now is None if own else other is None or other.ancestor is None


def _wrote(change: Change) -> bool:
    """Whether someone wrote in a note that lives."""
    units = touched(*map(split_note, (change.ancestor, change.now)))
    return any(rule_for(Table.NOTES, unit).content for unit in units)


def _retyped(change: Change) -> bool:
    return bool(change.ancestor and change.now) and change.ancestor.mid != change.now.mid


def _note_of(pair: Pair, key: int) -> int:
    change = pair[Side.DESKTOP].get(key) or pair[Side.PHONE][key]
    nid: int = (change.now or change.ancestor).nid
    return nid
