"""Rows taken apart into the units that merge on their own, and put together again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from usbsync.core import wire
from usbsync.core.changes import (
    Card,
    ConfigEntry,
    Deck,
    DeckConfig,
    Field,
    Note,
    Notetype,
    Row,
    Table,
    Tag,
    Template,
)
from usbsync.core.unicase import unicase

Units: TypeAlias = Mapping[str, Any]


def touched(before: Units, after: Units) -> set[str]:
    """Return the units that a row has otherwise than before."""
    return {unit for unit in before.keys() | after.keys() if before.get(unit) != after.get(unit)}


SUSPENDED, SIBLING_BURIED, USER_BURIED = -1, -2, -3
_NEW, _LEARN, _REVIEW, _DAY_LEARN = 0, 1, 2, 3
_TYPE_LEARN, _TYPE_REVIEW, _TYPE_RELEARN = 1, 2, 3
FIRST_TIMESTAMP = (
    1_000_000_000  # below it `due` is a day, above it a moment (rslib `is_unix_epoch_timestamp`)
)


def split_note(note: Note) -> Units:
    """Take a note apart: its notetype, each field by place, each tag by its folded name."""
    fields = {f"field:{ord_}": text for ord_, text in enumerate(note.flds.split("\x1f"))}
    tags = {f"tag:{unicase(tag)}": tag for tag in note.tags.split()}
    rest = {"notetype": note.mid, "guid": note.guid, "flags": note.flags, "data": note.data, "mod": note.mod}
    return fields | tags | rest


def without_blanks(desktop: Units, phone: Units) -> tuple[Units, Units]:
    """Leave out the empty fields of a note that both made where the other wrote something: that adds, and clears nothing."""
    return _written(desktop, phone), _written(phone, desktop)


def _written(own: Units, other: Units) -> Units:
    return {
        name: value
        for name, value in own.items()
        if value or not name.startswith("field:") or not other.get(name)
    }


def join_note(units: Units, like: Note) -> Note:
    """Put a note together; its tags in Anki's order, `derived` left empty for Anki to work out."""
    places = sum(name.startswith("field:") and text is not None for name, text in units.items())
    fields = [units[f"field:{ord_}"] for ord_ in range(places)]
    tags = sorted((v for name, v in units.items() if name.startswith("tag:") and v is not None), key=unicase)
    return Note(
        id=like.id,
        guid=units["guid"],
        mid=units["notetype"],
        mod=units["mod"],
        tags=f" {' '.join(tags)} " if tags else "",
        flds="\x1f".join(fields),
        flags=units["flags"],
        data=units["data"],
        derived="",
    )


def resting_queue(card: Card) -> int:
    """Return the queue of a card as if it were neither suspended nor buried (rslib `restore_queue_from_type`)."""
    if card.queue >= 0:
        return card.queue
    if card.type in {_TYPE_LEARN, _TYPE_RELEARN}:
        return _LEARN if card.due > FIRST_TIMESTAMP else _DAY_LEARN
    return _REVIEW if card.type == _TYPE_REVIEW else _NEW


def split_card(card: Card) -> Units:
    """Take a card apart; in a filtered deck its home is `odid`, and being there belongs to its schedule."""
    filtered = card.did if card.odid else 0
    return {
        "note": card.nid,
        "ord": card.ord,
        "deck": card.odid or card.did,
        "schedule": (
            card.type,
            resting_queue(card),
            card.due,
            card.ivl,
            card.factor,
            card.left,
            card.odue,
            filtered,
            card.data,
        ),
        "counts": (card.reps, card.lapses),
        "flag": card.flags,
        "suspended": card.queue == SUSPENDED,
        "buried": card.queue if card.queue in {SIBLING_BURIED, USER_BURIED} else 0,
        "mod": card.mod,
    }


def at_home(schedule: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the schedule that a card has outside of any filtered deck: all that studying it makes of it."""
    type_, queue, due, ivl, factor, left, odue, filtered, data = schedule
    if not filtered:
        return schedule
    due = odue or due
    learning = _LEARN if due > FIRST_TIMESTAMP else _DAY_LEARN
    queue = {_TYPE_LEARN: learning, _TYPE_RELEARN: learning, _TYPE_REVIEW: _REVIEW}.get(type_, _NEW)
    return type_, queue, due, ivl, factor, left, 0, 0, data


def join_card(units: Units, like: Card) -> Card:
    """Put a card together."""
    type_, queue, due, ivl, factor, left, odue, filtered, data = units["schedule"]
    reps, lapses = units["counts"]
    return Card(
        id=like.id,
        nid=units["note"],
        did=filtered or units["deck"],
        ord=units["ord"],
        mod=units["mod"],
        type=type_,
        queue=SUSPENDED if units["suspended"] else units["buried"] or queue,
        due=due,
        ivl=ivl,
        factor=factor,
        reps=reps,
        lapses=lapses,
        left=left,
        odue=odue,
        odid=units["deck"] if filtered else 0,
        flags=units["flag"],
        data=data,
    )


_DATA_ORDER = ("pos", "s", "d", "dr", "decay", "lrt", "cd")  # as rslib writes them (storage/card/data.rs)


def with_last_review(card: Card, *versions: Card) -> Card:
    """Keep the time of the last review in a card whose schedule was set by hand after an answer on the other side.

    Anki's database check adds it where a studied card lacks it. A card that was reset to new has none.
    """
    known = [at for each in versions if isinstance(at := _card_data(each).get("lrt"), int)]
    data = _card_data(card)
    if card.type == _NEW or not known or max(known) <= data.get("lrt", 0):
        return card
    both = {**data, "lrt": max(known)}
    ordered = {key: both[key] for key in (*_DATA_ORDER, *both) if key in both}
    return card._replace(data=json.dumps(ordered, separators=(",", ":"), ensure_ascii=False))


def without_last_review(card: Card) -> Card:
    """Forget when a card was last reviewed."""
    data = {key: value for key, value in _card_data(card).items() if key != "lrt"}
    if len(data) == len(_card_data(card)):
        return card
    return card._replace(data=json.dumps(data, separators=(",", ":"), ensure_ascii=False))


def _card_data(card: Card) -> dict[str, Any]:
    try:
        found = json.loads(card.data or "{}")
    except (ValueError, RecursionError):  # no JSON, or brackets in brackets without end
        return {}
    return found if isinstance(found, dict) else {}


def sent_home(card: Card) -> Card:
    """Take a card out of a filtered deck, as rslib's `remove_from_filtered_deck_restoring_queue` does."""
    if not card.odid:
        return card
    home = card._replace(did=card.odid, odid=0, due=card.odue or card.due, odue=0)
    return home._replace(queue=resting_queue(home._replace(queue=SUSPENDED))) if card.queue >= 0 else home


# Field numbers of anki.decks.Deck.Common, .Normal and .KindContainer (proto/anki/decks.proto).
_COLLAPSED = (1, 2)
_TODAY = (3, 4, 5, 6, 7)  # day, new, review, learning, ms
_NORMAL, _FILTERED = 1, 2
_CONFIG_ID, _DESCRIPTION = 1, (4, 5)
_LIMITS = (2, 3, 6, 7, 8, 9, 10)


def split_deck(deck: Deck) -> Units:
    """Take a deck apart, all but its name, which is a matter of the whole tree (`decks.py`)."""
    common = wire.split(deck.common)
    units: dict[str, Any] = {
        "today": tuple(wire.varint(common.get(n, b"")) for n in _TODAY),
        "mod": deck.mtime,
    }
    for number, raw in common.items():
        if number not in _TODAY:
            units[f"{'collapsed' if number in _COLLAPSED else 'common'}:{number}"] = raw
    if is_filtered(deck):
        return units | {"filter": deck.kind}
    for number, raw in wire.split(wire.message(wire.split(deck.kind).get(_NORMAL, b""))).items():
        units[f"{_normal_unit(number)}:{number}"] = raw
    return units


def is_filtered(deck: Deck) -> bool:
    """Whether the deck is a filtered one."""
    return _FILTERED in wire.split(deck.kind)


def options_of(deck: Deck) -> int:
    """Return the id of the deck's options, or 0 for a filtered deck."""
    normal = wire.split(wire.message(wire.split(deck.kind).get(_NORMAL, b"")))
    return wire.varint(normal.get(_CONFIG_ID, b""))


def _normal_unit(number: int) -> str:
    if number == _CONFIG_ID:
        return "options"
    if number in _DESCRIPTION:
        return "description"
    return "limits" if number in _LIMITS else "kind"


def join_deck(units: Units, like: Deck) -> Deck:
    """Put a deck together under the name of `like`."""
    common = _numbered(units, "collapsed", "common")
    common |= {
        n: wire.varint_field(n, value) for n, value in zip(_TODAY, units["today"], strict=True) if value
    }
    if units.get("filter") is not None:
        kind = units["filter"]
    else:
        normal = wire.join(_numbered(units, "options", "description", "limits", "kind"))
        kind = wire.message_field(_NORMAL, normal)
    return Deck(id=like.id, name=like.name, mtime=units["mod"], common=wire.join(common), kind=kind)


def _numbered(units: Units, *groups: str) -> dict[int, bytes]:
    """Gather the units named `group:NUMBER` of these groups into one message's fields."""
    found: dict[int, bytes] = {}
    for name, raw in units.items():
        group, _, number = name.rpartition(":")
        if group in groups and raw is not None:
            found[int(number)] = raw
    return found


def split_deck_config(row: DeckConfig) -> Units:
    """Take deck options apart, option by option."""
    options = {f"option:{number}": raw for number, raw in wire.split(row.config).items()}
    return options | {"name": row.name, "mod": row.mtime}


def join_deck_config(units: Units, like: DeckConfig) -> DeckConfig:
    """Put deck options together."""
    return DeckConfig(
        id=like.id, name=units["name"], mtime=units["mod"], config=wire.join(_numbered(units, "option"))
    )


def split_notetype(row: Notetype) -> Units:
    """Take a notetype apart: name, each setting, each field and template with each of their settings."""
    units: dict[str, Any] = {"name": row.name, "mod": row.mtime}
    units |= {f"config:{number}": raw for number, raw in wire.split(row.config).items()}
    for at, part in enumerate(row.fields):
        units |= _split_part(f"field:{at}", part)
    for at, template in enumerate(row.templates):
        units |= _split_part(f"template:{at}", template)
        units[f"stamp:{at}"] = template.mtime
    return units


def _split_part(prefix: str, part: Field | Template) -> dict[str, Any]:
    settings = {f"{prefix}:config:{number}": raw for number, raw in wire.split(part.config).items()}
    return settings | {f"{prefix}:name": part.name}


def join_notetype(units: Units, like: Notetype) -> Notetype:
    """Put a notetype together in the shape of `like`."""
    return Notetype(
        id=like.id,
        name=units["name"],
        mtime=units["mod"],
        config=wire.join(_numbered(units, "config")),
        fields=tuple(
            Field(units[f"field:{at}:name"], wire.join(_numbered(units, f"field:{at}:config")))
            for at in range(len(like.fields))
        ),
        templates=tuple(
            Template(
                units[f"template:{at}:name"],
                units[f"stamp:{at}"],
                wire.join(_numbered(units, f"template:{at}:config")),
            )
            for at in range(len(like.templates))
        ),
    )


def split_config(row: ConfigEntry) -> Units:
    """Take a preference apart; its key is in the unit's name, for keys have rules of their own."""
    return {f"value:{row.key}": row.val, "mod": row.mtime}


def join_config(units: Units, like: ConfigEntry) -> ConfigEntry:
    """Put a preference together."""
    return ConfigEntry(key=like.key, mtime=units["mod"], val=units[f"value:{like.key}"])


def split_tag(row: Tag) -> Units:
    """Take a tag apart."""
    return {"spelling": row.tag, "collapsed": row.collapsed}


def join_tag(units: Units, like: Tag) -> Tag:  # noqa: ARG001 - all joins are called alike
    """Put a tag together."""
    return Tag(tag=units["spelling"], collapsed=units["collapsed"])


SPLIT: Mapping[Table, Callable[[Any], Units]] = {
    Table.NOTES: split_note,
    Table.CARDS: split_card,
    Table.DECKS: split_deck,
    Table.DECK_CONFIG: split_deck_config,
    Table.NOTETYPES: split_notetype,
    Table.CONFIG: split_config,
    Table.TAGS: split_tag,
}
JOIN: Mapping[Table, Callable[[Units, Any], Row]] = {
    Table.NOTES: join_note,
    Table.CARDS: join_card,
    Table.DECKS: join_deck,
    Table.DECK_CONFIG: join_deck_config,
    Table.NOTETYPES: join_notetype,
    Table.CONFIG: join_config,
    Table.TAGS: join_tag,
}
