"""What makes a sync start by itself: the udev rule (root's), the user's service (the user's own), and taking both back.

What is to be done is a list of steps, made by looking only; the same list is shown, printed as commands, or carried out.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import usbsync
from usbsync.errors import UsageError
from usbsync.state.files import speaking

RULE = "70-usbsync.rules"
SERVICE = "usbsync.service"
_ETC, _LIB = "etc/udev/rules.d", ("usr/lib/udev/rules.d", "lib/udev/rules.d")
_KEPT = ("USBSYNC_HOME", "ANKI_BASE", "XDG_DATA_HOME")
"""What a service's environment lacks and usbsync minds: put into the unit where it is set."""
_PLAINER = "install usbsync in a folder with a plainer name"
BY_HAND = "usbsync setup --print prints every command"


@dataclass(frozen=True, slots=True)
class Computer:
    """What setup asks of this computer; tests give another."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: Path = Path("/")
    platform: str = sys.platform
    uid: int = field(default_factory=lambda: os.geteuid() if hasattr(os, "geteuid") else -1)
    program: tuple[str, ...] = (sys.executable, "-m", "usbsync")
    which: Callable[[str], str | None] = shutil.which

    @property
    def is_root(self) -> bool:
        """Say whether this is root, for whom no service is installed."""
        return self.uid == 0

    @property
    def has_udev(self) -> bool:
        """Say whether there is a udev to give a rule to."""
        return self.platform == "linux" and (self.root / _ETC).parent.is_dir()

    @property
    def has_systemd(self) -> bool:
        """Say whether systemd runs this computer (sd_booted(3))."""
        return self.platform == "linux" and (self.root / "run/systemd/system").is_dir()

    @property
    def rule(self) -> Path:
        """Where the rule goes."""
        return self.root / _ETC / RULE

    @property
    def unit(self) -> Path:
        """Where the user's service goes."""
        config = self.environ.get("XDG_CONFIG_HOME") or str(
            Path(self.environ.get("HOME") or Path.home(), ".config")
        )
        return Path(config, "systemd", "user", SERVICE)

    @property
    def wanted(self) -> Path:
        """The link by which the service is enabled."""
        return self.unit.parent / "default.target.wants" / SERVICE

    def rule_is_there(self) -> bool:
        """Say whether this very rule is installed, by us or by a distribution."""
        return any(_same(self.root / folder / RULE, _source(RULE)) for folder in (_ETC, *_LIB))

    def unit_is_there(self) -> bool:
        """Say whether this very service is installed and enabled."""
        return _text(self.unit) == unit_text(self) and self.wanted.is_symlink()


@dataclass(frozen=True, slots=True)
class Write:
    """Make a text file of the user's own."""

    path: Path
    text: str

    def as_shell(self) -> str:
        """Return the same as a shell command."""
        path = shlex.quote(str(self.path))
        return f"mkdir -p {shlex.quote(str(self.path.parent))}\ncat > {path} <<'USBSYNC'\n{self.text}USBSYNC"

    def carry_out(self) -> None:
        """Write it."""
        with speaking(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text)


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file of the user's own."""

    path: Path

    def as_shell(self) -> str:
        """Return the same as a shell command."""
        return f"rm -f {shlex.quote(str(self.path))}"

    def carry_out(self) -> None:
        """Remove it."""
        with speaking(self.path):
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Run:
    """Run a command; one that is only a courtesy may fail."""

    argv: tuple[str, ...]
    may_fail: bool = False

    def as_shell(self) -> str:
        """Return the same as a shell command."""
        return shlex.join(self.argv)

    def carry_out(self) -> None:
        """Run it at this terminal, where sudo may ask for the password."""
        try:
            code = subprocess.run(self.argv, check=False, stdout=sys.stderr).returncode
        except OSError:
            code = 127
        if code and not self.may_fail:
            raise UsageError(f"{self.as_shell()} failed ({code}); what came before it is done", hint=BY_HAND)


Step = Write | Delete | Run


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is installed or taken back; no steps: there is nothing to do about it."""

    what: str
    steps: tuple[Step, ...] = ()


def install(computer: Computer) -> tuple[Part, ...]:
    """Plan what makes a phone's coming start a sync; parts without steps say why there is nothing to do."""
    return (*_rule(computer), *_service(computer), *_seat(computer))


def uninstall(computer: Computer) -> tuple[Part, ...]:
    """Plan how all that `install` ever did is taken back; what is not there needs no step."""
    parts = []
    if computer.unit.exists() or computer.wanted.is_symlink():
        disable = (Run(("systemctl", "--user", "disable", "--now", SERVICE), may_fail=True),)
        reload = (Run(("systemctl", "--user", "daemon-reload"), may_fail=True),)
        systemd = (disable, reload) if computer.has_systemd else ((), ())
        removed = (Delete(computer.wanted), Delete(computer.unit))
        parts.append(Part(f"your service {computer.unit}", (*systemd[0], *removed, *systemd[1])))
    if computer.rule.exists():
        gone = Run((*_as_root(computer), "rm", "-f", str(computer.rule)))
        parts.append(Part(f"the udev rule {computer.rule}", (gone, *_reload(computer))))
    return tuple(parts)


def carry_out(parts: Sequence[Part]) -> None:
    """Do every step in order; UsageError at the first that fails."""
    for part in parts:
        for step in part.steps:
            step.carry_out()


def unit_text(computer: Computer) -> str:
    """Return the user's service, with this program and these folders in it."""
    if set(computer.program[0]) & set("\"'\\"):  # systemd takes no such executable, quoted or not
        raise UsageError(f"{computer.program[0]} cannot stand in a systemd unit", hint=_PLAINER)
    program = " ".join(map(_escaped, computer.program))
    text = _source(SERVICE).read_text().replace("@USBSYNC@", program)
    kept = [
        f"Environment={_escaped(f'{name}={value}')}\n"
        for name in _KEPT
        if (value := computer.environ.get(name))
    ]
    return text.replace("Restart=on-failure\n", f"{''.join(kept)}Restart=on-failure\n")


def _rule(computer: Computer) -> tuple[Part, ...]:
    if not computer.has_udev:
        return (Part("no udev here: phones are looked for every few seconds instead"),)
    what = f"the udev rule {computer.rule}"
    if computer.rule_is_there():
        return (Part(f"{what} is there"),)
    copy = Run((*_as_root(computer), "install", "-D", "-m", "644", str(_source(RULE)), str(computer.rule)))
    return (
        Part(f"{what}, with {' '.join(_as_root(computer)) or 'root'}'s rights", (copy, *_reload(computer))),
    )


def _reload(computer: Computer) -> tuple[Run, ...]:
    """Let udev read its rules again, and phones that are plugged in have it at once."""
    udevadm = (*_as_root(computer), "udevadm")
    trigger = ("trigger", "--subsystem-match=usb", "--action=change")
    return Run((*udevadm, "control", "--reload"), may_fail=True), Run((*udevadm, *trigger), may_fail=True)


def _service(computer: Computer) -> tuple[Part, ...]:
    if computer.is_root:
        return (
            Part(
                "you are root, as whom nothing of usbsync runs: run usbsync setup again as the person who uses Anki"
            ),
        )
    if not computer.has_systemd:
        return (Part("no systemd here: let your desktop start `usbsync watch` when you log in"),)
    what = f"your service {computer.unit}"
    if computer.unit_is_there():
        return (Part(f"{what} is there"),)
    steps = (
        Write(computer.unit, unit_text(computer)),
        Run(("systemctl", "--user", "daemon-reload")),
        Run(("systemctl", "--user", "enable", SERVICE)),
        Run(("systemctl", "--user", "restart", SERVICE)),
    )
    return (Part(what, steps),)


def _seat(computer: Computer) -> tuple[Part, ...]:
    """Say it where the rule cannot give rights: logind gives them to who sits at the computer."""
    if computer.has_udev and computer.environ.get("SSH_CONNECTION"):
        text = "over SSH the rule gives no rights; if you never sit here: sudo usermod -aG plugdev $USER"
        return (Part(text),)
    return ()


def _as_root(computer: Computer) -> tuple[str, ...]:
    if computer.is_root:
        return ()
    return (next((each for each in ("sudo", "doas", "pkexec") if computer.which(each)), "sudo"),)


def _source(name: str) -> Path:
    """Find a file of `udev-rules`: in the wheel it is inside the package, in the tree beside it."""
    package = Path(usbsync.__file__).parent
    inside = package / "udev-rules" / name
    return inside if inside.exists() else package.parent / "udev-rules" / name


def _escaped(word: str) -> str:
    """Quote a word for a unit file (systemd.syntax(7)): specifiers mean nothing in it."""
    if any(ord(char) < ord(" ") for char in word):
        raise UsageError(
            f"{word!r} cannot stand in a systemd unit", hint="install usbsync in a plainer folder"
        )
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if set(text) & set(" '\"\\;") or not text else text


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return None


def _same(path: Path, source: Path) -> bool:
    return (text := _text(path)) is not None and text == _text(source)
