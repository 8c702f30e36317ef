"""What usbsync remembers, garbled in any value with its checksum made right again: read as something, or said to be damaged."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usbsync.core.conflict import Side
from usbsync.errors import DamagedData, UsageError
from usbsync.session.journal import Cut, SideRecord, read_cut, write_cut
from usbsync.state.ancestor import Ancestor, Seen, as_record, load_ancestor
from usbsync.state.backups import Backups
from usbsync.state.config import load_config
from usbsync.state.consent import Answer, Consent, load_consents, remember_consent
from usbsync.state.looks import load_looks, save_looks
from usbsync.state.pair import Pair, known_pairs
from usbsync.state.passed import load_passed
from usbsync.state.records import write_record
from usbsync.transport.base import Remove, Rename

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def ancestor(folder: Path) -> Ancestor:
    seen = {"a.png": Seen(1, 2, "0" * 40)}
    return Ancestor(
        folder / "ancestor-x.anki2", "0" * 64, "y", {"a.png": "0" * 40}, seen, seen, 1.5, {"phone": "x"}
    )


def journal(pair: Pair) -> Path:
    steps = (Rename("/a", "/b"), Remove("/c"))
    side = SideRecord(
        "f", "g", "h", Path("/old"), steps, steps, steps, "m", {"/b": "0" * 40}, {"/c": "0" * 40}
    )
    write_cut(pair, Cut("b", dict.fromkeys(Side, side), ancestor(pair.folder), {"a": "0"}, (Side.PHONE,)))
    return pair.folder / "journal.json"


def remembered(pair: Pair) -> Path:
    (pair.create() / "ancestor-x.anki2").write_bytes(b"x")
    write_record(pair.folder / "ancestor.json", as_record(ancestor(pair.folder)), version=1)
    return pair.folder / "ancestor.json"


def looks(pair: Pair) -> Path:
    save_looks(pair, {"desktop": ("stamp", "fingerprint")})
    return pair.folder / "looks.json"


def consents(pair: Pair) -> Path:
    remember_consent(pair.home, Consent("serial", Answer.YES, None, 1.5))
    return pair.home / "phones.json"


def passed(pair: Pair) -> Path:
    state = {
        "kind": "given",
        "mark": None,
        "state": as_record(ancestor(pair.folder)),
        "holds": ["sent 1.5"],
        "aside": False,
        "own": "passed-x.anki2",
        "phone": "a phone",
    }
    write_record(pair.create() / "passed.json", {"states": [state]}, version=1)
    return pair.folder / "passed.json"


def manifest(pair: Pair) -> Path:
    backups = Backups(pair)
    folder = backups.begin()
    (folder / "desktop" / "collection.anki2").write_bytes(b"d")
    return backups.finish(folder.name, note="n", facts={"media": {}}).path / "manifest.json"


READERS: dict[Callable[[Pair], Path], Callable[[Pair], object]] = {
    journal: read_cut,
    remembered: load_ancestor,
    looks: load_looks,
    consents: lambda pair: load_consents(pair.home),
    passed: load_passed,
    manifest: lambda pair: Backups(pair).list(),
    lambda pair: pair.create() / "pair.json": lambda pair: known_pairs(pair.home),
}


def places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """Name every place in a JSON value."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*at, key))


def garbled(record: Any, at: tuple, value: Any) -> Any:
    """Put another value in one place; of two kinds of nothing, None and its absence, either."""
    found = inner = copy.deepcopy(record)
    for key in at[:-1]:
        inner = inner[key]
    if value is None and isinstance(inner, dict):
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return found


@pytest.mark.parametrize(
    "make", READERS, ids=["journal", "ancestor", "looks", "consents", "passed", "backup", "pair"]
)
def test_any_value_that_is_not_what_it_was(make) -> None:
    with TemporaryDirectory() as folder:
        pair = Pair(Path(folder, "home"), "desk", "phone")
        path = make(pair)
        record = json.loads(path.read_text())["record"]
        every = [*places(record)]

        @settings(max_examples=60, deadline=None)
        @given(at=st.sampled_from(every), value=JSON)
        def read(at: tuple, value: Any) -> None:
            write_record(path, garbled(record, at, value), version=1)
            with suppress(DamagedData):
                READERS[make](pair)

        read()
        assert {each.name for each in Path(folder).iterdir()} == {"home"}


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=40)
    | st.sampled_from(["device = 1", "prefer = 'x'", "device = ''", "[device]", "x = 1", "\0"])
)
def test_a_config_of_anything_is_read_or_named(text: str) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "config.toml").write_text(text, encoding="utf-8", errors="surrogatepass")
        with suppress(UsageError):
            load_config(Path(folder))
