"""How much a phone may send: what it said it had, and some more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbsync.errors import PhoneFailed

if TYPE_CHECKING:
    from usbsync.transport.base import OnBytes

_SLACK = 1 << 20


def bounded(on_bytes: OnBytes, expected: int, what: str) -> OnBytes:
    """Stop a phone that sends far more than it listed before it fills this computer's disk.

    Raises PhoneFailed, from within the transport, once more than twice the expected bytes came.
    """
    left = 2 * expected + _SLACK

    def count(moved: int) -> None:
        nonlocal left
        left -= moved
        if left < 0:
            raise PhoneFailed(f"{what} is far larger than it was listed; nothing was changed")
        on_bytes(moved)

    return count
