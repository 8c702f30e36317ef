"""Which media files are synced, by name and size; and which names a phone's folder takes for one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import category, is_normalized, normalize

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NAME_BYTES = 120
MAX_FILE_BYTES = 100 * 1024 * 1024

_FORBIDDEN = re.compile(r'[][<>:"/?*^\\|]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_SYSTEM = re.compile(
    r"thumbs.db|.ds_store", re.IGNORECASE | re.ASCII
)  # Anki's dots match any character, so ours

# Linux drops these (Default_Ignorable_Code_Point) when it compares names in a case-insensitive folder
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# In Anki's order (rslib media/files.rs, normalize_filename, which leaves such names alone), then our own
_NAME_RULES: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda name: not name or name in {".", ".."}, "it is no file's name"),
    (lambda name: not name.isascii() and "Cs" in map(category, name), "its name is not UTF-8"),
    (lambda name: not is_normalized("NFC", name), "its name is not in Unicode's composed form (NFC)"),
    (_FORBIDDEN.search, "its name has a character that Anki forbids"),
    (_CONTROL.search, "its name has a control character"),
    (
        lambda name: not name.isascii() and "Cn" in map(category, name),
        "its name has a character Unicode does not know",
    ),
    (lambda name: "\u00a0" in name, "its name has a no-break space"),
    (_DEVICE.fullmatch, "its name is reserved on Windows"),
    (lambda name: name[-1] in " .", "its name ends in a space or a dot"),
    (lambda name: len(name.encode()) > MAX_NAME_BYTES, f"its name is longer than {MAX_NAME_BYTES} bytes"),
    (_SYSTEM.fullmatch, "it is the operating system's own"),
    (lambda name: name.lower().startswith(".usbsync"), "it is usbsync's own"),
)


# Names that break none of these rules, as most do: looked at once instead of eleven times
_PLAIN = re.compile(
    r"(?!con|prn|aux|nul|com|lpt|thumbs)[a-z0-9_(][a-z0-9_ .,+()=&!'#~@-]{0,117}[a-z0-9_)]",
    re.IGNORECASE | re.ASCII,
)


def name_problem(name: str) -> str | None:
    """Say in words why a file of this name is not synced, or None when it is.

    Anki's rule, but for newer characters: Anki's tables are Unicode 10's, and it ignores files named with an emoji
    of 2018 or later; here they are synced. Nothing that Anki syncs is refused, but for names of our own.
    """
    return None if _PLAIN.fullmatch(name) else _rule_broken(name)


def _rule_broken(name: str) -> str | None:
    return next((words for broken, words in _NAME_RULES if broken(name)), None)


def is_synced(name: str, size: int) -> bool:
    """Whether a file of this name and size (bytes) is synced."""
    return name_problem(name) is None and file_problem(size) is None


def file_problem(size: int) -> str | None:
    """Say in words why a file of this size (bytes) is not synced, or None when it is."""
    if size <= 0:
        return "it is empty"
    if size > MAX_FILE_BYTES:
        return f"it is larger than {MAX_FILE_BYTES >> 20} MiB"
    return None


def place(name: str) -> str:
    """Return the key that two names share when a phone's case-insensitive folder takes them for one.

    Follows Linux' casefolded folders (fs/unicode, NFDICF), on which Android's shared storage is.
    """
    if name.isascii():
        return name.lower()
    return normalize("NFD", _IGNORED.sub("", normalize("NFD", name)).casefold())


def look_alike(name: str, other: str) -> bool:
    """Whether two names differ only in how their accents are written (composed or not), which nobody can see."""
    return normalize("NFC", name) == normalize("NFC", other)
