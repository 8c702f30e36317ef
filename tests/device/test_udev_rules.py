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
    "ID_SERIAL_SHORT": "R58M123ABC",
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
    """What is done to a device: the assignments of the rules whose matches all hold, as udev goes through them."""
    effects, label = [], None
    for rule in rules():
        assignments = [token for token in rule if token[1] not in {"==", "!="}]
        matches = [token for token in rule if token not in assignments]
        if label is not None:
            label = None if ("LABEL", "=", label) in assignments else label
        elif all(
            fnmatch.fnmatchcase(device.get(key, ""), value) == (op == "==") for key, op, value in matches
        ):
            label = next((value for key, _, value in assignments if key == "GOTO"), None)
            effects += [token for token in assignments if token[0] not in {"GOTO", "LABEL"}]
    assert label is None  # every jump arrives
    return effects


RIGHTS = [("TAG", "+=", "uaccess"), ("TAG", "+=", "systemd"), ("SYSTEMD_USER_WANTS", "+=", "usbsync.service")]
LINK = ("SYMLINK", "+=", "usbsync/$env{ID_SERIAL_SHORT}")


@pytest.mark.parametrize(
    "interfaces", [":ff4201:", ":060101:ff4201:", ":ff4201:0a0000:", ":060101:0e0100:ff4201:"]
)
@pytest.mark.parametrize("action", ["add", "change", "bind"])
def test_a_phone_with_usb_debugging_goes_to_the_seat(interfaces, action):
    device = PHONE | {"ID_USB_INTERFACES": interfaces, "ACTION": action}
    assert done(device) == [*RIGHTS, LINK]


@pytest.mark.parametrize("serial", ["", ".", "..", "-rf", "@x"])
def test_a_serial_that_makes_no_plain_name_gets_no_link(serial):
    assert done(PHONE | {"ID_SERIAL_SHORT": serial}) == RIGHTS


def test_the_service_that_is_wanted_is_the_one_that_is_installed():
    assert (RULES.parent / RIGHTS[2][2]).exists()


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
    keys = {key for rule in rules() for key, _, _ in rule}
    assert not keys & {"MODE", "GROUP", "OWNER", "RUN", "PROGRAM", "IMPORT", "SYSTEMD_WANTS"}


def test_udev_itself_accepts_the_file():
    udevadm = shutil.which("udevadm", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if udevadm is None:
        pytest.skip("udevadm is not installed: the rule was only read by our own parser")
    if subprocess.run([udevadm, "verify", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("this udevadm has no verify (systemd 254 has): the rule was only read by our own parser")
    run = subprocess.run([udevadm, "verify", RULES], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
