"""The command line: parse, call the session, render. No decisions are made here."""

from __future__ import annotations

import json
import signal
import sys
from types import FrameType

from rich.console import Console

from usbsync.cli.app import app
from usbsync.errors import UsbsyncError


def main() -> None:
    """Run usbsync; every error of ours becomes its message, its hint and its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except UsbsyncError as error:
        _tell(error)
        sys.exit(error.exit_code)


def _tell(error: UsbsyncError) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("error:", style="bold red", end=" ")
    console.print(str(error), markup=False)
    if error.hint:
        console.print("hint:", style="bold cyan", end=" ")
        console.print(error.hint, markup=False)
    if "--json" in sys.argv:
        print(json.dumps({"error": str(error), "hint": error.hint, "exit_code": error.exit_code}))  # noqa: T201


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """Let a SIGTERM clean up as Ctrl-C does."""
    raise KeyboardInterrupt
