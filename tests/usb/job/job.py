"""The job in the guest: one line for each acceptance point, with its numbers. Run as root by guest/run-job.

Each point is a function, run in order; `points` on the share names those to run (default: all). Seconds are the
guest's own: without KVM the machine has a clock that counts instructions (run.py), so a busy host slows no point down.
"""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from pathlib import Path

HOST = Path("/mnt/host")
os.environ.setdefault("SLOW", (HOST / "slow").read_text().strip())

import laptop
from laptop import Laptop
from phone import Phone, load_modules, unplug_all, wait

SOON = 10.0
"""Seconds from enumeration to a sync that is done, at most."""
UNPLUGS = 20
MTP_UNPLUGS = 5
LOOKS = 3

POINTS = []


def point(function):
    """Take a function as one acceptance point; what it returns are its numbers."""
    POINTS.append(function)
    return function


class World:
    """The computer, a phone, and a second phone."""

    def __init__(self) -> None:
        self.laptop = Laptop()
        self.phone = Phone("R58M123ABC")
        self.other = Phone("OTHER456", udc="dummy_udc.1")

    def plug_and_sync(self, phone: Phone | None = None) -> float:
        """Plug a phone in, and wait until it is synced; returns seconds from its enumeration."""
        phone = phone or self.phone
        done = self.laptop.when_synced(phone)
        phone.plug()
        seen = enumerated(phone)
        wait("a sync", done, 60, 0.1)
        return time.monotonic() - seen

    def unplug(self, phone: Phone | None = None) -> None:
        """Pull a phone's cable, and wait until both know it."""
        phone = phone or self.phone
        phone.unplug()
        wait("gone", lambda: not phone.enumerated())
        wait("the phone is quiet", phone.quiet, every=0.3)

    def befriend(self, phone: Phone) -> None:
        """Allow a phone that holds what the computer does, and let them meet."""
        self.laptop.share_with(phone)
        self.laptop.usbsync("setup", "--phone", phone.serial)
        self.plug_and_sync(phone)
        self.unplug(phone)

    def in_step(self, phone: Phone | None = None) -> None:
        """Demand that both hold the same, whole, with nothing left lying about."""
        phone = phone or self.phone
        assert not (found := self.laptop.differing(phone)), found
        assert not (left := phone.leftovers()), left


def enumerated(phone: Phone) -> float:
    """Wait for the kernel to know the phone; returns the moment."""
    wait(f"{phone.serial} enumerated", phone.enumerated, 20, 0.01)
    return time.monotonic()


def systemd_version() -> str:
    """Return what systemd calls itself."""
    return " ".join(laptop.run("systemctl", "--version").stdout.split()[:2])


@point
def install(world: World) -> str:
    """The wheel goes in with what it depends on, and `usbsync setup` makes the rest."""
    seconds = laptop.install()
    world.laptop.begin()
    world.phone.make()
    world.laptop.share_with(world.phone)
    laptop.sit_down()
    world.laptop.listen()
    world.laptop.usbsync("setup", "--phone", world.phone.serial)
    again = world.laptop.usbsync("setup")
    assert "is there" in again.stdout, again.stdout
    wait("the user's service", world.laptop.serving, 30, 0.2)
    rule, unit = laptop.INSTALLED
    laptop.run("udevadm", "verify", rule)
    said = world.laptop.run("systemd-analyze", "verify", "--user", "--man=no", unit)
    assert not said.stderr, said.stderr
    return (
        f"wheel in {seconds:.1f} s; rule, and service of uid {world.laptop.service_uid()}; "
        f"udevadm and systemd-analyze of {systemd_version()} find no fault"
    )


@point
def plug(world: World) -> str:
    """Plugged in: synced within ten seconds of enumeration, by the user's service, as that user."""
    first = world.plug_and_sync()  # they hold the same, and never met
    world.unplug()
    world.laptop.work("desk é")
    world.phone.work("phone 日")
    took = world.plug_and_sync()
    world.in_step()
    assert took <= SOON, f"{took:.1f} s from enumeration"
    assert world.laptop.service_uid() == laptop.UID
    node = Path("/dev/usbsync", world.phone.serial).resolve()
    assert not node.stat().st_mode & 0o002, "the node is open to the world"
    assert laptop.may_write(laptop.NAME, node)
    assert not laptop.may_write(laptop.STRANGER, node)
    assert not (strangers := world.laptop.not_owned()), strangers
    told = wait("a notification", world.laptop.told, 10)
    said = f"{told[-1]['summary']}: {told[-1]['body']}"
    return f"in step {took:.1f} s after enumeration (the first time {first:.1f} s), as uid {laptop.UID}; told {said!r}"


@point
def replug(world: World) -> str:
    """Worked on at the phone, and plugged in again."""
    world.unplug()
    world.phone.work("on the train")
    took = world.plug_and_sync()
    world.in_step()
    assert took <= SOON, f"{took:.1f} s from enumeration"
    return f"in step {took:.1f} s after enumeration"


@point
def unplug(world: World) -> str:
    """Unplugged twenty times in the middle; after the last plug both are equal and whole."""
    world.unplug()
    world.phone.work("how long")
    longest = world.plug_and_sync() + 0.3
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    stood = {"cut": 0, "done": 0}
    halfway = 0
    for turn in range(UNPLUGS):
        world.unplug()
        world.phone.work(f"cut {turn}", reviews=1)
        world.laptop.work(f"desk {turn}", reviews=1)
        done = world.laptop.when_synced(world.phone)
        world.phone.plug()
        enumerated(world.phone)
        time.sleep(chance.uniform(0.3, longest))
        world.phone.unplug()
        stood["done" if done() else "cut"] += 1
        halfway += world.laptop.interrupted()
    world.unplug()
    world.laptop.work("after all")
    took = world.plug_and_sync()
    world.in_step()
    assert stood["cut"] >= UNPLUGS // 4, f"hardly one was cut in the middle: {stood} (seed {seed})"
    return (
        f"{UNPLUGS} times: {stood['cut']} before the end ({halfway} of them between the commit and it), "
        f"{stood['done']} after it (seed {seed}); in step {took:.1f} s after the last"
    )


@point
def stranger(world: World) -> str:
    """A second phone, for which nobody said yes: one notification, and nothing else."""
    world.other.make()
    world.laptop.share_with(world.other)
    before = world.other.digest()
    told = len(world.laptop.told())
    world.other.plug()
    enumerated(world.other)
    wait("a question", lambda: len(world.laptop.told()) > told, 20, 0.2)
    time.sleep(10)
    new = world.laptop.told()[told:]
    assert world.other.digest() == before
    assert world.other.am_log() == ""
    world.other.unplug()
    assert len(new) == 1, new
    return f"one notification: {new[0]['summary']!r}; nothing was stopped or written"


@point
def flap(world: World) -> str:
    """Plugged in five times in a row by a shaky hand: synced after the last, by the same process."""
    process = world.laptop.service_pid()
    world.unplug()
    world.phone.work("shaky")
    for _ in range(4):
        world.phone.plug()
        enumerated(world.phone)
        time.sleep(0.3)
        world.phone.unplug()
        wait("gone", lambda: not world.phone.enumerated())
    took = world.plug_and_sync()
    world.in_step()
    assert world.laptop.service_pid() == process
    assert took <= SOON, f"{took:.1f} s from enumeration"
    return f"in step {took:.1f} s after the fifth enumeration, still process {process}"


@point
def woken(world: World) -> str:
    """The service does not run: udev's rule has it started when the phone comes."""
    world.unplug()
    world.laptop.stop_service()
    assert not world.laptop.serving()
    world.laptop.work("asleep")
    took = world.plug_and_sync()
    world.in_step()
    assert world.laptop.serving()
    return f"started, and in step {took:.1f} s after enumeration"


@point
def two(world: World) -> str:
    """Two phones are plugged in at once, and both are allowed: all three end up with the work of all."""
    world.unplug()
    world.befriend(world.other)
    world.phone.work("of the one")
    world.other.work("of the other")
    world.laptop.work("of the desk")
    world.phone.plug()
    world.other.plug()
    enumerated(world.phone)
    began = enumerated(world.other)
    wait("all three in step", lambda: world.laptop.even_with(world.phone, world.other), 90, 1)
    took = time.monotonic() - began
    for phone in (world.phone, world.other):
        world.in_step(phone)
    world.unplug(world.other)
    return f"all three in step {took:.0f} s after the second one's enumeration"


@point
def composite(world: World) -> str:
    """A phone that offers its files by MTP and USB debugging at once: synced by adb, still there by MTP."""
    world.unplug()
    phone = Phone("COMBO789", mtp=True, udc="dummy_udc.1")
    phone.make()
    world.befriend(phone)
    phone.work("both ways")
    took = world.plug_and_sync(phone)
    world.in_step(phone)
    interfaces = laptop.run("udevadm", "info", "-q", "property", "--value", "--property=ID_USB_INTERFACES",
                            f"/dev/usbsync/{phone.serial}").stdout.strip()  # fmt: skip
    assert interfaces == ":060101:ff4201:", interfaces
    assert took <= SOON, f"{took:.1f} s from enumeration"
    world.unplug(phone)
    phone.work("looked at")
    done = world.laptop.when_synced(phone)
    phone.plug()
    began = enumerated(phone)
    looks = 0
    while not done():
        assert time.monotonic() - began < 60, f"not in step, after {looks} looks by MTP"
        if looks < LOOKS:  # as a file manager does that mounts it; libmtp resets the port when it is done
            looks += world.laptop.looks_by_mtp(phone)
        time.sleep(0.1)
    looked = time.monotonic() - began
    world.in_step(phone)
    world.unplug(phone)
    return f"{interfaces}: in step {took:.1f} s after enumeration, {looked:.1f} s where {looks} looks by MTP cut in"


@point
def adb_server(world: World) -> str:
    """An adb server owns the cable: synced through it."""
    world.unplug()
    world.laptop.run("adb", "start-server")
    try:
        world.phone.work("through the server")
        world.laptop.work("to the server")
        took = world.plug_and_sync()
        world.in_step()
        line = (
            f"{world.phone.serial}\tdevice"  # usbsync may have been quicker than the server, and let go since
        )
        wait("the server has it", lambda: line in world.laptop.run("adb", "devices").stdout, 20, 0.3)
        done = world.laptop.when_synced(world.phone)
        world.laptop.work("past the server")
        wait("a sync through the server", done, 60, 0.1)
        world.in_step()
    finally:
        world.unplug()
        world.laptop.run("adb", "kill-server")
    return f"in step {took:.1f} s after enumeration, and again while the server had it"


@point
def anki_open(world: World) -> str:
    """Anki is open: said once, waited for, and synced when it closes."""
    world.unplug()
    world.phone.work("while Anki is open")
    told = len(world.laptop.told())
    with world.laptop.anki() as close:
        done = world.laptop.when_synced(world.phone)
        before = world.phone.digest()
        world.phone.plug()
        enumerated(world.phone)
        wait("a word on Anki", lambda: len(world.laptop.told()) > told, 20, 0.2)
        time.sleep(6)
        assert not done()
        assert world.phone.digest() == before
        new = world.laptop.told()[told:]
        assert len(new) == 1, new
        close()
        closed = time.monotonic()
        wait("a sync", done, 60, 0.1)
    world.in_step()
    took = time.monotonic() - closed
    return f"told {new[0]['summary']!r}, in step {took:.1f} s after Anki closed"


@point
def mtp(world: World) -> str:
    """A phone without USB debugging, mounted by jmtpfs: synced as a folder, names with accents included."""
    world.phone.unplug()
    phone = Phone("MTP789", adb=False, mtp=True, udc="dummy_udc.1")
    phone.make()
    world.laptop.share_with(phone)
    phone.plug()
    enumerated(phone)
    with world.laptop.mounted(phone) as folder:
        first = world.laptop.usbsync("sync", "--device", f"folder:{folder}")
        assert "MTP" in first.stderr, first.stderr
        phone.work("ça é 日本")
        world.laptop.work("à la maison")
        time.sleep(6)  # jmtpfs lists for five seconds what was there before
        began = time.monotonic()
        world.laptop.usbsync("sync", "--device", f"folder:{folder}")
        took = time.monotonic() - began
        again = world.laptop.usbsync("sync", "--device", f"folder:{folder}")
    world.in_step(phone)
    assert "nothing to do" in again.stdout, again.stdout
    phone.unplug()
    accents = sorted(name for name in phone.media() if not name.isascii())
    return f"in step in {took:.1f} s, {len(phone.media())} files, among them {', '.join(accents)}"


@point
def mtp_unplug(world: World) -> str:
    """A mounted phone is unplugged in the middle: mounted again, the next run makes it whole."""
    world.phone.unplug()
    phone = Phone("MTPCUT1", adb=False, mtp=True, udc="dummy_udc.1")
    phone.make()
    world.laptop.share_with(phone)
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    longest, codes, torn = 0.0, [], 0
    for turn in range(MTP_UNPLUGS + 3):  # two whole ones, those that are cut, and the last
        if turn:
            phone.work(f"mtp cut {turn}", reviews=1)
            world.laptop.work(f"mtp desk {turn}", reviews=1)
        phone.plug()
        enumerated(phone)
        with world.laptop.mounted(phone) as folder:
            began = time.monotonic()
            running = world.laptop.start("sync", "--device", f"folder:{folder}")
            if 1 < turn < MTP_UNPLUGS + 2:
                time.sleep(chance.uniform(longest / 4, longest))
                phone.unplug()
            codes.append(laptop.ended(running))
            longest = max(longest, time.monotonic() - began) if turn < 2 else longest
        phone.unplug()
        torn += not phone.collection.exists()
    assert codes[-1] == 0, codes
    assert set(codes) <= {0, 6}, codes
    world.in_step(phone)
    return f"{MTP_UNPLUGS} times, exits {codes}, {torn} times between two names (seed {seed}); whole and equal after the last"


def uninstall(world: World) -> str:
    """`usbsync setup --uninstall` takes all back."""
    world.laptop.usbsync("setup", "--uninstall")
    left = [path for path in laptop.INSTALLED if path.exists()]
    assert not left, left
    assert not world.laptop.serving()
    return "rule and service are gone"


POINTS.append(uninstall)


def main() -> int:
    """Run the points; the first two are always run: in the second, the phone and the computer meet."""
    wanted = (HOST / "points").read_text().split()
    laptop.run("dmesg", "-n", "1")
    load_modules()
    world = World()
    failed = passed = 0
    for function in POINTS:
        if wanted and function.__name__ not in wanted and function not in (install, plug):
            continue
        began = time.monotonic()
        try:
            numbers = function(world)
        except Exception as error:  # noqa: BLE001  # one point's failure is told, and the next is run
            failed += 1
            print(f"FAILED {function.__name__}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc(file=sys.stdout)
            print(laptop.journal(), flush=True)
            unplug_all()
        else:
            passed += 1
            print(f"ok {function.__name__} [{time.monotonic() - began:.0f} s]: {numbers}", flush=True)
        if failed and function is install:
            break
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
