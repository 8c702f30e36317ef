"""The lock, against real Anki and real SQLite in other processes."""

import errno
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from usbsync.collection import lock
from usbsync.collection.lock import CollectionLock, hold, is_open
from usbsync.errors import AnkiOpen, AtWork, Busy, UsageError

ANKI = """
import sys
from anki.collection import Collection
from anki.errors import DBError
for line in sys.stdin:
    match line.split(maxsplit=1):
        case ["open", path]:
            try:
                col = Collection(path.strip())
                print("open", flush=True)
            except DBError as error:
                print("refused", "already open" in str(error), flush=True)
        case ["close"]:
            col.close()
            print("closed", flush=True)
        case ["count"]:
            print(col.card_count(), flush=True)
"""

SQLITE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    print(db.execute(line).fetchall(), flush=True)
"""


class Other:
    """A process that does one thing per line and answers with one."""

    def __init__(self, program: str, *arguments: object) -> None:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line: str) -> str:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    path = tmp_path / "collection.anki2"
    with Other(ANKI) as anki:
        assert anki.tell(f"open {path}") == "open"
        assert anki.tell("close") == "closed"
    return path


def taken(path: Path) -> bool:
    try:
        with hold(path):
            return False
    except (AnkiOpen, AtWork):
        return True


@pytest.fixture(autouse=True)
def _nobody_is_waited_for(monkeypatch):
    monkeypatch.setattr(lock, "OURS_SECONDS", 0.0)


def test_anki_is_noticed_from_open_to_close(collection):
    """Just opened, nothing read yet, is enough; once it has closed, nothing is left behind."""
    with Other(ANKI) as anki:
        assert not taken(collection)
        assert anki.tell(f"open {collection}") == "open"
        assert taken(collection)
        assert anki.tell("count") == "0"
        assert taken(collection)
        assert anki.tell("close") == "closed"
        assert not taken(collection)


def test_anki_killed_leaves_the_collection_free(collection):
    with Other(ANKI) as anki:
        assert anki.tell(f"open {collection}") == "open"
        anki.process.kill()
        anki.process.wait(30)
        assert collection.with_name("collection.anki2-wal").exists()
        assert not taken(collection)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's locks say which process is in the way")
def test_the_error_names_the_process(collection):
    with Other(ANKI) as anki:
        anki.tell(f"open {collection}")
        with pytest.raises(AnkiOpen, match=rf"process {anki.process.pid}\)") as raised, hold(collection):
            pass
    assert raised.value.exit_code == 5


def test_asking_does_not_disturb_anki(collection):
    """Our descriptor's closing must not free what Anki holds, nor wake a recovery of its -wal."""
    with Other(ANKI) as anki:
        anki.tell(f"open {collection}")
        wal = collection.with_name("collection.anki2-wal")
        before = collection.read_bytes(), wal.read_bytes()
        for _ in range(3):
            assert taken(collection)
        assert (collection.read_bytes(), wal.read_bytes()) == before
        assert anki.tell("close") == "closed"


def test_while_held_anki_refuses_to_open_and_changes_nothing(collection):
    before = collection.read_bytes()
    with Other(ANKI) as anki:
        with hold(collection):
            assert anki.tell(f"open {collection}") == "refused True"
        assert collection.read_bytes() == before
        assert sorted(path.name for path in collection.parent.glob("*anki2*")) == ["collection.anki2"]
        assert anki.tell(f"open {collection}") == "open"
        anki.tell("close")


def test_the_hold_outlives_reading_the_file_in_our_process(collection, tmp_path):
    """A process's lock would go with the first close of any other descriptor: a copy opens and closes one."""
    with Other(ANKI) as anki, hold(collection):
        (tmp_path / "copy").write_bytes(collection.read_bytes())
        assert anki.tell(f"open {collection}") == "refused True"


def test_the_hold_keeps_our_own_sqlite_out_too(collection):
    locked = pytest.raises(sqlite3.OperationalError, match="locked")
    with closing(sqlite3.connect(collection, timeout=0)) as db, hold(collection), locked:
        db.execute("select 1 from col")


def test_the_hold_is_not_shared(collection):
    with hold(collection):
        assert taken(collection)
    assert not taken(collection)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's locks say whose they are")
def test_a_usbsync_is_not_taken_for_anki(collection):
    with hold(collection):
        with pytest.raises(AtWork, match="another usbsync"), hold(collection):
            pass
        assert not is_open(collection)
    with Other(ANKI) as anki:
        anki.tell(f"open {collection}")
        assert is_open(collection)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's locks say whose they are")
def test_a_usbsync_is_waited_for_and_what_it_put_there_is_held(collection, monkeypatch):
    new = collection.with_name("new")
    new.write_bytes(collection.read_bytes())
    other = CollectionLock(collection)
    other.__enter__()

    def flip(_seconds):
        new.replace(collection)
        other.__exit__(None, None, None)

    monkeypatch.setattr(lock, "OURS_SECONDS", 60.0)
    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=time.monotonic, sleep=flip))
    with hold(collection), Other(ANKI) as anki:
        assert anki.tell(f"open {collection}") == "refused True"


def test_an_error_inside_frees_it(collection):
    with pytest.raises(ZeroDivisionError), hold(collection):
        1 / 0  # noqa: B018
    assert not taken(collection)


def test_a_file_renamed_over_while_held_is_free(collection):
    new = collection.with_name("new")
    new.write_bytes(collection.read_bytes())
    with Other(ANKI) as anki, hold(collection):
        new.replace(collection)
        assert anki.tell(f"open {collection}") == "open"
        assert taken(collection)
        assert anki.tell("close") == "closed"


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("query", ["insert into t values (1)", "select count(*) from t"])
def test_any_sqlite_at_work_is_noticed(tmp_path, mode, query):
    """Other programs hold less than Anki does: a reader in a transaction, a writer with nothing written."""
    path = tmp_path / "other.anki2"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"pragma journal_mode={mode}")
    db.execute("create table t (x)")
    db.close()
    with Other(SQLITE, path) as other:
        assert other.tell("begin") == "[]"
        other.tell(query)
        assert taken(path)
        other.tell("rollback")
        # in WAL a connection keeps its read lock until it is closed
        assert taken(path) is (mode == "wal")


def test_an_absent_collection_needs_no_lock_and_is_not_made(tmp_path):
    path = tmp_path / "collection.anki2"
    with CollectionLock(path) as held:
        assert not held.held
    assert not path.exists()


def test_held_says_so(collection):
    held = CollectionLock(collection)
    with held:
        assert held.held
    assert not held.held


def test_a_folder_is_no_collection(tmp_path):
    with pytest.raises(UsageError), hold(tmp_path):
        pass


def test_a_pipe_is_no_collection_and_is_not_waited_for(tmp_path):
    path = tmp_path / "collection.anki2"
    os.mkfifo(path)
    with pytest.raises(UsageError), hold(path):
        pass


def test_a_file_that_we_may_not_write_is_said_so(collection, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(lock.os, "open", refuse)
    with pytest.raises(UsageError, match="Permission denied"), hold(collection):
        pass


def test_a_file_system_without_locks_is_no_proof(collection, monkeypatch):
    def refuse(_fd):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.raises(Busy, match="cannot tell") as raised, hold(collection):
        pass
    assert not isinstance(raised.value, AnkiOpen)


def test_a_file_replaced_between_opening_and_locking_is_locked_itself(collection, monkeypatch):
    new = collection.with_name("new")
    new.write_bytes(b"new")
    plain = lock._lock

    def replace_first(fd):
        if new.exists():
            new.replace(collection)
        plain(fd)

    monkeypatch.setattr(lock, "_lock", replace_first)
    with hold(collection):
        monkeypatch.setattr(lock, "_lock", plain)
        assert taken(collection)
