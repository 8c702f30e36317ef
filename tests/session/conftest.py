"""Fixtures of the session's room: a pair in step, and the count of the places where it was cut."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.register_assert_rewrite("session.scenes", "session.cuts")

from session.scenes import World, with_past  # noqa: E402


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter) -> None:
    """Say at how many places a sync was cut, and where each side stood then."""
    total: Counter = Counter()
    for report in terminalreporter.stats.get("passed", []):
        total.update(dict(report.user_properties).get("outcomes", {}))
    if total:
        terminalreporter.write_line(
            "cut at: " + ", ".join(f"{what}: {n}" for what, n in sorted(total.items()))
        )


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
