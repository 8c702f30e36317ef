"""A desktop, and a phone from which packages are carried by hand: it exports and imports as the apps do, by Anki itself."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from anki._backend import RustBackend
from session.scenes import content, files, fresh, media, put
from worlds import editing

from usbsync.session.options import Options
from usbsync.session.sync import sync
from usbsync.session.talk import Silent
from usbsync.session.undo import undo
from usbsync.state.home import state_home
from usbsync.state.pair import Pair


@dataclass
class Told(Silent):
    """Remembers what was said."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Hand:
    """Where everything is, and what a person does with it."""

    root: Path
    legacy: bool = False

    @property
    def desktop(self) -> Path:
        return self.root / "desktop" / "collection.anki2"

    @property
    def phone(self) -> Path:
        return self.root / "phone" / "collection.anki2"

    @property
    def package(self) -> Path:
        return self.root / "carried" / "phone.colpkg"

    @property
    def answer(self) -> Path:
        return self.package.with_name("phone-merged.colpkg")

    @property
    def environ(self):
        return {"USBSYNC_HOME": str(self.root / "home")}

    @property
    def pair(self) -> Pair:
        return Pair(state_home(self.environ), str(self.desktop.resolve()), "package")

    def export(self, *, with_media: bool = True, legacy: bool | None = None) -> Path:
        """Export as AnkiDroid's "Export collection" and AnkiMobile's do."""
        self.package.parent.mkdir(exist_ok=True)
        with editing(self.phone) as col:
            col.export_collection_package(
                str(self.package), with_media, self.legacy if legacy is None else legacy
            )
            col.reopen(after_full_sync=False)
        return self.package

    def import_(self, package: Path | None = None) -> None:
        """Import as both apps do: the collection is replaced, media are added."""
        RustBackend().import_collection_package(
            col_path=str(self.phone),
            backup_path=str(package or self.answer),
            media_folder=str(media(self.phone)),
            media_db=str(self.phone.with_name("collection.media.db2")),
        )

    def options(self, **more) -> Options:
        return Options(
            device=f"package:{self.package}", collection=self.desktop, environ=self.environ, **more
        )

    def sync(self, talk=None, *, dry=False, **more):
        return sync(self.options(**more), talk or Silent(), dry=dry)

    def sync_of(self, other: Hand, package: Path | None = None, **more):
        """Sync this desktop with another phone's package."""
        return sync(replace(self.options(**more), device=f"package:{package or other.package}"), Silent())

    def undo(self, **more):
        return undo(self.options(**more), Silent(), sure=True)

    def carry(self, **more):
        """Export, sync, and import the answer if there is one."""
        self.export()
        report = self.sync(**more)
        if report.answer:
            self.import_(Path(report.answer))
        return report


def in_step(root: Path, *, legacy: bool = False) -> Hand:
    """Make a phone that began as a copy of the desktop, once synced."""
    hand = Hand(root, legacy)
    fresh(hand.desktop, notes=24)
    for name in ("stays", "desktop-edits", "desktop-drops", "phone-edits", "phone-drops"):
        put(hand.desktop, f"{name}.txt", f"{name} as it was")
    shutil.copytree(hand.desktop.parent, hand.phone.parent)
    hand.carry()
    return hand


def alike(hand: Hand) -> None:
    """Both hold the same, but for media that importing cannot delete."""
    mine, theirs = content(hand.desktop), marked_off(content(hand.phone))
    for table in mine.keys() | theirs.keys():
        assert mine.get(table) == theirs.get(table), table
    theirs_media = files(hand.phone)
    for name, data in files(hand.desktop).items():
        assert theirs_media[name] == data, name


def marked_off(found: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    """Leave the mark of an answer out of what a phone holds."""
    return {
        **found,
        "config": [row for row in found["config"] if not any(str(v).startswith("usbsync:") for v in row)],
    }


def rewritten(source: Path, target: Path, change) -> Path:
    """Copy a package, each entry as `change(name, data)` wants it: a list of (name, data)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            for entry in change(name, old.read(name)):
                new.writestr(*entry)
    return target


def renamed_media(data: bytes, name: str) -> bytes:
    """Give the first file of an old package's list another name."""
    return json.dumps({**json.loads(data), "0": name}).encode()
