"""The udev rule: which devices it gives to the person at this seat, and how."""

import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "udev-rules" / "70-usbsync.rules"
TOKEN = re.compile(
    r'(?P<key>[A-Z_]+)(?:\{(?P<attribute>[A-Za-z0-9_]+)\})?(?P<op>==|!=|\+=|=|:=)"(?P<value>[^"]*)"'
)
PHONE = {
    "ACTION": "add",
    "SUBSYSTEM": "usb",
    "DEVTYPE": "usb_device",
    "ID_USB_INTERFACES": ":060101:ff4201:",
}


def rules() -> list[list[tuple[str, str, str]]]:
    lines = RULES.read_text().replace("\\\n", "").splitlines()
    return [parsed(line) for line in lines if line.strip() and not line.startswith("#")]


def parsed(line: str) -> list[tuple[str, str, str]]:
    """Read a rule wholly: what is no token makes the line differ."""
    found = list(TOKEN.finditer(line))
    assert ", ".join(match[0] for match in found) == line.strip()
    return [(match["attribute"] or match["key"], match["op"], match["value"]) for match in found]


def done(device: dict[str, str]) -> list[tuple[str, str, str]]:
    """What is done to a device: the assignments of the rules whose matches all hold."""
    effects = []
    for rule in rules():
        matches = [token for token in rule if token[1] in {"==", "!="}]
        if all(fnmatch.fnmatchcase(device.get(key, ""), value) == (op == "==") for key, op, value in matches):
            effects += [token for token in rule if token not in matches]
    return effects


@pytest.mark.parametrize(
    "interfaces", [":ff4201:", ":060101:ff4201:", ":ff4201:0a0000:", ":060101:0e0100:ff4201:"]
)
@pytest.mark.parametrize("action", ["add", "change", "bind"])
def test_a_phone_with_usb_debugging_goes_to_the_seat(interfaces, action):
    device = PHONE | {"ID_USB_INTERFACES": interfaces, "ACTION": action}
    assert done(device) == [("TAG", "+=", "uaccess")]


@pytest.mark.parametrize(
    "other",
    [
        {"ID_USB_INTERFACES": ":060101:"},
        {"ID_USB_INTERFACES": ":030101:030102:"},
        {"ID_USB_INTERFACES": ":ff4203:"},
        {"ID_USB_INTERFACES": ":1ff4201:"},
        {"ID_USB_INTERFACES": ""},
        {"DEVTYPE": "usb_interface"},
        {"SUBSYSTEM": "block"},
        {"ACTION": "remove"},
    ],
)
def test_nothing_else_is_touched(other):
    assert done(PHONE | other) == []


def test_the_tag_is_set_before_logind_reads_it():
    """73-seat-late.rules gives the access list; files are read in the order of their names."""
    assert RULES.name < "73-seat-late.rules"
    assert RULES.name > "50-udev-default.rules"  # which has usb_id set ID_USB_INTERFACES


def test_no_node_is_opened_to_everyone():
    assert not {key for rule in rules() for key, _, _ in rule} & {"MODE", "GROUP", "OWNER", "RUN", "PROGRAM"}


def test_udev_itself_accepts_the_file():
    udevadm = shutil.which("udevadm", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if udevadm is None:
        pytest.skip("udevadm is not installed: the rule was only read by our own parser")
    if subprocess.run([udevadm, "verify", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("this udevadm has no verify (systemd 254 has): the rule was only read by our own parser")
    run = subprocess.run([udevadm, "verify", RULES], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
