"""Fixtures of the session's room: a pair in step, and the count of the places where it was cut."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.register_assert_rewrite("session.scenes", "session.cuts", "session.enumerated", "session.rigged")

from session.scenes import World, with_past  # noqa: E402


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter) -> None:
    """Say at how many places a sync was cut, and where each side stood then."""
    total: Counter = Counter()
    for report in terminalreporter.stats.get("passed", []):
        found = dict(report.user_properties)
        total.update(found.get("outcomes", {}))
        if "noticed" in found:
            terminalreporter.write_line(f"planted fault noticed: {found['noticed']}")
        if happened := found.get("happened"):
            terminalreporter.write_line(f"what happened to three replicas: {_counts(happened)}")
    if total:
        terminalreporter.write_line(f"cut at: {_counts(total)}")


def _counts(total) -> str:
    return ", ".join(f"{what}: {n}" for what, n in sorted(total.items()))


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """A folder whose fsync costs nothing, for the tests that sync a thousand times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("quick")
        return
    with TemporaryDirectory(prefix="usbsync-test-", dir=memory) as folder:
        yield Path(folder)


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
