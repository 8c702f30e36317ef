"""What every command does alike: putting its options together, and printing its answer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from usbsync.core.conflict import Logic, Policy
from usbsync.errors import UsageError
from usbsync.session.options import Options
from usbsync.state.config import Config, load_config
from usbsync.state.home import state_home

Device = Annotated[
    str | None,
    typer.Option(
        help="Which phone: usb[:SERIAL], adb[:SERIAL], tcp:HOST[:PORT], folder:PATH or package:FILE.",
        metavar="SPEC",
    ),
]
Collection = Annotated[
    Path | None, typer.Option(help="The desktop's collection.anki2, instead of a profile's.", metavar="FILE")
]
Profile = Annotated[str | None, typer.Option(help="Anki's profile (default: the last used).", metavar="NAME")]
AppOption = Annotated[
    str | None,
    typer.Option("--app", help="AnkiDroid's package, where several are installed.", metavar="PACKAGE"),
]
PhoneDir = Annotated[
    str | None, typer.Option(help="AnkiDroid's folder on the phone, where it was moved.", metavar="PATH")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def options_of(**given: Any) -> Options:
    """Put the options together: what was given, else what config.toml says."""
    config: Config = load_config(state_home(os.environ))
    names = ("device", "collection", "profile", "app", "phone_dir", "merge", "prefer")
    missing = {name: getattr(config, name) for name in names if given.get(name) is None}
    given |= missing
    given["configured"] = frozenset(name for name, value in missing.items() if value is not None)
    if given["collection"] is not None:
        given["collection"] = Path(given["collection"])
    if given.get("first") and given.get("one_way"):
        raise UsageError(
            "--first and --one-way do not go together",
            hint="--one-way is for any time, --first for the first",
        )
    given["merge"] = given["merge"] or Logic.FINE
    given["prefer"] = given["prefer"] or Policy.NEWEST
    return Options(**given)


def device_named(options: Options) -> str | None:
    """Return how the command line named the phone, if it did: the next command has to do so again."""
    return None if "device" in options.configured else options.device


def show(text: Any, *, json_: bool, data: dict[str, Any]) -> None:
    """Print what was asked for on stdout: one object, or text for people."""
    if json_:
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
    elif text:
        Console(highlight=False, soft_wrap=True).print(text)
