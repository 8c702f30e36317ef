"""Fixtures of every room: the phones of rigs/, and the list of what could not be run."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite(
    "transport.conformance", "session.scenes", "session.cuts", "session.enumerated", "session.rigged"
)

from rigs.cable import cable  # noqa: E402, F401
from rigs.phone import (  # noqa: E402, F401
    adb_server,
    adbd,
    phone,
    shared_adb_server,
    shared_phone,
    strict_phone,
)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each test that did not run, and why: none is passed over in silence."""
    for report in terminalreporter.stats.get("skipped", []):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"NOT RUN: {report.nodeid}: {why.removeprefix('Skipped: ')}")
    total: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        found = dict(report.user_properties)
        total.update(found.get("outcomes", {}))
        if "noticed" in found:
            terminalreporter.write_line(f"planted fault noticed: {found['noticed']}")
        if happened := found.get("happened"):
            terminalreporter.write_line(f"what happened to three replicas: {_counts(happened)}")
    if total:  # at how many places a sync was cut, and where each side stood then
        terminalreporter.write_line(f"cut at: {_counts(total)}")


def _counts(total: dict[str, int]) -> str:
    return ", ".join(f"{what}: {count}" for what, count in sorted(total.items()))


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose fsync costs nothing, for the tests that sync a thousand times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("quick")
        return
    with TemporaryDirectory(prefix="usbsync-test-", dir=memory) as folder:
        yield Path(folder)
