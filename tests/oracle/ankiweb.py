"""A real Anki sync server on loopback, with many accounts that all begin with the same collection."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from anki.collection import Collection, SyncOutput
from worlds import editing, new_collection

PASSWORD = "p"
NO_CHANGES = SyncOutput.ChangesRequired.NO_CHANGES


def _hashed() -> str:
    """Hash the password in one round: the server would take a tenth of a second per account."""
    salt = b"sixteen bytes .."
    digest = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, 1)
    texts = (base64.b64encode(part).decode().rstrip("=") for part in (salt, digest))
    return f"$pbkdf2-sha256$i=1,l=32${'$'.join(texts)}"


@dataclass
class AnkiWeb:
    """The server: `desktop` and `phone` hold what it held when both were last in step with it."""

    folder: Path
    url: str
    accounts: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def desktop(self) -> Path:
        return self.folder / "desktop.anki2"

    @property
    def phone(self) -> Path:
        return self.folder / "phone.anki2"

    def held(self, account: str) -> Path:
        """Return the server's own file of an account."""
        return self.folder / "server" / account / "collection.anki2"

    def seed(self, **options: object) -> None:
        """Make the common past: uploaded by the desktop, downloaded by the phone."""
        account = f"u{next(self.accounts)}"
        new_collection(self.desktop, **options)
        with editing(self.desktop) as col:
            col.set_config("fsrs", val=True)
        for path, upload in ((self.desktop, True), (self.phone, False)):
            with editing(path) as col:
                auth = self.login(col, account)
                col.close_for_full_sync()
                col.full_upload_or_download(auth=auth, server_usn=None, upload=upload)
        shutil.copyfile(self.held(account), self.folder / "server.anki2")

    def share(self, past: Path, copies: list[Path]) -> None:
        """Let the first account, and copies that are in step with it, hold a collection."""
        for at, path in enumerate(copies):
            if at == 0:
                shutil.copyfile(past, path)
            with editing(path) as col:
                auth = self.login(col, "u1")
                col.close_for_full_sync()
                col.full_upload_or_download(auth=auth, server_usn=None, upload=at == 0)

    def open_account(self) -> str:
        """Return a fresh account that holds the common past."""
        account = f"u{next(self.accounts)}"
        shutil.copyfile(self.folder / "server.anki2", self.held(account))
        return account

    def login(self, col: Collection, account: str):
        return col.sync_login(account, PASSWORD, self.url)

    def sync(self, path: Path, account: str) -> None:
        """Sync as the apps do; a one-way sync must not be asked for."""
        with editing(path) as col:
            outcome = col.sync_collection(self.login(col, account), sync_media=False)
            assert outcome.required == NO_CHANGES, "Anki asks for a one-way sync"


@contextmanager
def serving(folder: Path, accounts: int) -> Iterator[AnkiWeb]:
    """Run a server; the folder is its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    users = {f"SYNC_USER{at}": f"u{at}:{_hashed()}" for at in range(1, accounts + 1)}
    places = {"SYNC_HOST": "127.0.0.1", "SYNC_PORT": str(port), "SYNC_BASE": str(folder / "server")}
    quiet = {"PASSWORDS_HASHED": "1", "RUST_LOG": "anki=error"}
    process = subprocess.Popen(
        [sys.executable, "-m", "anki.syncserver"], env={**os.environ, **users, **places, **quiet}
    )
    try:
        _await_answer(port, process)
        yield AnkiWeb(folder, f"http://127.0.0.1:{port}/")
    finally:
        process.terminate()
        process.wait(30)


def _await_answer(port: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the sync server ended"
            assert time.monotonic() < until, "the sync server does not answer"
            time.sleep(0.02)
        else:
            return
