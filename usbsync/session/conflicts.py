"""What lost in the last merge, and choosing the other after all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from usbsync.collection.acquaint import acquaint
from usbsync.collection.build import build
from usbsync.collection.diff import compare, same
from usbsync.collection.schema11 import lift
from usbsync.collection.snapshot import MAIN, take
from usbsync.collection.verify import verify
from usbsync.core.conflict import Conflict, Logic, Policy, Settlement, Side, Weight, Where
from usbsync.core.first import Start
from usbsync.core.media import MediaConflict, MediaFile
from usbsync.core.plan import make_plan
from usbsync.core.reconcile import reconcile
from usbsync.errors import ChoiceNeeded, UsageError
from usbsync.session.apply import apply
from usbsync.session.collection import CollectionWork, grow_both, known_fingerprints
from usbsync.session.descent import PHONE
from usbsync.session.desktop import desktop_meant
from usbsync.session.levels import as_it_was, known, lesser, level
from usbsync.session.media import no_media
from usbsync.session.meet import Meeting, meet
from usbsync.session.options import Options
from usbsync.session.recover import recover
from usbsync.session.remembered import next_ancestor
from usbsync.session.replica import Held, held, snapshots
from usbsync.session.report import Report, Result
from usbsync.session.talk import Talk
from usbsync.session.work import Work
from usbsync.state.ancestor import Ancestor, from_record
from usbsync.state.backups import Backup, Backups, making_sense
from usbsync.state.home import state_home
from usbsync.state.pair import Pair, known_pairs

_MEDIA = "media_conflicts"


@dataclass(frozen=True, slots=True)
class Past:
    """The conflicts of one merge, by the number that names each."""

    backup: Backup
    conflicts: tuple[Conflict, ...]
    media: tuple[MediaConflict, ...] = ()
    by_package: bool = False  # the phone came as a package: what it holds cannot be changed from here

    def number(self, number: int) -> Conflict:
        """Return one conflict; numbers begin at 1."""
        if not 1 <= number <= len(self.conflicts):
            raise UsageError(f"there is no conflict {number}", hint="usbsync conflicts lists them")
        return self.conflicts[number - 1]


def conflict_facts(
    conflicts: Sequence[Conflict], media: Sequence[MediaConflict], options: Options
) -> dict[str, Any]:
    """Return what a backup remembers of a merge's conflicts."""
    lost = [asdict(conflict) for conflict in conflicts if conflict.weight is Weight.LOST]
    how = {"prefer": options.prefer.value, "merge": options.merge.value}
    files = {_MEDIA: [asdict(conflict) for conflict in media]} if media else {}
    return {**({"conflicts": lost, **how} if lost else {}), **files}


Untold: TypeAlias = tuple[tuple[Conflict, ...], tuple[MediaConflict, ...]]


def untold(pair: Pair) -> Untold:
    """Return the conflicts of a merge that was cut off before its report, and is finished: its backup is the newest."""
    facts = next((backup.facts for backup in Backups(pair).list()), {})
    with suppress(KeyError, TypeError, ValueError):  # a garbled backup has nothing to say
        return (
            tuple(map(_conflict, facts.get("conflicts", ()))),
            tuple(map(_media_conflict, facts.get(_MEDIA, ()))),
        )
    return (), ()


def past(options: Options) -> Past | None:
    """Return the conflicts of the last merge that had any, of the desktop's any phone; no phone is needed.

    Raises what finding the desktop raises.
    """
    listed = kept(options)
    whose = next((phone for phone, backup in listed if _lost(backup)), None)
    found = _last(backup for phone, backup in listed if phone == whose)
    return replace(found, by_package=whose == PHONE) if found else None


def kept(options: Options) -> list[tuple[str, Backup]]:
    """List the backups of the desktop with any phone, newest first, each with its phone."""
    listed = [(pair.phone, backup) for pair in pairs_of(options) for backup in Backups(pair).list()]
    return sorted(listed, key=lambda each: (each[1].when, each[1].path.stat().st_mtime_ns), reverse=True)


def unreadable(options: Options) -> list[tuple[str, Path]]:
    """List what was a backup of the desktop's and cannot be read any more, each with its phone."""
    return [(pair.phone, path) for pair in pairs_of(options) for path in Backups(pair).unreadable()]


def pairs_of(options: Options) -> list[Pair]:
    """List the pairs that the desktop is in."""
    found = desktop_meant(options)
    pairs = known_pairs(state_home(options.environ))
    return [pair for pair in pairs if pair.desktop == str(found.collection)]


def _last(backups: Iterable[Backup]) -> Past | None:
    """Return the conflicts of the newest merge that was not undone, as they stand now; `backups` come newest first."""
    taken: dict[Where, Side] = {}
    for backup in _standing(backups):
        with making_sense(backup):
            if found := backup.facts.get("taken"):
                taken.setdefault((found["kind"], found["id"], found["unit"]), Side(found["chosen"]))
            if _lost(backup):
                records, media = backup.facts.get("conflicts", ()), backup.facts.get(_MEDIA, ())
                conflicts = tuple(_as_taken(_conflict(record), taken) for record in records)
                return Past(backup, conflicts, tuple(map(_media_conflict, media)))
    return None


def _lost(backup: Backup) -> bool:
    return bool(backup.facts.get("conflicts") or backup.facts.get(_MEDIA))


def _standing(backups: Iterable[Backup]) -> Iterator[Backup]:
    """Leave out what was undone: all from the newest down to the one that an undo went back to."""
    back_to = None
    for backup in backups:
        if back_to is None:
            back_to = backup.facts.get("undoes")
            if back_to is None:
                yield backup
        elif backup.id == back_to:
            back_to = None


def _as_taken(conflict: Conflict, taken: Mapping[Where, Side]) -> Conflict:
    chosen = taken.get(conflict.where, conflict.chosen)
    return (
        conflict
        if chosen is conflict.chosen
        else replace(conflict, chosen=chosen, reason="you took it after all")
    )


def _conflict(record: Mapping[str, Any]) -> Conflict:
    found = Conflict(**{**record, "chosen": Side(record["chosen"]), "weight": Weight(record["weight"])})
    said = (found.kind, found.title, found.unit, found.reason, str(found.id))
    if not all(isinstance(text, str) for text in said) or not isinstance(found.id, int | str):
        raise TypeError("a conflict of other types")
    if not all(isinstance(text, str | None) for text in (found.ancestor, found.desktop, found.phone)):
        raise TypeError("a conflict of other texts")
    return found


def _media_conflict(record: Mapping[str, Any]) -> MediaConflict:
    both = {side.value: record[side] and MediaFile(*record[side]) for side in Side}
    return MediaConflict(**{**record, **both, "chosen": Side(record["chosen"])})


def take_other(options: Options, talk: Talk, number: int) -> tuple[Conflict, Report]:
    """Choose the other side's version of one conflict after all, on both sides.

    The merge is made again from its backup, once as it was and once with the other answer; the difference is
    an edit like any other, merged into what both hold now. Raises ChoiceNeeded where both are not in step.
    """
    _not_by_package(options)
    with meet(options, talk) as meeting:
        recover(meeting, talk)
        ancestor = _in_step(meeting)
        merge = _last(Backups(meeting.pair).list())
        if merge is None:
            raise UsageError("the last merge had no conflict", hint="there is nothing to take")
        conflict = merge.number(number)
        Backups(meeting.pair).verify(merge.backup)
        talk.stage("merging again with the other answer")
        was, wanted = (_remade(meeting, merge, conflict, other) for other in (False, True))
        if reason := _in_the_way(conflict, was, wanted):
            raise ChoiceNeeded(
                f"conflict {number} cannot be taken: {reason}; nothing was changed",
                hint="usbsync undo takes the whole merge back; "
                f"usbsync restore {merge.backup.id} --side {conflict.chosen.other} --to FOLDER "
                f"takes out what the {conflict.chosen.other} held",
            )
        report = _edit(meeting, ancestor, (was, wanted), _facts(conflict), talk)
        return conflict, report


def _not_by_package(options: Options) -> None:
    """Refuse where the other version would have to reach a phone that came as a package and is gone again."""
    newest = next((phone for phone, backup in kept(options) if backup.facts.get("conflicts")), None)
    named = options.device is not None and options.device.startswith("package:")
    if named or (options.device is None and newest == PHONE):
        raise UsageError(
            "the phone came as a package then, and both cannot be changed together; nothing was changed",
            hint="usbsync conflicts show NUMBER shows both versions: write the one you want in Anki, "
            "and the next package or cable takes it to the phone",
        )


def _in_step(meeting: Meeting) -> Ancestor:
    ancestor = meeting.ancestor()
    prints = {side: replica.fingerprint() or "" for side, replica in meeting.replicas.items()}
    if ancestor is None or prints != known_fingerprints(ancestor):
        raise ChoiceNeeded(
            "something changed since the last sync; nothing was changed", hint="run usbsync sync first"
        )
    return ancestor


@dataclass(frozen=True, slots=True)
class _Remade:
    """A merge made again: the collection, what lost in it, and the notes for which Anki is to make cards."""

    path: Path
    conflicts: tuple[Conflict, ...]
    grow: frozenset[int]


def _in_the_way(conflict: Conflict, was: _Remade, wanted: _Remade) -> str | None:
    """Say why the other answer changes nothing; None where it does."""
    now = next((each for each in wanted.conflicts if each.where == conflict.where), None)
    if now and now.chosen is conflict.chosen:
        return now.reason
    return "something else that was done needs it as it is" if same(was.path, wanted.path) else None


def _remade(meeting: Meeting, merge: Past, conflict: Conflict, other: bool) -> _Remade:  # noqa: FBT001
    """Make the merge of a backup again, with the answer it had or the other."""
    folder = meeting.scratch / ("taken" if other else "was")
    taken = {side: take(merge.backup.path / side / MAIN, folder / side, side) for side in Side}
    paths = {side: snapshot.path for side, snapshot in taken.items()}
    common = merge.backup.path / "ancestor.anki2"
    if common.exists():
        base = take(common, folder / "ancestor", "last sync").path
        with making_sense(merge.backup):
            before = from_record(merge.backup.facts["ancestor"], merge.backup.path).info
        level(lesser(taken, known(before)), paths, base)
    else:
        paths[Side.PHONE], base = acquaint(
            paths[Side.DESKTOP], paths[Side.PHONE], folder / "common", 0, lesser(taken)
        )
    answers = {each.where: each.chosen for each in merge.conflicts}  # a person may have given them
    answers[conflict.where] = conflict.chosen.other if other else conflict.chosen
    facts = merge.backup.facts
    with making_sense(merge.backup):
        policy, logic = Policy(facts.get("prefer", Policy.NEWEST)), Logic(facts.get("merge", Logic.FINE))
    desktop, phone, context = compare(base, paths[Side.DESKTOP], paths[Side.PHONE])
    plan = make_plan(desktop, phone, reconcile(desktop, phone, context, Settlement(policy, answers, logic)))
    target = folder / MAIN
    build(paths[Side.DESKTOP], paths[Side.PHONE], plan.desktop, target, 0)
    return _Remade(target, plan.conflicts, plan.grow)


def _facts(conflict: Conflict) -> dict[str, Any]:
    """Return what the backup of a take remembers of it."""
    kind, key, unit = conflict.where
    return {"taken": {"kind": kind, "id": key, "unit": unit, "chosen": conflict.chosen.other.value}}


def _edit(
    meeting: Meeting, ancestor: Ancestor, edit: tuple[_Remade, _Remade], facts: Mapping[str, Any], talk: Talk
) -> Report:
    """Merge the difference of two merges into what both sides hold now."""
    was, wanted = edit
    helds = {
        side: held(
            replica,
            replica.fetch(meeting.scratch / side / "raw", lambda _count: None),
            meeting.scratch / side,
        )
        for side, replica in meeting.replicas.items()
    }
    paths = {side: one.snapshot.path for side, one in helds.items()}
    if side := lesser(snapshots(helds)):
        lift(paths[side.other], paths[side])
    new, counts = {}, {}
    now_ms = int(time.time() * 1000)
    for side, path in paths.items():
        desktop, phone, context = compare(was.path, path, wanted.path)
        result = reconcile(desktop, phone, context, Settlement(Policy.PHONE))  # the phone's: what is wanted
        plan = make_plan(desktop, phone, result).desktop
        counts[side] = plan.counts
        if not plan.empty:
            new[side] = meeting.scratch / side / f"taken-{MAIN}"
            build(path, wanted.path, plan, new[side], now_ms)
    if new:
        grow_both(meeting, wanted.grow, paths, new, now_ms)
    else:
        return Report(Result.UNCHANGED, meeting.names)
    results = {side: new.get(side, paths[side]) for side in Side}
    verify(results[Side.DESKTOP], results[Side.PHONE], (paths[Side.DESKTOP], paths[Side.PHONE]))
    new = {side: as_it_was(helds[side], path) for side, path in new.items()}
    backup = apply(meeting, replace(_work(meeting, ancestor, helds, new), facts=facts), talk)
    return Report(Result.MERGED, meeting.names, changes=counts, backup=backup)


def _work(meeting: Meeting, ancestor: Ancestor, helds: Mapping[Side, Held], new: Mapping[Side, Path]) -> Work:
    """Turn both sides' new collections into work for `apply`; media stays as it is."""
    before = {side: one.fingerprint for side, one in helds.items()}
    collection, media = CollectionWork(before, Start.MERGE, helds, new), no_media(ancestor)
    return Work(
        before=before,
        held=helds,
        new=new,
        media=media.plan,
        old=ancestor,
        ancestor=next_ancestor(meeting, ancestor, collection, media),
        note="taken",
    )
