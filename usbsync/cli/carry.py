"""The commands for packages: export and import."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from usbsync.cli.common import Collection, Device, Json, Profile, device_named, options_of, show
from usbsync.cli.render import render_report, size_of
from usbsync.cli.terminal import Terminal
from usbsync.collection.decks import DeckExport, DeckImport, Update
from usbsync.core.conflict import Side
from usbsync.errors import ChoiceNeeded, UsageError
from usbsync.session.exporting import Exported, export_to_phone
from usbsync.session.exporting import export as run_export
from usbsync.session.importing import Taken, import_package
from usbsync.session.lying import Lying, fetched, lying
from usbsync.session.options import Options

carry = typer.Typer()

Scheduling = Annotated[bool, typer.Option(help="Whether reviews and due dates go with the cards.")]
DeckConfigs = Annotated[bool, typer.Option(help="Whether the decks' options go with them.")]


@carry.command("export")
def export(
    file: Annotated[
        Path | None, typer.Argument(help="NAME.colpkg for all, NAME.apkg for decks.", metavar="FILE")
    ] = None,
    of: Annotated[Side, typer.Option("--of", help="Whose collection.")] = Side.DESKTOP,
    to: Annotated[
        Side, typer.Option("--to", help="Where it goes: a file here, or the phone's Download folder.")
    ] = Side.DESKTOP,
    deck: Annotated[
        list[str] | None, typer.Option("--deck", help="Only this deck and those below it; may be repeated.")
    ] = None,
    with_scheduling: Scheduling = True,
    with_deck_configs: DeckConfigs = True,
    with_media: Annotated[bool, typer.Option(help="Whether media files go with the notes.")] = True,
    legacy: Annotated[bool, typer.Option("--legacy", help="As Anki before 2.1.50 reads it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace a file of that name.")] = False,
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    json_: Json = False,
) -> None:
    """Write a package of the desktop's or the phone's collection, or of some of its decks."""
    options = options_of(device=device, collection=collection, profile=profile)
    how = DeckExport(tuple(deck or ()), with_scheduling, with_deck_configs, with_media, legacy)
    target = file or Path(f"{of}-{time.strftime('%Y-%m-%d')}.{'apkg' if deck else 'colpkg'}")
    with Terminal(quiet=json_) as talk:
        if to is Side.PHONE:
            made = export_to_phone(options, talk, str(target), how, of=of, over=yes)
        else:
            made = run_export(options, talk, target, how, of=of, over=yes)
    show(_exported(made), json_=json_, data={"path": made.path, "size": made.size, "notes": made.notes})


def _exported(made: Exported) -> str:
    notes = "" if made.notes is None else f", {made.notes:,} notes"
    text = f"{made.path}: {size_of(made.size)}{notes}"
    if not made.on_phone:
        return text
    name = made.path.rpartition("/")[2]
    kind = "asks whether to replace its collection" if name.endswith(".colpkg") else "adds what is in it"
    return f"{text}\non the phone: open Files, Downloads, tap {name}, choose AnkiDroid; it {kind}"


@carry.command("import")
def import_(
    file: Annotated[str | None, typer.Argument(help="The .apkg or .colpkg file.", metavar="FILE")] = None,
    into: Annotated[Side, typer.Option("--into", help="Whose collection takes it in.")] = Side.DESKTOP,
    from_: Annotated[
        Side, typer.Option("--from", help="Where the file is; from the phone without a FILE: list them.")
    ] = Side.DESKTOP,
    merge_notetypes: Annotated[
        bool, typer.Option("--merge-notetypes", help="Merge notetypes of which the fields differ.")
    ] = False,
    update_notes: Annotated[
        Update, typer.Option(help="When notes that are there are updated.")
    ] = Update.IF_NEWER,
    update_notetypes: Annotated[
        Update, typer.Option(help="When notetypes that are there are updated.")
    ] = Update.IF_NEWER,
    with_scheduling: Scheduling = True,
    with_deck_configs: DeckConfigs = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace the collection by a .colpkg.")] = False,
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    json_: Json = False,
) -> None:
    """Take a package in: decks are added, a whole collection replaces the one there, after a backup."""
    options = options_of(device=device, collection=collection, profile=profile)
    how = DeckImport(merge_notetypes, update_notes, update_notetypes, with_scheduling, with_deck_configs)
    with Terminal(quiet=json_) as talk:
        if file is None:
            _list(options, talk, from_, json_=json_)
            return
        with _there(options, talk, file, from_) as path:
            taken = _imported(options, talk, path, how, into, sure=yes, can_ask=not json_)
    data = {**taken.report.as_json(), "notes": taken.notes}
    show(_taken(taken, device_named(options)), json_=json_, data=data)


def _there(options: Options, talk: Terminal, file: str, where: Side) -> AbstractContextManager[Path]:
    return fetched(options, talk, file) if where is Side.PHONE else nullcontext(Path(file))


def _imported(
    options: Options, talk: Terminal, path: Path, how: DeckImport, into: Side, *, sure: bool, can_ask: bool
) -> Taken:
    """Import; where a collection would be replaced, ask whoever is there."""
    try:
        return import_package(options, talk, path, how, into=into, sure=sure)
    except ChoiceNeeded as error:
        asked = can_ask and sys.stdin.isatty() and not sure
        if not asked or not typer.confirm(f"{str(error).partition(';')[0]}. Replace it?", err=True):
            raise
    return import_package(options, talk, path, how, into=into, sure=True)


def _taken(taken: Taken, device: str | None) -> Text:
    text = render_report(taken.report, device)
    if taken.notes is None:
        return text
    counts = ", ".join(f"{count:,} {what}" for what, count in taken.notes.items() if count)
    return text.append(f"\nnotes of the package: {counts or 'none'}")


def _list(options: Options, talk: Terminal, where: Side, *, json_: bool) -> None:
    if where is not Side.PHONE:
        raise UsageError(
            "no file is named", hint="import FILE, or import --from phone, which lists the phone's"
        )
    found = lying(options, talk)
    data = [{"path": each.path, "size": each.size, "mtime": each.mtime} for each in found]
    show(_listed(found), json_=json_, data={"packages": data})


def _listed(found: list[Lying]) -> str:
    if not found:
        return "no package lies in the phone's Download or AnkiDroid folder"
    lines = [f"{size_of(each.size):>9}  {each.path}" for each in found]
    return "\n".join([*lines, "hint: usbsync import --from phone NAME takes one in"])
