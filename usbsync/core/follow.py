"""Both sides' changes rewritten into one shape, before anything is merged.

Where a notetype's fields or templates were added, removed or moved, all three versions of it, of its notes and
of its cards are read by their parts' keys (`shape.py`) and written in the merged order. After that the shape
is the same everywhere, and the merge need not know that it ever was another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from usbsync.core import titles, wire
from usbsync.core.changes import Card, Change, Changes, Field, Note, Notetype, Table, Template
from usbsync.core.conflict import Conflict, Settlement, Side, Weight
from usbsync.core.merge3 import Outcome, merge3
from usbsync.core.notetypes import akin, differ
from usbsync.core.shape import (
    FIELD_ID,
    TEMPLATE_ID,
    Keys,
    Layout,
    Part,
    Shapes,
    Whose,
    fields_by_key,
    laid_out,
    layout,
    matched,
    told_apart,
    with_renames,
)

_KIND, _SORT_FIELD, _CLOZE = 1, 2, 1  # field numbers and value in proto/anki/notetypes.proto
_YOURS = "you chose it"
_ALIVE = Change(None, "as it was")


@dataclass(frozen=True, slots=True)
class Followed:
    """Both sides' changes in one shape, and what this leaves behind."""

    desktop: Changes
    phone: Changes
    dropped: frozenset[int]  # new cards of a template that the other side removed
    moved: bool  # some notetype's shape changed
    grown: frozenset[int]  # notetypes that have a template which some side lacked: notes may need new cards
    fields: Mapping[int, tuple[str, ...]]  # the field names of notetypes that have another shape now
    stands: Mapping[int, Side]  # whose version counts, of notetypes whose templates moved
    conflicts: tuple[Conflict, ...]


def followed(desktop: Changes, phone: Changes, mids: Mapping[int, int], settlement: Settlement) -> Followed:
    """Bring both sides' notetypes, notes and cards into one shape; `mids` are the notetypes of changed cards' notes."""
    follow = _Follow({Side.DESKTOP: desktop, Side.PHONE: phone}, mids, settlement)
    sides = {side: follow.side(side) for side in Side}
    return Followed(
        sides[Side.DESKTOP],
        sides[Side.PHONE],
        frozenset(follow.dropped),
        bool(follow.shapes),
        frozenset(mid for mid, shapes in follow.shapes.items() if shapes.templates.grown),
        {mid: follow.field_names(mid) for mid in follow.shapes},
        {mid: shapes.templates.newer for mid, shapes in follow.shapes.items() if shapes.templates.moved},
        tuple(follow.conflicts),
    )


class _Follow:
    """One rewriting under way."""

    def __init__(
        self, sides: Mapping[Side, Changes], mids: Mapping[int, int], settlement: Settlement
    ) -> None:
        self.sides = sides
        self.mids = mids
        self.settlement = settlement
        self.dropped: set[int] = set()
        self.conflicts: list[Conflict] = []
        self.versions = {mid: versions for mid in self._changed() if (versions := self._versions(mid))}
        self.shapes = {
            mid: shapes
            for mid, versions in self.versions.items()
            if (shapes := self._shapes(mid, versions)).fields.moved or shapes.templates.moved
        }

    def _changed(self) -> list[int]:
        return sorted({mid for changes in self.sides.values() for mid in changes.of(Table.NOTETYPES)})

    def _versions(self, mid: int) -> dict[Whose, Notetype] | None:
        """Return all three versions of a notetype that lives on both sides; a new one's ancestor is made up."""
        found = {side: changes.of(Table.NOTETYPES).get(mid) for side, changes in self.sides.items()}
        ancestor = next(change.ancestor for change in found.values() if change)
        now = {side: change.now if change else ancestor for side, change in found.items()}
        mine, theirs = now[Side.DESKTOP], now[Side.PHONE]
        if mine is None or theirs is None:
            return None  # deleted on a side, or new on one
        if ancestor is None:
            if not differ(mine, theirs) or not akin(mine, theirs):
                return None
            newer = self._stands({Side.DESKTOP: mine, Side.PHONE: theirs}, mid, "order")
            ancestor = _in_common(*((theirs, mine) if newer is Side.DESKTOP else (mine, theirs)))
        return {None: ancestor, Side.DESKTOP: mine, Side.PHONE: theirs}

    def winner(self, mid: int, what: str) -> Side:
        """Say whose version of a part stands."""
        return self._stands(self.versions[mid], mid, what)

    def _stands(self, versions: Mapping[Whose, Notetype], mid: int, what: str) -> Side:
        return self.settlement.settle((Table.NOTETYPES.value, mid, what), self._newer(versions))[0]

    def _newer(self, versions: Mapping[Whose, Notetype]) -> Side:
        return max(Side, key=lambda side: (versions[side].mtime, repr(versions[side])))

    def _shapes(self, mid: int, versions: Mapping[Whose, Notetype]) -> Shapes:
        newer = self.winner(mid, "order")
        cloze = wire.varint(wire.split(versions[Side.DESKTOP].config).get(_KIND, b"")) == _CLOZE
        fields: dict[Whose, tuple[Part, ...]] = {whose: row.fields for whose, row in versions.items()}
        templates: dict[Whose, tuple[Part, ...]] = {whose: row.templates for whose, row in versions.items()}
        return Shapes(
            layout(
                fields,
                FIELD_ID,
                newer,
                lambda removed: self._written(mid, fields, removed),
                lambda: self._emptied(mid, "field", fields),
            ),
            layout(
                templates,
                TEMPLATE_ID,
                newer,
                lambda removed: self._edited(mid, templates, removed),
                lambda: self._emptied(mid, "template", templates),
            ),
            cloze,
        )

    def _written(self, mid: int, fields: Mapping[Whose, tuple[Part, ...]], removed: Keys) -> Collection[str]:
        """Return the removed fields in which the other side wrote: an edit beats a deletion."""
        written: dict[str, list[str]] = {}
        for side in Side:
            keys = matched(fields[None], fields[side], FIELD_ID, side)
            there = [(key, int(key[1:]), keys.index(key)) for key in removed if key in keys]
            for change in self.sides[side].of(Table.NOTES).values() if there else ():
                for key, before, now in there:
                    if _wrote(change, mid, before, now):
                        written.setdefault(key, []).append(change.now.flds.split("\x1f")[now])
        return {key for key in sorted(written) if self._stays(mid, fields, key, written[key])}

    def _stays(
        self, mid: int, fields: Mapping[Whose, tuple[Part, ...]], key: str, written: Sequence[str]
    ) -> bool:
        """Report a removed field in which someone wrote; it stays, unless a person chose otherwise."""
        name, keeper = fields[None][int(key[1:])].name, self._keeper(fields, key)
        chosen = self._chosen(mid, name, keeper)
        reason = (
            "removed there, but someone wrote in it here: the field stays" if chosen is keeper else _YOURS
        )
        more = f" (and in {len(written) - 1} more notes)" if len(written) > 1 else ""
        self._tell(mid, name, None, {keeper: f"{titles.plain(written[0])}{more}"}, chosen, reason)
        return chosen is keeper

    def _chosen(self, mid: int, unit: str, default: Side) -> Side:
        """Say who stands where a part was removed: as a person said, or else as ever."""
        return self.settlement.answers.get((Table.NOTETYPES.value, mid, unit), default)

    def _edited(
        self, mid: int, templates: Mapping[Whose, tuple[Part, ...]], removed: Keys
    ) -> Collection[str]:
        """Report the removed templates that the other side edited; they go, with their cards, unless a person says no."""
        if not _left(templates, TEMPLATE_ID):
            return ()  # one side's come back, and all are told of at once
        kept = set()
        for key in removed:
            keeper = self._keeper(templates, key)
            keys = matched(templates[None], templates[keeper], TEMPLATE_ID, keeper)
            before = templates[None][int(key[1:])]
            if key in keys and templates[keeper][keys.index(key)] != before:
                now = titles.template(templates[keeper][keys.index(key)])
                chosen = self._chosen(mid, before.name, keeper.other)
                kept |= {key} if chosen is keeper else set()
                reason = "removed there, edited here: it goes; the edit is in the backup"
                reason = _YOURS if chosen is keeper else reason
                self._tell(mid, before.name, titles.template(before), {keeper: now}, chosen, reason)
        return kept

    def _emptied(self, mid: int, part: str, parts: Mapping[Whose, tuple[Part, ...]]) -> Side:
        """Say whose parts stay where each side removed all that the other kept, and report it."""
        unit = f"{part}s"
        chosen, why = self.settlement.settle(
            (Table.NOTETYPES.value, mid, unit), self._newer(self.versions[mid])
        )
        reason = f"each removed what the other kept, and a notetype needs one {part}; {why}"
        self._tell(
            mid, unit, _listed(parts[None]), {side: _listed(parts[side]) for side in Side}, chosen, reason
        )
        return chosen

    def _keeper(self, parts: Mapping[Whose, tuple[Part, ...]], key: str) -> Side:
        """Return the side that did not remove a part."""
        number = FIELD_ID if parts[None] and isinstance(parts[None][0], Field) else TEMPLATE_ID
        kept = (side for side in Side if key in matched(parts[None], parts[side], number, side))
        return next(kept, Side.DESKTOP)

    def _tell(
        self, mid: int, unit: str, before: str | None, held: Mapping[Side, str], chosen: Side, reason: str
    ) -> None:
        """Report parts that are held by some side only, and were removed on the other."""
        mine, theirs = (held.get(side, "removed") for side in Side)
        title = self.versions[mid][Side.DESKTOP].name
        values = before, mine, theirs
        self.conflicts.append(
            Conflict(Table.NOTETYPES.value, mid, title, unit, *values, chosen, reason, Weight.LOST)
        )

    # ---- rewriting

    def side(self, side: Side) -> Changes:
        """Rewrite one side."""
        changes = self.sides[side]
        rows = {
            **changes.rows,
            Table.NOTETYPES: {
                mid: self._notetype(mid, c, side) for mid, c in changes.of(Table.NOTETYPES).items()
            },
            Table.NOTES: {nid: self._note(c, side) for nid, c in changes.of(Table.NOTES).items()},
            Table.CARDS: {
                cid: card
                for cid, c in changes.of(Table.CARDS).items()
                if not self._orphan(cid, c, side) and _tells(card := self._card(c, side), c)
            },
        }
        return replace(changes, rows=rows)

    def _notetype(self, mid: int, change: Change, side: Side) -> Change:
        if mid not in self.versions:
            return change
        before = self._rewritten(mid, None) if change.ancestor else None
        return Change(before, self._rewritten(mid, side))

    def _rewritten(self, mid: int, whose: Whose) -> Notetype:
        """Return a version of a notetype in the merged shape, a part that it lacks as whoever has it."""
        versions = self.versions[mid]
        row = with_renames(versions[whose], self._names(mid, whose))
        if mid not in self.shapes:
            return row
        shapes = self.shapes[mid]
        return row._replace(
            config=self._sorted_by(row, shapes.fields, whose),
            fields=tuple(_part(shapes.fields, "fields", whose, versions)),
            templates=tuple(
                with_renames(row._replace(templates=(part,)), self._names(mid, owner)).templates[0]
                for part, owner in _owned(shapes.templates, whose, versions)
            ),
        )

    def _sorted_by(self, row: Notetype, fields: Layout, whose: Whose) -> bytes:
        """Let the sort field be the same field in its new place."""
        config = wire.split(row.config)
        at, keys = wire.varint(config.get(_SORT_FIELD, b"")), fields.at(whose)
        key = keys[at] if at < len(keys) else ""
        config.pop(_SORT_FIELD, None)
        if moved := wire.varint_field(_SORT_FIELD, fields.merged.index(key) if key in fields.merged else 0):
            config[_SORT_FIELD] = moved
        return wire.join(config)

    def _names(self, mid: int, whose: Whose) -> dict[str, str]:
        """Return how this version's field names read once both sides' renames are merged."""
        finals = self._finals(mid)
        named = self._named(mid)[whose]
        return {name: finals[key] for key, name in named.items() if finals[key] != name}

    def _named(self, mid: int) -> dict[Whose, dict[str, str]]:
        """Return the field names of all three versions, by key."""
        versions = self.versions[mid]
        fields = self.shapes[mid].fields if mid in self.shapes else _unmoved(versions)
        return {
            whose: dict(zip(fields.at(whose), (f.name for f in row.fields), strict=False))
            for whose, row in versions.items()
        }

    def field_names(self, mid: int) -> tuple[str, ...]:
        """Return the merged names of a notetype's fields, in the merged order."""
        finals = self._finals(mid)
        return tuple(finals[key] for key in self.shapes[mid].fields.merged)

    def _finals(self, mid: int) -> dict[str, str]:
        """Return the merged name of each field that some version has; no two that stay are alike."""
        named = self._named(mid)
        finals = {key: self._final_name(mid, key, named) for names in named.values() for key in names}
        staying = self.shapes[mid].fields.merged if mid in self.shapes else tuple(named[None])
        apart = told_apart([finals[key] for key in staying])
        return finals | dict(zip(staying, apart, strict=True))

    def _final_name(self, mid: int, key: str, named: Mapping[Whose, Mapping[str, str]]) -> str:
        known = [
            names[key] for names in (named[None], named[Side.DESKTOP], named[Side.PHONE]) if key in names
        ]
        old = named[None].get(key, known[0])
        mine, theirs = (named[side].get(key, old) for side in Side)
        match merge3(old, mine, theirs):
            case Outcome.SAME | Outcome.DESKTOP:
                return mine
            case Outcome.PHONE:
                return theirs
            case Outcome.CONFLICT:
                return mine if self.winner(mid, "name") is Side.DESKTOP else theirs

    def _note(self, change: Change, side: Side) -> Change:
        return Change(self._laid(change.ancestor, None, None), self._laid(change.now, side, change.ancestor))

    def _laid(self, note: Note | None, whose: Whose, ancestor: Note | None) -> Note | None:
        """Write a note in the merged order; a field that this side removed, and that stays, as it was before."""
        shapes = self.shapes.get(note.mid) if note else None
        if note is None or shapes is None:
            return note
        was = ancestor.flds if ancestor and ancestor.mid == note.mid else ""
        texts = fields_by_key(was, shapes.fields.at(None) if was else ())
        own = fields_by_key(note.flds, shapes.fields.at(whose))
        flds = laid_out({**texts, **own}, shapes.fields.merged)
        return note if flds == note.flds else note._replace(flds=flds, derived="")

    def _card(self, change: Change, side: Side) -> Change:
        before = self._placed(change.ancestor, None)
        return Change(before, before if self._back(change, side) else self._placed(change.now, side))

    def _back(self, change: Change, side: Side) -> bool:
        """Whether a card went on this side with a template that stays after all."""
        key, _ = self._template(change.ancestor, None)
        if change.now is not None or not key:
            return False
        nid, mid = change.ancestor.nid, self._mid(change.ancestor.nid, None)
        gone = self.sides[side].of(Table.NOTES).get(nid, _ALIVE).now is None
        return not gone and self._mid(nid, side) == mid and key in self.shapes[mid].templates.kept_from(side)

    def _placed(self, card: Card | None, whose: Whose) -> Card | None:
        key, templates = self._template(card, whose)
        return card._replace(ord=templates.index(key)) if card and key in templates else card

    def _orphan(self, cid: int, change: Change, side: Side) -> bool:
        """Whether a new card's template was removed on the other side; if so, note it."""
        key, templates = self._template(change.now, side)
        orphan = change.ancestor is None and bool(templates) and key not in templates
        if orphan:
            self.dropped.add(cid)
        return orphan

    def _template(self, card: Card | None, whose: Whose) -> tuple[str, Keys]:
        """Return the key of a card's template, and the merged order; nothing where its shape did not change."""
        shapes = self.shapes.get(self._mid(card.nid, whose)) if card else None
        if card is None or shapes is None or shapes.cloze or not shapes.templates.moved:
            return "", ()
        keys = shapes.templates.at(whose)
        return keys[card.ord] if card.ord < len(keys) else "", shapes.templates.merged

    def _mid(self, nid: int, whose: Whose) -> int:
        """Return which notetype a note has in one version; a side may have given it another."""
        changes = {side: found for side in Side if (found := self.sides[side].of(Table.NOTES).get(nid))}
        note = next((change.ancestor for change in changes.values()), None)
        if whose in changes:
            note = changes[whose].now or note
        return note.mid if note else self.mids.get(nid, 0)


def _tells(rewritten: Change, change: Change) -> bool:
    """Whether a change says anything: of a card that nobody changed only where it has to move."""
    return any(each.ancestor != each.now for each in (rewritten, change))


def _in_common(older: Notetype, newer: Notetype) -> Notetype:
    """Return what two versions of a notetype that both sides made have in common, as the older one has it."""
    fields = _common_parts(older.fields, newer.fields, FIELD_ID)
    templates = _common_parts(older.templates, newer.templates, TEMPLATE_ID)
    return older._replace(fields=fields, templates=templates)


_P = TypeVar("_P", Field, Template)


def _common_parts(older: tuple[_P, ...], newer: tuple[_P, ...], number: int) -> tuple[_P, ...]:
    keys = matched(older, newer, number, "n")
    return tuple(part for at, part in enumerate(older) if f"a{at}" in keys)


def _wrote(change: Change, mid: int, before: int, now: int) -> bool:
    """Whether a change put text into a field, which had one place before and has another now."""
    if change.now is None or change.now.mid != mid:
        return False
    text = change.now.flds.split("\x1f")[now : now + 1]
    was = change.ancestor.flds.split("\x1f")[before : before + 1] if change.ancestor else []
    return any(text) and text != was


def _left(parts: Mapping[Whose, tuple[Part, ...]], number: int) -> bool:
    """Whether some part is new, or on both sides."""
    mine, theirs = (set(matched(parts[None], parts[side], number, side)) for side in Side)
    return bool(mine & theirs) or any(not key.startswith("a") for key in mine | theirs)


def _listed(parts: tuple[Part, ...]) -> str:
    """Show parts: of a template, for one of them may have been edited, all that it says."""
    shown = (titles.template(part) if isinstance(part, Template) else part.name for part in parts)
    return "; ".join(shown)


def _unmoved(versions: Mapping[Whose, Notetype]) -> Layout:
    keys = tuple(f"a{at}" for at in range(len(versions[Side.DESKTOP].fields)))
    return Layout(dict.fromkeys(versions, keys), keys, Side.DESKTOP)


def _owned(
    layout_: Layout, whose: Whose, versions: Mapping[Whose, Notetype]
) -> Iterator[tuple[Template, Whose]]:
    for key in layout_.merged:
        owner = _owner(layout_, key, whose)
        yield versions[owner].templates[layout_.at(owner).index(key)], owner


def _part(layout_: Layout, kind: str, whose: Whose, versions: Mapping[Whose, Notetype]) -> Iterator[Field]:
    for key in layout_.merged:
        owner = _owner(layout_, key, whose)
        part: Field = getattr(versions[owner], kind)[layout_.at(owner).index(key)]
        yield part


def _owner(layout_: Layout, key: str, whose: Whose) -> Whose:
    """Return the version to take a part from: this one, else the ancestor, else whoever added it.

    Of a part that both added the older is taken for the ancestor, so that the newer stands.
    """
    order: tuple[Whose, ...] = (whose, None, layout_.newer.other, layout_.newer)
    return next(each for each in order if key in layout_.at(each))
