"""The RSA keys by which a phone knows this computer: adb's own, made when there are none."""

from __future__ import annotations

import base64
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from adb_shell.auth.keygen import encode_pubkey, get_user_info
from adb_shell.auth.sign_cryptography import CryptographySigner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from usbsync.errors import PhoneFailed
from usbsync.transport.paths import shown


class Signer(Protocol):
    """A private key that answers a phone's token (adb-shell's signers)."""

    def Sign(self, data: bytes) -> bytes:  # noqa: N802  # adb-shell's name
        """Sign a token."""

    def GetPublicKey(self) -> bytes:  # noqa: N802  # adb-shell's name
        """Return the public key as the phone's dialog wants it."""


def known() -> list[Signer]:
    """Load the keys that there are, this computer's own first and then those of ADB_VENDOR_KEYS; makes none."""
    found: list[Signer] = [own()] if (home() / "adbkey").exists() else []
    for path in vendor_keys():
        with suppress(OSError, ValueError, TypeError):
            found.append(CryptographySigner(str(path)))
    return found


def own() -> Signer:
    """Load this computer's own key, made where it has none. Raises PhoneFailed when that cannot be."""
    path = home() / "adbkey"
    try:
        if not path.exists():
            make(path)
        if not public_of(path).exists():
            write_public(path)
        return CryptographySigner(str(path))  # type: ignore[no-any-return]
    except (OSError, ValueError, TypeError) as error:
        raise PhoneFailed(
            f"the key {shown(str(path))} cannot be used: {error}", hint="move it away"
        ) from error


def home() -> Path:
    """Return the folder of adb's keys: ANDROID_USER_HOME, else ~/.android."""
    given = os.environ.get("ANDROID_USER_HOME")
    return Path(given) if given else Path.home() / ".android"


def vendor_keys() -> list[Path]:
    """Return the keys named by ADB_VENDOR_KEYS: files, and folders of `*.adb_key` files, as adb reads it."""
    named = [Path(part) for part in os.environ.get("ADB_VENDOR_KEYS", "").split(os.pathsep) if part]
    return [key for path in named for key in (sorted(path.glob("*.adb_key")) if path.is_dir() else [path])]


def public_of(private: Path) -> Path:
    """Return where the public key lies, beside the private one."""
    return private.with_name(f"{private.name}.pub")


def make(path: Path) -> None:
    """Make a key; its file is 0600 before the first byte of it is written (adb-shell's keygen writes 0644)."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another usbsync or adb was quicker: its key is the one
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_public(private: Path) -> None:
    """Write the public key beside the private one, in Android's format."""
    text = base64.b64encode(encode_pubkey(str(private))) + get_user_info().encode()
    public_of(private).write_bytes(text)
