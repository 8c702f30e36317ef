"""Examining the chain from Anki to AnkiDroid, link by link: what holds, what does not, and the one thing to do.

A link is tried only when those it hangs on hold. Each has a deadline: one that does not answer is a failure by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from usbsync.errors import UsbsyncError


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
class Link:
    """One link: its probe raises one of our errors where it fails; `seconds` is its deadline."""

    name: str
    probe: Callable[[], Said]
    needs: tuple[str, ...] = ()
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one link; `code` is the exit code that a sync would end with there."""

    link: str
    verdict: Verdict
    text: str
    todo: str = ""
    code: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {"link": self.link, "verdict": self.verdict.value, "text": self.text, "todo": self.todo}


def examine(chain: Iterable[Link]) -> Iterator[Finding]:
    """Try every link in order."""
    broken: set[str] = set()
    for link in chain:
        missing = [name for name in link.needs if name in broken]
        if missing:
            finding = Finding(link.name, Verdict.NOT_REACHED, f"first: {missing[0]}")
        else:
            finding = _try(link)
        if finding.verdict in {Verdict.FAILURE, Verdict.NOT_REACHED}:
            broken.add(link.name)
        yield finding


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the code of the first failure; warnings are none."""
    return next((found.code for found in findings if found.verdict is Verdict.FAILURE), 0)


def _try(link: Link) -> Finding:
    """Run a probe in a thread of its own, which is left behind when it is late."""
    found: list[Finding] = []
    thread = threading.Thread(target=lambda: found.append(_outcome(link)), daemon=True, name=link.name)
    thread.start()
    thread.join(link.seconds)
    if found:
        return found[0]
    late = f"no answer within {link.seconds:.0f} s"
    return Finding(
        link.name, Verdict.FAILURE, late, "unplug the phone, plug it in again, and run this again", 6
    )


def _outcome(link: Link) -> Finding:
    try:
        said = link.probe()
    except UsbsyncError as error:
        return Finding(link.name, Verdict.FAILURE, str(error), error.hint, error.exit_code)
    except Exception as error:  # noqa: BLE001 - a bug in one probe must not hide what the others find
        text = f"{type(error).__name__}: {error}"
        return Finding(link.name, Verdict.FAILURE, text, UsbsyncError.hint, UsbsyncError.exit_code)
    return Finding(link.name, said.verdict, said.text, said.todo)
