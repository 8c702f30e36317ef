"""The world of `scenes` with its phone behind a real adbd."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rigs.phone import Rig, TestPhone, start
from session.scenes import World, fresh, media, put

from usbsync.session.options import Options
from usbsync.state.home import state_home
from usbsync.state.pair import Pair, known_pairs

APP = (10123, 1078)  # who owns the app's files, as rigs/adbd/launch.py makes them


class Phones:
    """One phone that may die and is started again, with all that was on its flash."""

    def __init__(self, built: Rig, folder: Path) -> None:
        self._built, self._folder, self._lives = built, folder, 0
        self.now: TestPhone = self._start()

    def _start(self) -> TestPhone:
        self._lives += 1
        return start(self._built, self._folder / f"life-{self._lives}")

    def dies(self) -> None:
        """End every process of the phone, and wait until none is left to write."""
        self.now.kill()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{self.now.pid}").exists() and time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.005)

    def forgets(self, since: int) -> None:
        """Tear what was written after that moment (ns) and after the last `sync`, as a flash may whose power went."""
        log = self.now.state / "sync.log"
        synced = max(since, log.stat().st_mtime_ns if log.exists() else 0)
        for path in self.now.ankidroid.rglob("*"):
            if path.is_file() and path.stat().st_ctime_ns > synced:
                os.truncate(path, path.stat().st_size // 2)

    def revives(self) -> None:
        """Start it again on the same flash; what was below /data/local/tmp is gone, which a real phone keeps."""
        old = self.now.run
        (self._folder / f"life-{self._lives + 1}").mkdir()
        self.now.data.rename(self._folder / f"life-{self._lives + 1}" / "sdcard")
        self.now = self._start()
        shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True)
class OnAdbd(World):
    """A desktop, and a phone that is reached over adb only; its files are looked at from beside."""

    phones: Phones | None = None
    port: int | None = None  # of a cable to it

    @property
    def phone(self) -> Path:
        return self.phones.now.ankidroid / "collection.anki2"

    @property
    def pair(self) -> Pair:
        (pair,) = known_pairs(state_home(self.environ))
        return pair

    def options(self, **more) -> Options:
        return Options(
            device=f"tcp:127.0.0.1:{self.port or self.phones.now.port}",
            collection=self.desktop,
            environ=self.environ,
            **more,
        )

    def by(self, port: int) -> OnAdbd:
        """Return the same, over a cable."""
        return OnAdbd(self.root, phones=self.phones, port=port)

    def save(self) -> Path:
        saved = super().save()
        shutil.copytree(self.phone.parent, saved / "the phone's")
        return saved

    def restore(self, saved: Path) -> None:
        super().restore(saved)
        shutil.rmtree(self.root / "the phone's")
        for old in self.phone.parent.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(saved / "the phone's", self.phone.parent, dirs_exist_ok=True)
        self.belongs_to_the_app()

    def belongs_to_the_app(self) -> None:
        """Give what a test wrote there the owner and modes of AnkiDroid's own files."""
        for path in self.phone.parent.rglob("*"):
            path.chmod(0o2770 if path.is_dir() else 0o660)
            if os.geteuid() == 0:
                os.chown(path, *APP)
        self.phone.parent.chmod(0o2770)


def met(root: Path, phones: Phones) -> OnAdbd:
    """Make a pair that is in step, with media of every fate to come."""
    world = OnAdbd(root, phones=phones)
    fresh(world.desktop)
    for name in ("stays", "desktop-edits", "desktop-drops", "phone-edits", "phone-drops", "Named.png"):
        put(world.desktop, name, f"{name} as it was")
    shutil.copyfile(world.desktop, world.phone)
    for path in media(world.desktop).iterdir():
        shutil.copy2(path, media(world.phone))
    world.belongs_to_the_app()
    world.sync()
    return world


def strays_on(world: OnAdbd) -> list[str]:
    """Name what usbsync left on the phone outside AnkiDroid's folder."""
    return [name for name in world.phones.now.shell("ls -A /data/local/tmp").split() if "usbsync" in name]
