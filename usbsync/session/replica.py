"""One side of a sync: where its files are, and what its collection was when we looked."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from usbsync.collection.lock import hold
from usbsync.collection.snapshot import MAIN, Snapshot, file_fingerprint, fingerprint, take
from usbsync.core.conflict import Side
from usbsync.errors import AnkiOpen, AtWork, Busy, DamagedData, PhoneFailed, UnsupportedCollection, UsageError
from usbsync.media.move import Place
from usbsync.transport.base import OnBytes, Pull, Transport
from usbsync.transport.bounds import bounded

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What a collection's bytes were, and a stamp that was taken before they were read: while it lasts, so do they."""

    stamp: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Replica:
    """Where one side's files are, on its transport."""

    side: Side
    transport: Transport
    collection: str
    media: str
    local: Path | None = (
        None  # the collection as a local file, to be locked: the desktop's, or a phone's in a folder
    )

    @property
    def folder(self) -> str:
        """The folder that the collection is in."""
        return posixpath.dirname(self.collection)

    @property
    def wal(self) -> str:
        """The write-ahead log beside the collection."""
        return f"{self.collection}-wal"

    @property
    def new(self) -> str:
        """Where the merged collection is staged."""
        return f"{self.collection}.usbsync-new"

    @property
    def folded(self) -> str:
        """Where the old collection, its `-wal` folded in, is staged."""
        return f"{self.collection}.usbsync-folded"

    @property
    def mark(self) -> str:
        """Where an apply puts its mark, which tells "flipped" from "somebody else took away what was staged"."""
        return f"{self.collection}.usbsync-mark"

    @property
    def place(self) -> Place:
        """Where its media is."""
        return Place(self.transport, self.media)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Keep any program of this computer from opening the collection meanwhile; a phone's app is kept stopped elsewhere.

        Raises AnkiOpen when it is open already, AtWork when a usbsync has it. A phone's folder may be on a file system without locks, or
        not ours to lock (a mounted card): there nobody can have it locked either.
        """
        with ExitStack() as stack:
            if self.local is not None:
                try:
                    stack.enter_context(hold(self.local))
                except (AnkiOpen, AtWork):
                    raise
                except (Busy, UsageError):
                    if self.side is Side.DESKTOP:
                        raise
            yield

    def fingerprint(self) -> str | None:
        """Name the collection's bytes as they are now; None when there is no collection.

        Raises DamagedData where a rollback journal lies beside it: neither app leaves one when it ends well.
        """
        journal = self.transport.stat(f"{self.collection}-journal")
        if journal is not None and journal.size:
            raise DamagedData(
                f"a journal of an unfinished write lies beside the {self.side}'s collection; nothing was changed",
                hint="open the collection once in its app, close it again, and run the command again",
            )
        hashes = self.transport.hash([self.collection, self.wal], "sha256")
        main = hashes.get(self.collection)
        return None if main is None else fingerprint(main, hashes.get(self.wal))

    def stamp(self) -> str | None:
        """Return what changes when the collection is written; None where the replica cannot promise that."""
        return self.transport.stamp([self.collection, self.wal, f"{self.collection}-journal"])

    def look(self) -> Look:
        """Take the stamp, then the fingerprint: a write between the two makes the stamp an old one."""
        return Look(self.stamp(), self.fingerprint())

    def size(self) -> int:
        """Return the bytes of main file and `-wal`."""
        infos = (self.transport.stat(path) for path in (self.collection, self.wal))
        return sum(info.size for info in infos if info)

    def fetch(self, folder: Path, on_bytes: OnBytes, base: Path | None = None) -> Path:
        """Copy the main file and its `-wal`, as one pair, into a local folder; `base` is what main is probably like.

        Raises PhoneFailed when they change while they are being copied.
        """
        folder.mkdir(parents=True, exist_ok=True)
        raw = folder / MAIN
        wal = raw.with_name(f"{MAIN}-wal")
        for _ in range(_TRIES):
            wal.unlink(missing_ok=True)
            counted = bounded(on_bytes, self.size(), f"the {self.side}'s collection")
            before = self.fingerprint()
            wanted = [Pull(self.collection, raw, base)]
            if before is not None and "+" in before:
                wanted.append(Pull(self.wal, wal))
            self.transport.pull(wanted, counted)
            if file_fingerprint(raw) == before:
                return raw
            base = None
        raise PhoneFailed(
            f"the {self.side}'s collection changes while it is being copied; nothing was changed"
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What one side's collection was when it was copied."""

    replica: Replica
    fingerprint: str
    snapshot: Snapshot

    @property
    def whole(self) -> Path:
        """The collection as one file, exactly as it reads: main with its `-wal` folded in."""
        return self.snapshot.folded or self.snapshot.raw


def held(replica: Replica, raw: Path, scratch: Path) -> Held:
    """Prove a copied pair and make its snapshot; DamagedData says how to go on with that side."""
    with telling_how_to_mend(replica.side):
        return Held(replica, file_fingerprint(raw), take(raw, scratch, replica.side))


@contextmanager
def telling_how_to_mend(side: Side) -> Iterator[None]:
    """Let DamagedData say how to go on with a side's collection."""
    try:
        yield
    except UnsupportedCollection:
        raise
    except DamagedData as error:
        raise DamagedData(str(error), hint=_mend(side)) from error


def _mend(side: Side) -> str:
    app = "Anki" if side is Side.DESKTOP else "AnkiDroid"
    return (
        f"nothing was changed; run Check Database in {app}; or usbsync backups lists older states, and "
        f"usbsync restore ID --side {side} --yes puts one in its place (the damaged one is kept in a new backup; "
        f"the next sync brings what the {side.other} has)"
    )


def snapshots(helds: Mapping[Side, Held]) -> dict[Side, Snapshot]:
    """Return the snapshots of what is held."""
    return {side: one.snapshot for side, one in helds.items()}
