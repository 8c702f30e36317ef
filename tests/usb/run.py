"""`make test-usb`: a USB phone in a virtual machine. Build the image if need be, boot it, run job/ in it.

    python tests/usb/run.py [--tcg] [--share FOLDER] [POINT...]

A real kernel, udev, systemd, adbd on a USB gadget (dummy_hcd), and an MTP responder; usbsync comes as a wheel of this
tree and is installed in the guest. Needs Debian (amd64) and root; uses KVM where it can, else TCG. The image is kept
in the git-ignored `.cache/usb`, named after what goes into it. Exit code 0: every point holds; 1: one does not; 2: the
rig cannot run here, and why. POINTs are names of job.py's; without any, all. Each line begins
with the host's seconds; those in the lines are the guest's.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TREE = HERE.parents[1]
CACHE = Path(os.environ.get("USBSYNC_USB_CACHE", TREE / ".cache" / "usb"))
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "xz": "xz-utils",
    "gcc": "gcc libc6-dev",
    "dpkg-deb": "dpkg",
    "pip": "python3-pip",
}
KVM_CREATE_VM = 0xAE01
RUNNING = "RIG: the job begins"
ACCELERATORS = {
    "kvm": ["-accel", "kvm", "-cpu", "host,arch-capabilities=off"],
    # The guest's clock counts its instructions, one a nanosecond, and stands while the host does something else. A
    # plain processor: `rep movsb`, which newer ones have for speed, is done byte by byte here.
    "tcg": [
        *("-accel", "tcg,tb-size=1024", "-icount", "shift=0,sleep=on"),
        *("-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16"),
    ],
}
BOOT_SECONDS = {"kvm": 60, "tcg": 900}
SECONDS = {"kvm": 900, "tcg": 3600}
SLOW = {"kvm": "1", "tcg": "2"}


class Unavailable(Exception):
    """This machine cannot run the rig, and why."""


def main() -> int:
    """Run; see above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("points", nargs="*")
    parser.add_argument("--tcg", action="store_true", help="do without KVM")
    parser.add_argument(
        "--share", type=Path, help="a folder for what the guest reads and leaves (default: temporary)"
    )
    options = parser.parse_args()
    try:
        image = built()
    except Unavailable as why:
        print(f"test-usb was NOT RUN: {why}")
        return 2
    with share(options.share) as folder:
        for accelerator in ["tcg"] if options.tcg or not kvm() else ["kvm", "tcg"]:
            fill(folder, accelerator, options.points)
            code = boot(image, folder, accelerator)
            if code is not None:
                return code
            print(f"test-usb: {accelerator} does not run this machine here", flush=True)
    print("test-usb was NOT RUN: no way to run its machine here")
    return 2


# ---- the image


def requirements() -> str:
    """What usbsync depends on; the fake notification service uses its jeepney, too."""
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    return "".join(f"{line}\n" for line in project["dependencies"])


def digest() -> str:
    """Name what goes into the image."""
    parts = [
        HERE / "build.sh",
        HERE / "unplug.c",
        *(HERE / "guest").iterdir(),
        *(HERE.parent / "rigs/adbd").rglob("*"),
    ]
    files = sorted(path for path in parts if path.is_file() and "__pycache__" not in path.parts)
    text = b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)
    return hashlib.sha256(text + requirements().encode()).hexdigest()[:12]


def built() -> Path:
    """Find the image, or build it; one process at a time. Raises Unavailable."""
    missing = [package for command, package in NEEDED.items() if not shutil.which(command)]
    if missing:
        raise Unavailable(f"missing here; apt-get install --no-install-recommends {' '.join(missing)}")
    home = CACHE / digest()
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):
        if not (home / "ready").exists():
            build(home)
    return home


def build(home: Path) -> None:
    """Build the image; the file `ready`, made last, says that it is whole. Older images go."""
    if os.geteuid() != 0:
        raise Unavailable("the image is built by root only")
    for old in (path for path in CACHE.iterdir() if (path / "rootfs.ext4").exists() or path == home):
        shutil.rmtree(old)
    home.mkdir()
    (home / "requirements").write_text(requirements())
    command = ["bash", HERE / "build.sh", home, CACHE / "downloads", home / "requirements"]
    if code := subprocess.run(command, check=False).returncode:
        raise Unavailable(f"the image could not be built (build.sh ended with {code})")
    (home / "ready").touch()


# ---- the share


@contextmanager
def share(wanted: Path | None) -> Iterator[Path]:
    """Give the folder that the guest sees as /mnt/host."""
    if wanted:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
    else:
        with tempfile.TemporaryDirectory(prefix="usbsync-usb-") as name:
            Path(name).chmod(0o755)  # the guest's person reads it, too
            yield Path(name)


def fill(folder: Path, accelerator: str, points: list[str]) -> None:
    """Put the job there, and usbsync as a wheel of this tree."""
    for old in [*folder.glob("*.whl"), folder / "rc"]:
        old.unlink(missing_ok=True)
    for source in [*(HERE / "job").glob("*.py"), HERE.parent / "worlds.py"]:
        shutil.copy(source, folder)
    (folder / "points").write_text("".join(f"{point}\n" for point in points))
    (folder / "slow").write_text(SLOW[accelerator])
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "-q",
        "wheel",
        "--disable-pip-version-check",
        "--no-deps",
        "-w",
        folder,
        TREE,
    ]
    subprocess.run(wheel, check=True)


# ---- the machine


def kvm() -> bool:
    """Say whether KVM lets us make a machine; whether that runs is seen when it boots."""
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.close(fcntl.ioctl(device, KVM_CREATE_VM, 0))
    except OSError:
        return False
    finally:
        os.close(device)
    return True


def qemu(image: Path, folder: Path, accelerator: str) -> list[str]:
    """Say how to start it; the disk is never changed, the share is all that the guest may write."""
    kernel = "console=ttyS0 quiet loglevel=3 mitigations=off random.trust_cpu=on panic=-1 tsc=reliable"
    return [
        *("qemu-system-x86_64", "-M", "pc,vmport=off", *ACCELERATORS[accelerator]),
        *(
            "-smp",
            "2",
            "-m",
            "2048",
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-nic",
            "none",
        ),
        *("-kernel", f"{image}/vmlinuz", "-initrd", f"{image}/initrd"),
        *("-append", f"{kernel} systemd.unit=rig.target systemd.show_status=false systemd.log_level=warning"),
        *("-drive", f"file={image}/rootfs.ext4,if=none,id=disk,format=raw,snapshot=on"),
        *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
        *("-virtfs", f"local,path={folder},mount_tag=host0,security_model=none,multidevs=remap"),
    ]


def boot(image: Path, folder: Path, accelerator: str) -> int | None:
    """Run the machine to its end and print what it says; None where it did not come as far as the job."""
    print(f"test-usb: {accelerator}, image {image.name}", flush=True)
    began = time.monotonic()
    machine = subprocess.Popen(
        qemu(image, folder, accelerator),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    timers = [
        threading.Timer(seconds, machine.kill)
        for seconds in (BOOT_SECONDS[accelerator], SECONDS[accelerator])
    ]
    for timer in timers:
        timer.start()
    try:
        started = follow(machine, timers[0])
    finally:
        for timer in timers:
            timer.cancel()
        machine.kill()
        machine.wait()
    if not started:
        return None
    code = (folder / "rc").read_text().strip() if (folder / "rc").exists() else ""
    print(f"test-usb: {time.monotonic() - began:.0f} s by {accelerator}")
    if not code:
        print(f"test-usb: the machine ended before its job did (it has {SECONDS[accelerator]} s)")
    return 0 if code == "0" else 1


def follow(machine: subprocess.Popen[bytes], boot_timer: threading.Timer) -> bool:
    """Print what the job says; returns whether it ran at all."""
    started, began = False, time.monotonic()
    for raw in machine.stdout or ():
        line = raw.decode(errors="replace").rstrip()
        if "KVM internal error" in line:  # the machine would hang there
            machine.kill()
        elif RUNNING in line:
            started = True
            boot_timer.cancel()
        elif started:
            print(f"{time.monotonic() - began:4.0f}s {line}", flush=True)
    return started


if __name__ == "__main__":
    sys.exit(main())
