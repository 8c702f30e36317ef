"""The answer to a package: a package beside it, to be imported on the phone; and one of before that lies there still."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from usbsync.collection.package_check import COLLECTION_SUFFIX
from usbsync.session.talk import Talk
from usbsync.state.files import durable_copy, sha256_of
from usbsync.state.pair import Pair
from usbsync.state.passed import Passed, load_passed

ANSWER = "answer"
"""The SHA-256 of an answer, by which it is known under any name, in the notes of its state."""
_MERGED = "-merged"


def answer_to(package: Path) -> Path:
    """Name the answer to a package: phone.colpkg, phone-merged.colpkg."""
    return package.with_name(f"{package.stem}{_MERGED}{COLLECTION_SUFFIX}")


def is_answer(path: Path) -> bool:
    """Whether a file's name is one of our answers'."""
    return path.stem.endswith(_MERGED)


def was_answered(pair: Pair, path: Path) -> bool:
    """Whether a file is an answer that is remembered, whatever its name: a copy, or a second version of a carrier's."""
    return _is_among(load_passed(pair), path)


def _is_among(states: Iterable[Passed], path: Path) -> bool:
    answers = {each.state.info.get(ANSWER) for each in states} - {None}
    return bool(answers) and sha256_of(path) in answers


def put_beside(packed: Path, package: Path) -> Path:
    """Put an answer beside its package, in the place of an older one; readable by whom that is."""
    target = answer_to(package)
    durable_copy(packed, target)
    with suppress(OSError):  # a mounted phone or card has no modes
        target.chmod(package.stat().st_mode & 0o777)
    return target


def take_away(package: Path, known: Iterable[Passed], talk: Talk) -> None:
    """Remove an older answer from beside a package whose phone lacks nothing: imported, it would set the phone back."""
    old = answer_to(package)
    if not old.is_file():
        return
    if not _is_among(known, old):
        talk.note(f"{old.name} is no answer to this package: do not import it")
        return
    with suppress(OSError):
        old.unlink()
        talk.note(f"removed {old.name}, an older answer: the phone lacks nothing")
        return
    talk.note(f"{old.name} is an older answer, and could not be removed: do not import it")
