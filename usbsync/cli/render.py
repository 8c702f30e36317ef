"""Reports as text that reads without colour."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from usbsync.core.changes import Table
from usbsync.core.conflict import Conflict, Side, Weight
from usbsync.core.media import MediaConflict, Skipped
from usbsync.core.words import printable
from usbsync.device.detect import SeenPhone, to_do
from usbsync.session.conflicts import Past
from usbsync.session.doctor import Finding, Verdict
from usbsync.session.report import Counts, Report, Result
from usbsync.session.status import Status
from usbsync.state.backups import Backup
from usbsync.transport.paths import shown
from usbsync.transport.ways import State

_HEADLINES = {
    Result.MERGED: "in step: both hold everything now",
    Result.UNCHANGED: "in step: nothing to do",
    Result.UPLOADED: "in step: the phone holds the desktop's collection now",
    Result.DOWNLOADED: "in step: the desktop holds the phone's collection now",
    Result.PLANNED: "plan: nothing was written",
    Result.FINISHED: "in step: what was interrupted is finished",
    Result.IMPORTED: "imported",
    Result.UNDONE: "undone: both hold what they held before",
    Result.RESTORED: "restored from the backup; the next sync brings both together again",
}
_IMPORTED = {
    Result.UPLOADED: "the phone holds the desktop's collection",
    Result.DOWNLOADED: "both hold the phone's collection",
}
_KINDS = {
    "notes": ("note", "notes"),
    "cards": ("card", "cards"),
    "revlog": ("answer", "answers"),
    "decks": ("deck", "decks"),
    "deck_config": ("set of deck options", "sets of deck options"),
    "notetypes": ("notetype", "notetypes"),
    "media": ("media file", "media files"),
}
_SHOWN = 20
_FEW = 3
_WIDTH = 40
_WORDS = 500  # as many as could be seen, and more


def render_report(report: Report, device: str | None = None) -> Text:
    """Say what a sync did: each side, then what could not be kept, then what was left out.

    `device` is how the phone was named, where it was: an undo has to name it again.
    """
    text = Text()
    text.append(_headline(report) + "\n", style="bold")
    planned = report.result is Result.PLANNED
    for side in report.sides:
        text.append(f"  {side.value:<8} ")
        text.append("; ".join(_side(report, side)) or "as it was")
        text.append("\n")
    for line in _conflicts(report, planned=planned):
        text.append(line)
    for line in _skipped(report.skipped):
        text.append(line)
    text.append_text(_wire(report, device))
    return Text(str(text.plain).rstrip("\n"), spans=text.spans)


def _headline(report: Report) -> str:
    if report.answer:
        merged = "merged: " if report.result is Result.MERGED else ""
        return merged + to_import(report)
    if report.result is Result.UNDONE and len(report.sides) == 1:
        return f"undone: the {report.sides[0]} holds what it held before"
    return _HEADLINES[report.result]


def to_import(report: Report) -> str:
    """Say what to do with an answer, and what is so then."""
    then = _IMPORTED.get(report.result, "both hold everything")
    return f"import {Path(report.answer or '').name} on the phone, and {then}"


def sides(report: Report) -> Iterator[tuple[Side, str]]:
    """Say in words what was done to each side that was changed."""
    for side in Side:
        if text := "; ".join(_side(report, side)):
            yield side, text


def _side(report: Report, side: Side) -> Iterator[str]:
    counts: Counts = {**report.changes.get(side, {}), "media": report.media.get(side, {})}
    for what, verb in (("added", "new"), ("updated", "changed"), ("deleted", "deleted")):
        parts = [
            f"{counts[kind][what]:,} {verb} {names[counts[kind][what] != 1]}"
            for kind, names in _KINDS.items()
            if counts.get(kind, {}).get(what)
        ]
        if parts:
            yield ", ".join(parts)
    if side in report.emptied:
        yield "no collection, as before"


def _conflicts(report: Report, *, planned: bool) -> Iterator[Text]:
    lost = [c for c in report.conflicts if c.weight is Weight.LOST]
    counted = sum(c.weight is Weight.COUNTED and c.kind == Table.CARDS for c in report.conflicts)
    if counted:
        cards = "card" if counted == 1 else "cards"
        yield Text(f"\n{counted:,} {cards} studied on both sides or deleted on one: every answer is kept\n")
    total = len(lost) + len(report.media_conflicts)
    if total:
        head = "conflict" if total == 1 else "conflicts"
        verb = "would stand" if planned else "stands"
        yield Text(f"\n{total} {head}: one {verb}, the other is in the backup\n", style="bold")
    for conflict in lost[:_SHOWN]:
        yield side_by_side(conflict)
    for media in report.media_conflicts[:_SHOWN]:
        yield _media(media)
    if (more := len(lost) - _SHOWN) > 0:
        yield Text(f"  … and {more} more; --json lists them all\n")


def render_conflicts(past: Past | None) -> Text:
    """List conflicts by the numbers by which they can be shown and taken; those of media files have none."""
    if past is None:
        return Text("the last merge had no conflict")
    text = Text()
    for number, conflict in enumerate(past.conflicts, start=1):
        text.append(f"{number:>3} ").append_text(side_by_side(conflict))
    for media in past.media:
        text.append_text(_media(media))
    return text.append("\n".join(_ways_back(past)))


def _ways_back(past: Past) -> Iterator[str]:
    if past.conflicts and past.by_package:
        yield "hint: to have the other side's after all, write it in Anki"
    elif past.conflicts:
        yield "hint: usbsync conflicts take NUMBER takes the other side's after all"
    if past.media:
        yield f"hint: usbsync restore {past.backup.id} --to FOLDER takes out the media files that lost"


def named(conflict: Conflict) -> str:
    """Say what a conflict is about."""
    return f"{whose(conflict)}, {conflict.unit}"


def whose(conflict: Conflict) -> str:
    """Say of what a part is in conflict: a card's title says that it is one."""
    kind = _KINDS.get(conflict.kind, (conflict.kind,))[0]
    return conflict.title if conflict.kind == Table.CARDS else f'{kind} "{conflict.title}"'


def side_by_side(conflict: Conflict) -> Text:
    """Show one conflict in a line for each side, the differing words marked."""
    text = Text(f"  {printable(named(conflict))}\n")
    for side in Side:
        mine = conflict.desktop if side is Side.DESKTOP else conflict.phone
        other = conflict.phone if side is Side.DESKTOP else conflict.desktop
        mark = "✓" if conflict.chosen is side else " "
        text.append(f"    {mark} {side.value:<8} ")
        text.append_text(_marked(mine, other))
        text.append("\n")
    text.append(f"      {printable(conflict.reason)}\n", style="dim")
    return text


def _marked(mine: str | None, other: str | None) -> Text:
    """Return one line of a text, with the words that the other lacks set apart."""
    if mine is None:
        return Text("(none)")
    words, others = printable(mine).split()[:_WORDS], printable(other or "").split()[:_WORDS]
    text = Text()
    for tag, a1, a2, _b1, _b2 in difflib.SequenceMatcher(a=words, b=others, autojunk=False).get_opcodes():
        if a1 < a2:
            text.append(" ".join(words[a1:a2]) + " ", style="" if tag == "equal" else "bold underline")
    text.truncate(_WIDTH * 2, overflow="ellipsis")
    return text


def _media(conflict: MediaConflict) -> Text:
    other = conflict.chosen.other.value
    return Text(
        f"  media file {conflict.name}: the {conflict.chosen}'s stands, not the {other}'s\n      {conflict.reason}\n"
    )


def _skipped(skipped: Sequence[Skipped]) -> Iterator[Text]:
    if skipped:
        yield Text(f"\n{len(skipped)} media {'file' if len(skipped) == 1 else 'files'} left alone\n")
    for skip in skipped[:_FEW]:
        yield Text(f"  {shown(skip.name)} on the {skip.where}: {skip.reason}\n")
    if len(skipped) > _FEW:
        yield Text(f"  … and {len(skipped) - _FEW} more; --json lists them all\n")


def _wire(report: Report, device: str | None) -> Text:
    text = Text()
    if report.pulled_bytes or report.pushed_bytes:
        text.append(f"\n{size_of(report.pulled_bytes)} from the phone, {size_of(report.pushed_bytes)} to it")
        text.append(f", {sum(report.seconds.values()):.1f} s\n" if report.seconds else "\n")
    if report.answer:
        text.append(f"\nthe answer is {report.answer}\n")
        text.append(
            "importing it replaces what the phone holds: studied there since? Then export and sync again first\n"
        )
    if report.backup and report.answer:
        text.append(f"backup {report.backup}; usbsync undo takes the desktop back\n")
    elif report.backup:
        back = "brings both back" if len(report.sides) > 1 else "takes it back"
        named = f" --device {shlex.quote(device)}" if device and Side.PHONE in report.sides else ""
        text.append(f"backup {report.backup}; usbsync undo{named} {back}\n")
    return text


def size_of(count: int) -> str:
    """Say a number of bytes in words."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def render_backups(backups: Sequence[tuple[str, Backup]], unreadable: Sequence[Path] = ()) -> Text:
    """List backups, newest first, then what was one and cannot be read."""
    lines = [
        f"{backup.id:<24} {size_of(backup.size):>9}  {backup.note:<11} {phone}" for phone, backup in backups
    ]
    if lines:
        lines.append(f"hint: usbsync undo ID brings {_whom({phone for phone, _ in backups})} before")
    elif not unreadable:
        lines.append("no backup: usbsync has changed nothing yet")
    return Text("\n".join([*lines, *(f"kept, but it cannot be read: {path}" for path in unreadable)]))


def _whom(phones: AbstractSet[str]) -> str:
    """Say whom an undo takes back: where the phone is not needed, the desktop alone."""
    from usbsync.session.alone import NO_PHONE  # noqa: PLC0415 - to list backups is all that needs it

    absent = phones & set(NO_PHONE)
    if phones == absent:
        return "the desktop back to what it held"
    alone = " (of a package or an import: the desktop)" if absent else ""
    return f"both sides{alone} back to what they held"


def render_status(status: Status) -> Text:
    """Say how a pair stands."""
    text = Text(status.state.value, style="bold")
    if status.last_sync is None:
        text.append("\n  usbsync sync begins; it asks where both hold different work")
    else:
        when = datetime.fromtimestamp(status.last_sync, UTC).astimezone()
        text.append(f"\n  last sync {when:%Y-%m-%d %H:%M}")
        for side in status.changed:
            text.append(f"\n  the {side} changed since")
    if status.refused:
        text.append(f"\n  a sync would say: {status.refused}\n  hint: {status.refused.hint}")
    if status.interrupted:
        text.append("\n  an earlier sync was interrupted: usbsync sync finishes it")
    if status.app_running:
        text.append("\n  AnkiDroid is running; a sync stops it and starts it again")
    return text


def render_devices(phones: Sequence[SeenPhone], allowed: Sequence[str] = ()) -> Text:
    """List phones, each with the name to give to --device, and those that are synced by themselves."""
    lines = [
        f"{phone.spec:<28} {phone.state.value:<13} {_named(phone, allowed)}".rstrip() for phone in phones
    ]
    lines += [] if lines else ["no phone is seen"]
    away = [each for each in allowed if each not in {phone.serial for phone in phones}]
    lines += [f"not here, synced by itself: {each}" for each in away]
    return Text("\n".join([*lines, *(f"hint: {hint}" for hint in _hints(phones))]))


def _hints(phones: Sequence[SeenPhone]) -> list[str]:
    """Say what to do where no phone is ready: at those that are there, each thing once."""
    if any(phone.state is State.READY for phone in phones):
        return []
    return list(dict.fromkeys(map(to_do, phones))) or [
        "plug the phone in, unlock it, and turn on USB debugging"
    ]


def _named(phone: SeenPhone, allowed: Sequence[str]) -> str:
    return f"{phone.model} (synced by itself)".strip() if phone.serial in allowed else phone.model


def render_finding(finding: Finding) -> Text:
    """Say how one link is, and the one thing to do about it."""
    mark, style = _VERDICTS[finding.verdict]
    text = Text().append(mark, style=style).append(f" {finding.link:<16} {finding.text}")
    if finding.todo:
        text.append("\n  do: ", style="bold cyan").append(finding.todo)
    return text


_VERDICTS = {
    Verdict.PASS: ("✓", "green"),
    Verdict.WARNING: ("!", "bold yellow"),
    Verdict.FAILURE: ("✗", "bold red"),
    Verdict.NOT_REACHED: ("·", "dim"),
}
