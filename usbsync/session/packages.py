"""A phone that comes as a package: its export is unpacked, merged, and answered by a package to be imported there.

Whether it is imported nobody tells us, so nothing is taken for granted: what the phone gave and what it was sent are both
remembered, and its next package shows which of them it descends from (`core/lineage.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from usbsync.collection.package_check import COLLECTION_SUFFIX, MEDIA, examine
from usbsync.collection.packages import unpack
from usbsync.collection.snapshot import MAIN
from usbsync.core.conflict import Side
from usbsync.device import spec as specs
from usbsync.device.ankidroid import PhoneReplica
from usbsync.device.app import AppControl
from usbsync.device.desktop import DesktopReplica
from usbsync.errors import ChoiceNeeded, GuardRefused, UsageError
from usbsync.session.answer import is_answer, was_answered
from usbsync.session.descent import PHONE
from usbsync.session.looks import Looks
from usbsync.session.meet import LOCK_SECONDS, Meeting, closing, desktop_replica, scratch_folder
from usbsync.session.options import Options
from usbsync.session.passing import GIVEN, UNPACKED, PackageMemory
from usbsync.session.replica import Replica
from usbsync.session.talk import Talk
from usbsync.state.files import speaking
from usbsync.state.home import state_home
from usbsync.state.pair import Pair, lock
from usbsync.transport.ways import open_folder
from usbsync.transport.wrap import Metered, ReadOnly


@contextmanager
def meet_package(
    spec: specs.Package, found: DesktopReplica, options: Options, talk: Talk, *, dry: bool
) -> Iterator[Meeting]:
    """Unpack a package and let it stand for the phone until the block ends.

    Raises DamagedData where it is not whole, and what opening the desktop raises.
    """
    path = _named(spec)
    with ExitStack() as stack:
        talk.stage("looking into the package")
        package = examine(path)
        pair = Pair(state_home(options.environ), str(found.collection), PHONE)
        stack.enter_context(nullcontext() if dry else lock(pair, seconds=LOCK_SECONDS))
        if was_answered(pair, path):
            raise _answer(path)
        home = stack.enter_context(closing(open_folder(found.folder)))
        scratch = stack.enter_context(scratch_folder(pair, dry=dry))
        folder = scratch / UNPACKED
        folder.mkdir()
        talk.stage("unpacking the package")
        collection, _media = unpack(package, folder)
        shutil.copyfile(collection, scratch / GIVEN)  # where it lies it will be replaced
        link = stack.enter_context(closing(open_folder(folder)))
        desktop = desktop_replica(found, ReadOnly(home) if dry else home)
        phone = Replica(Side.PHONE, ReadOnly(link) if dry else link, f"/{MAIN}", f"/{MEDIA}")
        memory = PackageMemory(pair, package, scratch, desktop, options, talk)
        names = {Side.DESKTOP: found.name, Side.PHONE: path.name}
        app = AppControl(link, PhoneReplica("/", (), "a package"))
        replicas = {Side.DESKTOP: desktop, Side.PHONE: phone}
        with speaking(scratch), _explaining(memory):
            yield Meeting(pair, replicas, app, Metered(link), scratch, dry, names, memory, Looks(pair))


@contextmanager
def _explaining(memory: PackageMemory) -> Iterator[None]:
    """Say of a choice that is needed for an answer too old to be remembered that this is why: the two have met."""
    try:
        yield
    except GuardRefused:
        raise
    except ChoiceNeeded as error:
        if not memory.forgotten:
            raise
        raise ChoiceNeeded(
            "the phone imported an answer that is too old to be remembered, so what was done since cannot be told; "
            "nothing was changed",
            hint="nothing new was done on the phone? Import the newest answer there first, and export again; "
            f"else {error.hint}",
        ) from error


def _named(spec: specs.Package) -> Path:
    if spec.path.suffix.lower() != COLLECTION_SUFFIX:
        raise UsageError(
            f"{spec.path.name} is no collection's package (.colpkg)",
            hint="on the phone export the whole collection; usbsync import adds a deck's package (.apkg)",
        )
    if is_answer(spec.path):
        raise _answer(spec.path)
    return spec.path


def _answer(path: Path) -> UsageError:
    return UsageError(
        f"{path.name} is an answer of usbsync, to be imported on the phone; nothing was changed",
        hint="name the package that the phone exported",
    )
