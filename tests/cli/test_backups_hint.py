"""Whom an undo takes back is said where backups are listed."""

from __future__ import annotations

import pytest

from usbsync.cli.render import _whom


@pytest.mark.parametrize(
    ("phones", "said"),
    [
        ({"package", "import"}, "the desktop back to what it held"),
        ({"R58M"}, "both sides back to what they held"),
        ({"R58M", "package"}, "both sides (of a package or an import: the desktop) back to what they held"),
    ],
)
def test_a_phone_that_is_not_needed_is_not_taken_back(phones, said) -> None:
    assert _whom(phones) == said
