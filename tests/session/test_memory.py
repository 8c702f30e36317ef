"""What a meeting remembers is what lies in its memory, not the file that it was given."""

from __future__ import annotations

from pathlib import Path

from usbsync.session.descent import CableMemory
from usbsync.session.memory import PairMemory
from usbsync.state.ancestor import Ancestor
from usbsync.state.files import sha256_of
from usbsync.state.pair import Pair


def test_what_was_kept_is_read_from_where_it_is_kept(tmp_path: Path) -> None:
    """A recovery remembers the ancestor of a cut sync, and clears away where that was; the sync then goes on."""
    given = tmp_path / "pending.anki2"
    given.write_bytes(b"what both hold")
    (tmp_path / "home").mkdir(mode=0o700)
    memory = CableMemory(
        PairMemory(Pair(tmp_path / "home", "/desktop", "folder:/phone")), {}, tmp_path / "scratch"
    )
    memory.keep(Ancestor(given, sha256_of(given), "d", {}, {}, {}, 1.0))
    given.unlink()
    kept = memory.load()
    assert kept
    kept.check()
    memory.keep(None)
    assert memory.load() is None
