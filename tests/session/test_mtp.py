"""A sync with a phone that is mounted by MTP: what it does not know is told, and a cut rename does no harm."""

from __future__ import annotations

import pytest
from jmtpfs import Jmtpfs
from session.scenes import World, both_work, files, media
from worlds import database_check

from usbsync.errors import Busy, PhoneGone
from usbsync.session.report import Result
from usbsync.session.talk import Silent
from usbsync.transport import ways
from usbsync.transport.mtp import LIMITS

STEPS = 4  # of which one rename is made


class Listener(Silent):
    def __init__(self) -> None:
        self.notes = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def mounted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Both sides have work, and the phone is mounted; `Jmtpfs.ops` says when the cable goes."""
    both_work(world)
    monkeypatch.setattr(ways, "open_folder", Jmtpfs)
    return world


def test_it_is_told_what_mtp_does_not_know(mounted: World):
    talk = Listener()
    assert mounted.sync(talk).result is Result.MERGED
    assert LIMITS in talk.notes
    assert mounted.sync().result is Result.UNCHANGED
    assert files(mounted.desktop) == files(mounted.phone)


def test_a_cable_that_goes_between_two_names_loses_nothing(mounted: World, monkeypatch: pytest.MonkeyPatch):
    """At each small step of the flip: what is on the phone is not read before its cut rename is finished."""
    saved, cut, dry = mounted.save(), 0, 0
    for ops in range(1, 100, 3):
        mounted.restore(saved)
        monkeypatch.setattr(Jmtpfs, "ops", ops)
        try:
            mounted.sync()
            break
        except PhoneGone:
            cut += 1
        monkeypatch.setattr(Jmtpfs, "ops", 1 << 30)
        try:
            mounted.sync(dry=True)
        except Busy:
            dry += 1
        mounted.sync()
        assert mounted.sync().result is Result.UNCHANGED
        assert files(mounted.desktop) == files(mounted.phone)
        assert "desktop-new" in files(mounted.phone)
        assert "phone-new" in files(mounted.desktop)
        for side in mounted.both:
            assert database_check(side) == []
            assert not list(side.parent.glob("*usbsync*"))
            assert not list(media(side).glob("*usbsync*"))
    assert cut >= STEPS
    assert dry
