"""Looking into a package (`.colpkg`, `.apkg`) before a byte of it is unpacked.

Anki checks little: it takes what a Zstandard frame makes for as long as there is disk, and does not compare media with
the hashes that the package lists.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from usbsync.collection import zstd
from usbsync.collection.backend import opened
from usbsync.collection.snapshot import MAIN
from usbsync.errors import DamagedData, NoSpace, UnsupportedCollection, UsageError

MEDIA = "collection.media"
COLLECTION_SUFFIX = ".colpkg"
DECKS_SUFFIX = ".apkg"

_LEGACY_1, _LEGACY_2, _LATEST = 1, 2, 3  # PackageMetadata.Version of Anki's import_export.proto
_INSIDE = {_LEGACY_1: "collection.anki2", _LEGACY_2: "collection.anki21", _LATEST: "collection.anki21b"}
# Anki is imported where it is used: it takes 0.1 s, and most commands look into no package.
_MOST_FILES = 250_000
_MOST_LISTED = 64 << 20  # bytes of the list of media
_MOST_META = 1 << 10
_BOMB = 1 << 30  # bytes; less is not worth calling one,
_RATIO = 500  # and neither is what is packed less tightly than this
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A media file as a package lists it; an old package gives neither size nor hash."""

    name: str
    size: int | None = None
    sha1: str | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was looked into and found whole."""

    path: Path
    legacy: bool  # written as Anki before 2.1.50 reads it, with schema 11 inside
    inside: str  # the entry that is the collection
    most: int  # bytes that it unpacks to at most
    media: tuple[Listed, ...]


def is_package(path: Path) -> bool:
    """Whether a file's name says that it is a package."""
    return path.suffix.lower() in {COLLECTION_SUFFIX, DECKS_SUFFIX}


def examine(path: Path) -> Package:
    """Look into a package, and read all of it once to see that it is whole; nothing is unpacked.

    Raises:
        DamagedData: it is cut short, a checksum is wrong, it would write outside its folder, or it is a bomb.
        UnsupportedCollection: a newer Anki wrote it.
        UsageError: there is no such file.
    """
    with speaking(path), zipfile.ZipFile(path) as archive:
        infos = _entries(archive)
        version = _version(archive, infos)
        legacy = version != _LATEST
        if _INSIDE[version] not in infos:
            raise DamagedData(f"there is no {_INSIDE[version]} in it")
        most = sum(_most(archive, info, legacy=legacy) for info in infos.values())
        if most > max(_BOMB, _RATIO * path.stat().st_size):
            raise DamagedData(f"it is a bomb: it would unpack to {most >> 20:,} MiB")
        media = _media(archive, infos, legacy=legacy)
        _check_media(media, infos)
    return Package(path, legacy, _INSIDE[version], most, media)


@contextmanager
def speaking(path: Path) -> Iterator[None]:
    """Name the package in every refusal, and say that nothing came of it."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no package {path}", hint="name the .apkg or .colpkg file with its folder"
        ) from error
    except (UnsupportedCollection, NoSpace):
        raise
    except DamagedData as error:
        raise _damaged(path, str(error)) from error
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError,
        RecursionError,
    ) as error:  # fmt: skip
        raise _damaged(path, f"it is cut short or no package ({type(error).__name__})") from error


def _damaged(path: Path, why: str) -> DamagedData:
    return DamagedData(
        f"the package {path.name!a} cannot be used: {why}; nothing was changed",
        hint="export it again on the phone and carry it over again; look whether it arrived whole",
    )


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    by_name = {info.filename: info for info in infos}
    if len(infos) > _MOST_FILES or len(by_name) != len(infos):
        raise DamagedData("it holds too many files, or two of one name")
    for info in infos:
        if not _is_plain(info.filename) or info.flag_bits & 1:
            raise DamagedData(f"it holds a file named {info.filename!a:.80}, which no Anki writes")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise DamagedData("it is packed as no Anki packs")
    return by_name


def _is_plain(name: str) -> bool:
    """Whether a name is one that stays in its folder, on any system."""
    return name not in {"", ".", ".."} and not set(name) & set("/\\\0:") and name.isprintable()


def _version(archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo]) -> int:
    if "meta" in infos:
        from anki.import_export_pb2 import PackageMetadata  # noqa: PLC0415

        version: int = _parsed(PackageMetadata, _read(archive, infos["meta"], _MOST_META)).version
        if version not in _INSIDE:
            raise UnsupportedCollection(
                f"a newer Anki wrote the package {Path(archive.filename or '').name!a}; nothing was changed"
            )
        return version
    if "collection.anki21" in infos:
        return _LEGACY_2
    return _LEGACY_1


def _parsed(message: Any, data: bytes) -> Any:
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        return message.FromString(data)
    except DecodeError as error:
        raise DamagedData("what it says of itself makes no sense") from error


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    with archive.open(info) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DamagedData(f"its {info.filename} is impossibly large")
    return data


def _most(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, legacy: bool) -> int:
    """Read an entry to its end, which compares its CRC, and return what it may unpack to.

    A deflated one that makes more than it declares is refused by zipfile.
    """
    if info.file_size > max(_BOMB, _RATIO * info.compress_size):
        raise DamagedData(f"it is a bomb: it would unpack to {info.file_size >> 20:,} MiB")
    with archive.open(info) as file:
        if legacy or info.filename in {"meta", "collection.anki2", "collection.anki21"}:
            while file.read(_CHUNK):
                pass
            return info.file_size
        return zstd.most(file)


# ---- the list of media


def _media(
    archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], *, legacy: bool
) -> tuple[Listed, ...]:
    if "media" not in infos:
        raise DamagedData("there is no list of media in it")
    packed = _read(archive, infos["media"], _MOST_LISTED)
    if legacy:
        return _old_list(packed)
    with archive.open(infos["media"]) as file:
        if zstd.most(file) > _MOST_LISTED:
            raise DamagedData("its list of media is impossibly large")
    from anki.import_export_pb2 import MediaEntries  # noqa: PLC0415

    entries = _parsed(MediaEntries, _unpacked(packed)).entries
    return tuple(Listed(entry.name, entry.size, entry.sha1.hex()) for entry in entries)


def _old_list(data: bytes) -> tuple[Listed, ...]:
    listed = json.loads(data)
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise DamagedData("its list of media makes no sense")
    if listed.keys() != {str(at) for at in range(len(listed))}:
        raise DamagedData("its list of media has gaps")
    return tuple(Listed(listed[str(at)]) for at in range(len(listed)))


def _check_media(media: Sequence[Listed], infos: dict[str, zipfile.ZipInfo]) -> None:
    for at, listed in enumerate(media):
        if not _is_plain(listed.name):
            raise DamagedData(f"it would write a media file named {listed.name!a:.80}")
        if str(at) not in infos:
            raise DamagedData(f"its media file {listed.name!a:.80} is missing")
    if len({listed.name for listed in media}) != len(media):
        raise DamagedData("two of its media files have one name")


def _unpacked(packed: bytes) -> bytes:
    """Let Anki, the only one here that can, undo Zstandard: as the one media file of a package made for it."""
    from anki.import_export_pb2 import MediaEntries, PackageMetadata  # noqa: PLC0415

    with TemporaryDirectory(prefix="usbsync-") as name:
        folder = Path(name)
        empty = folder / "empty.anki2"
        with opened(empty):
            pass
        carrier, media = folder / "list.colpkg", folder / MEDIA
        media.mkdir()
        with zipfile.ZipFile(carrier, "w") as archive:
            archive.writestr(
                "meta", PackageMetadata(version=PackageMetadata.VERSION_LATEST).SerializeToString()
            )
            archive.writestr("collection.anki21b", zstd.plain(empty.read_bytes()))
            only = MediaEntries.MediaEntry(name="list", sha1=bytes(20))
            archive.writestr("media", zstd.plain(MediaEntries(entries=[only]).SerializeToString()))
            archive.writestr("0", packed)
        anki_unpacks(carrier, folder / MAIN, media)
        return (media / "list").read_bytes()


def anki_unpacks(package: Path, collection: Path, media: Path) -> None:
    """Let Anki unpack a collection's package that was looked into; DamagedData where it cannot."""
    from anki._backend import RustBackend  # noqa: PLC0415
    from anki.errors import AnkiException  # noqa: PLC0415

    try:
        RustBackend().import_collection_package(
            col_path=str(collection),
            backup_path=str(package),
            media_folder=str(media),
            media_db=str(collection.with_name("package-media.db")),
        )
    except AnkiException as error:
        raise DamagedData(f"Anki cannot read it: {error}") from error
