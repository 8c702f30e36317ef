"""The command line: parse, call the session, render. No decisions are made here."""

from __future__ import annotations

import errno
import gc
import json
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from usbsync.errors import NoSpace, UsageError, UsbsyncError

_INTERRUPTED = 130


def main() -> None:
    """Run usbsync; every error becomes its message, its hint and its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = _run()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is done: nothing is left to interrupt
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except UsbsyncError as error:
        _end(str(error), error.hint, error.exit_code)
    except OSError as error:
        ours = _ours(error)
        _end(str(ours), ours.hint, ours.exit_code)
    if code == _INTERRUPTED:
        _end("interrupted; both sides are whole", "run the command again to go on", code)
    sys.exit(code)


def _run() -> int:
    """Run the command; what it imports takes a moment, in which Ctrl-C must end it as well as later."""
    from typer import BadParameter  # noqa: PLC0415

    from usbsync.cli.app import app  # noqa: PLC0415

    _collect_seldom()
    usage: Any = next(kind for kind in BadParameter.__mro__ if kind.__name__ == "ClickException")
    try:
        return app(standalone_mode=False) or 0
    except usage as error:
        from typer import rich_utils  # noqa: PLC0415  # 0.05 s that only who errs need wait for

        rich_utils.rich_format_error(error)
        if "--json" in sys.argv:
            _print_json(error.format_message(), UsageError.hint, error.exit_code)
        return int(error.exit_code)


def _collect_seldom() -> None:
    """Keep Python from looking again and again for cycles in a hundred thousand values that stay: 0.2 s of a sync."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _ours(error: OSError) -> UsbsyncError:
    """Turn what the operating system said, and nobody nearer to it could name, into one of our errors."""
    where = f" ({error.filename})" if error.filename else ""
    text = f"{error.strerror or error}{where}; both sides are whole"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return NoSpace(text)
    return UsageError(text, hint="make sure that this file or folder can be read and written")


def _end(text: str, hint: str, code: int) -> NoReturn:
    """Tell of an error and end."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("error:", style="bold red", end=" ")
    console.print(text, markup=False)
    if hint:
        console.print("hint:", style="bold cyan", end=" ")
        console.print(hint, markup=False)
    if "--json" in sys.argv:
        _print_json(text, hint, code)
    sys.exit(code)


def _print_json(text: str, hint: str, code: int) -> None:
    print(json.dumps({"error": text, "hint": hint, "exit_code": code}))  # noqa: T201


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """Let a SIGTERM clean up as Ctrl-C does."""
    raise KeyboardInterrupt
