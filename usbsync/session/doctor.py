"""Examining a chain link by link: what holds, what does not, and the one thing to do.

A link is tried only when those it hangs on hold. Each has a deadline: one that does not answer is a failure by itself,
and all that it hangs on is left alone from then on, for it may still be at work there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from usbsync.errors import PhoneFailed, UsbsyncError

Case = TypeVar("Case")
"""What the probes find for those after them."""

_GRACE = 2.0
"""Seconds that a probe gets to tidy up when a person interrupts it."""
_USABLE = "see that this account may use it, and that its disk answers"


class Verdict(StrEnum):
    """How a link is."""

    PASS = "pass"  # noqa: S105 - no password
    WARNING = "warning"
    FAILURE = "failure"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Said:
    """What a probe found."""

    text: str
    verdict: Verdict = Verdict.PASS
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Link(Generic[Case]):
    """One link: its probe raises one of our errors where it fails; `seconds` is its deadline.

    `late` is the thing to do where it does not answer in that time.
    """

    name: str
    probe: Callable[[Case], Said]
    needs: tuple[str, ...] = ()
    seconds: float = 10.0
    late: str = "unplug the phone, plug it in again, and run this again"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one link; `code` is the exit code that a sync would end with there."""

    link: str
    verdict: Verdict
    text: str
    todo: str = ""
    code: int = 0
    late: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {"link": self.link, "verdict": self.verdict.value, "text": self.text, "todo": self.todo}


def warning(text: str, todo: str = "") -> Said:
    """Return what is not as it should be, and hinders no sync."""
    return Said(text, Verdict.WARNING, todo)


def examine(chain: Sequence[Link[Case]], case: Case) -> Iterator[Finding]:
    """Try every link in order."""
    culprits: dict[str, str] = {}
    links = {link.name: link for link in chain}
    for link in chain:
        first = next((culprits[name] for name in link.needs if name in culprits), None)
        finding = _not_reached(link, first) if first else _try(link, case)
        if finding.verdict in {Verdict.FAILURE, Verdict.NOT_REACHED}:
            culprits[link.name] = first or link.name
        if finding.late:
            culprits |= dict.fromkeys(_below(link, links) - culprits.keys(), link.name)
        yield finding


def culprit(findings: Iterable[Finding]) -> Finding | None:
    """Return the first failure; warnings are none."""
    return next((found for found in findings if found.verdict is Verdict.FAILURE), None)


def _below(link: Link[Case], links: Mapping[str, Link[Case]]) -> set[str]:
    """Name all that a link hangs on."""
    here = [links[name] for name in link.needs if name in links]
    return {each.name for each in here}.union(*(_below(each, links) for each in here))


def _not_reached(link: Link[Case], first: str) -> Finding:
    return Finding(link.name, Verdict.NOT_REACHED, f"first: {first}")


def _try(link: Link[Case], case: Case) -> Finding:
    """Run a probe in a thread of its own, which is left behind when it is late."""
    found: list[Finding] = []
    thread = threading.Thread(target=lambda: found.append(_outcome(link, case)), daemon=True, name=link.name)
    thread.start()
    try:
        thread.join(link.seconds)
    except BaseException:
        thread.join(_GRACE)
        raise
    if found:
        return found[0]
    text = f"no answer within {link.seconds:.0f} s"
    return Finding(link.name, Verdict.FAILURE, text, link.late, PhoneFailed.exit_code, late=True)


def _outcome(link: Link[Case], case: Case) -> Finding:
    try:
        said = link.probe(case)
    except UsbsyncError as error:
        return Finding(link.name, Verdict.FAILURE, str(error), error.hint, error.exit_code)
    except OSError as error:
        return Finding(link.name, Verdict.FAILURE, str(error), _USABLE, PhoneFailed.exit_code)
    except Exception as error:  # noqa: BLE001 - a bug in one probe must not hide what the others find
        text = f"{type(error).__name__}: {error}"
        return Finding(link.name, Verdict.FAILURE, text, UsbsyncError.hint, UsbsyncError.exit_code)
    return Finding(link.name, said.verdict, said.text, said.todo)
