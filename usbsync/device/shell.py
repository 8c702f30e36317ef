"""The shell behind a transport, if its replica has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbsync.transport.base import Shell
from usbsync.transport.wrap import Wrapped

if TYPE_CHECKING:
    from usbsync.transport.base import Transport


def shell_of(transport: Transport) -> Shell | None:
    """Return what runs commands on the replica, or None for a mere folder.

    A wrapper (a meter, a dry run) has files only: a phone in one must not pass for a folder, whose app nobody stops.
    """
    while isinstance(transport, Wrapped):
        if isinstance(transport, Shell):
            return transport
        transport = transport.inner
    return transport if isinstance(transport, Shell) else None
