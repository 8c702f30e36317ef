"""Fixtures of every room: the phones of rigs/, and the list of what could not be run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("transport.conformance")

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
