"""`usbsync restore`: taking things out of a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from usbsync.cli.common import (
    AppOption,
    Collection,
    Device,
    Json,
    PhoneDir,
    Profile,
    Quiet,
    options_of,
    show,
)
from usbsync.cli.render import render_report
from usbsync.cli.terminal import Terminal
from usbsync.core.conflict import Side
from usbsync.session.restore import Extracted, extract
from usbsync.session.restore import restore as run_restore

restore = typer.Typer()


@restore.command("restore")
def _restore(
    backup: Annotated[
        str, typer.Argument(help="A backup's id, as usbsync backups lists them.", metavar="ID")
    ],
    side: Annotated[Side | None, typer.Option(help="Only this side (default: both).")] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Copy it into this new folder, and touch neither side.", metavar="FOLDER"),
    ] = None,
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    app: AppOption = None,
    phone_dir: PhoneDir = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also what was done since the last sync, or is damaged.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put back what a backup holds of one side or both; what is there now is backed up first."""
    sides = (side,) if side else tuple(Side)
    options = options_of(device=device, collection=collection, profile=profile, app=app, phone_dir=phone_dir)
    if to is not None:
        found = extract(options, backup, to, sides)
        show("" if quiet else _told(found), json_=json_, data=_data(found))
        return
    with Terminal(quiet=quiet or json_) as talk:
        report = run_restore(options, talk, backup, sides, sure=yes)
    show("" if quiet else render_report(report), json_=json_, data=report.as_json())


def _told(found: Extracted) -> str:
    files = "file" if found.files == 1 else "files"
    return f"{found.files:,} {files} of the backup {found.backup} are in {found.folder}; neither side was touched"


def _data(found: Extracted) -> dict[str, object]:
    return {
        "backup": found.backup,
        "to": str(found.folder),
        "files": found.files,
        "size": found.size,
    }
