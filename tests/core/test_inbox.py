"""A dropped file is taken up once, when it stands still."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from usbsync.core.inbox import QUIET, Look, sight

STATES = st.tuples(st.integers(0, 3), st.integers(0, 3))
FOLDERS = st.dictionaries(st.sampled_from("abc"), STATES)


@given(st.lists(st.tuples(FOLDERS, st.floats(0, 2 * QUIET)), max_size=12))
def test_a_file_is_still_only_after_it_was_the_same_for_long_enough(history) -> None:
    looks, now, since = {}, 0.0, {}
    for found, passed in history:
        now += passed
        since = {
            name: since[name] if since.get(name, (None,))[0] == state else (state, now)
            for name, state in found.items()
        }
        sighting = sight(looks, found, {}, now)
        looks = sighting.looks
        expected = {name for name, (state, at) in since.items() if now - at >= QUIET}
        assert set(sighting.still) == expected
        assert sighting.waiting is (len(expected) < len(found))


@given(FOLDERS, FOLDERS, st.floats(QUIET, 99))
def test_what_was_dealt_with_is_left_alone_until_it_changes(found, done, now) -> None:
    looks = {name: Look(*state, since=0.0) for name, state in found.items()}
    still = set(sight(looks, found, done, now).still)
    assert still == {name for name, state in found.items() if done.get(name) != state}
