"""What a meeting remembers, and when: a phone on a cable is known to hold what was written to it, a package is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from usbsync.state.ancestor import Ancestor, forget, load_ancestor, remember
from usbsync.state.pair import Pair


class Memory(Protocol):
    """Where the ancestor of a meeting comes from, and what becomes of the next one."""

    @property
    def passing(self) -> bool:
        """Whether the phone's side is a copy that goes with the meeting."""

    @property
    def answer(self) -> Path | None:
        """The package that was written for the phone."""

    def load(self) -> Ancestor | None:
        """Return what both held last."""

    def keep(self, new: Ancestor | None) -> None:
        """Remember what both hold now; None: nothing."""

    def phone_media(self) -> Mapping[str, str] | None:
        """Return the phone's media by name, as SHA-1, where they cannot be looked at."""

    def older_media(self, ancestor: Ancestor | None) -> Mapping[str, frozenset[str]]:
        """Return by name, as SHA-1, the versions that are known to be older than the ancestor's."""

    def facts(self) -> Mapping[str, Any]:
        """Return what the backup of a change is to note, for who goes back behind it."""


@dataclass(frozen=True, slots=True)
class PairMemory:
    """The memory of a desktop and a phone that were both there."""

    pair: Pair

    @property
    def passing(self) -> bool:
        """The phone's files are its own."""
        return False

    @property
    def answer(self) -> Path | None:
        """None is needed."""
        return None

    def load(self) -> Ancestor | None:
        """Return what both held after the last sync."""
        return load_ancestor(self.pair)

    def keep(self, new: Ancestor | None) -> None:
        """Remember it, in place of the one before."""
        if new is None:
            forget(self.pair)
        else:
            remember(self.pair, new)

    def phone_media(self) -> Mapping[str, str] | None:
        """They can be looked at."""
        return None

    def older_media(self, ancestor: Ancestor | None) -> Mapping[str, frozenset[str]]:
        """None are known."""
        del ancestor
        return {}

    def facts(self) -> Mapping[str, Any]:
        """The ancestor, which every backup keeps, says it all."""
        return {}
