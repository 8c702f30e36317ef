"""The time of change of what was merged: newer than every version that it takes the place of.

AnkiWeb goes by these stamps alone, and of two versions with one stamp each side keeps its own, or they swap
(`anki-sync.md` 1.2). A row made of both sides' work under the newer one's stamp would be taken for that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from usbsync.core.changes import Card, Change, Changes, Key, Note, Notetype, Table

_STAMPS = {
    Table.NOTES: "mod",
    Table.CARDS: "mod",
    Table.DECKS: "mtime",
    Table.DECK_CONFIG: "mtime",
    Table.NOTETYPES: "mtime",
}


def stamped(
    rows: Mapping[Table, Mapping[Key, Any]], desktop: Changes, phone: Changes
) -> dict[Table, Mapping[Key, Any]]:
    """Return the merged rows, each with a stamp newer than those of the versions it replaces."""
    result = dict(rows)
    for table, stamp in _STAMPS.items():
        mine, theirs = desktop.of(table), phone.of(table)
        result[table] = {
            key: row and _stamped(row, stamp, mine.get(key), theirs.get(key))
            for key, row in rows.get(table, {}).items()
        }
    return result


def _stamped(row: Any, stamp: str, mine: Change | None, theirs: Change | None) -> Any:
    """Stamp one row; as one side alone wrote it, it keeps its stamp, whatever that is: so does AnkiWeb."""
    changes = [change for change in (mine, theirs) if change]
    held = [change.now for change in changes]
    if len(changes) == 1:
        if _content(row) == _content(held[0]):
            return row
        held.append(changes[0].ancestor)
    replaced = [getattr(each, stamp) for each in held if each and _content(each) != _content(row)]
    newest = max((value + 1 for value in replaced), default=0)
    return row if getattr(row, stamp) >= newest else row._replace(**{stamp: newest})


def _content(row: Any) -> Any:
    """Return a row without its stamps and without what Anki derives."""
    match row:
        case None:
            return None
        case Note():
            return row._replace(mod=0, derived="")
        case Card():
            return row._replace(mod=0)
        case Notetype():
            return row._replace(mtime=0, templates=tuple(each._replace(mtime=0) for each in row.templates))
        case _:
            return row._replace(mtime=0)
