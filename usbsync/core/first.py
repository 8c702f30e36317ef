"""How a pair begins that never met, and what is one-way."""

from __future__ import annotations

from enum import StrEnum


class First(StrEnum):
    """What a person may choose where both sides hold work and nothing is known of a common past."""

    MERGE = "merge"
    UPLOAD = "upload"
    DOWNLOAD = "download"


class Start(StrEnum):
    """How a sync begins."""

    ADOPT = "adopt"  # both hold the same: remember it
    UPLOAD = "upload"  # the desktop's collection replaces the phone's
    DOWNLOAD = "download"  # the phone's collection replaces the desktop's
    MERGE = "merge"
    ASK = "ask"


def first_sync(*, desktop_empty: bool, phone_empty: bool, same: bool, wanted: First | None) -> Start:
    """Decide how a pair without an ancestor begins."""
    if same:
        return Start.ADOPT  # copied before, or synced by AnkiWeb: nothing to choose
    if desktop_empty and phone_empty:
        return Start.UPLOAD  # two new installations: only settings differ
    if phone_empty and wanted is not First.DOWNLOAD:
        return Start.UPLOAD  # a new phone
    if desktop_empty and wanted is not First.UPLOAD:
        return Start.DOWNLOAD  # a new computer
    if wanted is None:
        return Start.ASK  # both hold work: nobody guesses
    return Start(wanted)  # a person has chosen
