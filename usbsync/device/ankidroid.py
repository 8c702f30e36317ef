"""Which AnkiDroid folder is live on a phone.

Where AnkiDroid keeps its collection, and how its packages are called: reference/ankidroid.md 1 (from AnkiDroid's own
sources). Its setting is not readable over ADB, so the folder is found from what AnkiDroid logged when it last opened
its collection, else from the folders it uses by default. All that a phone says is checked here before it is used.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usbsync.device.logcat import last_opened
from usbsync.device.shell import shell_of
from usbsync.errors import NoPhone, PhoneRefused, UsageError, WhichPhone
from usbsync.transport.base import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from usbsync.transport.base import Shell, Transport

COLLECTION = "collection.anki2"
PUBLIC = "/storage/emulated/0/AnkiDroid"
PRIVATE = "/storage/emulated/0/Android/data"
OWNED = re.compile(r"/Android/data/([^/]+)/")
"""A folder that belongs to one package, which the match names."""
OPEN_ONCE = (
    "open AnkiDroid once on the phone; if its folder was moved (Settings, Advanced), name it with --phone-dir"
)

_LONGEST_PATH = 1024
_MOST_PACKAGES = 16
_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+")
_ANKIDROID = re.compile(r"com\.ichi2\.anki(?:\.[A-Za-z][A-Za-z0-9_]*)*", re.IGNORECASE)
_VERSION = re.compile(r"^\s*versionName=([0-9][0-9A-Za-z._-]{0,31})\s*$", re.MULTILINE)
_FOLDER = re.compile(
    r"AnkiDroid[0-9]{0,3}"
)  # numbered ones were made by the storage migration of 2.16 to 2.18
_SAME_STORAGE = re.compile(r"^/(?:sdcard|storage/self/primary|mnt/sdcard)(?=/|$)")


@dataclass(frozen=True, slots=True)
class PhoneReplica:
    """An AnkiDroid folder (in the transport's name space), every package that may have it open, and why this one."""

    folder: str
    packages: tuple[str, ...]
    reason: str

    @property
    def collection(self) -> str:
        """The path of the collection."""
        return posixpath.join(self.folder, COLLECTION)

    @property
    def media_folder(self) -> str:
        """The path of the media folder."""
        return posixpath.join(self.folder, "collection.media")


def find_phone(transport: Transport, *, app: str | None = None, phone_dir: str | None = None) -> PhoneReplica:
    """Find the live AnkiDroid folder; `app` (a package) and `phone_dir` (a folder) say which where several are.

    Only `phone_dir` may be without a collection. Raises NoPhone when there is no AnkiDroid or no collection yet,
    WhichPhone when several folders could be meant, UsageError when what is named cannot be.
    """
    shell = shell_of(transport)
    if shell is None:
        return _in_folder(transport, app, phone_dir)
    packages = installed(shell)
    if app is not None:
        packages = _with_app(shell, packages, app)
    if not packages:
        raise NoPhone("AnkiDroid is not installed on the phone", hint="install AnkiDroid and open it once")
    if phone_dir is not None:
        folder = _existing(transport, _shared(_named_folder(phone_dir)))
        return PhoneReplica(folder, packages, "named with --phone-dir")
    folder, reason = _live(transport, shell, packages, app)
    return PhoneReplica(folder, packages, reason)


def installed(shell: Shell) -> tuple[str, ...]:
    """List the installed AnkiDroid packages, sorted; names of any other form are passed over.

    Raises PhoneRefused when the phone does not say.
    """
    return tuple(sorted(name for name in _all_packages(shell) if _ANKIDROID.fullmatch(name)))[:_MOST_PACKAGES]


def version_of(shell: Shell, package: str) -> str | None:
    """Return a package's version as the phone tells it, and None where it does not."""
    answer = shell.run(["dumpsys", "package", package])
    found = _VERSION.search(answer.stdout.decode("ascii", "replace"))
    return found[1] if found else None


def _all_packages(shell: Shell) -> set[str]:
    """List what the phone says, unchecked. For all: the filter of `pm list packages` minds the case, and parallel builds were named in both."""
    answer = shell.run(["pm", "list", "packages"])
    if answer.exit_code != 0:
        raise PhoneRefused("the phone does not list its apps (pm list packages failed); nothing was changed")
    lines = answer.stdout.decode("ascii", "replace").splitlines()
    return {line.removeprefix("package:").strip() for line in lines if line.startswith("package:")}


def _with_app(shell: Shell, packages: tuple[str, ...], app: str) -> tuple[str, ...]:
    """Add a package that is named (a fork may be called otherwise) to those to be stopped."""
    if not _PACKAGE.fullmatch(app):
        raise UsageError(f"--app {app!r} is no package's name", hint="such as --app com.ichi2.anki")
    if app not in packages and app not in _all_packages(shell):
        raise NoPhone(
            f"{app} is not installed on the phone", hint=f"AnkiDroid here: {', '.join(packages) or 'none'}"
        )
    return tuple(sorted({*packages, app}))


def _in_folder(transport: Transport, app: str | None, phone_dir: str | None) -> PhoneReplica:
    """Look where a person may point: the AnkiDroid folder itself, a storage's root, or all of a phone's storage."""
    if app is not None:
        raise UsageError(
            "--app goes with a phone, not with a folder", hint="leave --app out, or name --phone-dir"
        )
    if phone_dir is not None:
        return PhoneReplica(_existing(transport, _named_folder(phone_dir)), (), "named with --phone-dir")
    for folder in ("/", "/AnkiDroid"):
        if _has_collection(transport, folder):
            return PhoneReplica(folder, (), "the folder that was named")
    raise NoPhone(
        f"there is no {COLLECTION} in the folder that was named, nor in an AnkiDroid folder in it",
        hint="open AnkiDroid once, or, if the folder is right and shall be filled, add --phone-dir /",
    )


def _live(transport: Transport, shell: Shell, packages: tuple[str, ...], app: str | None) -> tuple[str, str]:
    """Choose between folders: the one that AnkiDroid logged, the only one, the one last written.

    With several packages neither log nor dates say whose folder it is: to follow them would sync now one, now another.
    """
    if logged := _logged(transport, shell, packages, app):
        return logged, "AnkiDroid logged it"
    looked = list(_candidates(transport, (app,) if app else packages))
    found = [folder for folder in looked if _has_collection(transport, folder)]
    if not found:
        raise NoPhone(f"AnkiDroid has no collection yet (looked in {', '.join(looked)})", hint=OPEN_ONCE)
    if len(found) == 1:
        return found[0], "the only one"
    newest = _newest(transport, found) if len(packages) == 1 else None
    if newest is None:
        raise WhichPhone(
            f"several AnkiDroid folders are on the phone: {', '.join(found)}",
            hint="choose one with " + " or ".join(f"--phone-dir {folder}" for folder in found),
        )
    return newest, "last written"


def _candidates(transport: Transport, packages: Sequence[str]) -> Iterable[str]:
    yield PUBLIC
    for package in packages:
        files = f"{PRIVATE}/{package}/files"
        yield from (f"{files}/{name}" for name in _subfolders(transport, files))


def _subfolders(transport: Transport, files: str) -> list[str]:
    """List the AnkiDroid folders of one package; a folder that is absent, or not ours to read, has none."""
    try:
        entries = transport.list(files)
    except PhoneRefused:
        return []
    return sorted(e.name for e in entries if e.kind is Kind.FOLDER and _FOLDER.fullmatch(e.name))


def _logged(transport: Transport, shell: Shell, packages: tuple[str, ...], app: str | None) -> str | None:
    """Return the folder that AnkiDroid opened last, if the log still has it and it has a collection.

    Any app may write to the log, so a folder of another app's is not believed.
    """
    folder = _shared(last_opened(shell) or "")
    owner = OWNED.search(f"{folder}/")
    ours = packages if len(packages) == 1 else (app,)
    believed = owner[1] in ours if owner else len(packages) == 1
    return folder if believed and _is_plain(folder) and _has_collection(transport, folder) else None


def _newest(transport: Transport, folders: Sequence[str]) -> str | None:
    """Return the folder written last, by collection or -wal; None when two were in the same second."""
    dated = sorted(((_written(transport, folder), folder) for folder in folders), reverse=True)
    return dated[0][1] if dated[0][0] > dated[1][0] else None


def _written(transport: Transport, folder: str) -> int:
    paths = (posixpath.join(folder, COLLECTION + suffix) for suffix in ("", "-wal"))
    return max(info.mtime if (info := transport.stat(path)) else 0 for path in paths)


def _has_collection(transport: Transport, folder: str) -> bool:
    try:
        info = transport.stat(posixpath.join(folder, COLLECTION))
    except PhoneRefused:  # a folder that is not ours to look into
        return False
    return info is not None and info.kind is Kind.FILE


def _named_folder(phone_dir: str) -> str:
    if not _is_plain(phone_dir):
        raise UsageError(
            f"--phone-dir {phone_dir!r} is no folder's full path on the phone",
            hint=f"such as --phone-dir {PUBLIC}",
        )
    return "/" + posixpath.normpath(phone_dir).lstrip("/")


def _shared(path: str) -> str:
    """Give a folder of the shared storage one name, whichever of its links was followed."""
    return _SAME_STORAGE.sub("/storage/emulated/0", path, count=1)


def _existing(transport: Transport, folder: str) -> str:
    if folder == "/":
        return folder
    info = transport.stat(folder)
    if info is None or info.kind is not Kind.FOLDER:
        raise NoPhone(f"there is no folder {folder} on the phone", hint=OPEN_ONCE)
    return folder


def _is_plain(path: str) -> bool:
    """Say whether a path is absolute, goes nowhere but down, and can be shown to a person."""
    return (
        path.startswith("/")
        and len(path) <= _LONGEST_PATH
        and path.isprintable()
        and ".." not in path.split("/")
    )
