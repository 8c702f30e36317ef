"""What wakes the watch: udev's and an adb server's word of phones, a slow look at what they do not tell, changed files.

All of it ends as hints in one queue, from threads of their own; a hint says only where to look.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from usbsync.device.detect import SeenPhone, seen_phones
from usbsync.device.follow import Follower, Stream
from usbsync.device.hint import Hint
from usbsync.errors import UsbsyncError
from usbsync.transport import ways
from usbsync.transport.paths import said

EVERY = 5.0
"""Seconds between two looks for an adb server and at folders; at the USB bus only where there is no udev."""
FOLDER = "folder:"
_UDEV = Path("/run/udev/control")
_ADB = ":ff4201:"


class Looks(Protocol):
    """The functions of `usbsync.transport.ways` that look; tests give their own."""

    def on_the_bus(self) -> frozenset[tuple[int, int]]:
        """Return bus and address of every USB device that has an ADB interface."""

    def list_usb(self) -> list[ways.Seen]:
        """List the USB devices that have an ADB interface."""

    def list_server(self) -> list[ways.Seen]:
        """List what a running adb server knows."""

    def follow_server(self) -> Stream:
        """Follow what a running adb server knows."""


class Wakers:
    """Everything that puts hints into the queue, and the phones that are here now."""

    def __init__(
        self,
        *,
        via: Any = ways,
        udev: bool | None = None,
        every: float = EVERY,
        folders: Collection[str] = (),
    ) -> None:
        """Prepare; `udev` says whether it tells of phones (None: if it runs), `folders` are mounted phones' names."""
        self.hints: SimpleQueue[Hint] = SimpleQueue()
        self.folders = folders
        self._via = via
        self._udev = _UDEV.exists() and sys.platform == "linux" if udev is None else udev
        self._every = every
        self._stop = threading.Event()
        self._files: list[BaseObserver] = []
        self._watched: set[Path] = set()
        self._mounted: Mapping[str, int] = {}
        self._udev_listener: Any = None
        self._follower = Follower(via.follow_server, self.hints.put, every)

    def start(self) -> None:
        """Begin to listen; what happens from here on is not missed."""
        self._listen()
        self._mounted = mounted(self.folders)
        self._begin(self._poll_phones, self._look(_Look()))
        self._begin(self._follower.run)
        self._begin(self._poll_folders)  # apart: a dead mount may hang whoever looks at it

    def stop(self) -> None:
        """End all threads; nothing is waited for that may hang in a dead mount."""
        self._stop.set()
        self._follower.stop()
        for files in self._files:
            files.stop()
        if self._udev_listener:
            self._udev_listener.send_stop()

    def watch(self, folder: Path) -> None:
        """Give hints about the files of a folder, not of those below it; again and again for one is no matter."""
        if folder not in self._watched and folder.is_dir():
            self._watched.add(folder)
            try:
                self._observe(folder, Observer())
            except OSError:  # no inotify watches are left, or a file system that has none
                self._observe(folder, PollingObserver(timeout=self._every))

    def here(self) -> Mapping[str, SeenPhone | None]:
        """Return the phones that are plugged in, by name; None for a mounted folder."""
        seen = {phone.serial: phone for phone in seen_phones(via=self._via)}
        return {**seen, **dict.fromkeys(self._mounted)}

    def _listen(self) -> None:
        """Have udev tell, again where its listener ended (the kernel's queue ran over: anything may have happened)."""
        if self._udev and not (self._udev_listener and self._udev_listener.is_alive()):
            again, self._udev_listener = self._udev_listener is not None, _listening(self.hints.put)
            if again:
                self.hints.put(Hint())

    def _observe(self, folder: Path, files: BaseObserver) -> None:
        files.schedule(_Handler(self.hints.put), str(folder))
        files.start()
        self._files.append(files)

    def _begin(self, poll: Callable[..., None], *given: object) -> None:
        threading.Thread(target=poll, args=given, name=f"usbsync{poll.__name__}", daemon=True).start()

    def _poll_phones(self, before: _Look) -> None:
        while not self._stop.wait(self._every):
            self._listen()
            now = self._look(before)
            if now != before:
                fresh = self._on_usb() | now.server.keys() if now.bus - before.bus else set[str]()
                self.hints.put(Hint(fresh=frozenset(fresh)))
            before = now

    def _on_usb(self) -> set[str]:
        """Return who may have come just now: the bus says where, not who. A server tells of its own phones."""
        with suppress(UsbsyncError, OSError):
            return {seen.serial for seen in self._via.list_usb() if seen.serial} - self._follower.phones
        return set()

    def _poll_folders(self) -> None:
        """Look for mounts; one that went and came in between is another, and new."""
        while not self._stop.wait(self._every):
            before, self._mounted = self._mounted, mounted(self.folders, self._mounted)
            if self._mounted != before:
                fresh = {name for name, device in self._mounted.items() if before.get(name) != device}
                self.hints.put(Hint(fresh=frozenset(fresh)))

    def _look(self, before: _Look) -> _Look:
        """Look at the bus, and at the server's list where it tells nothing; what cannot be told now is taken to be as before."""
        bus, server = before.bus, before.server
        with suppress(UsbsyncError, OSError):
            bus = frozenset() if self._udev else self._via.on_the_bus()
        if self._follower.knows:
            return _Look({}, bus)
        with suppress(UsbsyncError, OSError):
            server = {seen.serial: seen.state for seen in self._via.list_server()}
        return _Look(server, bus)


@dataclass(frozen=True, slots=True)
class _Look:
    server: Mapping[str, str] = field(default_factory=dict)
    bus: frozenset[tuple[int, int]] = frozenset()


def mounted(names: Collection[str], before: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return the mounted phones' folders that are there, each with its file system's number.

    A mount point with nothing mounted on it is an empty folder; a dead mount answers with errors. One that was there
    `before` is not listed again: by MTP that is work for the phone.
    """
    found = {}
    for name in names:
        path = Path(name.removeprefix(FOLDER))
        with suppress(OSError):
            device = path.stat().st_dev
            if (before or {}).get(name) == device or _holds_any(path):
                found[name] = device
    return found


def _holds_any(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entries)


class _Handler(FileSystemEventHandler):
    def __init__(self, put: Callable[[Hint], None]) -> None:
        self._put = put

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on what changed a file; that one was read is nothing new."""
        if event.event_type not in {"opened", "closed_no_write"}:
            for path in {event.src_path, event.dest_path} - {""}:
                self._put(Hint(file=Path(str(path))))


def _listening(put: Callable[[Hint], None]) -> Any:
    """Have udev tell of USB phones, its rules applied; returns the thread that listens."""
    import pyudev  # noqa: PLC0415 - Linux only

    monitor = pyudev.Monitor.from_netlink(pyudev.Context())
    monitor.filter_by("usb", "usb_device")
    observer = pyudev.MonitorObserver(monitor, callback=lambda device: _tell(device, put), daemon=True)
    observer.start()
    return observer


def _tell(device: Any, put: Callable[[Hint], None]) -> None:
    """Turn one uevent into a hint; one of a device that is no phone is passed over, where that can be known."""
    try:
        hint = _hint(device)
    except Exception:  # noqa: BLE001 - it is gone again, or says what is no text: whoever looks will see
        hint = Hint()
    if hint:
        put(hint)


def _hint(device: Any) -> Hint | None:
    if device.action == "remove":
        return Hint()
    if _ADB not in (device.properties.get("ID_USB_INTERFACES") or ""):
        return None
    serial = said(device.attributes.get("serial") or b"", most=64)
    return Hint(fresh=frozenset({serial}) if device.action == "add" else frozenset())
