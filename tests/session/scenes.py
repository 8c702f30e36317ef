"""A desktop, a phone in a folder and a state home, with real collections; looked at by plain SQLite on copies."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import signal
import sqlite3
import tempfile
import traceback
import warnings
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from worlds import add_note, answer, edit_field, editing, new_collection, note_ids

from usbsync.core.unicase import unicase
from usbsync.session.options import Options
from usbsync.session.sync import sync
from usbsync.session.talk import Silent
from usbsync.session.undo import undo
from usbsync.state.backups import Backups
from usbsync.state.home import state_home
from usbsync.state.pair import Pair

LONG_AGO = 1_600_000_000


@dataclass(frozen=True)
class World:
    """Where everything of one pair is."""

    root: Path
    phone_folder: str = "phone"

    @property
    def desktop(self) -> Path:
        return self.root / "desktop" / "collection.anki2"

    @property
    def phone(self) -> Path:
        return self.root / self.phone_folder / "collection.anki2"

    @property
    def both(self) -> tuple[Path, Path]:
        return self.desktop, self.phone

    @property
    def environ(self):
        return {"USBSYNC_HOME": str(self.root / "home")}

    @property
    def pair(self) -> Pair:
        return Pair(state_home(self.environ), str(self.desktop.resolve()), str(self.phone.parent.resolve()))

    @property
    def backups(self) -> Backups:
        return Backups(self.pair)

    @property
    def journal(self) -> Path:
        return self.pair.folder / "journal.json"

    def options(self, **more) -> Options:
        return Options(
            device=f"folder:{self.phone.parent}", collection=self.desktop, environ=self.environ, **more
        )

    def sync(self, talk=None, *, dry=False, **more):
        return sync(self.options(**more), talk or Silent(), dry=dry)

    def undo(self, backup_id=None, *, sure=True, **more):
        return undo(self.options(**more), Silent(), backup_id, sure=sure)

    def save(self) -> Path:
        saved = self.root.with_name(f"{self.root.name}-saved")
        shutil.rmtree(saved, ignore_errors=True)
        shutil.copytree(self.root, saved)
        return saved

    def restore(self, saved: Path) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(saved, self.root)


def media(collection: Path) -> Path:
    folder = collection.with_suffix(".media")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put(collection: Path, name: str, content: str, mtime: int = LONG_AGO) -> Path:
    """Write a media file with an old date: one that is trusted by its size and time."""
    path = media(collection) / name
    path.write_text(content)
    os.utime(path, (mtime, mtime))
    return path


def files(collection: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in media(collection).iterdir()}


def fresh(collection: Path, notes: int = 9) -> Path:
    """Make a collection (with notes=0: a new installation's) and its media folder."""
    new_collection(collection, notes=notes, reviews=min(notes, 4))
    media(collection)
    return collection


def with_past(root: Path, phone_folder: str = "phone") -> World:
    """Make a pair that is in step, with media of every fate to come."""
    world = World(root, phone_folder)
    fresh(world.desktop)
    for name in ("stays", "desktop-edits", "desktop-drops", "phone-edits", "phone-drops", "Named.png"):
        put(world.desktop, name, f"{name} as it was")
    shutil.copytree(world.desktop.parent, world.phone.parent)
    world.sync()
    return world


def by_profile(world: World) -> Options:
    """Let Anki have a profile whose folder is the desktop's, and nobody name the collection."""
    with closing(sqlite3.connect(world.root / "prefs21.db")) as db:
        db.execute("create table if not exists profiles (name text primary key, data blob not null)")
        rows = [("_global", pickle.dumps({"last_loaded_profile_name": "desktop"})), ("desktop", b"")]
        db.executemany("insert or replace into profiles values (?, ?)", rows)
        db.commit()
    environ = {**world.environ, "ANKI_BASE": str(world.root)}
    return replace(world.options(), collection=None, environ=environ)


def work_at(collection: Path, who: str, first: int) -> None:
    """Edit, add, delete and study on one side."""
    with editing(collection) as col:
        work_in(col, who, first)
    put(collection, f"{who}-edits", f"{who} edited this", LONG_AGO + 50)
    put(collection, f"{who}-new", f"{who} made this", LONG_AGO + 60)
    (media(collection) / f"{who}-drops").unlink()


def work_in(col, who: str, first: int) -> None:
    nids = note_ids(col)
    edit_field(col, nids[first], 1, f"edited on the {who}")
    add_note(col, "Basic", [f"made on the {who}", "new"], col.decks.id(f"{who}'s own"), [who])
    col.remove_notes([nids[first + 1]])
    answer(col, 2)


def both_work(world: World) -> None:
    work_at(world.desktop, "desktop", 0)
    (media(world.desktop) / "Named.png").rename(media(world.desktop) / "named.png")  # one file on many phones
    work_at(world.phone, "phone", 2)


def one_name(world: World) -> None:
    """Undo the change of a name's case, which without an ancestor nobody can tell from a second file."""
    (media(world.desktop) / "named.png").rename(media(world.desktop) / "Named.png")


def study(collection: Path, text: str, nid: int | None = None, field: int = 1) -> None:
    """Do what would be missed: a new note, an edit, an answer."""
    with editing(collection) as col:
        study_in(col, text, nid, field)


def study_in(col, text: str, nid: int | None = None, field: int = 1) -> None:
    add_note(col, "Basic", [text, "since"], col.decks.id("Geography"))
    edit_field(col, nid or note_ids(col)[4], field, text)
    answer(col, 1)


def killed_while(collection: Path, work) -> None:
    """Let a process open a collection by Anki, work, and die with the log unwritten: a `-wal` stays."""

    def in_anki() -> None:
        with editing(collection) as col:
            work(col)
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(in_anki) == -signal.SIGKILL
    assert wal_of(collection).stat().st_size > 0


def in_child(work) -> int:
    """Run in a process of its own; its exit code, negative for a signal's."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the parent has threads; none holds a lock of ours
        pid = os.fork()
    if pid == 0:
        code = 4
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a fork of the tests' own process must not go on as one
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wal_of(collection: Path) -> Path:
    return collection.with_name(f"{collection.name}-wal")


# ---- looking


def _rows(collection: Path) -> dict[str, tuple[tuple[str, ...], list[tuple]]]:
    """Read every table of a collection and its `-wal`, as SQLite reads them, on a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "c.anki2")
        shutil.copyfile(collection, copy)
        if wal_of(collection).exists():
            shutil.copyfile(wal_of(collection), wal_of(copy))
        with closing(sqlite3.connect(copy)) as db:
            db.create_collation("unicase", lambda a, b: (unicase(a) > unicase(b)) - (unicase(a) < unicase(b)))
            assert db.execute("pragma quick_check").fetchall() == [("ok",)]
            names = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
            found = {}
            for name in names:
                if not name.startswith("sqlite_"):
                    rows = db.execute(f"select * from {name}")
                    columns = tuple(column[0] for column in rows.description)
                    found[name] = columns, sorted(rows.fetchall(), key=repr)
            return found


def dump(collection: Path, without: tuple[str, ...] = ()) -> dict[str, list[tuple]]:
    """Return all that a collection holds, but for the time of its last change and the columns named."""
    return {
        table: [
            tuple(
                value
                for column, value in zip(columns, row, strict=True)
                if column not in without and (table, column) != ("col", "mod")
            )
            for row in rows
        ]
        for table, (columns, rows) in _rows(collection).items()
    }


def content(collection: Path) -> dict[str, list[tuple]]:
    """Return what both sides must hold alike: all but the bookkeeping with AnkiWeb.

    A preference written anew as it was is no change to usbsync, so the time at which it was is left out too.
    """
    found = dump(collection, ("usn", "ls", "scm"))
    found["config"] = dump(collection, ("usn", "mtime_secs"))["config"]
    return {table: rows for table, rows in found.items() if table != "graves"}


def notes(collection: Path) -> dict[int, str]:
    columns, rows = _rows(collection)["notes"]
    return {row[columns.index("id")]: row[columns.index("flds")] for row in rows}


def texts(collection: Path) -> str:
    return "\n".join(notes(collection).values())


def reviews(collection: Path) -> set[int]:
    return {row[0] for row in _rows(collection)["revlog"][1]}


def assert_alike(world: World) -> None:
    """Both hold the same, and another sync changes nothing."""
    assert content(world.desktop) == content(world.phone)
    assert files(world.desktop) == files(world.phone)
    before = tree(world.root / "desktop"), tree(world.phone.parent)
    assert world.sync().result == "unchanged"
    assert before == (tree(world.root / "desktop"), tree(world.phone.parent))


def strays(world: World) -> list[str]:
    """Name what lies about that should not: staged files, sidecars, scratch of runs that are over."""
    known = {
        "collection.anki2",
        "collection.anki2-wal",
        "collection.media",
        "collection.media.db2",
    }  # Anki's own
    left = [path for side in world.both for path in side.parent.iterdir() if path.name not in known]
    left += [path for side in world.both for path in media(side).iterdir() if ".usbsync" in path.name]
    folder = world.pair.folder
    left += list((folder / "work").iterdir()) if (folder / "work").exists() else []
    left += [path for path in folder.iterdir() if path.name in {"pending", "journal.json"}]
    left += [*folder.rglob("*.usbsync-part"), *folder.rglob("*.unfinished")]
    return [str(path.relative_to(world.root)) for path in left]


def tree(folder: Path) -> dict[str, tuple]:
    """Return names, bytes, modes and times of all below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        data = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = (data, info.st_mode, info.st_mtime_ns)
    return found


def kept_media(world: World) -> set[str]:
    """Return the contents of all media in complete backups."""
    paths = (path for backup in world.backups.list() for path in backup.path.glob("*/media/*"))
    return {path.read_text() for path in paths}


def kept(world: World, wanted: list) -> bool:
    """Whether some complete backup holds both collections as they were."""
    for backup in world.backups.list():
        world.backups.verify(backup)
        sides = [backup.path / side / "collection.anki2" for side in ("desktop", "phone")]
        if all(map(Path.exists, sides)) and [dump(side) for side in sides] == wanted:
            return True
    return False
