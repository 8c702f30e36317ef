"""A whole sync for show: two real collections, a phone in a folder, conflicts to look at."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from rich.console import Console
from rich.table import Table

from usbsync.cli.render import render_report
from usbsync.cli.terminal import Terminal
from usbsync.collection import sample
from usbsync.errors import UsageError, UsbsyncError
from usbsync.session.options import Options
from usbsync.session.sync import sync


def run(folder: Path | None) -> None:
    """Build the demo in a folder, sync it, show both sides before and after, and leave it for the curious."""
    console = Console(highlight=False, soft_wrap=True)
    root = _fresh(folder)
    desktop, phone = root / "desktop" / "collection.anki2", root / "phone" / "collection.anki2"
    environ = {**os.environ, "USBSYNC_HOME": str(root / "state")}
    options = Options(device=f"folder:{phone.parent}", collection=desktop, environ=environ)

    console.print("[bold]1.[/] a collection on the desktop, copied to a phone (here: a folder)")
    sample.make_past(desktop)
    shutil.copytree(desktop.parent, phone.parent)
    with Terminal(quiet=False) as talk:
        sync(options, talk)

    console.print("[bold]2.[/] work on both sides, with no cable between them\n")
    sample.work_at_the_desk(desktop)
    sample.work_on_the_train(phone)
    _show(console, desktop, phone)

    console.print("[bold]3.[/] usbsync sync\n")
    with Terminal(quiet=False) as talk:
        report = sync(options, talk)
    console.print(render_report(report))

    console.print("\n[bold]4.[/] both sides afterwards\n")
    _show(console, desktop, phone)
    _check(desktop, phone)
    console.print("Anki's own database check finds nothing to repair on either side.\n")
    _try_next(console, root, options)


def _fresh(folder: Path | None) -> Path:
    if folder is None:
        return Path(mkdtemp(prefix="usbsync-demo-"))
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="name a new folder, or none")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _show(console: Console, desktop: Path, phone: Path) -> None:
    """Show both sides next to each other, a note a row."""
    mine, theirs = sample.words(desktop), sample.words(phone)
    table = Table("desktop", "answers", "phone", "answers", box=None, padding=(0, 2, 0, 0))
    for key in sorted(mine.keys() | theirs.keys()):
        table.add_row(
            *_cells(mine.get(key)),
            *_cells(theirs.get(key)),
            style="" if mine.get(key) == theirs.get(key) else "bold",
        )
    console.print(table)
    for side, path in (("desktop", desktop), ("phone", phone)):
        media = sorted(file.name for file in (path.parent / "collection.media").iterdir())
        console.print(
            f"{side}: decks {', '.join(sample.decks(path))}; media {', '.join(media)}", markup=False
        )
    console.print()


def _cells(row: tuple[str, str, int] | None) -> tuple[str, str]:
    if row is None:
        return "-", ""
    front, back, answers = row
    front = front.partition("> ")[2] or front
    return f"{front} = {back}".replace("[", r"\["), str(answers)


def _check(desktop: Path, phone: Path) -> None:
    """Prove what the demo claims; on copies, for a check may write."""
    for path in (desktop, phone):
        with TemporaryDirectory() as folder:
            copy = Path(folder, path.name)
            shutil.copyfile(path, copy)
            found = sample.problems(copy)
        if found:
            raise UsbsyncError(f"Anki's database check repaired something: {found}")
    if sample.words(desktop) != sample.words(phone):
        raise UsbsyncError("the two sides differ after a sync")


def _try_next(console: Console, root: Path, options: Options) -> None:
    program = "usbsync"
    if local := shutil.which("usbsync", path=str(Path(".venv/bin").resolve())):
        program = os.path.relpath(local)
    both = f"--collection {shlex.quote(str(options.collection))} --device {shlex.quote(str(options.device))}"
    console.print(f"Everything is in {root}. To try next:\n", markup=False)
    console.print(f"  export USBSYNC_HOME={shlex.quote(str(root / 'state'))}", markup=False)
    for command in ("status", "sync", "plan --json", "undo"):
        console.print(f"  {program} {command} {both}", markup=False)
