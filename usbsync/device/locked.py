"""Whether a phone was unlocked since it was started.

Before that its files are encrypted (AOSP, "File-based encryption"): the shared storage is not there, though adbd answers.
A screen that was locked later keeps nobody out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbsync.device.shell import shell_of
from usbsync.errors import PhoneLocked

if TYPE_CHECKING:
    from usbsync.transport.base import Transport

_UNLOCKED = "sys.user.0.ce_available"
"""Android sets it to "true" at the first unlock; not all makers do, so that alone it proves nothing."""
_STORAGE = "/storage/emulated/0"


def check_unlocked(transport: Transport) -> None:
    """Raise PhoneLocked where a phone's storage is not there because nobody unlocked it yet; folders never are."""
    shell = shell_of(transport)
    if shell is None or shell.run(["test", "-d", _STORAGE]).exit_code == 0:
        return
    if shell.run(["getprop", _UNLOCKED]).stdout.strip() != b"true":
        raise PhoneLocked(f"the phone {transport.identity} was started and not unlocked since")
