"""Fixtures of the session's room: a pair in step, and one of which nothing is there yet."""

from __future__ import annotations

import pytest
from session.scenes import World, with_past


@pytest.fixture
def world(tmp_path) -> World:
    """A pair in step, with media."""
    return with_past(tmp_path / "w")


@pytest.fixture
def bare(tmp_path) -> World:
    """A pair of which nothing is there yet."""
    root = tmp_path / "w"
    for side in ("desktop", "phone"):
        (root / side).mkdir(parents=True)
    return World(root)
