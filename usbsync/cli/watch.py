"""What `usbsync watch` runs: phones, the desktop's collection and a folder of packages, and a voice for all three."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from usbsync.cli.common import options_of
from usbsync.cli.notify import Notifier
from usbsync.core.watching import Topic
from usbsync.device.watch import Wakers
from usbsync.errors import UsageError, UsbsyncError
from usbsync.session.inbox import Done, Inbox
from usbsync.session.report import Report
from usbsync.session.talk import Silent
from usbsync.session.watch import Watch
from usbsync.state.config import load_config
from usbsync.state.home import state_home
from usbsync.state.locks import only_watch


def run(inbox: Path | None) -> None:
    """Watch until Ctrl-C or SIGTERM. Raises UsageError for a folder that is not there, AtWork where another watches."""
    options, voice, home = options_of(), Notifier(), state_home(os.environ)
    if inbox and not inbox.is_dir():
        raise UsageError(f"there is no folder {inbox}", hint="name the folder where packages will be dropped")
    folder = inbox or load_config(home).inbox
    box = Inbox(Path(folder).expanduser(), options, _Journal(voice), _teller(voice)) if folder else None
    with suppress(KeyboardInterrupt), only_watch(home):
        Watch(options, voice, Wakers(), also=box).run()


class _Journal(Silent):
    """Nobody looks on; what is worth a line is written."""

    def __init__(self, voice: Notifier) -> None:
        self.note = voice.note  # type: ignore[method-assign]


def _teller(voice: Notifier) -> Done:
    def tell(path: Path, outcome: Report | UsbsyncError) -> None:
        voice.tell(path.name, Topic.FAILED if isinstance(outcome, UsbsyncError) else Topic.DONE, outcome)

    return tell
