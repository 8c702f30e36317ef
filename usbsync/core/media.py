"""The three-way merge of two media folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from usbsync.core.conflict import Policy, Side
from usbsync.core.media_names import look_alike, place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# --- the values --------------------------------------------------------------------------------------


class MediaFile(NamedTuple):
    """A media file as it was listed: size in bytes, mtime in whole seconds since 1970."""

    # a frozen dataclass takes three times as long to make, and there are tens of thousands

    sha1: str
    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class Add:
    """Bring a file that this replica lacks."""

    name: str
    file: MediaFile
    reason: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Bring other content under a name that this replica has."""

    name: str
    file: MediaFile
    old: MediaFile
    reason: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Take away a file that this replica has."""

    name: str
    old: MediaFile
    reason: str


MediaStep: TypeAlias = Add | Replace | Delete


@dataclass(frozen=True, slots=True)
class MediaConflict:
    """Two things done to one file that cannot both stand; None is a file that was not there."""

    name: str
    ancestor: str | None  # sha1
    desktop: MediaFile | None
    phone: MediaFile | None
    chosen: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not synced, the replica where it is (or would go), and why."""

    name: str
    where: Side
    reason: str


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """What each replica is to be brought and to lose, and what both hold then."""

    desktop: tuple[MediaStep, ...]
    phone: tuple[MediaStep, ...]
    conflicts: tuple[MediaConflict, ...]
    skipped: tuple[Skipped, ...]
    after: Mapping[
        str, str
    ]  # name -> sha1: the next ancestor, to be remembered even where nothing is written

    def of(self, side: Side) -> tuple[MediaStep, ...]:
        """Return one replica's steps, by name."""
        return self.desktop if side is Side.DESKTOP else self.phone


# --- the merge ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Verdict:
    stands: Side | None  # whose state both get; None: they are alike
    reason: str
    is_conflict: bool = False


_ALIKE = _Verdict(None, "both hold the same")


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is known against what a phone's files and their times say."""

    older: Mapping[str, Collection[str]] = field(
        default_factory=dict
    )  # name -> sha1 of versions from before the ancestor
    undated: bool = False  # its files have no times of their own: a package's


_NO_DOUBTS = Doubts()


def _judge(
    name: str,
    was: str | None,
    desktop: MediaFile | None,
    phone: MediaFile | None,
    prefer: Policy,
    doubts: Doubts,
) -> _Verdict:
    """Decide about one name: THE table."""
    on_desktop, on_phone = _content(desktop), _content(phone)
    if on_desktop == on_phone:
        # Nobody touched it, or both added the same, made the same replacement, deleted it
        return _ALIKE
    if on_phone == was:
        # Added, replaced or deleted at the desk while the phone was elsewhere
        return _Verdict(Side.DESKTOP, f"{_deed(was, on_desktop)} on the desktop")
    if desktop and on_phone in doubts.older.get(name, ()) and was is not None and prefer is not Policy.PHONE:
        # Set back by an answer of before that was imported late, or by hand: nobody knows, and both are kept
        reason = "what the phone has is an older version, as from an old answer: the newer stands"
        return _Verdict(Side.DESKTOP, reason, is_conflict=True)
    if on_desktop == was:
        # The same the other way round
        return _Verdict(Side.PHONE, f"{_deed(was, on_phone)} on the phone")
    if desktop is None:
        # Thrown away at the desk, while somebody recorded it anew on the phone: nobody meant to lose the new one
        return _Verdict(
            Side.PHONE, "replaced on the phone, deleted on the desktop: the edit stands", is_conflict=True
        )
    if phone is None:
        return _Verdict(
            Side.DESKTOP, "replaced on the desktop, deleted on the phone: the edit stands", is_conflict=True
        )
    # Two different files under one name: both made one (no ancestor), or both replaced it
    return _prefer(desktop, phone, prefer, doubts)


def _content(file: MediaFile | None) -> str | None:
    return None if file is None else file.sha1


def _deed(was: str | None, now: str | None) -> str:
    if was is None:
        return "added"
    return "deleted" if now is None else "replaced"


def _prefer(desktop: MediaFile, phone: MediaFile, prefer: Policy, doubts: Doubts) -> _Verdict:
    if prefer in {Policy.DESKTOP, Policy.PHONE}:
        return _Verdict(Side(prefer), f"different on both: the {prefer} is preferred", is_conflict=True)
    if doubts.undated:
        reason = "different on both, and a package does not say which is newer: the desktop's stands"
        return _Verdict(Side.DESKTOP, reason, is_conflict=True)
    # `ask` too: nobody can be asked about thousands of files, and the other one is in the backup
    newest = Side.DESKTOP if (desktop.mtime, desktop.sha1) > (phone.mtime, phone.sha1) else Side.PHONE
    why = "equally old, one had to be chosen" if desktop.mtime == phone.mtime else "the newer stands"
    return _Verdict(newest, f"different on both: {why}", is_conflict=True)


def reconcile_media(
    ancestor: Mapping[str, str],
    desktop: Mapping[str, MediaFile],
    phone: Mapping[str, MediaFile],
    *,
    prefer: Policy = Policy.NEWEST,
    desktop_others: Collection[str] = (),
    phone_others: Collection[str] = (),
    doubts: Doubts = _NO_DOUBTS,
) -> MediaPlan:
    """Merge two listings of media files by what both held after the last sync (empty: their union).

    `*_others` are the names on a replica that are no syncable files (empty, too large, a folder): such a name is
    left alone on both, for a file that became unreadable is not one that a person deleted.
    """
    sides = {Side.DESKTOP: desktop, Side.PHONE: phone}
    others = {Side.DESKTOP: desktop_others, Side.PHONE: phone_others}
    left_alone = {*desktop_others, *phone_others}
    names = sorted((ancestor.keys() | desktop.keys() | phone.keys()) - left_alone)
    verdicts = {
        name: _judge(name, ancestor.get(name), desktop.get(name), phone.get(name), prefer, doubts)
        for name in names
    }

    steps: dict[Side, tuple[MediaStep, ...]] = {}
    skipped: list[Skipped] = []
    for side in Side:
        wanted = _steps(side, verdicts, sides[side], sides[side.other])
        steps[side], blocked = _without_collisions(side, wanted, {*sides[side], *others[side]})
        skipped += blocked

    unmerged = {skip.name for skip in skipped}
    after = {name: sha1 for name, sha1 in ancestor.items() if name in left_alone}
    after |= {
        name: sha1 for name in names if name not in unmerged and (sha1 := _final(verdicts[name], sides, name))
    }
    conflicts = _conflicts(verdicts, ancestor, desktop, phone)
    return MediaPlan(steps[Side.DESKTOP], steps[Side.PHONE], conflicts, tuple(skipped), after)


def _steps(
    side: Side, verdicts: Mapping[str, _Verdict], own: Mapping[str, MediaFile], other: Mapping[str, MediaFile]
) -> Iterable[MediaStep]:
    for name, verdict in verdicts.items():
        if verdict.stands is side.other:
            yield _step(name, own.get(name), other.get(name), verdict.reason)


def _step(name: str, old: MediaFile | None, new: MediaFile | None, reason: str) -> MediaStep:
    if old and new:
        return Replace(name, new, old, reason)
    if new:
        return Add(name, new, reason)
    if old:
        return Delete(name, old, reason)
    raise AssertionError(name)  # two absent files are alike, and no verdict stands


def _without_collisions(
    side: Side, steps: Iterable[MediaStep], present: Collection[str]
) -> tuple[tuple[MediaStep, ...], list[Skipped]]:
    """Leave out the additions that a case-insensitive folder would take for another file that stays there."""
    steps = tuple(steps)
    if not any(isinstance(step, Add) for step in steps):
        return steps, []
    deleted = {step.name for step in steps if isinstance(step, Delete)}
    taken = {place(name): name for name in sorted(set(present) - deleted)}
    kept: list[MediaStep] = []
    skipped = []
    for step in steps:
        rival = taken.setdefault(place(step.name), step.name) if isinstance(step, Add) else step.name
        if rival == step.name:
            kept.append(step)
        else:
            skipped.append(Skipped(step.name, side.other, _same_to_a_phone(step.name, rival)))
    return tuple(kept), skipped


def _same_to_a_phone(name: str, rival: str) -> str:
    what = "one written with other accents" if look_alike(name, rival) else repr(rival)
    return f"to a phone its name is the same as {what}: rename one of them"


def _final(verdict: _Verdict, sides: Mapping[Side, Mapping[str, MediaFile]], name: str) -> str | None:
    return _content(sides[verdict.stands or Side.DESKTOP].get(name))


def _conflicts(
    verdicts: Mapping[str, _Verdict],
    ancestor: Mapping[str, str],
    desktop: Mapping[str, MediaFile],
    phone: Mapping[str, MediaFile],
) -> tuple[MediaConflict, ...]:
    return tuple(
        MediaConflict(
            name, ancestor.get(name), desktop.get(name), phone.get(name), verdict.stands, verdict.reason
        )
        for name, verdict in verdicts.items()
        if verdict.is_conflict and verdict.stands
    )


def losses(ancestor: Collection[str], present: Collection[str]) -> tuple[int, int]:
    """Count the files a replica lost since the last sync, and those it had: (lost, total).

    `present` is every name there, the unsyncable too.
    """
    return len(set(ancestor) - set(present)), len(ancestor)
