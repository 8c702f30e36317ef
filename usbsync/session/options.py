"""What a session is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from usbsync.core.conflict import Logic, Policy, Side
from usbsync.core.first import First


class OneWay(StrEnum):
    """Whose collection replaces the other's."""

    UPLOAD = "upload"
    DOWNLOAD = "download"

    @classmethod
    def into(cls, side: Side) -> OneWay:
        """Say which way fills this side."""
        return cls.DOWNLOAD if side is Side.DESKTOP else cls.UPLOAD

    @property
    def filled(self) -> Side:
        """The side whose collection is replaced."""
        return Side.DESKTOP if self is OneWay.DOWNLOAD else Side.PHONE


@dataclass(frozen=True, slots=True)
class Options:
    """A command's options; None where nothing was said."""

    device: str | None = None
    collection: Path | None = None
    profile: str | None = None
    app: str | None = None
    phone_dir: str | None = None
    merge: Logic = Logic.FINE
    prefer: Policy = Policy.NEWEST
    first: First | None = None
    one_way: OneWay | None = None
    media: bool = True
    allow_mass_deletion: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    configured: frozenset[str] = frozenset()  # the options that config.toml said, not the command line
