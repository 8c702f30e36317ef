"""Anki's `unicase` collation: how deck, notetype and tag names are compared.

rslib sorts and indexes names with the Rust crate unicase 2.6.0, which is not `str.casefold`: code points
cased after Unicode 12 are not folded, and folds of three characters come out rotated. The index order on
disk has both in it.
"""

from __future__ import annotations

_NOT_FOLDED = frozenset(
    {0x2C2F, 0xA7C0, 0xA7C7, 0xA7C9, 0xA7D0, 0xA7D6, 0xA7D8, 0xA7F5, 0x10594, 0x10595}
    | set(range(0x10570, 0x1057B))
    | set(range(0x1057C, 0x1058B))
    | set(range(0x1058C, 0x10593))
)


def unicase(text: str) -> str:
    """Return the key by which Anki compares names (rslib `storage/sqlite.rs`, `unicase_compare`)."""
    return text.lower() if text.isascii() else "".join(map(_fold, text))


def _fold(char: str) -> str:
    if ord(char) in _NOT_FOLDED:
        return char
    folded = char.casefold()
    return folded[2] + folded[0] + folded[1] if len(folded) == 3 else folded  # noqa: PLR2004
