"""The real Anki says which names it syncs: what it accepts, so do we; what it leaves alone, so do we."""

from __future__ import annotations

import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from anki.collection import Collection
from anki.errors import BackendIOError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from usbsync.core.media_names import name_problem


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    with closing(Collection(str(tmp_path_factory.mktemp("anki") / "collection.anki2"))) as collection:
        yield collection.media


def as_anki_has_it(media, name):
    """Return the name under which Anki puts a file that is called so (it writes one that is normalized)."""
    try:
        kept = media.write_data(name, b"the same for all")
    except BackendIOError:  # nothing was left of the name
        return ""
    (Path(media.dir()) / kept).unlink()  # or the next of its name would get another
    return kept


OURS = ("it is usbsync's own", "it is the operating system's own")

# Lower case only: for a new file Anki's API, not its rule of names, puts names in lower case
alphabet = st.characters(exclude_categories=["Cs"]).filter(lambda char: char == char.lower())
stems = st.text(alphabet, min_size=1, max_size=70) | st.sampled_from(
    ["con", "nul", "com1", "com0", "lpt9", "aux.b", "conx", "..", "a.", "a "]
)
endings = st.sampled_from(
    ["", ".png", ".", " ", ".mp3 ", "\u00a0", ":", "..", "\x7f", "\x1f", "é", "e\u0301"]
)
all_names = st.builds(lambda stem, ending: stem + ending, stems, endings)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("\U0001f970.png").via("an emoji of Unicode 11")
@example("x" * 120)
@example("x" * 121)
@example("é" * 60)
@example("a\x85b")
@given(name=all_names)
def test_a_name_is_synced_by_us_as_by_anki(media, name):
    kept = as_anki_has_it(media, name) == name
    problem = name_problem(name)
    if problem in OURS:
        return
    if kept:
        assert problem is None
    elif problem is None:  # only what Anki's older tables do not know
        assert any(is_newer_than_anki(media, char) for char in name)


def is_newer_than_anki(media, char):
    return unicodedata.category(char) not in {"Cn", "Cc", "Zs"} and as_anki_has_it(media, f"x{char}x") == "xx"
