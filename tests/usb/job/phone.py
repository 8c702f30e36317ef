"""A USB phone in the guest: a gadget on dummy_hcd, Android's userland in /phone, its adbd, an MTP responder, or both."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from work import work_on

GADGETS = Path("/sys/kernel/config/usb_gadget")
ROOTFS = Path("/phone")
ANKIDROID = "Android/data/com.ichi2.anki/files/AnkiDroid"
SHELL, APP, EXT_DATA_RW = 2000, 10123, 1078

# In a mount and pid namespace of its own, as tests/rigs/adbd/launch.py does, but with the USB endpoints of this gadget.
SETUP = r"""
set -e; R=/phone; NAME=$1; DATA=$2; STATE=$3; KEYS=$4
mount --bind $R $R; mount --bind "$DATA" $R/storage/emulated/0; mount --bind "$STATE" $R/data/phone
mount -t tmpfs -o mode=755 none $R/dev; mkdir -p $R/dev/pts $R/dev/socket $R/dev/usb-ffs/adb
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 none $R/dev/pts; ln -s pts/ptmx $R/dev/ptmx
for d in null zero full random urandom tty; do : > $R/dev/$d; mount --bind /dev/$d $R/dev/$d; done
ln -s /proc/self/fd $R/dev/fd
mount -t functionfs -o uid=2000,gid=2000 $NAME $R/dev/usb-ffs/adb
mount -t proc proc $R/proc
mount -t tmpfs -o mode=777 none $R/data/local/tmp; chown 2000:2000 $R/data/local/tmp
mount -t tmpfs none $R/data/misc/adb; : > $R/data/misc/adb/adb_keys; mount --bind "$KEYS" $R/data/misc/adb/adb_keys
exec chroot --userspec=2000:2000 --groups=1004,1007,1011,1015,1028,1078,1079,3003,9997 $R /system/bin/run-adbd
"""
UMTPRD = """
loop_on_disconnect 1
storage "{data}" "Internal shared storage" "rw"
manufacturer "Google"
product "Pixel 7"
serial "{serial}"
firmware_version "1.0"
interface "MTP"
usb_vendor_id 0x18D1
usb_product_id {product}
usb_class 0x6
usb_subclass 0x1
usb_protocol 0x1
usb_dev_version 0x3008
usb_functionfs_mode 0x1
usb_dev_path "/dev/ffs-{serial}/ep0"
usb_epin_path "/dev/ffs-{serial}/ep1"
usb_epout_path "/dev/ffs-{serial}/ep2"
usb_epint_path "/dev/ffs-{serial}/ep3"
usb_max_packet_size 0x200
no_inotify 0x1
"""  # with inotify it hangs after SendObject


MADE: list[Phone] = []


def wait(what: str, done, seconds: float = 20.0, every: float = 0.02):
    """Wait until `done()` is true, and return it; TimeoutError names what did not come."""
    end = time.monotonic() + seconds * float(os.environ.get("SLOW", "1"))
    while not (found := done()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(every)
    return found


@dataclass
class Phone:
    """One phone. Files: `data` is its /sdcard, `state` its /data/phone (tests/rigs/adbd/stubs)."""

    serial: str
    adb: bool = True  # USB debugging is on
    mtp: bool = False  # "file transfer" is on
    udc: str = "dummy_udc.0"
    adbd: subprocess.Popen | None = None
    umtprd: subprocess.Popen | None = None
    plugged: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def home(self) -> Path:
        return Path("/var/phones", self.serial)

    @property
    def data(self) -> Path:
        return self.home / "sdcard"

    @property
    def ankidroid(self) -> Path:
        return self.data / (ANKIDROID if self.adb else "AnkiDroid")

    @property
    def collection(self) -> Path:
        return self.ankidroid / "collection.anki2"

    @property
    def gadget(self) -> Path:
        return GADGETS / self.serial

    @property
    def product(self) -> str:
        return {(True, False): "0x4ee7", (False, True): "0x4ee1"}.get((self.adb, self.mtp), "0x4ee2")

    def make(self) -> None:
        """Make its files and its gadget; nothing is plugged in yet."""
        MADE.append(self)
        self._files()
        for path, text in {
            "idVendor": "0x18d1",
            "idProduct": self.product,
            "bcdUSB": "0x0200",
            "strings/0x409/serialnumber": self.serial,
            "strings/0x409/manufacturer": "Google",
            "strings/0x409/product": "Pixel 7",
            "configs/c.1/strings/0x409/configuration": "one",
            "configs/c.1/MaxPower": "500",
        }.items():
            (self.gadget / path).parent.mkdir(parents=True, exist_ok=True)
            (self.gadget / path).write_text(f"{text}\n")
        if self.mtp:  # the first interface, as on a phone
            self._add_function(f"mtp-{self.serial}")
            endpoints = Path(f"/dev/ffs-{self.serial}")
            endpoints.mkdir()
            subprocess.run(["mount", "-t", "functionfs", f"mtp-{self.serial}", endpoints], check=True)
        if self.adb:
            self._add_function(f"adb-{self.serial}")
            self._start_adbd()
            threading.Thread(target=self.keep_bound, daemon=True).start()

    def plug(self) -> None:
        """Plug the cable in; returns when the gadget is bound, before the computer has seen it."""
        self.plugged = True
        wait(f"{self.serial} bound", self._bound, every=0.3)

    def unplug(self) -> None:
        """Pull the cable, in the middle of whatever goes on."""
        with self.lock, suppress(OSError):
            self.plugged = False
            (self.gadget / "UDC").write_text("\n")

    def keep_bound(self) -> None:
        """Bind it again whenever its daemon closed the endpoints, as Android's init does; adbd does when a link breaks."""
        while True:
            time.sleep(0.3)
            self._bound()

    def enumerated(self) -> bool:
        """Say whether the computer's kernel knows it."""
        for serial in Path("/sys/bus/usb/devices").glob("*/serial"):
            with suppress(OSError):
                if serial.read_text().strip() == self.serial:
                    return True
        return False

    def work(self, text: str, *, reviews: int = 2) -> None:
        """Work in AnkiDroid."""
        work_on(self.collection, text, reviews)
        self.own()

    def media(self) -> dict[str, bytes]:
        """Return its media."""
        return {file.name: file.read_bytes() for file in (self.ankidroid / "collection.media").iterdir()}

    def leftovers(self) -> list[str]:
        """List what usbsync left there."""
        return sorted(str(path) for path in self.ankidroid.rglob("*usbsync*"))

    def quiet(self) -> bool:
        """Say whether nothing of a sync goes on there: a flip that was begun ends without the cable."""
        return "usbsync" not in self.shell("ls -a /data/local/tmp | grep pid")

    def digest(self) -> str:
        """Name all that it holds, times included."""
        parts = [
            (str(path), path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in sorted(self.data.rglob("*"))
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def am_log(self) -> str:
        """Return every call of `am` so far."""
        return (self.home / "state/am.log").read_text()

    def shell(self, command: str) -> str:
        """Run a command as Android's shell user, by no cable."""
        inner = Path(f"/proc/{self.adbd.pid}/task/{self.adbd.pid}/children").read_text().split()[0]
        enter = [
            "nsenter",
            "--target",
            inner,
            "--mount",
            "--pid",
            "--root",
            "--setuid",
            "2000",
            "--setgid",
            "2000",
        ]
        env = {"PATH": "/system/bin", "HOME": "/"}
        argv = [shutil.which("nsenter"), *enter[1:], "/system/bin/sh", "-c", command]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60).stdout

    def own(self) -> None:
        """Give its files the owners and modes that vold gives them."""
        if not self.adb:
            return
        for top in (self.data, self.data / "Android", self.data / "Android/data"):
            os.chown(top, SHELL, 1015)
            top.chmod(0o2771)
        package = self.data / "Android/data/com.ichi2.anki"
        for path in (package, *package.rglob("*")):
            os.chown(path, APP, EXT_DATA_RW)
            path.chmod(0o2770 if path.is_dir() else 0o660)

    def _bound(self) -> bool:
        with self.lock:
            if self.plugged and not (self.gadget / "UDC").read_text().strip():
                if self.mtp:  # it does not outlive a disconnect
                    self._start_umtprd()
                with suppress(OSError):
                    (self.gadget / "UDC").write_text(self.udc)
            return bool((self.gadget / "UDC").read_text().strip())

    def _add_function(self, name: str) -> None:
        function = self.gadget / f"functions/ffs.{name}"
        function.mkdir(parents=True)
        (self.gadget / "configs/c.1" / function.name).symlink_to(function)

    def _files(self) -> None:
        (self.ankidroid / "collection.media").mkdir(parents=True)
        state = self.home / "state"
        state.mkdir()
        state.chmod(0o777)
        props = f"ro.serialno={self.serial}\n"
        for name, text in {
            "packages": "com.ichi2.anki\n",
            "am.log": "",
            "logcat": "",
            "restless": "",
            "props": props,
        }.items():
            (state / name).write_text(text)
            (state / name).chmod(0o666)
        os.mkfifo(state / "fifo")
        (state / "fifo").chmod(0o666)
        (self.home / "adb_keys").touch()
        self.own()

    def _start_adbd(self) -> None:
        props = [f"ro.serialno={self.serial}", "ro.product.model=Pixel 7"]
        env = {
            "PATH": "/product/bin:/system/bin:/system/xbin",
            "ANDROID_ROOT": "/system",
            "ANDROID_DATA": "/data",
            "EXTERNAL_STORAGE": "/sdcard",
            "ENV": "/system/etc/mkshrc",
            "HOME": "/",
            "TERM": "dumb",
            "ADBD_PROPS": "\n".join(props),
            "LD_PRELOAD": "/system/lib64/libphoneshim.so:/system/lib64/libunplug.so",
        }
        mine = {
            "PATH": os.environ["PATH"],
            "PHONE_ENV": "\x1f".join(f"{k}={v}" for k, v in env.items()),
            "PHONE_BIN": "/system/bin/adbd",
        }
        words = ["sh", f"adb-{self.serial}", self.data, self.home / "state", self.home / "adb_keys"]
        self.adbd = self._start(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child=SIGKILL",
                "--propagation",
                "private",
                "/bin/sh",
                "-c",
                SETUP,
                *words,
            ],
            mine,
        )

    def _start_umtprd(self) -> None:
        if self.umtprd:
            self.umtprd.kill()
            self.umtprd.wait()
        conf = self.home / "umtprd.conf"
        conf.write_text(UMTPRD.format(data=self.data, serial=self.serial, product=self.product))
        self.umtprd = self._start(["umtprd", "-conf", str(conf)], dict(os.environ))
        wait("umtprd's endpoints", Path(f"/dev/ffs-{self.serial}/ep1").exists)

    def _start(self, argv: list, env: dict[str, str]) -> subprocess.Popen:
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )


def unplug_all() -> None:
    """Leave no phone plugged in, after a point that failed with one."""
    for phone in MADE:
        phone.unplug()


def load_modules() -> None:
    """Load the gadget's half and the computer's half of the cable: two ports."""
    subprocess.run(["modprobe", "-a", "libcomposite", "usb_f_fs", "fuse"], check=True)
    subprocess.run(["modprobe", "dummy_hcd", "num=2"], check=True)
    if not GADGETS.exists():
        subprocess.run(["mount", "-t", "configfs", "none", "/sys/kernel/config"], check=True)
