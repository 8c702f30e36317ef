"""What a package that lies on the phone is called here."""

from __future__ import annotations

import pytest

from usbsync.session.lying import _file_name


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("all (1).colpkg", "all (1).colpkg"),
        ("日本語.APKG", "日本語.APKG"),
        ("..\\up.apkg", "fetched.apkg"),
        ("C:up.colpkg", "fetched.colpkg"),
        (" .APKG", "fetched.apkg"),
        ("字" * 90 + ".apkg", "fetched.apkg"),  # more bytes than a name may have
    ],
)
def test_a_name_that_some_disk_would_take_otherwise_is_not_used(name, here) -> None:
    assert _file_name(name) == here
