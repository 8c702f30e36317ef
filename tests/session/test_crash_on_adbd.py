"""Promise 1 on the real adbd, by exhaustion: as test_crash, with Android's own shell and file service in between.

A sync is ended by SIGKILL at each call of its transports and at each change it makes to this computer's disk, by the
loss of the link before, inside and after each call, by a cable that is cut after so many bytes each way (so inside any
packet, with the phone's half of the work going on), and by the phone's own death; and ended again while it recovers.
USBSYNC_CRASH_ALL=1 tries every place; without it a stride picks some.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from rigs.cable import Cable, Cut, Way
from session import cuts
from session.calls import HALVES, Calls, interrupted, killed, lost
from session.enumerated import ALL, Scene, comes_through, scene, standing, stride
from session.rigged import Phones, met, strays_on
from session.scenes import in_child

from usbsync.core.conflict import Side
from usbsync.errors import PhoneFailed
from usbsync.session import apply
from usbsync.transport.wrap import When

pytestmark = pytest.mark.adbd
NAMES = ("phone with a -wal", "undo") if ALL else ("phone with a -wal",)
BYTES = 80 if ALL else 2
FEW = 2


@pytest.fixture(scope="module", params=NAMES)
def ready(request, adbd, quick) -> Iterator[Scene]:
    folder = Path(mkdtemp(dir=quick))
    phones = Phones(adbd, folder)
    yield scene(met(folder / "w", phones), request.param)
    phones.now.kill()


def ended(ready: Scene, outcomes: Counter) -> None:
    """Count the point, see that both are whole, and that the next sync makes good."""
    outcomes[f"adbd: {standing(ready)}"] += 1
    comes_through(ready)
    assert not strays_on(ready.world)


def calls_of(ready: Scene, side: Side, *, stepwise: bool) -> list[str]:
    calls = Calls()
    ready.again()
    with pytest.MonkeyPatch.context() as patch:
        interrupted(ready.world, ready.run, patch, stepwise=stepwise, **{side: calls})
    return calls.seen


def places(seen: list[str], whens: tuple[When, ...], picked: range) -> Iterator[tuple[int, When]]:
    """Give the calls and where in each (one after the other, where not all are tried).

    Only some calls have an inside that we can make; the cut cable has all of them.
    """
    for turn, at in enumerate(picked):
        can = [when for when in whens if when is not When.INSIDE or seen[at - 1] in HALVES]
        for when in can if ALL else can[turn % len(can) :][:1]:
            yield at, when


@pytest.mark.parametrize("side", Side)
def test_a_kill_at_any_call(ready, side, monkeypatch, record_property) -> None:
    outcomes: Counter = Counter()
    seen = calls_of(ready, side, stepwise=True)
    for at, when in places(seen, (When.BEFORE, When.INSIDE), stride(len(seen), FEW)):
        ready.again()
        calls = Calls(at, when, killed)
        code = in_child(
            lambda calls=calls: interrupted(
                ready.world, ready.run, monkeypatch, stepwise=True, **{side: calls}
            )
        )
        assert code == cuts.DIED, (at, when)
        ended(ready, outcomes)
    record_property("outcomes", dict(outcomes))


@pytest.mark.parametrize("torn", [False, True], ids=["at", "torn"])
def test_a_kill_at_any_change_to_the_disk(ready, torn, record_property) -> None:
    outcomes: Counter = Counter()
    for at in stride(ready.count, FEW):
        world = ready.again()
        if cuts.dies(world.root, ready.scratch, ready.run, at, torn=torn):
            ended(ready, outcomes)
    record_property("outcomes", dict(outcomes))


@pytest.mark.parametrize("side", Side)
def test_a_link_that_is_lost_at_any_call(ready, side, monkeypatch, record_property) -> None:
    outcomes: Counter = Counter()
    seen = calls_of(ready, side, stepwise=False)
    for at, when in places(seen, tuple(When), stride(len(seen), FEW)):
        ready.again()
        calls = Calls(at, when, lost)
        with pytest.raises(PhoneFailed):
            interrupted(ready.world, ready.run, monkeypatch, **{side: calls})
        ended(ready, outcomes)
    record_property("outcomes", dict(outcomes))


@pytest.mark.parametrize("way", Way)
def test_a_cable_that_is_cut_after_any_byte(ready, way, record_property) -> None:
    """By the wire itself: what the phone had begun it goes on with, while we are gone."""
    outcomes: Counter = Counter()
    ready.again()
    whole = Cable(ready.world.phones.now.port)
    run_over(ready, whole.port)
    whole.close()
    count = whole.passed[way]
    for turn in range(BYTES):
        ready.again()
        after = (2 * turn + 1) * count // (2 * BYTES)
        cable = Cable(ready.world.phones.now.port, after=after, way=way, how=(Cut.FIN, Cut.RST)[turn % 2])
        try:
            with pytest.raises(PhoneFailed):
                run_over(ready, cable.port)
        finally:
            cable.close()
        ended(ready, outcomes)
    record_property("outcomes", dict(outcomes))


def run_over(ready: Scene, port: int) -> None:
    getattr(ready.world.by(port), ready.run.__name__)()


def test_a_phone_that_dies_at_any_call(ready, monkeypatch, record_property) -> None:
    """Its battery is empty: every process of it ends, what was not synced is torn, and it is started again."""
    outcomes: Counter = Counter()
    seen = calls_of(ready, Side.PHONE, stepwise=False)
    for at, when in places(seen, (When.BEFORE, When.INSIDE), stride(len(seen), FEW)):
        ready.again()
        phones, began = ready.world.phones, time.time_ns()

        def die() -> None:
            phones.dies()  # noqa: B023  # called within this turn, as the next
            phones.forgets(began)  # noqa: B023
            lost()

        with pytest.raises(PhoneFailed):
            interrupted(ready.world, ready.run, monkeypatch, phone=Calls(at, when, die))
        phones.revives()
        ended(ready, outcomes)
    record_property("outcomes", dict(outcomes))


def test_what_is_staged_is_on_the_flash_before_the_commit_record(ready, monkeypatch) -> None:
    log = ready.again().phones.now.state / "sync.log"
    seen: list[str] = []
    write_cut = apply.write_cut

    def written(*args) -> None:
        seen.extend(log.read_text().splitlines())
        assert log.stat().st_mtime_ns >= max(path.stat().st_ctime_ns for path in staged(ready))
        write_cut(*args)

    monkeypatch.setattr(apply, "write_cut", written)
    log.unlink(missing_ok=True)
    ready.run()
    assert seen
    assert len(log.read_text().splitlines()) > len(
        seen
    )  # and once more what was flipped, before it is remembered


def staged(ready: Scene) -> list[Path]:
    found = [
        path for path in ready.world.phone.parent.rglob("*") if "usbsync" in str(path) and path.is_file()
    ]
    assert found
    return found


@pytest.mark.parametrize("side", Side)
def test_a_second_end_while_recovering(ready, side, monkeypatch, record_property) -> None:
    """From places before, between and after the flips, at each call of the run that cleans up or finishes."""
    outcomes: Counter = Counter()
    first = [at for at, name in enumerate(calls_of(ready, Side.PHONE, stepwise=True), 1) if name == "apply"]
    for at in first[::3] if ALL else first[len(first) // 2 :][:1]:
        seen = recovering(ready, at, side, monkeypatch, Calls())
        some = range(1, len(seen) + 1, max(1, len(seen) // (12 if ALL else FEW)))
        for turn, (again, when) in enumerate(places(seen, tuple(When), some)):
            recovering(ready, at, side, monkeypatch, Calls(again, when, (killed, lost)[turn % 2]))
            ended(ready, outcomes)
    record_property("outcomes", dict(outcomes))


def recovering(ready: Scene, at: int, side: Side, patch, calls: Calls) -> list[str]:
    """Kill a run before its `at`-th call of the phone, and let the next be counted, or end as `calls` says."""
    ready.again()

    def first() -> None:
        interrupted(ready.world, ready.run, patch, stepwise=True, phone=Calls(at, When.BEFORE, killed))

    def second() -> None:
        try:
            interrupted(ready.world, ready.world.sync, patch, stepwise=True, **{side: calls})
        except PhoneFailed:
            killed()

    assert in_child(first) == cuts.DIED
    if calls.at:
        assert in_child(second) == cuts.DIED
    else:
        interrupted(ready.world, ready.world.sync, patch, stepwise=True, **{side: calls})
    return calls.seen
