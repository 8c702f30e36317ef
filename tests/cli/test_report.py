"""What a report says in words."""

from __future__ import annotations

from usbsync.cli.render import render_report
from usbsync.core.conflict import Conflict, Side, Weight
from usbsync.session.report import Report, Result


def counted(kind: str) -> Conflict:
    return Conflict(kind, 1, "title", "unit", None, "one", "other", Side.PHONE, "reason", Weight.COUNTED)


def test_only_cards_are_counted_as_studied() -> None:
    """A deck that was studied here and deleted there is counted too, and is no card."""
    names = {side: side.value for side in Side}

    def said(*kinds: str) -> str:
        return render_report(Report(Result.MERGED, names, conflicts=tuple(map(counted, kinds)))).plain

    assert "studied" not in said("decks")
    assert "\n1 card studied" in said("cards", "decks")
    assert "\n2 cards studied" in said("cards", "cards", "notes")


def test_an_undo_names_the_phone_again_where_it_has_to() -> None:
    names = {side: side.value for side in Side}

    def said(*sides: Side) -> str:
        return render_report(Report(Result.IMPORTED, names, backup="ID", sides=sides), "folder:/a b").plain

    assert "usbsync undo --device 'folder:/a b' takes it back" in said(Side.PHONE)
    assert "usbsync undo --device 'folder:/a b' brings both back" in said(*Side)
    assert "usbsync undo takes it back" in said(Side.DESKTOP)
