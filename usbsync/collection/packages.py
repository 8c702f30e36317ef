"""Packages (`.colpkg`, `.apkg`) in and out, through Anki's own importer and exporter."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from usbsync.collection.backend import reading
from usbsync.collection.package_check import MEDIA, Package, anki_unpacks, speaking
from usbsync.collection.snapshot import MAIN, prove_plain
from usbsync.errors import DamagedData, NoSpace, UsageError

if TYPE_CHECKING:
    from anki._backend import RustBackend

_ROOM = 64 << 20  # bytes left free on the disk


def unpack(package: Package, folder: Path) -> tuple[Path, Path]:
    """Unpack a collection's package by Anki's importer, and compare its media with what it lists.

    Returns the collection, an old package's in its own old schema, and the media folder.

    Raises:
        DamagedData: what came out is not what was listed, or no collection.
        UsageError: it holds decks alone, which would look as if all else had been deleted.
        NoSpace: it may not fit.
    """
    free = shutil.disk_usage(folder).free
    if package.most + _ROOM > free:
        raise NoSpace(
            f"{folder} has {free >> 20:,} MiB free, and {package.path.name} may need {package.most >> 20:,}; "
            "nothing was changed"
        )
    collection, media = folder / MAIN, folder / MEDIA
    media.mkdir()
    with speaking(package.path):
        anki_unpacks(package.path, collection, media)
        for listed in package.media:
            if listed.sha1 and _sha1(media / listed.name) != listed.sha1:
                raise DamagedData(f"its media file {listed.name!a} is not what its hash says")
        prove_plain(collection, "package")
        if _holds_decks_alone(collection):
            raise UsageError(
                f"{package.path.name} holds decks, not a whole collection; nothing was changed",
                hint="on the phone export the whole collection; to add the decks, rename it to .apkg and usbsync import it",
            )
        if package.legacy:
            _as_it_was(package, collection)
        when = package.path.stat().st_mtime
        for path in media.iterdir():  # a package does not say how old they are; older than itself they are
            os.utime(path, (when, when))
    return collection, media


def _holds_decks_alone(collection: Path) -> bool:
    """Whether this is what Anki packs into an .apkg: a new collection without its notetypes, in which nobody worked.

    Its current notetype is one of those that were removed (rslib `import_export/package/apkg/export.rs`, `new_temp`),
    and no deck or notetype has been used, of which Anki and AnkiDroid take notes in keys that begin with "_".
    """
    with reading(it=collection) as col:
        return bool(
            col.value(
                "select exists (select 1 from it.config where key = 'curModel' "
                "and cast(cast(val as text) as integer) not in (select id from it.notetypes)) "
                "and not exists (select 1 from it.config where substr(key, 1, 1) = '_')"
            )
        )


def _as_it_was(package: Package, collection: Path) -> None:
    """Put an old collection in the place of what Anki brought up: only so is it known what it could not hold."""
    with (
        zipfile.ZipFile(package.path) as archive,
        archive.open(package.inside) as source,
        collection.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)


def pack(collection: Path, media: Path, target: Path, *, legacy: bool, with_media: bool = True) -> None:
    """Write a collection's package by Anki's exporter; the scratch copy `collection` is left closed, in its schema.

    Media files of names that Anki would not sync must not be among those of the folder.
    """
    with _exporting(collection, media) as backend:
        backend.export_collection_package(out_path=str(target), include_media=with_media, legacy=legacy)


@contextmanager
def _exporting(collection: Path, media: Path) -> Iterator[RustBackend]:
    """Hold a scratch copy open by Anki, with this media folder."""
    from anki._backend import RustBackend  # noqa: PLC0415
    from anki.errors import AnkiException  # noqa: PLC0415

    backend = RustBackend()
    try:
        backend.open_collection(
            collection_path=str(collection),
            media_folder_path=str(media),
            media_db_path=str(collection.with_name("package-media.db")),
        )
        yield backend
    except AnkiException as error:
        raise DamagedData(f"Anki cannot make a package: {error}; nothing was changed") from error
    finally:
        _close(backend)


def _close(backend: RustBackend) -> None:
    from anki.errors import AnkiException  # noqa: PLC0415

    try:
        backend.close_collection(downgrade_to_schema11=False)
    except AnkiException:  # exporting closed it
        return


def _sha1(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha1").hexdigest()
    except FileNotFoundError:
        return None
