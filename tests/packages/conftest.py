"""Fixtures of packages carried by hand."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("session.scenes", "packages.hand")

from packages.hand import Hand, in_step  # noqa: E402


@pytest.fixture
def hand(tmp_path) -> Hand:
    """A phone in step with the desktop, whose app writes packages of today."""
    return in_step(tmp_path / "w")


@pytest.fixture(params=["new", "legacy"])
def either(tmp_path, request) -> Hand:
    """The same, and one whose app writes packages as before 2.1.50."""
    return in_step(tmp_path / "w", legacy=request.param == "legacy")
