"""Carrying out a media plan: stage what each replica lacks, back up what it is to lose, say the steps.

Order: `backup_media` and `fetch` (nothing under a final name changes), `check_targets`, then a replica's
`before` steps, the flip of the collections, and its `after` steps. New files thus come before any card asks
for them, and deleted ones go when none does.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from usbsync.core.conflict import Side
from usbsync.core.media import Add, Delete, MediaFile, MediaPlan, MediaStep, Replace
from usbsync.core.media_names import name_problem, place
from usbsync.errors import DamagedData, PhoneFailed
from usbsync.media.listing import BATCH, Listing, trusted
from usbsync.state.files import sha1_of
from usbsync.transport.base import Kind, Pull, Push, Remove, Rename
from usbsync.transport.bounds import bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from usbsync.state.ancestor import Seen
    from usbsync.transport.base import FileInfo, OnBytes, Step, Transport

STAGE = ".usbsync-stage"
_SHA1 = re.compile("[0-9a-f]{40}", re.ASCII)
BATCH_BYTES = 64 << 20
_A_FILE = "a media file"
_LAST_MTIME = 0xFFFFFFFF  # the SYNC protocol's mtime has 32 bits, unsigned


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replica's media is: `media` is the path of its collection.media on the transport."""

    transport: Transport
    media: str

    @property
    def stage(self) -> str:
        """The folder for what is not yet under its final name: beside the media, where neither app looks."""
        return f"{self.media.rpartition('/')[0]}/{STAGE}"

    def path(self, name: str) -> str:
        """Return the path of a media file; DamagedData for a name that must not become one."""
        if problem := name_problem(name):
            raise DamagedData(f"the media file {name!a} cannot be written: {problem}; nothing was changed")
        return f"{self.media}/{name}"


Places: TypeAlias = "Mapping[Side, Place]"


@dataclass(frozen=True, slots=True)
class MediaSteps:
    """A replica's steps before the flip of the collections and after it."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A file that a replica is to be brought, and where it is staged there."""

    step: Add | Replace
    staged: str
    mtime: int


def bytes_to_move(plan: MediaPlan, side: Side) -> int:
    """Return the bytes that a replica is to be brought; it needs about as much free space."""
    return sum(step.file.size for step in plan.of(side) if isinstance(step, Add | Replace))


def bytes_to_lose(plan: MediaPlan, side: Side) -> int:
    """Return the bytes of what a replica has and is to lose: they go to the backup."""
    return sum(step.old.size for step in plan.of(side) if isinstance(step, Replace | Delete))


def fetch(plan: MediaPlan, places: Places, scratch: Path, on_bytes: OnBytes) -> None:
    """Bring what each replica lacks into its staging folder, and verify it there.

    It goes through `scratch`, a private local folder, in pieces of about 64 MiB; `on_bytes` counts each file once, on
    the phone's half of its way. What an earlier try has brought, and is whole, is not brought again. Raises PhoneFailed when
    what arrived is not what was listed.
    """
    for side in Side:
        arrivals = _arrivals(plan, side, places[side])
        if arrivals:
            places[side].transport.make_folder(places[side].media)
            places[side].transport.make_folder(places[side].stage)
        for batch in _batches(_to_come(arrivals, places[side], on_bytes)):
            _carry(batch, side, places, scratch, on_bytes)


def steps(plan: MediaPlan, side: Side, home: Place) -> MediaSteps:
    """Say what is to be done on a replica once everything is staged."""
    arrivals = _arrivals(plan, side, home)
    arriving = {place(arrival.step.name) for arrival in arrivals}
    removed = [step for step in plan.of(side) if isinstance(step, Delete)]
    # A.png became a.png: where both are one file, removing the old name later would remove the new file
    renamed = tuple(Remove(home.path(step.name)) for step in removed if place(step.name) in arriving)
    moved = tuple(Rename(arrival.staged, home.path(arrival.step.name)) for arrival in arrivals)
    late = tuple(Remove(home.path(step.name)) for step in removed if place(step.name) not in arriving)
    return MediaSteps((*renamed, *moved), late)


def backup_media(plan: MediaPlan, places: Places, into: Path, on_bytes: OnBytes) -> None:
    """Copy what each replica is to lose to `into/desktop/media/NAME` and `into/phone/media/NAME`, verified.

    Raises PhoneFailed when a file is no longer what was listed.
    """
    for side in Side:
        lost = {step.name: step.old for step in plan.of(side) if isinstance(step, Replace | Delete)}
        folder = into / side / "media"
        if lost:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        wanted = [Pull(places[side].path(name), folder / name) for name in lost]
        places[side].transport.pull(
            wanted, bounded(on_bytes, sum(old.size for old in lost.values()), _A_FILE)
        )
        for name, old in lost.items():
            _verify_local(folder / name, old.sha1, name, side)


def check_targets(plan: MediaPlan, places: Places) -> None:
    """Look once more, just before the commit: PhoneFailed when a file to be written or removed is not as listed."""
    for side in Side:
        if plan.of(side):
            _check_side(plan.of(side), side, places[side])


def seen_after(plan: MediaPlan, side: Side, home: Place, listing: Listing, now: float) -> dict[str, Seen]:
    """Return the cache of a replica as the plan leaves it, for the ancestor: what we wrote need not be read again."""
    touched = {step.name for step in plan.of(side)}
    kept = {name: seen for name, seen in listing.seen.items() if name not in touched}
    written = {
        arrival.step.name: MediaFile(arrival.step.file.sha1, arrival.step.file.size, arrival.mtime)
        for arrival in _arrivals(plan, side, home)
    }
    return kept | trusted(written, now)


def _arrivals(plan: MediaPlan, side: Side, home: Place) -> tuple[_Arrival, ...]:
    """Stage each under its content's name, by which the next run knows what a cut-off one has brought already."""
    coming = [step for step in plan.of(side) if isinstance(step, Add | Replace)]
    alike: Counter[str] = Counter()
    found = []
    for step in coming:
        if not _SHA1.fullmatch(step.file.sha1):  # it becomes part of a path, and may come out of a file
            raise DamagedData(f"the hash of the media file {step.name!a} is none; nothing was changed")
        alike[step.file.sha1] += 1
        found.append(_Arrival(step, f"{home.stage}/{step.file.sha1}-{alike[step.file.sha1]}", _mtime(step)))
    return tuple(found)


def _to_come(arrivals: Sequence[_Arrival], home: Place, on_bytes: OnBytes) -> list[_Arrival]:
    """Leave out what is staged already, whole; remove what is staged and not wanted any more."""
    if not arrivals:
        return []
    there = {f"{home.stage}/{info.name}": info for info in home.transport.list(home.stage)}
    likely = [each for each in arrivals if _looks_whole(each, there.get(each.staged))]
    hashes = home.transport.hash([each.staged for each in likely], "sha1") if likely else {}
    whole = {each.staged for each in likely if hashes.get(each.staged) == each.step.file.sha1}
    wanted = {each.staged for each in arrivals}
    home.transport.apply([Remove(path) for path, info in there.items() if _is_stray(info, path, wanted)])
    on_bytes(sum(each.step.file.size for each in likely if each.staged in whole))
    return [each for each in arrivals if each.staged not in whole]


def _looks_whole(arrival: _Arrival, info: FileInfo | None) -> bool:
    return info is not None and (info.size, info.mtime) == (arrival.step.file.size, arrival.mtime)


def _is_stray(info: FileInfo, path: str, wanted: set[str]) -> bool:
    return info.kind is not Kind.FOLDER and path not in wanted


def _mtime(step: Add | Replace) -> int:
    """Choose the mtime of a new file: its source's, but never the replaced file's, by which the apps see changes.

    Within what the wire carries, and after 1970: rslib panics on earlier ones (reference/ankidroid.md 6).
    """
    mtime = min(max(step.file.mtime, 1), _LAST_MTIME - 1)
    return mtime + 1 if isinstance(step, Replace) and step.old.mtime == mtime else mtime


def _batches(arrivals: Sequence[_Arrival]) -> Iterator[list[_Arrival]]:
    batch: list[_Arrival] = []
    total = 0
    for arrival in arrivals:
        if batch and (total + arrival.step.file.size > BATCH_BYTES or len(batch) >= BATCH):
            yield batch
            batch, total = [], 0
        batch.append(arrival)
        total += arrival.step.file.size
    if batch:
        yield batch


def _carry(batch: Sequence[_Arrival], side: Side, places: Places, scratch: Path, on_bytes: OnBytes) -> None:
    source, target = places[side.other], places[side]
    pulled, pushed = (on_bytes, _uncounted) if side is Side.DESKTOP else (_uncounted, on_bytes)
    local = {arrival.staged: scratch / arrival.staged.rpartition("/")[2] for arrival in batch}
    try:
        wanted = [Pull(source.path(each.step.name), local[each.staged]) for each in batch]
        source.transport.pull(wanted, bounded(pulled, sum(each.step.file.size for each in batch), _A_FILE))
        target.transport.push([Push(local[each.staged], each.staged, each.mtime) for each in batch], pushed)
        _verify_staged(batch, target.transport)
    finally:
        for path in local.values():
            path.unlink(missing_ok=True)


def _uncounted(_moved: int) -> None:
    """Leave the computer's half of a file's way out of the bar: it takes no time."""


def _verify_staged(batch: Sequence[_Arrival], transport: Transport) -> None:
    found = transport.hash([arrival.staged for arrival in batch], "sha1")
    for arrival in batch:
        if found.get(arrival.staged) != arrival.step.file.sha1:
            raise _changed(arrival.step.name, "did not arrive as it was listed")


def _verify_local(path: Path, sha1: str, name: str, side: Side) -> None:
    if sha1_of(path) != sha1:
        raise _changed(name, f"on the {side} is not as it was listed")


def _check_side(planned: Sequence[MediaStep], side: Side, home: Place) -> None:
    there = home.transport.stat(home.media)
    infos = {info.name: (info.size, info.mtime) for info in home.transport.list(home.media)} if there else {}
    for step in planned:
        expected = None if isinstance(step, Add) else (step.old.size, step.old.mtime)
        if infos.get(step.name) != expected:
            raise _changed(step.name, f"on the {side} changed while usbsync was at work")


def _changed(name: str, what: str) -> PhoneFailed:
    return PhoneFailed(f"the media file {name!a} {what}; nothing was changed", hint="run the command again")
