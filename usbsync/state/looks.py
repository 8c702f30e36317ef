"""What each collection's bytes were when they were last hashed: so that what lies still need not be hashed again.

Only a cache of facts: "while the stamp is this, the fingerprint is that". Without it everything is hashed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from usbsync.errors import DamagedData
from usbsync.state.records import read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usbsync.state.pair import Pair

_VERSION = 1
_NAME = "looks.json"


def load_looks(pair: Pair) -> dict[str, tuple[str, str]]:
    """Return stamp and fingerprint by side; a damaged cache is none."""
    with suppress(DamagedData, OSError, TypeError, ValueError):
        record = read_record(pair.folder / _NAME, version=_VERSION) or {}
        return {side: (str(stamp), str(fingerprint)) for side, (stamp, fingerprint) in record.items()}
    return {}


def save_looks(pair: Pair, looks: Mapping[str, tuple[str, str]]) -> None:
    """Keep them."""
    write_record(pair.create() / _NAME, {side: list(look) for side, look in looks.items()}, version=_VERSION)
