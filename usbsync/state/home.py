"""Where usbsync keeps what it remembers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_dir

if TYPE_CHECKING:
    from collections.abc import Mapping


def state_home(environ: Mapping[str, str]) -> Path:
    """Name the state folder: `USBSYNC_HOME`, else the platform's user data folder.

    Creates nothing (a dry run must leave no trace); whatever writes below it creates it, for its owner only.
    """
    chosen = environ.get("USBSYNC_HOME")
    folder = Path(chosen).expanduser() if chosen else Path(user_data_dir("usbsync", appauthor=False))
    return folder.absolute()
