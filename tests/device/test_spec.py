from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.device.spec import FORMS, Adb, Folder, Package, Tcp, Usb, parse
from usbsync.errors import UsageError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("usb", Usb()),
        ("usb:R58M12ABCDE", Usb("R58M12ABCDE")),
        ("adb", Adb()),
        ("adb:emulator-5554", Adb("emulator-5554")),
        ("adb:192.168.1.7:5555", Adb("192.168.1.7:5555")),
        ("adb:adb-R58M (2)._adb-tls-connect._tcp", Adb("adb-R58M (2)._adb-tls-connect._tcp")),
        ("tcp:192.168.1.7", Tcp("192.168.1.7", 5555)),
        ("tcp:phone.lan:37123", Tcp("phone.lan", 37123)),
        ("tcp:[fe80::1]", Tcp("fe80::1", 5555)),
        ("tcp:[fe80::1%eth0]:4444", Tcp("fe80::1%eth0", 4444)),
        ("folder:/media/card/AnkiDroid", Folder(Path("/media/card/AnkiDroid"))),
        ("folder:a:b", Folder(Path("a:b"))),
        (r"folder:C:\AnkiDroid", Folder(Path(r"C:\AnkiDroid"))),
        ("package:phone.colpkg", Package(Path("phone.colpkg"))),
    ],
)
def test_every_form(text, spec):
    assert parse(text) == spec


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse("folder:~/AnkiDroid") == Folder(tmp_path / "AnkiDroid")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "usb:",
        "USB",
        "usb: ",
        "usb:a\nb",
        "usb:a\0b",
        "usb:" + "a" * 256,
        "adb:",
        "adb:\u202egnp",
        "tcp",
        "tcp:",
        "tcp::5555",
        "tcp:host:",
        "tcp:host:0",
        "tcp:host:65536",
        "tcp:host:-1",
        "tcp:host:+5",
        "tcp:host:\u0665\u0665",
        "tcp:host:1:2",
        "tcp:-host",
        "tcp:ho st",
        "tcp:ho/st",
        "tcp:fe80::1",
        "tcp:[fe80::1",
        "tcp:[fe80::1]5555",
        "tcp:[1.2.3.4]",
        "tcp:[]",
        "folder",
        "folder:",
        "folder:a\0b",
        "folder:~no-such-person-here/x",
        "package:",
        "package",
        "mtp:phone",
    ],
)
def test_anything_else_is_refused_with_the_forms(text):
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert (raised.value.exit_code, raised.value.hint) == (2, FORMS)


serials = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=40)
hosts = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True) | st.ip_addresses().map(str)
specs = st.one_of(
    st.builds(Usb, st.none() | serials),
    st.builds(Adb, st.none() | serials),
    st.builds(Tcp, hosts, st.integers(1, 65535)),
    st.builds(Folder, st.text("abc/: .é", min_size=1).map(Path)),
    st.builds(Package, st.text("abc/: .é", min_size=1).map(Path)),
)


@given(specs)
def test_what_is_printed_can_be_given_back(spec):
    assert parse(str(spec)) == spec


@given(st.text() | st.builds("{}:{}".format, st.sampled_from(["usb", "adb", "tcp", "folder"]), st.text()))
def test_any_text_is_a_spec_or_a_usage_error(text):
    with suppress(UsageError):
        assert parse(str(parse(text))) == parse(text)
