"""`usbsync conflicts`: what lost in the last merge, and choosing the other after all."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from usbsync.cli.common import AppOption, Collection, Device, Json, PhoneDir, Profile, Quiet, options_of, show
from usbsync.cli.compare import Comparison
from usbsync.cli.render import render_conflicts, render_report, whose
from usbsync.cli.terminal import Terminal
from usbsync.core.words import printable
from usbsync.errors import UsageError
from usbsync.session.conflicts import past, take_other
from usbsync.session.report import conflict_as_json as as_json
from usbsync.session.report import media_conflict_as_json as media_as_json

conflicts_app = typer.Typer(help="What lost in the last merge, and choosing the other after all.")


@conflicts_app.callback(invoke_without_command=True)
def conflicts(
    context: typer.Context, collection: Collection = None, profile: Profile = None, json_: Json = False
) -> None:
    """List the conflicts of the last merge; no phone is needed."""
    if context.invoked_subcommand is None:
        found = past(options_of(collection=collection, profile=profile))
        listed = [*map(as_json, found.conflicts), *map(media_as_json, found.media)] if found else []
        data = {"backup": found.backup.id if found else None, "conflicts": listed}
        show(render_conflicts(found), json_=json_, data=data)


@conflicts_app.command("show")
def show_conflict(
    number: Annotated[int, typer.Argument(help="As `usbsync conflicts` numbers them.")],
    collection: Collection = None,
    profile: Profile = None,
) -> None:
    """Show one conflict whole, side by side."""
    found = past(options_of(collection=collection, profile=profile))
    if found is None:
        raise UsageError("the last merge had no conflict", hint="there is nothing to show")
    Console(highlight=False).print(Comparison(found.number(number), whole=True))


@conflicts_app.command("take")
def take_conflict(
    number: Annotated[int, typer.Argument(help="As `usbsync conflicts` numbers them.")],
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    app_: AppOption = None,
    phone_dir: PhoneDir = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take the other side's version of a conflict after all, on both sides."""
    options = options_of(device=device, collection=collection, profile=profile, app=app_, phone_dir=phone_dir)
    with Terminal(quiet=quiet or json_) as talk:
        conflict, report = take_other(options, talk, number)
    text = Text(printable(f"taken: the {conflict.chosen.other}'s {conflict.unit} of {whose(conflict)}\n"))
    show("" if quiet else text.append_text(render_report(report)), json_=json_, data=report.as_json())
