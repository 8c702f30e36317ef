"""What each side lacks, as a value ready to carry out."""

from __future__ import annotations

from core import model
from core.cases import BASE, LATER, after, note
from core.model import compare, sync

from usbsync.core.changes import Changes, Col, Grave, GraveType, Table
from usbsync.core.conflict import Side
from usbsync.core.plan import Plan, Put, SidePlan, Source, TablePlan, make_plan
from usbsync.core.reconcile import Reconciled

TAGGED = note(1000, tags=" t1 t2 ")
WRITTEN = note(1000, flds="new\x1fn1000f1", derived="new")


def test_what_the_other_side_holds_is_taken_from_there():
    plan = sync(BASE, after(TAGGED), BASE).plan
    assert plan.desktop == SidePlan()
    assert plan.phone == SidePlan({Table.NOTES: TablePlan((Put(1000, TAGGED, Source.OTHER, new=False),))})


def test_what_neither_side_holds_is_made():
    plan = sync(BASE, after(TAGGED), after(WRITTEN)).plan
    for side in Side:
        (put,) = plan.side(side).tables[Table.NOTES].puts
        assert (put.source, put.new, put.row.tags) == (Source.MERGED, False, TAGGED.tags)
        assert put.row.mod == LATER + 1  # newer than both, or AnkiWeb would take one of them for it


def test_what_is_new_and_what_is_gone():
    graves = Grave(1003, GraveType.NOTE), Grave(2004, GraveType.CARD)
    gone = [(Table.NOTES, 1003), (Table.CARDS, 2004)]
    world = after(model.note(BASE, 3000, 100, ["a", "b"]), TAGGED, *graves, gone=gone)
    plan = sync(BASE, BASE, world).plan
    assert plan.phone.empty
    assert plan.desktop.tables[Table.CARDS].deletions == (2004,)
    assert plan.desktop.counts == {
        "notes": {"added": 1, "updated": 1, "deleted": 1},
        "cards": {"added": 0, "updated": 0, "deleted": 1},
        "graves": {"added": 2, "updated": 0, "deleted": 0},
    }


def test_a_plan_is_empty_where_neither_side_lacks_anything():
    tables = {Table.NOTES: TablePlan(deletions=(1,))}
    assert SidePlan().empty
    assert not SidePlan(tables).empty
    assert not SidePlan(crt=1).empty
    assert Plan(SidePlan(), SidePlan()).empty
    assert not Plan(SidePlan(tables), SidePlan()).empty
    assert not Plan(SidePlan(), SidePlan(tables)).empty
    assert Plan(SidePlan(tables), SidePlan()).side(Side.DESKTOP).tables == tables
    assert Plan(SidePlan(), SidePlan(tables)).side(Side.PHONE).tables == tables


def test_a_schema_mark_is_set_only_where_something_is_written():
    result = Reconciled({Table.NOTES: {1000: TAGGED}}, (), crt=5, scm=900)
    mine, _theirs, _context = compare(BASE, after(TAGGED), BASE)
    mine = Changes(mine.rows, Col(5, 1), Col(5, 1))
    for scm, expected in ((1, 900), (900, None)):
        plan = make_plan(mine, Changes({}, Col(5, scm), Col(5, 1)), result)
        assert (plan.desktop.scm, plan.phone.scm) == (None, expected)


def test_the_first_day_is_set_where_it_is_another():
    result = Reconciled({}, (), crt=5, scm=None)
    plan = make_plan(Changes({}, Col(5, 1), Col(5, 1)), Changes({}, Col(6, 1), Col(5, 1)), result)
    assert (plan.desktop.crt, plan.phone.crt) == (None, 5)


def test_a_side_that_did_nothing_says_so():
    assert compare(BASE, BASE, BASE)[0].empty
    assert not compare(BASE, after(TAGGED), BASE)[0].empty
    assert not Changes({}, Col(6, 1), Col(5, 1)).empty
