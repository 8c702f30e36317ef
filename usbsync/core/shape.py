"""Notetypes whose shape changed, merged three ways: fields and templates added, removed, renamed, moved.

A part (field or template) is followed by its own random id, else by its name. Each part gets a key that is
the same in all three versions, so notes and cards of either side can be read by key and written in the merged
order: nobody's text lands in another field, nobody's review on another card.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from usbsync.core import wire
from usbsync.core.changes import Field, Notetype, Template
from usbsync.core.conflict import Side
from usbsync.core.decks import Spot, distinct
from usbsync.core.unicase import unicase

FIELD_ID, TEMPLATE_ID = 9, 8  # field numbers in proto/anki/notetypes.proto
QUESTION, ANSWER = 1, 2

Key: TypeAlias = str
"""`a3`: the ancestor's fourth part; `d1`, `p0`: what the desktop or the phone added."""
Keys: TypeAlias = tuple[Key, ...]
Part: TypeAlias = Field | Template
Whose: TypeAlias = Side | None  # None: the ancestor
_P = TypeVar("_P", Field, Template)


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of one notetype in all three versions, and in the merged one, each in its order."""

    versions: Mapping[Whose, Keys]
    merged: Keys
    newer: Side  # whose version stands where both cannot

    def at(self, whose: Whose) -> Keys:
        """Return one version's parts."""
        return self.versions.get(whose, self.merged)

    @property
    def added(self) -> frozenset[Key]:
        """The parts that some side added."""
        return frozenset(self.merged) - frozenset(self.at(None))

    @property
    def grown(self) -> bool:
        """Whether some side gets a part that it lacks."""
        return bool(self.added) or any(map(self.kept_from, Side))

    def kept_from(self, side: Side) -> frozenset[Key]:
        """Return the parts that a side removed, and that stay all the same."""
        return frozenset(self.at(None)) & frozenset(self.merged) - frozenset(self.at(side))

    @property
    def moved(self) -> bool:
        """Whether some version is not laid out as the merged one."""
        return any(keys != self.merged for keys in self.versions.values())


@dataclass(frozen=True, slots=True)
class Shapes:
    """The layouts of one notetype's fields and templates."""

    fields: Layout
    templates: Layout
    cloze: bool = False  # a cloze card's `ord` is the number of its cloze, not of a template


# ---- who is who


def matched(old: Sequence[Part], new: Sequence[Part], number: int, prefix: str) -> Keys:
    """Give each of the new parts the key of the old one that it is, or a key of its own."""
    keys: dict[int, Key] = {}
    for same in (_same_id(number), _same_name, _same_place(old, new, number)):
        for at, part in enumerate(new):
            if at not in keys:
                free = (o for o in range(len(old)) if f"a{o}" not in keys.values())
                found = next((o for o in free if same(o, old[o], at, part)), None)
                if found is not None:
                    keys[at] = f"a{found}"
    return tuple(keys.get(at, f"{prefix}{at}") for at in range(len(new)))


_Same: TypeAlias = Callable[[int, Part, int, Part], bool]


def _same_id(number: int) -> _Same:
    return lambda _o, old, _n, new: (
        bool(part_id(old, number)) and part_id(old, number) == part_id(new, number)
    )


def _same_name(_o: int, old: Part, _n: int, new: Part) -> bool:
    return unicase(old.name) == unicase(new.name)


def _same_place(old: Sequence[Part], new: Sequence[Part], number: int) -> _Same:
    """Take a part that has no id for a renamed one where it stands alone in its place."""
    alike = len(old) == len(new)
    return lambda o, was, n, now: alike and o == n and not (part_id(was, number) and part_id(now, number))


def part_id(part: Part, number: int) -> bytes:
    """Return the id that Anki gave a part, as it is written, or nothing; old parts have none."""
    return wire.split(part.config).get(number, b"")


# ---- the merged order


def merged_order(ancestor: Keys, desktop: Keys, phone: Keys, newer: Side, kept: Collection[Key] = ()) -> Keys:
    """Merge two orders: what either removed is gone, but for `kept`; what either moved has moved.

    Additions come behind whom they stood behind on their own side.
    """
    living = [key for key in ancestor if key in kept or (key in desktop and key in phone)]
    shared = [key for key in living if key in desktop and key in phone]
    orders = {side: [key for key in keys if key in shared] for side, keys in _sides(desktop, phone)}
    moved = [side for side in Side if orders[side] != shared]
    order = orders[newer if len(moved) == len(Side) else moved[0] if moved else Side.DESKTOP]
    result = _inserted(order, ancestor, [key for key in living if key not in shared])
    for side in (newer, newer.other):
        keys = desktop if side is Side.DESKTOP else phone
        result = _inserted(result, keys, [key for key in keys if key not in ancestor and key not in result])
    return tuple(result)


def _sides(desktop: Keys, phone: Keys) -> Iterable[tuple[Side, Keys]]:
    return (Side.DESKTOP, desktop), (Side.PHONE, phone)


def _inserted(order: Sequence[Key], model: Keys, new: Iterable[Key]) -> list[Key]:
    """Insert keys behind whom they follow in the model."""
    result = list(order)
    for key in new:
        before = [each for each in model[: model.index(key)] if each in result]
        result.insert(result.index(before[-1]) + 1 if before else 0, key)
    return result


def layout(
    parts: Mapping[Whose, Sequence[Part]],
    number: int,
    newer: Side,
    kept: Callable[[Keys], Collection[Key]],
    emptied: Callable[[], Side],
) -> Layout:
    """Lay out one kind of part of a notetype; `parts` of a side that did not change it are the ancestor's.

    `kept` says which of the removed parts stay; `emptied` whose parts do, where otherwise none would.
    """
    old = parts[None]
    ancestor = tuple(f"a{at}" for at in range(len(old)))
    desktop = matched(old, parts[Side.DESKTOP], number, "d")
    phone = _known_as(matched(old, parts[Side.PHONE], number, "p"), parts, desktop)
    removed = tuple(key for key in ancestor if key not in desktop or key not in phone)
    merged = merged_order(ancestor, desktop, phone, newer, kept(removed))
    if not merged:  # each removed what the other kept: a notetype has at least one of each
        newer = emptied()
        merged = desktop if newer is Side.DESKTOP else phone
    return Layout({None: ancestor, Side.DESKTOP: desktop, Side.PHONE: phone}, merged, newer)


def _known_as(phone: Keys, parts: Mapping[Whose, Sequence[Part]], desktop: Keys) -> Keys:
    """Let two parts of one name that both sides added be one."""
    names = {
        unicase(part.name): key
        for key, part in zip(desktop, parts[Side.DESKTOP], strict=True)
        if key.startswith("d")
    }
    own = zip(phone, parts[Side.PHONE], strict=True)
    return tuple(names.get(unicase(part.name), key) if key.startswith("p") else key for key, part in own)


# ---- field names in templates


def told_apart(names: Sequence[str]) -> list[str]:
    """Give parts that came to one name distinct ones: the first keeps it, the others get Anki's `+`."""
    return [spot.leaf for spot in distinct({at: Spot(None, name) for at, name in enumerate(names)}).values()]


def with_parts_apart(notetype: Notetype) -> Notetype:
    """Give fields, and templates, that came to one name distinct ones."""
    fields, templates = (
        told_apart([part.name for part in parts]) for parts in (notetype.fields, notetype.templates)
    )
    return notetype._replace(
        fields=tuple(map(_called, notetype.fields, fields)),
        templates=tuple(map(_called, notetype.templates, templates)),
    )


def _called(part: _P, name: str) -> _P:
    return part._replace(name=name)


def with_renames(notetype: Notetype, names: Mapping[str, str]) -> Notetype:
    """Rewrite a notetype's templates as Anki does when fields are renamed."""
    if not names:
        return notetype
    return notetype._replace(templates=tuple(_renamed(each, names) for each in notetype.templates))


def _renamed(template: Template, names: Mapping[str, str]) -> Template:
    fields = wire.split(template.config)
    for number in (QUESTION, ANSWER):
        text = wire.message(fields.get(number, b"")).decode("utf-8", "surrogateescape")
        if text:
            changed = rename_in_text(text, names).encode("utf-8", "surrogateescape")
            fields[number] = wire.message_field(number, changed)
    return template._replace(config=wire.join(fields))


def rename_in_text(text: str, names: Mapping[str, str]) -> str:
    """Rewrite `{{Front}}`, `{{#Front}}`, `{{cloze:Front}}` and their like."""
    if not names:
        return text
    wanted = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(r"(\{\{\s*[#^/]?\s*(?:[^{}:]+:)*\s*)(" + wanted + r")(\s*\}\})")
    return pattern.sub(lambda found: found[1] + names[found[2]] + found[3], text)


# ---- notes and cards by key


def fields_by_key(flds: str, keys: Keys) -> dict[Key, str]:
    """Read a note's fields by key; a note with too few or too many is read as far as it goes."""
    return dict(zip(keys, flds.split("\x1f"), strict=False))


def laid_out(fields: Mapping[Key, str | None], order: Keys) -> str:
    """Write fields in an order; one that the note never had is empty."""
    return "\x1f".join(fields.get(key) or "" for key in order)
