"""What a commit record may say: only steps that an apply would have written, on files of that replica's own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from usbsync.core.conflict import Side
from usbsync.core.media_names import name_problem
from usbsync.errors import DamagedData
from usbsync.session.journal import NONE, Cut, SideRecord
from usbsync.session.replica import Replica
from usbsync.transport.base import Remove, Rename, Step

_STAGED = re.compile("[0-9a-f]{40}-[0-9]{1,9}", re.ASCII)


def check_steps(cut: Cut, replicas: Mapping[Side, Replica]) -> None:
    """Refuse a record that would touch anything else; raises DamagedData."""
    for side, record in cut.sides.items():
        replica = replicas[side]
        last = _last(replica, record)
        if record.flip[-1:] != last or (record.mark is None) != (not last):
            raise DamagedData("the commit record contradicts itself; nothing was changed")
        wrong = [*_strange(record.flip, _flips(replica, last)), *_strange_media(replica, record)]
        if wrong:
            raise DamagedData(
                f"the commit record makes no sense (it would touch {_touched(wrong[0])!a} on the {side}); "
                "nothing was changed"
            )


def _last(replica: Replica, record: SideRecord) -> tuple[Step, ...]:
    """Return the step by which a collection comes or goes; none where it stays."""
    if record.after is None:
        return ()
    main = replica.collection
    return (Remove(main) if record.after == NONE else Rename(replica.new, main),)


def _flips(replica: Replica, last: Sequence[Step]) -> Collection[Step]:
    """Name all steps that the flip of a collection can have."""
    main = replica.collection
    tidied = [Remove(f"{main}{sidecar}") for sidecar in ("-wal", "-shm", "-journal")]
    return [*tidied, Rename(replica.folded, main), *last]


def _strange(steps: Iterable[Step], known: Collection[Step]) -> list[Step]:
    return [step for step in steps if step not in known]


def _strange_media(replica: Replica, record: SideRecord) -> list[Step]:
    steps = [*record.early, *record.late, *map(Remove, (*record.brings, *record.takes))]
    unknown = [step for step in record.early if isinstance(step, Rename) and step.target not in record.brings]
    return [step for step in steps if not _is_of_media(step, replica)] + unknown


def _is_of_media(step: Step, replica: Replica) -> bool:
    if isinstance(step, Remove):
        return _is_media(step.path, replica)
    folder, _, name = step.source.rpartition("/")
    staged = folder == replica.place.stage and _STAGED.fullmatch(name)
    return bool(staged) and _is_media(step.target, replica)


def _is_media(path: str, replica: Replica) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == replica.media and name_problem(name) is None


def _touched(step: Step) -> str:
    return step.path if isinstance(step, Remove) else f"{step.source} or {step.target}"
