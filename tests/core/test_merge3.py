"""The three-way merge of one value: every case there is."""

from __future__ import annotations

from itertools import product

import pytest

from usbsync.core.merge3 import Outcome, merge3

CASES = {
    # ancestor, desktop, phone
    (0, 0, 0): Outcome.SAME,
    (0, 0, 1): Outcome.PHONE,
    (0, 1, 0): Outcome.DESKTOP,
    (0, 1, 1): Outcome.SAME,
    (0, 1, 2): Outcome.CONFLICT,
}


@pytest.mark.parametrize("values", list(product(range(3), repeat=3)))
def test_merge3(values):
    """Which values they are does not matter, only which are equal."""
    names: dict[int, int] = {}
    shape = tuple(names.setdefault(value, len(names)) for value in values)
    assert merge3(*values) is CASES[shape]


@pytest.mark.parametrize("value", [None, "", b"", 0, ()])
def test_a_value_that_is_nothing_is_a_value(value):
    assert merge3(None, value, None) is (Outcome.SAME if value is None else Outcome.DESKTOP)
    assert merge3(value, "x", value) is Outcome.DESKTOP
    assert merge3("x", value, "y") is Outcome.CONFLICT
