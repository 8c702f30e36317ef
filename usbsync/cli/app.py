"""The commands and their options."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from usbsync import __version__
from usbsync.cli.auto import auto, offer
from usbsync.cli.carry import carry
from usbsync.cli.common import (
    AppOption,
    Collection,
    Device,
    Json,
    PhoneDir,
    Profile,
    Quiet,
    device_named,
    options_of,
    show,
)
from usbsync.cli.conflicts import conflicts_app
from usbsync.cli.render import (
    render_backups,
    render_devices,
    render_finding,
    render_report,
    render_status,
)
from usbsync.cli.restore import restore
from usbsync.cli.terminal import Terminal
from usbsync.core.conflict import Logic, Policy
from usbsync.core.first import First
from usbsync.device.detect import charging_phones, seen_phones
from usbsync.session.conflicts import kept, unreadable
from usbsync.session.consent import by_itself, consents
from usbsync.session.doctor import culprit
from usbsync.session.options import OneWay, Options
from usbsync.session.status import status as status_of
from usbsync.session.sync import sync as run_sync
from usbsync.session.undo import last_alone
from usbsync.session.undo import undo as run_undo

app = typer.Typer(
    name="usbsync",
    help="Keep Anki on this computer and AnkiDroid on a phone in step over a USB cable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MergeBy = Annotated[
    Logic | None,
    typer.Option("--merge", help="fine: part by part (default); ankiweb: whole rows, as AnkiWeb does."),
]
Prefer = Annotated[
    Policy | None, typer.Option(help="Who stands where both changed the same thing (default: the newest).")
]
FirstChoice = Annotated[
    First | None, typer.Option("--first", help="How two collections that never met begin.")
]
OneWayChoice = Annotated[
    OneWay | None, typer.Option("--one-way", help="Replace the other side's collection, after a backup.")
]
Media = Annotated[bool, typer.Option("--media/--no-media", help="Whether media files are synced too.")]
Mass = Annotated[
    bool, typer.Option("--allow-mass-deletion", help="Yes, most notes or media were deleted on purpose.")
]


def _version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"usbsync {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep Anki on this computer and AnkiDroid on a phone in step over a USB cable."""


@app.command()
def sync(
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    app_: AppOption = None,
    phone_dir: PhoneDir = None,
    merge: MergeBy = None,
    prefer: Prefer = None,
    first: FirstChoice = None,
    one_way: OneWayChoice = None,
    media: Media = True,
    allow_mass_deletion: Mass = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring the desktop's collection and the phone's in step."""
    options = options_of(
        device=device,
        collection=collection,
        profile=profile,
        app=app_,
        phone_dir=phone_dir,
        merge=merge,
        prefer=prefer,
        first=first,
        one_way=one_way,
        media=media,
        allow_mass_deletion=allow_mass_deletion,
    )
    _sync(options, dry=dry_run, json_=json_, quiet=quiet)


@app.command()
def plan(
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    app_: AppOption = None,
    phone_dir: PhoneDir = None,
    merge: MergeBy = None,
    prefer: Prefer = None,
    first: FirstChoice = None,
    one_way: OneWayChoice = None,
    media: Media = True,
    allow_mass_deletion: Mass = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a sync would do, and write nothing anywhere."""
    options = options_of(
        device=device,
        collection=collection,
        profile=profile,
        app=app_,
        phone_dir=phone_dir,
        merge=merge,
        prefer=prefer,
        first=first,
        one_way=one_way,
        media=media,
        allow_mass_deletion=allow_mass_deletion,
    )
    _sync(options, dry=True, json_=json_, quiet=quiet)


@app.command()
def status(
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    app_: AppOption = None,
    phone_dir: PhoneDir = None,
    json_: Json = False,
) -> None:
    """Say whether both are in step; nothing is stopped, copied or written."""
    options = options_of(device=device, collection=collection, profile=profile, app=app_, phone_dir=phone_dir)
    with Terminal(quiet=json_) as talk:
        found = status_of(options, talk)
    show(render_status(found), json_=json_, data=found.as_json())


@app.command()
def devices(json_: Json = False) -> None:
    """List the phones that are seen, and how to name each."""
    phones, known = [*seen_phones(), *charging_phones()], consents(options_of())
    data = [
        {
            "device": p.spec,
            "serial": p.serial,
            "model": p.model,
            "state": p.state.value,
            "how": p.how.value,
            "by_itself": by_itself(known, p.serial),
        }
        for p in phones
    ]
    allowed = [each.phone for each in known.values() if by_itself(known, each.phone)]
    answer = {"devices": data, "by_itself": allowed}
    show(render_devices(phones, allowed), json_=json_, data=answer)


@app.command()
def doctor(
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    app_: AppOption = None,
    phone_dir: PhoneDir = None,
    json_: Json = False,
) -> int:
    """Examine every link from Anki to AnkiDroid, and say what to do about each that does not hold."""
    from usbsync.session.chain import examine_all  # noqa: PLC0415  # its probes: nobody else need wait for them

    options = options_of(device=device, collection=collection, profile=profile, app=app_, phone_dir=phone_dir)
    findings = []
    for finding in examine_all(options):
        findings.append(finding)
        if not json_:
            show(render_finding(finding), json_=False, data={})
    first = culprit(findings)
    code = first.code if first else 0
    links = [finding.as_json() for finding in findings]
    show("", json_=json_, data={"links": links, "culprit": first and first.link, "exit_code": code})
    if any(finding.late for finding in findings):
        sys.stdout.flush()
        os._exit(code)  # a probe that hangs in a phone or a dead mount may hang the interpreter's end, too
    return code


@app.command()
def backups(collection: Collection = None, profile: Profile = None, json_: Json = False) -> None:
    """List what was kept of both sides before each change; usbsync undo ID brings one back."""
    options = options_of(collection=collection, profile=profile)
    found, lost = kept(options), unreadable(options)
    data = [
        {"id": b.id, "when": b.when.isoformat(), "size": b.size, "note": b.note, "phone": phone}
        for phone, b in found
    ]
    bad = [{"path": str(path), "phone": phone} for phone, path in lost]
    text = render_backups(found, [path for _, path in lost])
    show(text, json_=json_, data={"backups": data, "unreadable": bad})


@app.command()
def undo(
    backup: Annotated[str | None, typer.Argument(help="A backup's id (default: the last one).")] = None,
    device: Device = None,
    collection: Collection = None,
    profile: Profile = None,
    app_: AppOption = None,
    phone_dir: PhoneDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Also what was done since the last sync.")] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring both sides back to what they were before the last sync."""
    options = options_of(device=device, collection=collection, profile=profile, app=app_, phone_dir=phone_dir)
    wanted = backup or (None if device else last_alone(options))
    with Terminal(quiet=quiet or json_) as talk:
        report = run_undo(options, talk, wanted, sure=yes)
    show("" if quiet else render_report(report, device_named(options)), json_=json_, data=report.as_json())


app.add_typer(auto)
app.add_typer(restore)
app.add_typer(carry)
app.add_typer(conflicts_app, name="conflicts")


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Where to build it (default: a new folder below the temporary one).")
    ] = None,
) -> None:
    """Show a whole sync on two collections made for it, with conflicts to look at."""
    from usbsync.cli import demo as demo_command  # noqa: PLC0415  # all of Anki: no other command need wait for it

    demo_command.run(folder)


def _sync(options: Options, *, dry: bool, json_: bool, quiet: bool) -> None:
    with Terminal(quiet=quiet or json_) as talk:
        report = run_sync(options, talk, dry=dry)
    show("" if quiet else render_report(report, device_named(options)), json_=json_, data=report.as_json())
    offer(options, report, talk)
