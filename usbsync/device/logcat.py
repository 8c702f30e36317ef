"""What AnkiDroid wrote to Android's log about its folder.

Release builds log at level info under the tag AnkiDroid; on every opening of the collection they write
`(Re)opening Database: /path/collection.anki2` (2.16 to 2.21) or `... Path(path=/path/collection.anki2)` (2.22 on):
reference/ankidroid.md 1. The log holds the last minutes to days; other apps can write such lines too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from usbsync.errors import DamagedData, PhoneFailed

if TYPE_CHECKING:
    from usbsync.transport.base import Shell

_SECONDS = 10.0
_MOST_BYTES = 1 << 18
_ASK = ("logcat", "-d", "-b", "main", "-v", "threadtime", "-e", "opening Database: ", "-s", "AnkiDroid:I")
_OPENED = re.compile(
    r"[0-9-]+ +[0-9:.]+ +[0-9]+ +[0-9]+ I AnkiDroid *: \(Re\)opening Database: "
    r"(?:Path\(path=(?P<new>/.*)/collection\.anki2\)|(?P<old>/.*)/collection\.anki2)"
)


def last_opened(shell: Shell) -> str | None:
    """Return the folder whose collection was opened last, as logged and unproven; None when the log does not say.

    Only matching lines cross the cable (`-e`: Android 7), the last 256 KiB of them are read. A phone that gives no log,
    or not in time, is no error; whatever is asked next finds out whether the link is lost.
    """
    try:
        answer = shell.run(_ASK, seconds=_SECONDS)
    except (PhoneFailed, DamagedData):
        return None
    return parse(answer.stdout[-_MOST_BYTES:])


def parse(log: bytes) -> str | None:
    """Return the folder of the last line that says one."""
    for line in reversed(log.decode("utf-8", "replace").split("\n")):
        if match := _OPENED.fullmatch(line.rstrip()):
            return match["new"] or match["old"]
    return None
