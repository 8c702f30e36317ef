"""Notetypes whose shape changed where the other side worked with them."""

from __future__ import annotations

from core import model
from core.cases import BASE, after, note
from core.model import SEP, sync

from usbsync.core.conflict import Side


def shrunk(**values):
    return model.notetype(100, "Basic", ["Front"], ["Card 1"], **values)


def shrunk_notes():
    return [n._replace(flds=n.flds.split(SEP)[0]) for n in BASE[model.Table.NOTES].values() if n.mid == 100]


def test_a_field_removed_where_the_other_side_tagged_a_note_is_refused_not_stumbled_over():
    merged = sync(BASE, after(shrunk(), *shrunk_notes()), after(note(1000, tags="")))
    (refusal,) = merged.result.refused
    assert refusal.side is Side.DESKTOP
    assert "Basic" in str(refusal)
    assert not merged.result.rows


def test_a_notetype_imported_on_both_and_reshaped_on_one_is_refused():
    one = model.notetype(600, "New", ["A", "B"], ["T"])
    two = model.notetype(600, "New", ["A", "B", "C"], ["T"])
    assert {r.side for r in sync(BASE, after(one), after(two)).result.refused} == set(Side)
    assert not sync(BASE, after(one), after(one._replace(mtime=5))).result.refused
