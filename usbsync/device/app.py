"""Stopping AnkiDroid while its folder is read and written, and starting it again.

AnkiDroid keeps its collection open as long as its process lives, in the background too, and no intent closes it
(reference/ankidroid.md 2): only `am force-stop` does, and that no process is left is the proof. A force-stopped app is
also not started by alarms, widgets or boot until a person, or we, start it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from usbsync.device.shell import shell_of
from usbsync.errors import AppRunning, PhoneRefused, UsbsyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbsync.device.ankidroid import PhoneReplica
    from usbsync.transport.base import Shell, Transport

ACTIVITY = (
    "com.ichi2.anki.IntentHandler"  # the class's name in every package, debug and parallel builds included
)
_MAIN = ("-a", "android.intent.action.MAIN", "-c", "android.intent.category.LAUNCHER")


class AppControl:
    """The AnkiDroid processes of one phone.

    A folder has none that we could see: there `can_tell` is False and all here does nothing. (Its `-wal` proves neither
    that AnkiDroid runs, nor, absent, that it does not: it stays after a force-stop.)
    """

    __slots__ = ("_clock", "_packages", "_patience", "_shell", "_sleep", "_to_restart")

    def __init__(
        self,
        transport: Transport,
        replica: PhoneReplica,
        *,
        patience: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Control the replica's packages; `patience` is how many seconds `stop` waits for them to end."""
        self._shell = shell_of(transport)
        self._packages = replica.packages
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._to_restart: dict[str, None] = {}

    @property
    def can_tell(self) -> bool:
        """Say whether it is known what runs: over ADB yes, of a folder no."""
        return self._shell is not None

    def running(self) -> tuple[str, ...]:
        """List the packages that run now. Raises PhoneRefused when the phone's answer is no clear yes or no."""
        if self._shell is None:
            return ()
        return tuple(package for package in self._packages if _runs(self._shell, package))

    def stop(self) -> None:
        """Stop every package and prove that none runs; what ran is remembered for `start_again`.

        All are stopped, running or not, for a stopped one is not woken by a widget or an alarm while we write. Raises
        AppRunning when one is there still after the patience, PhoneRefused.
        """
        self._to_restart |= dict.fromkeys(self.running())
        deadline = self._clock() + self._patience
        wait = 0.05
        for package in self._packages:
            self._run("am", "force-stop", package)
        while left := self.running():
            if self._clock() >= deadline:
                raise AppRunning(
                    f"{', '.join(left)} is running on the phone and does not stop; nothing was changed"
                )
            self._sleep(wait)
            wait = min(2 * wait, 1.0)
            for package in left:
                self._run("am", "force-stop", package)

    def start_again(self) -> tuple[str, ...]:
        """Start what ran before `stop`, once; returns a sentence for each that did not start, raises nothing of ours."""
        started, self._to_restart = self._to_restart, {}
        return tuple(filter(None, map(self._start, started)))

    def _start(self, package: str) -> str | None:
        try:
            said = self._run("am", "start", "-n", f"{package}/{ACTIVITY}", *_MAIN)
        except UsbsyncError as error:
            return f"{package} was not started again: {error}"
        return f"{package} was not started again; open it on the phone" if said else None

    def _run(self, *argv: str) -> bool:
        """Run a command and say whether it failed; `am` may report an error and exit with 0."""
        if self._shell is None:
            return False
        answer = self._shell.run(argv)
        lines = (answer.stdout + b"\n" + answer.stderr).splitlines()
        return answer.exit_code != 0 or any(line.startswith(b"Error") for line in lines)


def _runs(shell: Shell, package: str) -> bool:
    """Ask pidof, which exits with 1 and says nothing when there is no such process; anything else is no proof."""
    answer = shell.run(["pidof", package])
    pids = answer.stdout.split()
    if answer.exit_code == 1 and not pids and not answer.stderr.strip():
        return False
    if answer.exit_code == 0 and pids and all(pid.isdigit() for pid in pids):
        return True
    raise PhoneRefused(
        f"the phone does not say whether {package} is running (pidof answered {answer.exit_code}); nothing was changed",
        hint="close AnkiDroid on the phone and use --device folder:PATH, or update the phone",
    )
