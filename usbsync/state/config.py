"""`config.toml`: a person's defaults for the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from usbsync.core.conflict import Logic, Policy
from usbsync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "config.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """Defaults for options of the same names; None where nothing is set."""

    device: str | None = None
    profile: str | None = None
    collection: str | None = None
    merge: Logic | None = None
    prefer: Policy | None = None
    app: str | None = None
    phone_dir: str | None = None
    inbox: str | None = None


_KEYS = tuple(entry.name for entry in fields(Config))


def load_config(home: Path) -> Config:
    """Read `config.toml`, or the empty Config where there is none.

    Raises UsageError naming the file and the key that is unknown, not a text, or no policy.
    """
    path = home / NAME
    values = _read(path)
    for key, value in values.items():
        _check(path, key, value)
    for key, kind in (("prefer", Policy), ("merge", Logic)):
        if key in values:
            values[key] = _one_of(path, key, kind, values[key])
    return Config(**values)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        document: Mapping[str, Any] = tomlkit.parse(text).unwrap()
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise UsageError(
            f"{path.parent} is no folder, and usbsync keeps there what it remembers",
            hint="let USBSYNC_HOME name a folder; nothing was changed",
        ) from error
    except (TOMLKitError, ValueError, OSError) as error:
        raise _wrong(path, f"cannot be read: {error}") from error
    return dict(document)


def _check(path: Path, key: str, value: object) -> None:
    if key not in _KEYS:
        raise _wrong(path, f"has no setting {key!r}; there are: {', '.join(_KEYS)}")
    if not isinstance(value, str) or not value:
        raise _wrong(path, f"{key} must be a text in quotes, not {value!r}")


def _one_of(path: Path, key: str, kind: type[StrEnum], value: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise _wrong(path, f"{key} must be one of {', '.join(kind)}, not {value!r}") from None


def _wrong(path: Path, what: str) -> UsageError:
    return UsageError(f"{path}: {what}", hint=f"edit or remove {path}; nothing was changed")
