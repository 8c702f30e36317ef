"""What setup says of the phone that is named."""

from __future__ import annotations

import pytest

from usbsync.cli import auto
from usbsync.errors import UsageError


@pytest.fixture(autouse=True)
def _nothing_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(auto.steps, "install", lambda _computer: ())
    monkeypatch.setenv("USBSYNC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")


@pytest.mark.parametrize("named", [{"phone": ""}, {"forget": ""}, {"phone": " "}])
def test_an_empty_name_is_a_mistake_and_no_setup(named):
    """A script whose variable is empty."""
    with pytest.raises(UsageError, match="name is empty"):
        auto.setup(**named)


def test_a_phone_or_folder_that_is_not_seen_is_said_to_be_so(tmp_path, capsys):
    for name in ("R58TYPO", f"folder:{tmp_path / 'nowhere'}"):
        auto.setup(phone=name)
        assert f"{name} is not seen now" in " ".join(capsys.readouterr().out.split())
    auto.setup(phone=f"folder:{tmp_path}")
    assert "not seen" not in capsys.readouterr().out


def test_a_phone_that_is_seen_is_here(monkeypatch):
    class Seen:
        serial = "R58M"

    monkeypatch.setattr("usbsync.session.consent.seen_phones", lambda: [Seen()])
    assert auto.is_here("R58M")
    assert not auto.is_here("R58")
