"""Fixtures of packages carried by hand."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("session.scenes", "packages.hand")

from packages.hand import Hand, in_step  # noqa: E402


@pytest.fixture(params=["new", "legacy"])
def hand(tmp_path, request) -> Hand:
    """A phone in step with the desktop, whose app writes packages of today, or those of before 2.1.50."""
    return in_step(tmp_path / "w", legacy=request.param == "legacy")
