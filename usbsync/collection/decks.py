"""Decks' packages (`.apkg`): some of a collection, written and taken in by Anki's own exporter and importer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from usbsync.errors import DamagedData, UsageError

if TYPE_CHECKING:
    from anki.cards import CardId
    from anki.collection import Collection
    from anki.import_export_pb2 import ImportAnkiPackageUpdateCondition

# Anki is imported where it is used, as in `package_check`.


class Update(StrEnum):
    """When what is there already takes over what a package brings."""

    IF_NEWER = "if-newer"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class DeckExport:
    """What goes into a deck's package, by Anki's names; no decks: all."""

    decks: tuple[str, ...] = ()
    with_scheduling: bool = True
    with_deck_configs: bool = True
    with_media: bool = True
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class DeckImport:
    """How a deck's package is taken in, by Anki's names."""

    merge_notetypes: bool = False
    update_notes: Update = Update.IF_NEWER
    update_notetypes: Update = Update.IF_NEWER
    with_scheduling: bool = True
    with_deck_configs: bool = True


def export_decks(collection: Path, target: Path, options: DeckExport) -> int:
    """Write decks of a scratch copy, its media folder beside it; returns how many notes went in.

    Raises UsageError where there is no deck of that name.
    """
    from anki.collection import CardIdsLimit, ExportAnkiPackageOptions  # noqa: PLC0415

    with _open(collection) as col:
        cards = {card for deck in options.decks for card in _cards(col, deck)}
        return col.export_anki_package(
            out_path=str(target),
            options=ExportAnkiPackageOptions(
                with_scheduling=options.with_scheduling,
                with_deck_configs=options.with_deck_configs,
                with_media=options.with_media,
                legacy=options.legacy,
            ),
            limit=CardIdsLimit(sorted(cards)) if options.decks else None,
        )


def _cards(col: Collection, name: str) -> list[CardId]:
    """Return the cards of a deck and of the decks below it, those of filtered decks among them."""
    deck = col.decks.id_for_name(name)
    if deck is None:
        names = ", ".join(sorted(each.name for each in col.decks.all_names_and_ids()))
        raise UsageError(f"there is no deck {name!r}", hint=f"the decks are: {names}")
    return [card for did in (deck, *col.decks.child_ids(name)) for card in col.decks.cids(did)]


def import_decks(collection: Path, package: Path, options: DeckImport) -> Mapping[str, int]:
    """Take a deck's package that was looked into into a scratch copy, its media folder beside it.

    Returns how many notes were `new`, `updated`, `duplicate` and `conflicting`. Raises DamagedData.
    """
    from anki.collection import ImportAnkiPackageRequest  # noqa: PLC0415
    from anki.import_export_pb2 import ImportAnkiPackageOptions  # noqa: PLC0415

    request = ImportAnkiPackageRequest(
        package_path=str(package),
        options=ImportAnkiPackageOptions(
            merge_notetypes=options.merge_notetypes,
            update_notes=_condition(options.update_notes),
            update_notetypes=_condition(options.update_notetypes),
            with_scheduling=options.with_scheduling,
            with_deck_configs=options.with_deck_configs,
        ),
    )
    with _open(collection) as col:
        log = col.import_anki_package(request).log
        return {what: len(getattr(log, what)) for what in ("new", "updated", "duplicate", "conflicting")}


def _condition(update: Update) -> ImportAnkiPackageUpdateCondition.ValueType:
    from anki.import_export_pb2 import ImportAnkiPackageUpdateCondition as Condition  # noqa: PLC0415

    name = update.name  # as Anki names them
    return Condition.Value(f"IMPORT_ANKI_PACKAGE_UPDATE_CONDITION_{name}")


@contextmanager
def _open(collection: Path) -> Iterator[Collection]:
    from anki.collection import Collection  # noqa: PLC0415
    from anki.errors import AnkiException  # noqa: PLC0415

    try:
        col = Collection(str(collection))
        try:
            yield col
        finally:
            col.close()
    except AnkiException as error:
        raise DamagedData(f"Anki cannot do that: {error}; nothing was changed") from error
