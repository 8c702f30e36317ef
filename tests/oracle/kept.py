"""What each side did, looked for in the result and in the report: plain SQLite and Anki's protobuf, no code of ours.

Nothing that a person wrote, set, filed or answered may be missing from both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from anki import deck_config_pb2, decks_pb2, notetypes_pb2
from oracle.contents import Contents

from usbsync.core.conflict import Conflict
from usbsync.core.unicase import unicase

APPS_OWN = (
    "activeCols", "activeDecks", "browser", "curDeck", "curModel", "lastUnburied", "localOffset", "nextPos",
    "sort", "_deck_", "_nt_",
)  # fmt: skip
"""Preferences in which the apps note what was open last: nobody sets them."""


@dataclass(frozen=True)
class Told:
    """The report."""

    conflicts: tuple[Conflict, ...]

    def of(self, table: str, key: object, unit: str = "") -> bool:
        """Whether it speaks of this row, and (where one is named) of this unit or of the whole row."""
        mine = [c for c in self.conflicts if (c.kind, c.id) == (table, key)]
        return any(not unit or c.unit in {unit, "deletion", "notetype"} for c in mine)

    def deleted(self, table: str, key: object) -> bool:
        return self.of(table, key, "deletion")

    def text(self, table: str, key: object, text: str) -> bool:
        """Whether it shows these words as what one side had."""
        mine = [c for c in self.conflicts if (c.kind, c.id) == (table, key)]
        return any(text in {c.desktop, c.phone} for c in mine)


def missing(before: Contents, side: Contents, other: Contents, result: Contents, told: Told) -> list[object]:
    """Name what one side did and neither the result nor the report holds."""
    searches = (_notes, _cards, _decks, _options, _notetypes, _preferences, _tags, _removed)
    return [found for search in searches for found in search(before, side, other, result, told)]


def answers_missing(before: Contents, sides: list[Contents], result: Contents) -> Counter:
    """Count the answers of both sides that are not in the result, each as often as it was given."""
    given = {(key, *_answer(row)) for side in sides for key, row in side["revlog"].items()}
    return Counter(answer[1:] for answer in given) - Counter(map(_answer, result["revlog"].values()))


def _answer(row: dict) -> tuple:
    return tuple(value for name, value in row.items() if name not in {"id", "usn"})


def _changed(table: str, before: Contents, side: Contents) -> Iterator[tuple[object, dict | None, dict]]:
    for key, row in side[table].items():
        old = before[table].get(key)
        if old is None or _bare(old) != _bare(row):
            yield key[0], old, row


def _bare(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "usn"}


def _notes(before, side, _other, result, told):
    by_guid = {row["guid"]: row for row in result["notes"].values()}
    for nid, old, row in _changed("notes", before, side):
        now = by_guid.get(row["guid"])
        if told.deleted("notes", nid):
            continue
        fields = old["flds"].split("\x1f") if old else []
        texts = now["flds"].split("\x1f") if now else []
        for text in row["flds"].split("\x1f"):
            if text not in fields and text not in texts and not told.text("notes", nid, text):
                yield "words", nid, text
        was, is_, kept = (_tags_of(each) for each in (old, row, now))
        for tag in is_ - was - kept:
            if tag != "leech" and not told.of("notes", nid):
                yield "tag", nid, tag
        for tag in (was - is_) & kept:
            if not told.of("notes", nid):
                yield "tag is back", nid, tag


def _tags_of(row: dict | None) -> set[str]:
    return {unicase(tag) for tag in row["tags"].split()} if row else set()


def _cards(before, side, other, result, told):
    places = {(row["nid"], row["ord"]): row for row in result["cards"].values()}
    for cid, old, row in _changed("cards", before, side):
        now = result["cards"].get((cid,)) or places.get((row["nid"], row["ord"]))
        if told.deleted("cards", cid) or told.deleted("notes", row["nid"]):
            continue
        if now is None:
            gone = cid and (cid,) not in other["cards"] and old is not None
            yield ("card", cid) if not gone else ("card deleted there, changed here, and nobody told", cid)
            continue
        for unit, value in _card_units(row, side).items():
            had = _card_units(old, before)[unit] if old else None
            if value != had and _card_units(now, result)[unit] != value and not told.of("cards", cid):
                yield unit, cid, value


def _card_units(row: dict, whose: Contents) -> dict[str, object]:
    deck = whose["decks"].get((row["odid"] or row["did"],))
    return {
        "deck": (row["odid"] or row["did"]) if deck is None else deck["id"],
        "flag": row["flags"],
        "suspended": row["queue"] == -1,
    }


def _decks(before, side, _other, result, told):
    names = {unicase(row["name"].split("\x1f")[-1]) for row in result["decks"].values()}
    for did, old, row in _changed("decks", before, side):
        if told.deleted("decks", did):
            continue
        leaf, had = (unicase(each["name"].split("\x1f")[-1]) if each else None for each in (row, old))
        if leaf != had and leaf not in names and not told.of("decks", did):
            yield "deck's name", did, row["name"]
        above, was, kept = (_parent(did, each) for each in (side, before, result))
        if old is not None and above not in {was, kept} and not told.of("decks", did):
            yield "deck's place", did, row["name"]
        now = result["decks"].get((did,))
        if now is not None:
            yield from _settings("decks", did, _kind(old), _kind(row), _kind(now), told)


def _parent(did: int, whose: Contents) -> int | None:
    ids = {unicase(row["name"]): row["id"] for row in whose["decks"].values()}
    row = whose["decks"].get((did,))
    return ids.get(unicase(row["name"].rpartition("\x1f")[0])) if row else None


def _kind(row: dict | None):
    return _said(decks_pb2.Deck.KindContainer.FromString(row["kind"]).normal) if row else {}


def _options(before, side, _other, result, told):
    for key, old, row in _changed("deck_config", before, side):
        now = result["deck_config"].get((key,))
        if now is None:
            if not told.of("deck_config", key):
                yield "options", key
            continue
        three = [
            _said(deck_config_pb2.DeckConfig.Config.FromString(each["config"])) | {"name": each["name"]}
            if each
            else {}
            for each in (old, row, now)
        ]
        yield from _settings("deck_config", key, *three, told)


def _notetypes(before, side, _other, result, told):
    for mid, old, row in _changed("notetypes", before, side):
        now = result["notetypes"].get((mid,))
        if now is None:
            yield "notetype", mid
            continue
        three = [
            _said(notetypes_pb2.Notetype.Config.FromString(each["config"])) | {"name": each["name"]}
            if each
            else {}
            for each in (old, row, now)
        ]
        three = [{name: value for name, value in each.items() if name != "reqs"} for each in three]
        yield from _settings("notetypes", mid, *three, told)
    for table, parse in (
        ("fields", notetypes_pb2.Notetype.Field.Config),
        ("templates", notetypes_pb2.Notetype.Template.Config),
    ):
        for key, row in side[table].items():
            old, now = before[table].get(key), result[table].get(key)
            if (key[0],) not in before["notetypes"]:
                continue
            three = [
                _said(parse.FromString(each["config"])) | {"name": each["name"]} if each else {}
                for each in (old, row, now)
            ]
            three = [{name: value for name, value in each.items() if name != "id"} for each in three]
            yield from _settings("notetypes", key[0], *three, told)


def _said(message) -> dict[str, object]:
    return {entry.name: str(value) for entry, value in message.ListFields()}


def _settings(table, key, old, new, now, told) -> Iterator[tuple]:
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name) != now.get(name) and not told.of(table, key):
            yield table, key, name, new.get(name)


def _preferences(before, side, _other, result, told):
    for key, old, row in _changed("config", before, side):
        now = result["config"].get((key,))
        kept = now is not None and now["val"] == row["val"]
        was_set = (old is None or old["val"] != row["val"]) and not key.startswith(APPS_OWN)
        if was_set and not kept and not told.of("config", key):
            yield "preference", key, row["val"]


def _tags(before, side, _other, result, told):
    was, now = ({unicase(row["tag"]) for row in each["tags"].values()} for each in (before, result))
    for row in side["tags"].values():
        if unicase(row["tag"]) not in was | now:
            carriers = [
                nid for (nid,), note in side["notes"].items() if unicase(row["tag"]) in _tags_of(note)
            ]
            if not carriers or not all(told.of("notes", nid) for nid in carriers):
                yield "tag in the list", row["tag"]


def _removed(before, side, _other, result, told):
    for table in ("notes", "cards", "decks", "deck_config", "notetypes", "config"):
        for key in before[table].keys() - side[table].keys():
            own = table == "config" and key[0].startswith(APPS_OWN)
            if key in result[table] and not own and not told.of(table, key[0]):
                nid = before[table][key]["nid"] if table == "cards" else None
                if nid is None or not told.deleted("notes", nid):
                    yield "deleted, and is back", table, key
