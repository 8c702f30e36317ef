"""How many seeded runs: 40 of each test, or as USBSYNC_ORACLE_SEEDS says."""

from __future__ import annotations

import os

from oracle.edits import EDITS

SEEDS = range(int(os.environ.get("USBSYNC_ORACLE_SEEDS", "40")))
ACCOUNTS = 6 * len(SEEDS) + len(EDITS) + 10
"""Each test takes a fresh one."""
