"""How a pair begins, how a cut-off apply goes on, and what sounds an alarm: the whole truth tables."""

from __future__ import annotations

from itertools import product

import pytest

from usbsync.core.changes import Change, Changes, Col, GraveType, Table
from usbsync.core.conflict import Side
from usbsync.core.first import First, Start, first_sync
from usbsync.core.guard import Alarm, alarm, losses
from usbsync.core.recovery import Recovery, Standing, recovery

DESKTOP, PHONE = Side.DESKTOP, Side.PHONE
ASKED = (None, First.MERGE, First.UPLOAD, First.DOWNLOAD)

# (desktop empty, phone empty): what happens where nothing was wanted, merge, upload, download
BEGINNINGS = {
    (False, False): (Start.ASK, Start.MERGE, Start.UPLOAD, Start.DOWNLOAD),
    (False, True): (Start.UPLOAD, Start.UPLOAD, Start.UPLOAD, Start.DOWNLOAD),
    (True, False): (Start.DOWNLOAD, Start.DOWNLOAD, Start.UPLOAD, Start.DOWNLOAD),
    (True, True): (Start.UPLOAD,) * 4,
}


@pytest.mark.parametrize(("desktop", "phone", "at"), list(product([False, True], [False, True], range(4))))
def test_a_pair_that_never_met(desktop, phone, at):
    begin = {"desktop_empty": desktop, "phone_empty": phone, "wanted": ASKED[at]}
    assert first_sync(**begin, same=False) is BEGINNINGS[desktop, phone][at]
    assert first_sync(**begin, same=True) is Start.ADOPT


def test_nobodys_work_is_replaced_unasked():
    for desktop, phone, wanted in product([False, True], [False, True], [None, First.MERGE]):
        start = first_sync(desktop_empty=desktop, phone_empty=phone, same=False, wanted=wanted)
        assert start is not Start.UPLOAD or phone
        assert start is not Start.DOWNLOAD or desktop


DONE, PENDING, MOVED = Standing.DONE, Standing.PENDING, Standing.MOVED
RECOVERIES = {
    (DONE, DONE): (Recovery.FINISH, None),
    (DONE, PENDING): (Recovery.FINISH, None),
    (PENDING, DONE): (Recovery.FINISH, None),
    (PENDING, PENDING): (Recovery.FINISH, None),
    (DONE, MOVED): (Recovery.REBASE, PHONE),
    (MOVED, DONE): (Recovery.REBASE, DESKTOP),
    (PENDING, MOVED): (Recovery.GIVE_UP, None),
    (MOVED, PENDING): (Recovery.GIVE_UP, None),
    (MOVED, MOVED): (Recovery.GIVE_UP, None),
}


@pytest.mark.parametrize("standing", list(product(Standing, repeat=2)))
def test_an_apply_that_was_cut_off(standing):
    assert recovery(dict(zip(Side, standing, strict=True))) == RECOVERIES[standing]


@pytest.mark.parametrize(
    ("lost", "had", "sounds"),
    [(0, 0, False), (4, 4, False), (5, 5, True), (20, 20, True), (20, 21, False), (21, 21, True), (21, 41, True), (21, 42, False), (22, 42, True),
     (500, 1000, False), (501, 1000, True), (1000, 1000, True)],
)  # fmt: skip
def test_more_than_half_and_more_than_a_few(lost, had, sounds):
    assert alarm(PHONE, "notes", lost, had) == ((Alarm(PHONE, "notes", lost, had),) if sounds else ())
    gone = {at: Change(("row",), None) for at in range(lost)}
    kept = {1000 + at: Change(("row",), ("row", 2)) for at in range(100)}
    col = Col(1, 1)
    graves = {(at, GraveType.NOTE): Change(None, ("grave",)) for at in gone}
    changes = Changes({Table.NOTES: gone | kept, Table.GRAVES: graves}, col, col)
    assert losses(PHONE, changes, had) == alarm(PHONE, "notes", lost, had)


def test_notes_that_are_gone_and_were_never_deleted_are_an_older_state():
    """However few: what was written since is gone there, and would be on the other side too."""
    gone = {at: Change(("row",), None) for at in (1, 2, 3)}
    graves = {
        (1, GraveType.NOTE): Change(None, ("grave",)),
        (2, GraveType.CARD): Change(None, ("a card's",)),
    }
    col = Col(1, 1)
    changes = Changes({Table.NOTES: gone, Table.GRAVES: graves}, col, col)
    assert losses(PHONE, changes, 100) == (Alarm(PHONE, "notes that nobody deleted there", 2),)


def test_an_alarm_says_what_it_is_about():
    assert (
        str(Alarm(DESKTOP, "notes", 1500, 2000))
        == "the desktop lost 1,500 of 2,000 notes since the last sync"
    )
