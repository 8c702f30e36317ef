"""The commands by which a sync comes about by itself: setup and watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from usbsync.cli.common import options_of
from usbsync.cli.terminal import Terminal
from usbsync.errors import UsageError
from usbsync.session import setup as steps
from usbsync.session.consent import answer, is_here, revoke, to_be_asked
from usbsync.session.options import Options
from usbsync.session.report import Report
from usbsync.state.consent import Answer

auto = typer.Typer()

Phone = Annotated[
    str | None,
    typer.Option("--phone", help="Sync this phone by itself when it is plugged in.", metavar="SERIAL"),
]
Forget = Annotated[
    str | None, typer.Option("--forget", help="Take back what was said for this phone.", metavar="SERIAL")
]
Print = Annotated[bool, typer.Option("--print", help="Print the commands, and do nothing.")]
Uninstall = Annotated[bool, typer.Option("--uninstall", help="Take back all that setup did.")]


@auto.command()
def setup(
    phone: Phone = None, forget: Forget = None, print_: Print = False, uninstall: Uninstall = False
) -> None:
    """Have phones synced by themselves when they are plugged in: a udev rule, and a service of your own."""
    if sum((phone is not None, forget is not None, uninstall)) > 1:
        raise UsageError("--phone, --forget and --uninstall do not go together", hint="one at a time")
    computer = steps.Computer()
    parts = steps.uninstall(computer) if uninstall else steps.install(computer)
    if print_:
        _print(parts)
        return
    if forget is not None:
        _forget(forget)
        return
    if phone is not None:
        _allow(phone)
    _do(parts, "removing" if uninstall else "installing")
    if uninstall:
        revoke(options_of())
        _say("nothing of it is left; collections, backups and what usbsync remembers are as they were")


@auto.command()
def watch(
    inbox: Annotated[
        Path | None,
        typer.Option(
            "--inbox", help="Merge packages that are dropped there, and answer beside them.", metavar="FOLDER"
        ),
    ] = None,
) -> None:
    """Sync phones by themselves: when they are plugged in, and when Anki is closed. `usbsync setup` has this started."""
    from usbsync.cli import watch as watch_command  # noqa: PLC0415  # udev, D-Bus and more: nobody else need wait for it

    watch_command.run(inbox)


def offer(options: Options, report: Report, talk: Terminal) -> None:
    """Ask, after the first sync with a phone, whether it may happen by itself."""
    phone = to_be_asked(options, report) if talk.can_ask else None
    if phone is None:
        return
    yes = talk.by_itself(phone)
    answer(options, phone, Answer.YES if yes else Answer.NO)
    if yes and any(part.steps for part in steps.install(steps.Computer())):
        talk.note("usbsync setup installs what makes it happen")


def _print(parts: tuple[steps.Part, ...]) -> None:
    for part in parts:
        typer.echo(f"# {part.what}")
        for step in part.steps:
            typer.echo(step.as_shell())


def _allow(phone: str) -> None:
    name = answer(options_of(), phone, Answer.YES)
    _say(f"{name} is synced by itself from now on; usbsync setup --forget {name} takes that back")
    if not is_here(name):
        _say(f"{name} is not seen now: is that its name? usbsync devices lists the phones that are")


def _forget(phone: str) -> None:
    gone = revoke(options_of(), phone)
    _say(f"{gone[0]} is not synced by itself any more" if gone else f"{phone} was not synced by itself")


def _do(parts: tuple[steps.Part, ...], verb: str) -> None:
    for part in parts:
        _say(f"{verb} {part.what}" if part.steps else part.what)
        steps.carry_out([part])
    if not parts:
        _say("nothing is installed")


def _say(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(text, markup=False)
