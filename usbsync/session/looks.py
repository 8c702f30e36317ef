"""Knowing a collection again by its stamp, without hashing it.

Good for saying that nothing changed, and for that only: whatever is written is written after hashing anew.
"""

from __future__ import annotations

from contextlib import suppress

from usbsync.core.conflict import Side
from usbsync.errors import UsbsyncError
from usbsync.session.replica import Look, Replica
from usbsync.state.looks import load_looks, save_looks
from usbsync.state.pair import Pair


class Looks:
    """What is known of both collections, kept from run to run; for one run at a time."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._kept = load_looks(pair)
        self._looks = dict(self._kept)

    def look(self, replica: Replica) -> str:
        """Hash a collection and keep what it was; "" where there is none."""
        look = replica.look()
        self.note(replica.side, look)
        return look.fingerprint or ""

    def note(self, side: Side, look: Look) -> None:
        """Keep what a collection was."""
        self._looks.pop(side, None)
        if look.stamp and look.fingerprint:
            self._looks[side.value] = (look.stamp, look.fingerprint)

    def glance(self, replica: Replica) -> str | None:
        """Return a collection's fingerprint where its stamp is as it was; None where it has to be hashed."""
        stamp, fingerprint = self._looks.get(replica.side, (None, None))
        return fingerprint if stamp and replica.stamp() == stamp else None

    def forget(self) -> None:
        """Let the next run hash everything."""
        self._looks.clear()

    def save(self) -> None:
        """Keep what was learnt."""
        if self._looks != self._kept:
            with suppress(UsbsyncError, OSError):  # only a cache: what went wrong before is the thing to tell
                save_looks(self._pair, self._looks)
