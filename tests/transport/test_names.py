"""Every name that a media file may have goes there and back, is listed, hashed, moved and removed, by every transport.

Anki's own names (what `name_problem` passes; tests/media/test_as_anki.py holds it to Anki) and any other that a file
system can hold, up to 255 bytes: a phone's folder may have those, and must not be misread for them.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from transport.conformance import MTIME, Place

from usbsync.core.media_names import name_problem
from usbsync.transport.base import FileInfo, Kind, Remove, Rename
from usbsync.transport.folder import FolderTransport
from usbsync.transport.memory import MemoryTransport
from usbsync.transport.ways import open_server, open_tcp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = int(os.environ.get("USBSYNC_NAMES", "12"))
LONGEST = 255  # bytes, as file systems have it


def fits(name: str) -> bool:
    return name not in {"", ".", ".."} and len(name.encode("utf-8", "surrogateescape")) <= LONGEST


WHOLE = st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\0/")
AWKWARD = st.sampled_from(
    [
        *"-'\"`$\\ \t\n;&|*?[]{}()<>!~#%=,.",
        "é",
        "e\u0301",
        "ﬁ",
        "Å",
        "ß",
        "\u200d",
        "👩‍👧",
        "🫠",
        "日本",
        "--",
        "$(id)",
    ]
)
PARTS = st.lists(AWKWARD | WHOLE, min_size=1, max_size=60).map("".join)
LONG = st.builds(
    lambda part, end: (part * LONGEST)[: LONGEST // 4] + end, AWKWARD, st.sampled_from(["", ".mp3"])
)
RAW = st.binary(min_size=1, max_size=LONGEST).map(
    lambda raw: raw.replace(b"\0", b"0").replace(b"/", b"-").decode("utf-8", "surrogateescape")
)
LEGAL = PARTS.filter(lambda name: name_problem(name) is None)
NAMES = st.lists((LEGAL | PARTS | LONG | RAW).filter(fits), min_size=1, max_size=10, unique=True)
KNOWN = [
    "it's \"quoted\" `so` $HOME.mp3", "-rf", "--", "two\nlines", "end\n", "caf\u00e9.png", "cafe\u0301.png", "👩‍👧🫠.jpg",
    "é" * 60, "é" * 127 + "x", "x" * 255, "latin\udce9", "a  b ", "%s%n", "\\n", "0" * 40 + "  x",
]  # fmt: skip


@pytest.fixture(params=["memory", "folder", "tcp", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    local = tmp_path / "local"
    local.mkdir()
    if request.param == "memory":
        yield Place(MemoryTransport(), "/", local)
    elif request.param == "folder":
        (tmp_path / "root").mkdir()
        yield Place(FolderTransport(tmp_path / "root"), "/", local)
    else:
        opened = {
            "tcp": lambda: open_tcp("127.0.0.1", request.getfixturevalue("shared_phone").port),
            "server": lambda: open_server(request.getfixturevalue("shared_adb_server").serial),
        }[request.param]()
        with closing(opened) as transport:
            base = f"/sdcard/{uuid.uuid4().hex}"
            transport.make_folder(base)
            yield Place(transport, base, local)


@pytest.mark.adbd
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(names=KNOWN)
@given(names=NAMES)
def test_every_name_goes_there_and_back(place: Place, names: list[str]):
    files = {name: f"{number} is {name!a}".encode() for number, name in enumerate(names)}
    place.push(files)
    assert sorted(place.transport.list(place.base), key=lambda info: info.name) == sorted(
        (FileInfo(name, Kind.FILE, len(data), MTIME) for name, data in files.items()),
        key=lambda info: info.name,
    )
    assert all(place.transport.stat(place.path(name)) is not None for name in names)
    assert dict(zip(names, place.pull(*names), strict=True)) == files
    wanted = {place.path(name): hashlib.sha1(data).hexdigest() for name, data in files.items()}
    assert place.transport.hash([*wanted], "sha1") == wanted
    turned = dict(
        zip([*names[1:], names[0]], files.values(), strict=True)
    )  # each name gets another's content
    aside = [Rename(place.path(name), place.path(f".usbsync-{number}")) for number, name in enumerate(names)]
    place.transport.apply(aside)
    place.transport.apply(
        [Rename(step.target, place.path(name)) for step, name in zip(aside, turned, strict=True)]
    )
    assert dict(zip(names, place.pull(*names), strict=True)) == turned
    place.transport.apply([Remove(place.path(name)) for name in names])
    assert place.names() == set()
