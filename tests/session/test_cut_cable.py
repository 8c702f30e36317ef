"""The cable is cut, or the phone falls silent, after any byte of a sync by the real command: promise 1, and deadlines.

No hang, exit code 6, nothing half-written under a final name on either side, and the next sync makes good. Few places
by default; `make soak` tries 200 cuts and 50 silences (USBSYNC_CUTS, USBSYNC_STALLS; USBSYNC_CUT_SEED picks others).
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from rigs.cable import Cable, Cut, Way
from session.enumerated import Scene, comes_through, scene, standing
from session.rigged import Phones, met, strays_on
from session.scenes import files, put

from usbsync import cli
from usbsync.errors import PhoneFailed
from usbsync.transport import pulse, ways

pytestmark = pytest.mark.adbd
CUTS = int(os.environ.get("USBSYNC_CUTS", "6"))
STALLS = int(os.environ.get("USBSYNC_STALLS", "2"))
SEED = int(os.environ.get("USBSYNC_CUT_SEED", "1"))
CUT_SECONDS = 2.0
"""Within which a pulled cable is noticed, and all is tidied up."""
NEVER = "silence: a sync that came to its end before it"
LAST_WORDS = "cable: cut when all was done, and only streams were to be closed, or not reached"
SLACK = 5.0
"""Seconds beyond a deadline that a busy machine may take."""


@pytest.fixture(scope="module")
def ready(adbd, quick) -> Iterator[Scene]:
    folder = Path(mkdtemp(dir=quick))
    phones = Phones(adbd, folder)
    world = met(folder / "w", phones)
    rng = random.Random(SEED)
    for side, who in ((world.desktop, "desktop"), (world.phone, "phone")):
        for number in range(12):
            put(side, f"{who}-{number}.mp3", rng.randbytes(rng.randint(500, 30_000)).hex())
    world.belongs_to_the_app()
    yield scene(world, "phone with a -wal")
    phones.now.kill()


@pytest.fixture(scope="module")
def lengths(ready) -> dict[Way, int]:
    """The bytes that a whole sync takes, each way."""
    ready.again()
    whole = Cable(ready.world.phones.now.port)
    assert run(ready, whole.port) == 0
    whole.close()
    return whole.passed


def run(ready: Scene, port: int) -> int:
    """Run `usbsync sync` in this process (a child would hold the cable's socket open); return its exit code."""
    argv = ["usbsync", "sync", "--quiet", f"--device=tcp:127.0.0.1:{port}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*argv, f"--collection={ready.world.desktop}"])
        patch.setattr(signal, "signal", lambda *_: None)
        patch.setenv("USBSYNC_HOME", ready.world.environ["USBSYNC_HOME"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def place(rng: random.Random, turn: int, length: int) -> int:
    """Choose a byte: anywhere, and every third time where the flips are, which are short beside what is copied."""
    return max(0, length - rng.randint(1, 2500)) if turn % 3 == 2 else rng.randrange(length)


def nothing_is_half_written(ready: Scene, before: list[dict[str, bytes]]) -> None:
    standing(ready)  # both collections are whole, old or new
    for side, had, has in zip(ready.world.both, before, ready.media, strict=True):
        for name, data in files(side).items():
            assert data in (had.get(name), has.get(name)), name


def test_a_cable_that_is_cut_after_any_byte(ready, lengths, capsys, record_property) -> None:
    rng, outcomes = random.Random(f"cuts {SEED}"), Counter()
    slowest = 0.0
    for turn in range(CUTS):
        before = [files(side) for side in ready.again().both]
        way, how = rng.choice([*Way]), rng.choice([Cut.FIN, Cut.RST])
        after = place(rng, turn, lengths[way])
        cable = Cable(ready.world.phones.now.port, after=after, way=way, how=how)
        try:
            code = run(ready, cable.port)
            took = time.monotonic() - cable.cut_at if cable.is_cut.is_set() else 0.0
        finally:
            cable.close()
        at = f"cut {turn}: {how} after {after} of {lengths[way]} bytes {way}"
        said = capsys.readouterr().err
        assert code in ({PhoneFailed.exit_code, 0} if cable.is_cut.is_set() else {0}), (at, said)
        assert took < CUT_SECONDS + SLACK, at
        slowest = max(slowest, took)
        assert ("hint:" in said) == bool(code)
        found = standing(ready)
        assert code or found == "new/new", at
        outcomes[f"cable: {found}" if code else LAST_WORDS] += 1
        nothing_is_half_written(ready, before)
        comes_through(ready)
        assert not strays_on(ready.world)
    assert outcomes[LAST_WORDS] <= 1 + CUTS // 20
    record_property(
        "outcomes", dict(outcomes) | {"cable: most hundredths of a second to notice": int(100 * slowest)}
    )


def test_a_phone_that_falls_silent_after_any_byte(
    ready, lengths, capsys, monkeypatch, record_property
) -> None:
    """Its adbd is stopped (SIGSTOP), or the link swallows all: it is given up at the deadline, and may come back."""
    monkeypatch.setattr(pulse, "QUIET", 0.5)
    monkeypatch.setattr(pulse, "ANSWER", 1.5)
    monkeypatch.setattr(ways, "CONNECT_SECONDS", 2.0)
    rng, outcomes = random.Random(f"stalls {SEED}"), Counter()
    for turn in range(STALLS):
        before = [files(side) for side in ready.again().both]
        way, phone = rng.choice([*Way]), ready.world.phones.now
        after = place(rng, turn, lengths[way])
        cable = Cable(
            phone.port, after=after, way=way, how=Cut.STALL, instead=phone.freeze if turn % 2 else None
        )
        try:
            code = run(ready, cable.port)
            took = time.monotonic() - cable.cut_at if cable.is_cut.is_set() else 0.0
        finally:
            phone.thaw()
        at = f"stall {turn}: {('the link', 'adbd')[turn % 2]} after {after} bytes {way}, {took:.1f} s"
        assert code == (PhoneFailed.exit_code if cable.is_cut.is_set() else 0), (at, capsys.readouterr().err)
        assert took < pulse.QUIET + pulse.ANSWER + ways.CONNECT_SECONDS + SLACK, at
        found = standing(ready)
        assert code or found == "new/new", at
        outcomes[f"silence: {found}" if code else NEVER] += 1
        nothing_is_half_written(ready, before)
        comes_through(ready)
        cable.close()
        assert not strays_on(ready.world)
    assert outcomes[NEVER] <= 1 + STALLS // 20
    record_property("outcomes", dict(outcomes))
