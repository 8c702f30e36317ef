"""Whatever people do with packages, answers, the cable and undo, in any order: each sync holds what either side held.

Each note and each media file goes through versions, each made from the one that its maker had before them. Of two
versions the one made from the other stands, or a conflict is named; nothing that nobody deleted goes.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest
from packages.hand import Hand, alike
from packages.test_by_hand import by_folder
from raw import raw
from session.scenes import files, fresh, notes, put
from worlds import add_note, editing

from usbsync.core.first import First
from usbsync.errors import ChoiceNeeded
from usbsync.session.options import Options
from usbsync.session.standing import standing
from usbsync.session.talk import Silent
from usbsync.session.undo import undo

HISTORIES = int(os.environ.get("USBSYNC_HISTORIES", "2"))
STEPS = int(os.environ.get("USBSYNC_STEPS", "10"))
SEED = int(os.environ.get("USBSYNC_HISTORIES_SEED", "1"))
A_MINUTE = 60
A_FEW = 3
KNOWN = 6
"""So many packages and answers back a phone may be set: of three exchanges all is remembered (`state/passed.py`)."""


class Life:
    """A desktop and a phone, what was done with them, and what each version was made from."""

    def __init__(self, root: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.hand = Hand(root, legacy=self.chance.random() < 0.3)
        self.clock = int(time.time()) - 100_000
        self.made_from: dict[str, set[str]] = {}
        self.deleted: set[str] = set()
        self.carried: list[Path] = []
        self.last = "package"
        self.unmet = False  # whether an undo went back behind their first meeting
        self.said: list[str] = []
        for path in (self.hand.desktop, self.hand.phone):
            fresh(path, notes=0)
        for path in (self.hand.desktop, self.hand.phone):
            self.draw(path)
            for _ in range(A_FEW):
                self.add(path)
        self.exchange(imports=self.chance.random() < 0.5, first=First.MERGE)

    # ---- what people do

    def add(self, path: Path) -> None:
        self._now()
        with editing(path) as col:
            nid = add_note(col, "Basic", [f"n{self.clock}", self._version(None)], 1)
            self._dated(col, nid)

    def edit(self, path: Path) -> None:
        self._now()
        with editing(path) as col:
            found = col.find_notes("")
            if not found:
                return
            note = col.get_note(self.chance.choice(sorted(found)))
            note.fields[1] = self._version(note.fields[1])
            col.update_note(note)
            self._dated(col, note.id)

    def delete(self, path: Path) -> None:
        with editing(path) as col:
            found = sorted(col.find_notes(""))
            if len(found) > A_FEW:  # fewer, and a guard would ask whether that was meant
                note = col.get_note(self.chance.choice(found))
                self.deleted.add(note.fields[0])
                col.remove_notes([note.id])

    def draw(self, path: Path) -> None:
        self._now()
        name = self.chance.choice(["a.txt", "b.txt"])
        old = files(path).get(name)
        put(path, name, self._version(old.decode() if old else None), self.clock)

    def exchange(self, *, imports: bool, **more) -> None:
        package = self.hand.export()
        self.carried.append(
            Path(shutil.copyfile(package, self.hand.root / f"carried-{len(self.carried)}.colpkg"))
        )
        before = self._held(self.hand.desktop), self._held(self.hand.phone)
        report = self._sync(**more)
        self._check(report, *before)
        self.last = "package" if report.backup else self.last
        if report.answer:
            answer = Path(
                shutil.copyfile(report.answer, self.hand.root / f"carried-{len(self.carried)}.colpkg")
            )
            self.carried.append(answer)
            if imports:
                self.take(answer)

    def _sync(self, **more):
        """Sync with the package; asked is only who has undone even that they met."""
        try:
            return self.hand.sync(**more)
        except ChoiceNeeded:
            if not self.unmet:
                raise
            return self.hand.sync(first=First.MERGE)

    def _by_folder(self):
        """Sync over the cable; asked is only whose phone has imported nothing: there it has ids of its own."""
        try:
            return by_folder(self.hand)
        except ChoiceNeeded:
            with raw(self.hand.phone) as db:
                imported = db.execute("select 1 from config where key like 'usbsync:%'").fetchone()
            if imported and not self.unmet:
                raise
            return by_folder(self.hand, first=First.MERGE)

    def take(self, package: Path) -> None:
        """Import on the phone; Anki knows media by time, and would pass over what came within one second."""
        self.hand.phone.with_name("collection.media.db2").unlink(missing_ok=True)
        self.hand.import_(package)

    def cable(self) -> None:
        before = self._held(self.hand.desktop), self._held(self.hand.phone)
        report = self._by_folder()
        self._check(report, *before)
        alike(self.hand)
        self.last = "cable" if report.backup else self.last

    def undo(self) -> None:
        device = f"folder:{self.hand.phone.parent}" if self.last == "cable" else None
        undo(
            Options(device=device, collection=self.hand.desktop, environ=self.hand.environ),
            Silent(),
            sure=True,
        )
        self.unmet |= not standing(self.hand.pair)

    # ---- what must hold

    def _check(self, report, desktop: dict[str, str], phone: dict[str, str]) -> None:
        named = {each.name for each in report.media_conflicts}
        lost = {text for each in report.conflicts for text in (each.desktop, each.phone)}
        now = self._held(self.hand.desktop)
        for name in (desktop.keys() | phone.keys()) - self.deleted:
            ours, theirs = desktop.get(name), phone.get(name)
            assert name in now, (name, ours, theirs, self.said)
            assert now[name] in {ours, theirs}
            if name in named or {ours, theirs} <= lost:
                self.made_from[now[name]] |= {ours, theirs} - {
                    now[name],
                    None,
                }  # whoever was told may go by it
            else:
                assert now[name] in self._newest(ours, theirs), (name, ours, theirs, now[name], self.said)

    def _newest(self, one: str | None, other: str | None) -> set[str]:
        """Return the versions that were made from the other one."""
        if one is None or other is None:
            return {one or other}
        return {new for new, old in ((one, other), (other, one)) if old in self._line(new)}

    def _line(self, version: str) -> set[str]:
        found, left = set(), {version}
        while left:
            found |= left
            left = {old for each in left for old in self.made_from[each]} - found
        return found

    def _held(self, path: Path) -> dict[str, str]:
        words = dict(each.split("\x1f") for each in notes(path).values())
        return {**words, **{name: data.decode() for name, data in files(path).items()}}

    def _version(self, old: str | None) -> str:
        new = f"v{self.clock}" + "." * (self.clock // A_MINUTE % 97)
        self.made_from[new] = {old} - {None}
        return new

    def _now(self) -> None:
        self.clock += A_MINUTE

    def _dated(self, col, nid: int) -> None:
        col.db.execute("update notes set mod = ? where id = ?", self.clock, nid)
        col.db.execute("update cards set mod = ? where nid = ?", self.clock, nid)

    def step(self) -> None:
        both = self.hand.desktop, self.hand.phone
        what = self.chance.choices(
            ["add", "edit", "draw", "delete", "exchange", "forgets", "old", "cable", "undo"],
            [2, 5, 3, 1, 4, 3, 2, 1, 2],
        )[0]
        self.said.append(what)
        match what:
            case "exchange" | "forgets":
                self.exchange(imports=what == "exchange")
            case "old":
                self.take(self.chance.choice(self.carried[-KNOWN:]))
            case "cable":
                self.cable()
            case "undo":
                self.undo()
            case _:
                getattr(self, what)(self.chance.choice(both))


@pytest.mark.parametrize("seed", range(SEED, SEED + HISTORIES))
def test_in_any_order_nothing_is_lost_and_nobody_is_asked(tmp_path, seed) -> None:
    life = Life(tmp_path / "w", seed)
    for _ in range(STEPS):
        life.step()
    for _ in range(3):
        life.exchange(imports=True)
    alike(life.hand)
