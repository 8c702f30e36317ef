"""Promise 7, by enumeration: at each call of a sync the phone answers with a lie, of each kind that there is.

Names that lead elsewhere, devices, sizes below nothing and beyond everything, hashes that are none or of something else,
bytes that are cut, changed or without end, work that is said to be done and is not. The sync fails with an error of ours
or does what it would have done; the desktop is as it was or as it was to become, nothing is written outside, and with
an honest phone everything comes right. USBSYNC_CRASH_ALL=1 tries every lie at every call; without it a stride picks some.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
from session.calls import Calls, half, interrupted
from session.enumerated import ALL, Scene, comes_through, scene
from session.scenes import dump, files, tree, with_past

from usbsync.errors import UsbsyncError
from usbsync.media import listing
from usbsync.transport.base import FileInfo, Kind

NAMES = ("phone with a -wal", "undo")
FEW = 9
HUGE = 1 << 62

Lie = Callable[..., object]


def nothing(_method, *_args, **_more) -> None:
    """Say that it is done."""


def changed(method, *args, **more) -> None:
    """Do it, and change a byte of what comes."""
    wanted = list(args[0])
    method(wanted, *args[1:], **more)
    for each in wanted[-1:]:
        data = bytearray(each.target.read_bytes() or b"?")
        data[len(data) // 2] ^= 255
        each.target.write_bytes(data)


def cut(method, *args, **more) -> None:
    wanted = list(args[0])
    method(wanted, *args[1:], **more)
    for each in wanted[-1:]:
        each.target.write_bytes(each.target.read_bytes()[:-1])


def endless(method, *args, **_more) -> None:
    """Send until somebody says that it is enough."""
    wanted, on_bytes = list(args[0]), args[1]
    for each in wanted:
        with each.target.open("wb") as file:
            for _ in range(200):
                file.write(bytes(1 << 20))
                on_bytes(1 << 20)
    raise AssertionError("200 MiB of nothing were taken")


def halved(name: str) -> Lie:
    return lambda method, *args, **more: half(name, method, args, more)


def said(answer: object) -> Lie:
    return lambda _method, *_args, **_more: answer


def twisted(twist: Callable) -> Lie:
    return lambda method, *args, **more: twist(method(*args, **more))


def entry(name: str, kind: Kind = Kind.FILE, size: int = 5, mtime: int = 5) -> Lie:
    return twisted(lambda found: [*found, FileInfo(name, kind, size, mtime)])


def each_with(**more: object) -> Lie:
    return twisted(
        lambda found: (
            [info._replace(**more) for info in found]
            if isinstance(found, list)
            else found and found._replace(**more)
        )
    )


def hashed(digest: str) -> Lie:
    return lambda _method, paths, algorithm: {
        path: digest[: {"sha1": 40, "sha256": 64}[algorithm]] for path in paths
    }


LIES: dict[str, dict[str, Lie]] = {
    "stat": {
        "not there": said(None),
        "a device": each_with(kind=Kind.OTHER),
        "a folder": each_with(kind=Kind.FOLDER),
        "huge": each_with(size=HUGE),
        "less than nothing": each_with(size=-1),
    },
    "list": {
        "a path": entry("../../outside/x"),
        "absolute": entry("/etc/passwd"),
        "above": entry(".."),
        "no name": entry(""),
        "a device": entry("device", Kind.OTHER),
        "a folder": entry("folder", Kind.FOLDER),
        "huge": entry("huge", size=HUGE),
        "less than nothing": each_with(size=-1),
        "twice": twisted(lambda found: [*found, *found]),
        "never and always": each_with(mtime=-HUGE),
        "no end": twisted(
            lambda found: [*found, *(FileInfo(f"{at}", Kind.FILE, 1, 1) for at in range(2000))]
        ),
    },
    "hash": {
        "none": said({}),
        "of something else": hashed("0" * 64),
        "no hash": hashed("../" * 40),
        "of what nobody asked for": twisted(lambda found: {**found, "/etc/passwd": "0" * 40}),
    },
    "pull": {"changed": changed, "cut": cut, "endless": endless, "half": halved("pull")},
    "push": {"not done": nothing, "half": halved("push")},
    "apply": {"not done": nothing, "half": halved("apply")},
    "make_folder": {"not done": nothing},
    "remove_folder": {"not done": nothing},
    "free_space": {"none": said(0), "less than nothing": said(-1), "more than there is": said(1 << 90)},
    "stamp": {"none": said(None), "always the same": said("x")},
}


@dataclass
class Lies(Calls):
    """One call is answered with a lie, all others honestly."""

    lie: Lie = nothing

    def meet(self, name: str, method: Callable, args: tuple, more: dict) -> object:
        self.seen.append(name)
        if len(self.seen) == self.at:
            return self.lie(method, *args, **more)
        return method(*args, **more)


@pytest.fixture(scope="module", params=NAMES)
def ready(request, quick) -> Scene:
    world = with_past(Path(mkdtemp(dir=quick)) / "w")
    (world.root / "outside").mkdir()
    (world.root / "outside" / "precious").write_text("not Anki's")
    return scene(world, request.param)


def places(seen: list[str]) -> Iterator[tuple[int, str, str]]:
    every = [(at, name, lie) for at, name in enumerate(seen, 1) for lie in LIES.get(name, {})]
    yield from every if ALL else every[:: max(1, len(every) // FEW)]


def test_a_lie_at_any_call(ready, monkeypatch, record_property) -> None:
    outcomes: Counter = Counter()
    monkeypatch.setattr(listing, "MAX_FILES", 1000)
    ready.again()
    calls = Calls()
    interrupted(ready.world, ready.run, monkeypatch, phone=calls)
    assert {*calls.seen} <= {*LIES, "identity", "close"}
    outside = tree(ready.world.root / "outside")
    before, after = _media(ready), ready.media[0]
    for at, name, lie in places(calls.seen):
        ready.again()
        ended = lied(ready, at, LIES[name][lie], monkeypatch)
        assert ended in {"done", *(f"exit {code}" for code in range(3, 8))}, (at, name, lie, ended)
        assert dump(ready.world.desktop) in (ready.old[0], ready.new[0]), (at, name, lie)
        assert {*files(ready.world.desktop).items()} <= {*before.items(), *after.items()}, (at, name, lie)
        assert tree(ready.world.root / "outside") == outside, (at, name, lie)
        comes_through(ready)
        outcomes[f"a lie: {ended}"] += 1
    record_property("outcomes", dict(outcomes))
    assert any("exit" in each for each in outcomes)


def test_a_collection_that_was_written_over_here_and_there(ready, record_property) -> None:
    """By a card that fails, or by somebody: refused, or merged where it hit nothing; the desktop reads as one of both."""
    outcomes: Counter = Counter()
    for seed in range(200 if ALL else 5):
        world, rng = ready.again(), random.Random(seed)
        data = bytearray(world.phone.read_bytes())
        for _ in range(rng.choice((1, 1, 4))):
            at = rng.randrange(len(data))
            data[at : at + rng.choice((1, 16, 512, 4096))] = rng.randbytes(8)
        world.phone.write_bytes(data)
        before = tree(world.desktop.parent)
        ended = ending(world.sync)
        outcomes[f"written over: {ended}"] += 1
        assert ended in {"done", "exit 4", "exit 7"}, seed
        dump(world.desktop)  # sound, by SQLite's own word
        assert ended == "done" or tree(world.desktop.parent) == before, seed
    record_property("outcomes", dict(outcomes))
    assert outcomes["written over: exit 7"]


def _media(ready: Scene) -> dict[str, bytes]:
    return files(ready.again().desktop)


def lied(ready: Scene, at: int, lie: Lie, monkeypatch) -> str:
    return ending(lambda: interrupted(ready.world, ready.run, monkeypatch, phone=Lies(at, lie=lie)))


def ending(run: Callable[[], object]) -> str:
    try:
        run()
    except UsbsyncError as error:
        return f"exit {error.exit_code}"
    return "done"
