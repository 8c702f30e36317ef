"""A clock that is wrong by years, on either side: it is said, nothing is lost, and the last backup is the last."""

from __future__ import annotations

import time

import pytest
from raw import change
from session.scenes import assert_alike, content, files, media, notes, put, strays, study, texts

from usbsync.session.talk import Silent

YEARS = 10 * 365 * 86_400


class Listening(Silent):
    """Keep what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize("by", [YEARS, -YEARS], ids=["ahead", "behind"])
@pytest.mark.parametrize("side", ["desktop", "phone"])
def test_what_was_done_under_it_is_merged_and_it_is_said(world, side, by) -> None:
    place = getattr(world, side)
    other = world.phone if side == "desktop" else world.desktop
    nid = min(notes(place))
    began = int(time.time())
    study(other, f"at {other.parent.name}", nid, field=0)
    study(place, f"at {place.parent.name}", nid, field=1)
    for table in ("notes", "cards"):
        change(place, f"update {table} set mod = mod + ? where mod >= ? - 5", by, began)
    put(place, "phone-edits", "edited under it", began + by if by < 0 else 2**32 + 5)
    talk = Listening()
    assert world.sync(talk).result == "merged"
    assert [f"work on the {side} is dated" in said for said in talk.said] == [True]
    assert notes(world.desktop)[nid] == f"at {other.parent.name}\x1fat {place.parent.name}"
    assert all(f"at {each.parent.name}" in texts(world.desktop) for each in world.both)
    assert files(world.desktop)["phone-edits"] == b"edited under it"
    assert_alike(world)
    assert not strays(world)
    study(world.desktop, "and later")
    talk = Listening()
    world.sync(talk)
    assert talk.said == []
    assert_alike(world)


@pytest.mark.parametrize("by", [YEARS, -YEARS], ids=["ahead", "behind"])
def test_this_computers_own(world, by, monkeypatch) -> None:
    """It goes wrong, and is set right again: what was last is what is undone."""
    real = time.time
    for turn, wrong in enumerate((by, 0)):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: real() + wrong)
        study(world.phone, f"turn {turn}")
        before = content(world.desktop)
        world.sync()
        assert f"turn {turn}" in texts(world.desktop)
        assert_alike(world)
    world.undo()
    assert content(world.desktop) == before
    assert "turn 0" in texts(world.desktop)
    world.sync()
    assert "turn 1" in texts(world.desktop)
    (media(world.phone) / "phone-drops").unlink()
    world.sync()
    assert_alike(world)
    assert not strays(world)
