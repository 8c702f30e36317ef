"""Which phones may be synced without being asked for: what a person answered, phone by phone.

A phone is named by its serial as USB and adb give it, a mounted one by `folder:PATH`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from usbsync.state.files import private_folder, speaking, sweep_temporaries_of
from usbsync.state.records import damaged, part, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = "phones.json"

_VERSION = 1
_MOST_TOLD = 50  # a device can say any serial, and many of them


class Answer(StrEnum):
    """What is known of a person's will."""

    YES = "yes"
    NO = "no"
    TOLD = "told"  # a notification said how to allow it, and nobody did


@dataclass(frozen=True, slots=True)
class Consent:
    """One phone: the answer, the desktop collection it is for (None: the usual one), seconds since 1970."""

    phone: str
    answer: Answer
    collection: str | None
    since: float


def load_consents(home: Path) -> dict[str, Consent]:
    """Return every answer, by phone. Raises DamagedData."""
    path = home / NAME
    record = read_record(path, version=_VERSION)
    phones = part(record, "phones", dict, path) if record else {}
    return {phone: _consent(phone, row, path) for phone, row in phones.items()}


def remember_consent(home: Path, consent: Consent) -> None:
    """Keep an answer in place of the one before."""
    with _changing(home) as known:
        known.pop(consent.phone, None)
        known[consent.phone] = consent
        told = sorted((each.since, each.phone) for each in known.values() if each.answer is Answer.TOLD)
        for _since, phone in told[:-_MOST_TOLD]:
            del known[phone]


def forget_consent(home: Path, phone: str | None = None) -> tuple[str, ...]:
    """Take back the answer for one phone, or for all; return the phones that had been allowed."""
    if not (home / NAME).exists():
        return ()
    with _changing(home) as known:
        gone = [known.pop(each) for each in list(known) if phone in {None, each}]
    return tuple(each.phone for each in gone if each.answer is Answer.YES)


@contextmanager
def _changing(home: Path) -> Iterator[dict[str, Consent]]:
    """Read, let change, write; one process at a time."""
    folder = private_folder(home / "locks")
    with speaking(folder), FileLock(folder / "phones.lock", mode=0o600):
        sweep_temporaries_of(home / NAME)
        known = load_consents(home)
        yield known
        write_record(
            home / NAME, {"phones": {each.phone: _row(each) for each in known.values()}}, version=_VERSION
        )


def _row(consent: Consent) -> dict[str, Any]:
    return {"answer": consent.answer.value, "collection": consent.collection, "since": float(consent.since)}


def _consent(phone: str, row: object, path: Path) -> Consent:
    match row:
        case {
            "answer": ("yes" | "no" | "told") as answer,
            "collection": (str() | None) as where,
            "since": float(since),
        }:
            return Consent(phone, Answer(answer), where, since)
    raise damaged(path, f"the answer for {phone!r} makes no sense")


def allowed(consents: Mapping[str, Consent], phone: str) -> Answer | None:
    """Return the answer for a phone; None where nobody was asked."""
    found = consents.get(phone)
    return found.answer if found else None
