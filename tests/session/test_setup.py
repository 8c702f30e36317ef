"""Setup: what it shows is what it does, twice is as good as once, and all of it can be taken back."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from usbsync.errors import UsageError
from usbsync.session.setup import Computer, Run, Write, carry_out, install, uninstall

SOURCES = Path(__file__).parents[2] / "udev-rules"


@pytest.fixture
def computer(tmp_path, monkeypatch) -> Computer:
    """A computer with udev and systemd below a folder; sudo runs what it is given, systemctl and udevadm take notes."""
    root, tools = tmp_path / "root", tmp_path / "tools"
    for folder in ("etc/udev", "run/systemd/system", "home"):
        (root / folder).mkdir(parents=True)
    tools.mkdir()
    log = tmp_path / "log"
    enable = 'mkdir -p "$HOME/.config/systemd/user/default.target.wants"; ln -sf ../usbsync.service "$HOME/.config/systemd/user/default.target.wants/usbsync.service"'
    script(tools / "sudo", f'echo "sudo $*" >>{log}; exec "$@"')
    script(tools / "udevadm", f'echo "udevadm $*" >>{log}')
    script(tools / "systemctl", f'echo "systemctl $*" >>{log}; case "$*" in *enable*) {enable};; esac')
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(root / "home"))
    environ = {"HOME": str(root / "home"), "USBSYNC_HOME": str(tmp_path / "my state")}
    return Computer(environ=environ, root=root, platform="linux", uid=1000, program=("/usr/bin/true",))


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()
    }


def log(computer: Computer) -> list[str]:
    return (computer.root.parent / "log").read_text().splitlines()


def nothing_to_do(parts) -> bool:
    return not any(part.steps for part in parts)


def test_the_rule_and_the_service_are_installed_once(computer):
    assert not nothing_to_do(install(computer))
    carry_out(install(computer))
    assert computer.rule.read_text() == (SOURCES / "70-usbsync.rules").read_text()
    assert stat.S_IMODE(computer.rule.stat().st_mode) == 0o644
    assert "ExecStart=:/usr/bin/true watch\n" in computer.unit.read_text()
    assert f'Environment="USBSYNC_HOME={computer.environ["USBSYNC_HOME"]}"\n' in computer.unit.read_text()
    assert nothing_to_do(install(computer))


def test_sudo_is_asked_for_the_rule_only(computer):
    steps = [step for part in install(computer) for step in part.steps]
    assert all(
        "udev" in " ".join(step.argv) for step in steps if isinstance(step, Run) and step.argv[0] == "sudo"
    )
    assert any(isinstance(step, Write) and step.path == computer.unit for step in steps)
    carry_out(install(computer))
    assert "systemctl --user restart usbsync.service" in log(computer)


def test_all_of_it_is_taken_back(computer):
    before = tree(computer.root)
    carry_out(install(computer))
    assert tree(computer.root) != before
    carry_out(uninstall(computer))
    assert tree(computer.root) == before
    assert not computer.wanted.is_symlink()
    assert uninstall(computer) == ()


def test_what_is_printed_does_the_same(computer):
    printed = "\n".join(step.as_shell() for part in install(computer) for step in part.steps)
    subprocess.run(["sh", "-e", "-c", printed], check=True)
    assert nothing_to_do(install(computer))
    by_hand = tree(computer.root)
    carry_out(uninstall(computer))
    carry_out(install(computer))
    assert tree(computer.root) == by_hand


def test_an_older_rule_or_service_is_replaced(computer):
    carry_out(install(computer))
    computer.rule.write_text("# older\n")
    computer.unit.write_text("# older\n")
    carry_out(install(computer))
    assert nothing_to_do(install(computer))


def test_a_distributions_rule_is_as_good(computer):
    packaged = computer.root / "usr/lib/udev/rules.d/70-usbsync.rules"
    packaged.parent.mkdir(parents=True)
    shutil.copy(SOURCES / packaged.name, packaged)
    assert not any("sudo" in step.as_shell() for part in install(computer) for step in part.steps)


def test_root_gets_the_rule_and_no_service(computer):
    parts = install(replace(computer, uid=0))
    assert "you are root" in parts[-1].what
    carry_out(parts)
    assert computer.rule.exists()
    assert not computer.unit.exists()
    assert not any(line.startswith("sudo") for line in log(computer))


@pytest.mark.parametrize("missing", ["systemd", "udev"])
def test_where_something_is_missing_it_is_said_what_then(computer, missing):
    shutil.rmtree(computer.root / ("run" if missing == "systemd" else "etc"))
    parts = install(computer)
    assert f"no {missing} here" in " ".join(part.what for part in parts)
    carry_out(parts)
    assert computer.unit.exists() == (missing == "udev")
    assert computer.rule.exists() == (missing == "systemd")


def test_nothing_is_installed_on_other_systems(computer):
    assert nothing_to_do(install(replace(computer, platform="darwin")))


def test_a_command_that_fails_is_named(computer):
    script(Path(shutil.which("systemctl")), "exit 3")
    with pytest.raises(UsageError, match=r"systemctl --user daemon-reload failed \(3\)"):
        carry_out(install(computer))


def test_ssh_is_told_what_the_rule_cannot_do(computer):
    environ = {**computer.environ, "SSH_CONNECTION": "1.2.3.4"}
    assert "plugdev" in install(replace(computer, environ=environ))[-1].what


def test_systemd_itself_accepts_the_service(computer, tmp_path):
    """With a program in the oddest folder, which verify looks for."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed: the unit was not checked by systemd itself")
    program = tmp_path / "a b%n$HOME;c" / "usbsync"
    program.parent.mkdir()
    shutil.copy("/usr/bin/true", program)
    environ = {**computer.environ, "ANKI_BASE": '/x y/%h$HOME"z\\'}
    carry_out(install(replace(computer, program=(str(program), "-m", "usbsync"), environ=environ)))
    command, here = (
        [analyze, "verify", "--user", computer.unit],
        {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=here)
    assert (done.returncode, done.stderr) == (0, "")
    program.unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=here)
    assert "not executable" in done.stderr  # it did look


def test_a_program_that_systemd_cannot_start_is_refused(computer):
    with pytest.raises(UsageError, match="cannot stand"):
        install(replace(computer, program=('/opt/a"b/python',)))


def test_the_program_says_what_it_would_do_and_does_nothing(computer):
    environ = {**os.environ, **computer.environ}
    command = [sys.executable, "-m", "usbsync", "setup", "--print"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "usbsync" in done.stdout
    assert tree(computer.root) == {}
