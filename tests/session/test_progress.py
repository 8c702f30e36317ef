"""The bar: all bytes that will move are known before they do, each is counted once, and it comes to its end."""

from __future__ import annotations

import io
import sys

import pytest
from rich.text import Text
from session.calls import Calls, interrupted
from session.scenes import both_work, killed_while, media, study_in

from usbsync.cli.terminal import Terminal
from usbsync.errors import PhoneGone
from usbsync.session.talk import Silent, filling
from usbsync.transport.wrap import When


class Bar(Silent):
    """Keeps what each stage said it would move, and what it moved."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None, list[int]]] = []

    def stage(self, text, total=None):
        moved: list[int] = []
        self.stages.append((text, total, moved))
        return moved.append

    @property
    def copying(self):
        (stage,) = [stage for stage in self.stages if stage[0].startswith("copying")]
        return stage


def comes_to_its_end(bar: Bar) -> None:
    for text, total, moved in bar.stages:
        assert sum(moved) == (total or 0), text
        assert all(count >= 0 for count in moved), text


def sizes(world) -> int:
    return sum(side.stat().st_size for side in world.both)


def test_every_byte_is_known_and_counted_once(world):
    both_work(world)
    bar = Bar()
    world.sync(bar)
    comes_to_its_end(bar)
    new = [media(world.phone) / f"{who}-{what}" for who in ("desktop", "phone") for what in ("new", "edits")]
    arrived = sum(path.stat().st_size for path in new)
    lost = sum(len(f"{who}-{what} as it was") for who in ("desktop", "phone") for what in ("drops", "edits"))
    renamed = len("Named.png as it was")
    assert bar.copying[1] == sizes(world) + arrived + lost + 2 * renamed


def test_a_log_that_is_folded_is_counted_too(world):
    both_work(world)
    killed_while(world.phone, lambda col: study_in(col, "train"))
    bar = Bar()
    world.sync(bar)
    comes_to_its_end(bar)
    assert bar.copying[1] > sizes(world) + world.phone.stat().st_size // 2


def test_nothing_to_do_moves_nothing(world):
    bar = Bar()
    world.sync(bar)
    assert [stage for stage in bar.stages if stage[1]] == []


def test_what_a_cut_off_sync_has_brought_is_there_at_once(world, monkeypatch):
    both_work(world)
    (media(world.desktop) / "big.mp3").write_bytes(bytes(300_000))
    calls = Calls()
    saved = world.save()
    interrupted(world, world.sync, monkeypatch, phone=calls)
    world.restore(saved)
    last = len(calls.seen) - calls.seen[::-1].index("push")  # of the collection: media came before it
    with pytest.raises(PhoneGone):
        interrupted(world, world.sync, monkeypatch, phone=Calls(last, When.BEFORE))
    wired = Calls()
    bar = Bar()
    interrupted(world, lambda: world.sync(bar), monkeypatch, phone=wired)
    comes_to_its_end(bar)
    assert wired.seen.count("push") == calls.seen.count("push") - 1, "no media is pushed again"
    assert (media(world.phone) / "big.mp3").stat().st_size == 300_000


@pytest.mark.parametrize("moved", [[], [3], [10], [4, 4, 4], [99]])
def test_a_total_is_filled_and_never_passed(moved):
    counted: list[int] = []
    with filling(counted.append, 10) as on_bytes:
        for each in moved:
            on_bytes(each)
    assert sum(counted) == 10


def drawn(monkeypatch, *, terminal: bool, quiet: bool = False) -> str:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    with Terminal(quiet=quiet) as talk:
        talk.stage("looking")
        talk._progress.refresh()
        before = stderr.getvalue()
        on_bytes = talk.stage("copying", 8_000_000)
        on_bytes(2_000_000)
        talk._progress.refresh()
    assert "copying" not in before
    assert "bytes" not in before
    return stderr.getvalue()


def test_a_terminal_shows_bytes_rate_and_time_left(monkeypatch):
    text = drawn(monkeypatch, terminal=True)
    assert "copying" in text
    assert "2.0/8.0 MB" in text
    assert "/s" in text or "?" in text
    assert "--:--" in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_on_a_narrow_terminal_the_bar_is_short_and_all_else_whole(monkeypatch, width):
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("COLUMNS", str(width))
    with Terminal(quiet=False) as talk:
        talk._progress.columns[4]._inner.render = lambda _task: Text("502.3 MB/s")
        talk.stage("copying", 190_000_000)(95_000_000)
        talk._console.width = width
        lines = talk._console.render_lines(talk._progress.get_renderable(), pad=False)
    (line,) = ("".join(part.text for part in line) for line in lines)
    assert "95.0/190.0 MB 502.3 MB/s" in line
    assert "copying" in line
    assert len(line) <= width


@pytest.mark.parametrize("how", [{"terminal": False}, {"terminal": True, "quiet": True}])
def test_a_pipe_and_quiet_show_nothing(monkeypatch, how):
    assert drawn(monkeypatch, **how) == ""
