from __future__ import annotations

from pathlib import Path

import pytest

from usbsync.core.conflict import Policy
from usbsync.errors import UsageError
from usbsync.state.config import Config, load_config
from usbsync.state.home import state_home


def test_usbsync_home_moves_everything(tmp_path):
    assert state_home({"USBSYNC_HOME": str(tmp_path / "x")}) == tmp_path / "x"


def test_naming_the_home_creates_nothing(tmp_path):
    state_home({"USBSYNC_HOME": str(tmp_path / "x")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("environ", [{}, {"USBSYNC_HOME": ""}])
def test_without_it_the_platform_says_where(environ, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert state_home(environ).name == "usbsync"
    assert state_home(environ).is_absolute()


def test_the_home_is_absolute_and_a_tilde_is_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert state_home({"USBSYNC_HOME": "here"}) == tmp_path / "here"
    assert state_home({"USBSYNC_HOME": "~/here"}) == Path.home() / "here"


def test_no_config_is_an_empty_one(tmp_path):
    assert load_config(tmp_path / "absent") == Config()


def test_a_config_sets_defaults(tmp_path):
    (tmp_path / "config.toml").write_text(
        '# mine\ndevice = "usb"\nprefer = "phone"\nphone_dir = "/sdcard/Ä"\n', encoding="utf-8"
    )
    assert load_config(tmp_path) == Config(device="usb", prefer=Policy.PHONE, phone_dir="/sdcard/Ä")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"devise = 'usb'", "devise"),
        (b"device = 5", "device"),
        (b"device = ''", "device"),
        (b"[device]\nx = 1", "device"),
        (b"prefer = 'mine'", "prefer"),
        (b"merge = 'mine'", "merge"),
        (b"device = ", "cannot be read"),
        (b"device = '\xff'", "cannot be read"),
        (b"device = 'a'\ndevice = 'b'", "cannot be read"),
    ],
)
def test_a_wrong_config_is_told_by_file_and_key(tmp_path, text, named):
    (tmp_path / "config.toml").write_bytes(text)
    with pytest.raises(UsageError, match=named) as told:
        load_config(tmp_path)
    assert str(tmp_path / "config.toml") in str(told.value)
