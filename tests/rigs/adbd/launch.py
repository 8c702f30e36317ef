"""launch.py ROOTFS RUN [--data DIR] [--auth] [--prop k=v]...: start a real adbd in its own namespaces.

The listening TCP socket is made here (the host's network namespace, 127.0.0.1 only) and handed to adbd as
`acceptfd:3`; adbd itself runs in an empty network namespace, so nothing listens on 0.0.0.0. RUN gets the files
`port`, `pid` and `log`, and the folders `sdcard` and `state` (the phone's /data/phone: packages, am.log, ...).
adbd is pid 1 of its namespace: SIGKILL to `pid` ends every process of the phone. Killing `unshare` would not:
it ignores SIGTERM, and its --kill-child is undone when chroot changes the uid.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

SHELL = 2000
APP = 10123
EXT_DATA_RW = 1078
ADB_MEDIA = "Android/data/com.ichi2.anki/files/AnkiDroid/collection.media"
HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SETUP = r"""
set -e; R=$1; DATA=$2; STATE=$3; KEYS=$4; ID=$5
ip link set lo up 2>/dev/null || true
mount --bind "$R" "$R"; mount --bind "$DATA" "$R/storage/emulated/0"; mount --bind "$STATE" "$R/data/phone"
mount -t tmpfs -o mode=755 none "$R/dev"; mkdir "$R/dev/pts" "$R/dev/socket"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 none "$R/dev/pts"; ln -s pts/ptmx "$R/dev/ptmx"
for d in null zero full random urandom tty; do : > "$R/dev/$d"; mount --bind /dev/$d "$R/dev/$d"; done
ln -s /proc/self/fd "$R/dev/fd"
mount -t proc proc "$R/proc"
mount -t tmpfs -o mode=777 none "$R/data/local/tmp"; [ "$ID" = 0 ] || chown $ID:$ID "$R/data/local/tmp"
mount -t tmpfs -o size=8m,mode=777 none "$R/mnt"
[ -z "$KEYS" ] || { mount -t tmpfs none "$R/data/misc/adb"; : > "$R/data/misc/adb/adb_keys"
  mount --bind "$KEYS" "$R/data/misc/adb/adb_keys"; }
hostname fakephone 2>/dev/null || true
[ "$ID" = 0 ] && exec chroot "$R" /system/bin/run-adbd
exec chroot --userspec=$ID:$ID --groups=1004,1007,1011,1015,1028,1078,1079,3003,9997 "$R" /system/bin/run-adbd
"""


def own(path: Path, user: int, group: int, mode: int) -> None:
    os.chown(path, user, group)
    path.chmod(mode)


def make_sdcard(data: Path) -> None:
    """Owners and modes as vold gives them, where we may set them."""
    (data / ADB_MEDIA).mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return
    for top in (data, data / "Android", data / "Android/data"):
        own(top, SHELL, 1015, 0o2771)
    package = data / "Android/data/com.ichi2.anki"
    for path in (package, *package.rglob("*")):
        own(path, APP, EXT_DATA_RW, 0o2770 if path.is_dir() else 0o660)


def make_state(state: Path, props: list[str]) -> None:
    state.mkdir(exist_ok=True)
    state.chmod(0o777)
    for name, text in {"packages": "com.ichi2.anki\n", "am.log": "", "logcat": "", "restless": ""}.items():
        (state / name).write_text(text)
        (state / name).chmod(0o666)
    (state / "props").write_text("".join(f"{prop}\n" for prop in props))
    os.mkfifo(state / "fifo")
    (state / "fifo").chmod(0o666)


def listen() -> socket.socket:
    """A free port, but none that adb servers scan for emulators (odd, 5555 to 5585)."""
    while True:
        server = socket.create_server(("127.0.0.1", 0), backlog=16)
        if server.getsockname()[1] not in range(5554, 5586):
            return server
        server.close()


def auth_socket(path: Path) -> socket.socket:
    """The framework's end of the "Allow USB debugging?" dialog."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = os.open(path.parent, os.O_PATH)  # a path over 107 bytes does not fit into sockaddr_un
    server.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)
    server.listen(4)
    return server


def adbd_env(rootfs: Path, props: list[str], *, auth: bool) -> dict[str, str]:
    built = (rootfs / "system/build.prop").read_text().split("\n")
    given = [line for line in built if line.startswith("ro.product.")] + props
    env = {
        "PATH": "/product/bin:/system/bin:/system/xbin",
        "ANDROID_ROOT": "/system",
        "ANDROID_DATA": "/data",
        "EXTERNAL_STORAGE": "/sdcard",
        "ENV": "/system/etc/mkshrc",
        "HOME": "/",
        "TERM": "dumb",
        "HOSTNAME": "fakephone",
        "ADBD_PROPS": "\n".join([*given, "service.adb.listen_addrs=acceptfd:3"]),
        "LD_PRELOAD": "/system/lib64/libphoneshim.so",
    }
    return env | ({"ANDROID_SOCKET_adbd": "4"} if auth else {})


def hand_over(sockets: list[socket.socket]) -> list[int]:
    """Put the sockets at descriptors 3, 4, ... whatever is there now."""
    high = [os.dup(each.detach()) for each in sockets]  # a socket object would close what takes its number
    while min(high) < 3 + len(high):
        high = [os.dup(each) for each in high]
    for at, each in enumerate(high, start=3):
        os.dup2(each, at, inheritable=True)
    return list(range(3, 3 + len(high)))


def answers(port: int) -> bytes:
    """What adbd says to CNXN: the port alone is open before adbd runs."""
    text = b"host::\0"
    head = struct.pack("<6I", 0x4E584E43, 0x01000001, 1 << 20, len(text), sum(text), 0x4E584E43 ^ 0xFFFFFFFF)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as probe:
        probe.sendall(head + text)
        return probe.recv(4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rootfs", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--auth", action="store_true")
    parser.add_argument("--prop", action="append", default=[])
    options = parser.parse_args()
    run, rootfs = options.run.resolve(), options.rootfs.resolve()
    run.mkdir(parents=True, exist_ok=True)
    make_sdcard(run / "sdcard")
    make_state(run / "state", options.prop)
    keys = run / "adb_keys"
    keys.touch(mode=0o644)
    server = listen()
    port = server.getsockname()[1]
    passed = hand_over([server, *([auth_socket(run / "adbd.sock")] if options.auth else [])])
    env = adbd_env(rootfs, options.prop, auth=options.auth)
    user = SHELL if os.geteuid() == 0 else 0
    command = [
        "unshare",
        *(["--map-root-user"] if user == 0 else []),
        "--mount",
        "--pid",
        "--ipc",
        "--uts",
        "--net",
    ]
    command += ["--fork", "--kill-child=SIGKILL", "--propagation", "private", "/bin/sh", "-c", SETUP, "sh"]
    command += [
        str(rootfs),
        str(run / "sdcard"),
        str(run / "state"),
        str(keys) if options.auth else "",
        str(user),
    ]
    host_env = {
        "PATH": HOST_PATH,
        "PHONE_ENV": "\x1f".join(f"{k}={v}" for k, v in env.items()),
        "PHONE_BIN": "/system/bin/adbd-auth" if options.auth else "/system/bin/adbd",
    }
    with (run / "log").open("wb") as log:
        started = subprocess.Popen(
            command,
            env=host_env,
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        answer = answers(port)
    except OSError as error:
        answer = repr(error).encode()
    if started.poll() is not None or answer not in (b"CNXN", b"AUTH"):
        started.kill()
        sys.exit(
            f"phone did not start: {started.poll()} {answer!r}: {(run / 'log').read_text(errors='replace')}"
        )
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    (run / "port").write_text(str(port))
    (run / "pid").write_text(children[0] if children else str(started.pid))


if __name__ == "__main__":
    main()
