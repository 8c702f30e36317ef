"""Anki's own connection to a collection, which is always a copy in a scratch folder of ours."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbsync.errors import DamagedData, NoSpace

if TYPE_CHECKING:
    from anki._backend import RustBackend

_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
}
_CODE = re.compile(r"extended_code: (\d+)")  # as rusqlite's errors are shown
_ROOM = "make room there, or let USBSYNC_HOME name a folder on another disk"

# Anki is imported where a collection is opened: a sync that finds nothing changed opens none, and it takes 0.1 s.


class OpenCollection:
    """A collection held open by Anki's backend, with SQL."""

    def __init__(self, backend: RustBackend) -> None:
        self._backend = backend

    def rows(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        """Run one statement in autocommit; unlike Anki's own transactions it leaves `col.mod` alone."""
        result: Sequence[Sequence[Any]] = self._backend.db_query(sql, values, first_row_only=False)
        return result

    def value(self, sql: str, *values: Any) -> Any:
        """Return the single value of a statement."""
        return self.rows(sql, *values)[0][0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run statements as one; on failure the scratch file is thrown away by whoever made it."""
        self.rows("begin immediate")
        yield
        self.rows("commit")

    def load_all(self) -> None:
        """Let Anki make sense of all that it keeps as one: decks, options, notetypes, tags, preferences."""
        self._backend.get_all_decks_legacy()
        self._backend.all_deck_config_legacy()
        for one in self._backend.get_notetype_names():
            self._backend.get_notetype(one.id)
        self._backend.all_tags()
        self._backend.get_all_config()

    def refresh_notes(self, nids: Sequence[int]) -> None:
        """Let Anki work out sort field and checksum of these notes (rslib `after_note_updates`)."""
        self._backend.after_note_updates(nids=nids, mark_notes_modified=False, generate_cards=False)

    def grow_cards(self, nids: Sequence[int]) -> None:
        """Let Anki make the cards that these notes lack (rslib `update_note_inner_generating_cards`)."""
        self._backend.after_note_updates(nids=nids, mark_notes_modified=False, generate_cards=True)


@contextmanager
def opened(path: Path, attach: Mapping[str, Path] | None = None) -> Iterator[OpenCollection]:
    """Open a scratch copy by Anki, with other files attached read-only under their names.

    Closing checkpoints, so that no `-wal` is left beside it.

    Raises:
        DamagedData: Anki or SQLite cannot make sense of the file.
    """
    backend = _backend()
    try:
        with _speaking(path):
            _open(backend, path)
            collection = OpenCollection(backend)
            for name, other in (attach or {}).items():
                # immutable: no lock, no -wal, not a byte of the attached file changes
                uri = f"{other.resolve().as_uri()}?mode=ro&immutable=1"
                collection.rows(f"attach database ? as {name}", uri)
            yield collection
    finally:
        _close(backend)


def downgrade(path: Path) -> None:
    """Bring a scratch copy down to schema 11, as Anki does for programs of before 2021.

    Raises:
        DamagedData: Anki could not; it says so nowhere but in its log.
    """
    backend = _backend()
    try:
        with _speaking(path):
            _open(backend, path)
            backend.close_collection(downgrade_to_schema11=True)
    except (DamagedData, NoSpace):
        _close(backend)
        raise
    with closing(sqlite3.connect(path)) as db:
        if db.execute("select ver from col").fetchone() != (11,):
            raise DamagedData("Anki cannot bring the merged collection down to schema 11")


def reading(**attach: Path) -> AbstractContextManager[OpenCollection]:
    """Read files under the names given, several at once and from several threads; none is opened itself."""
    return opened(Path(":memory:"), attach)


def _backend() -> RustBackend:
    from anki._backend import RustBackend  # noqa: PLC0415

    return RustBackend()


@contextmanager
def _speaking(path: Path) -> Iterator[None]:
    from anki.errors import AnkiException  # noqa: PLC0415

    try:
        yield
    except AnkiException as error:
        found = _CODE.search(str(error))
        _unwritten(path, int(found[1]) if found else None, error)
        raise DamagedData(f"Anki cannot read a collection: {error}") from error


@contextmanager
def scratch_file(path: Path) -> Iterator[None]:
    """Raise NoSpace where SQLite could not write a scratch file: no fault of what is in it."""
    try:
        yield
    except sqlite3.Error as error:
        _unwritten(path, getattr(error, "sqlite_errorcode", None), error)
        raise


def _unwritten(path: Path, code: int | None, error: Exception) -> None:
    if code in _FULL:
        text = f"the disk is full, or fails: {path} could not be written; nothing was changed"
        raise NoSpace(text, hint=_ROOM) from error


def _open(backend: RustBackend, path: Path) -> None:
    backend.open_collection(
        collection_path=str(path),
        media_folder_path=str(path.with_name("no-media")),
        media_db_path=str(path.with_name("no-media.db")),
    )


def _close(backend: RustBackend) -> None:
    from anki.errors import AnkiException  # noqa: PLC0415

    with suppress(AnkiException):  # it never opened; the reason is already on its way
        backend.close_collection(downgrade_to_schema11=False)
