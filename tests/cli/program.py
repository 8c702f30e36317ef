"""The program, run in this process as the shell runs it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from session.scenes import World, strays, tree

from usbsync.cli import main


@dataclass
class Program:
    """The program and the pair that it is run for."""

    world: World
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def ended(self, *words: str, collection: Path | None = None) -> tuple[int, str]:
        """Return the exit code and all that it said."""
        where = ["--collection", str(collection or self.world.desktop)]
        if words[0] != "backups":
            where += ["--device", f"folder:{self.world.phone.parent}"]
        self.patch.setattr(sys, "argv", ["usbsync", *words, *where])
        self.patch.setenv("USBSYNC_HOME", self.world.environ["USBSYNC_HOME"])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), " ".join("".join(self.capsys.readouterr()).split())

    def run(self, *words: str, code: int = 0, collection: Path | None = None) -> str:
        """Return all that it said."""
        found, said = self.ended(*words, collection=collection)
        assert found == code, said
        return said

    def refused(self, *words: str, because: str, collection: Path | None = None) -> str:
        """Sync, and be refused with nothing changed anywhere but in what is known by heart."""
        before = tree(self.world.desktop.parent), tree(self.world.phone.parent)
        said = self.run("sync", *words, code=4, collection=collection)
        assert because in said
        assert "hint:" in said
        assert before == (tree(self.world.desktop.parent), tree(self.world.phone.parent))
        assert self.world.backups.list() == ()
        assert not strays(self.world)
        return said
