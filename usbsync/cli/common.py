"""What every command does alike: putting its options together, and printing its answer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from usbsync.core.conflict import Logic, Policy
from usbsync.errors import UsageError
from usbsync.session.options import Options
from usbsync.state.config import Config, load_config
from usbsync.state.home import state_home


def options_of(**given: Any) -> Options:
    """Put the options together: what was given, else what config.toml says."""
    config: Config = load_config(state_home(os.environ))
    for name in ("device", "collection", "profile", "app", "phone_dir", "merge", "prefer"):
        if given.get(name) is None:
            given[name] = getattr(config, name)
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


def show(text: Any, *, json_: bool, data: dict[str, Any]) -> None:
    """Print what was asked for on stdout: one object, or text for people."""
    if json_:
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
    elif text:
        Console(highlight=False, soft_wrap=True).print(text)
