"""One conflict, both sides beside each other, reads at any width, in any script, and without colour."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from usbsync.cli.compare import Comparison
from usbsync.cli.render import side_by_side
from usbsync.core.conflict import Conflict, Side


def conflict(ancestor, desktop, phone, *, kind="notes", unit="Back", title="el tren") -> Conflict:
    return Conflict(kind, 1, title, unit, ancestor, desktop, phone, Side.PHONE, "the newer edit stands")


def shown(what: Conflict, width: int = 100, *, colour: bool = False, **more) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, color_system="standard" if colour else None,
                      highlight=False, legacy_windows=False)  # fmt: skip
    console.print(Comparison(what, **more))
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def test_two_sides_beside_each_other():
    found = shown(conflict("the train", "the train (railway)", "the fast train"), width=80)
    assert found == (
        'note "el tren", Back\n'
        "  before\n"
        "    the train\n"
        "  desktop                                 phone ✓\n"
        "  the train{+ (railway)+}                 the {+fast +}train\n"
        "  the newer edit stands\n"
    )


def test_one_below_the_other_where_it_is_narrow():
    found = shown(conflict("the train", "the train (railway)", "the fast train"), width=30)
    assert "  desktop\n    the train{+ (railway)+}\n  phone ✓\n    the {+fast +}train\n" in found


def test_marks_are_there_with_colour_too():
    found = shown(conflict("old", "new", "other"), colour=True)
    assert "[-old-]" in found
    assert "{+new+}" in found
    assert "\x1b[" in found


def test_without_an_ancestor_what_the_other_lacks_is_marked():
    found = shown(conflict(None, "a deck", "a big deck"))
    assert "a {+big +}deck" in found
    assert "[-" not in found
    assert "before" not in found


def test_markup_is_read_unless_nothing_else_differs():
    assert "<div>" not in shown(conflict("<div>a</div>", "<div>b</div>", "<div>c</div>"))
    found = shown(conflict("a", "<b>a</b>", "<i>a</i>"))
    assert "{+<b>+}" in found
    assert "<{+style+}>" not in found


def test_a_template_is_shown_as_it_is():
    found = shown(
        conflict(
            "{{Front}}", "{{Front}}<br>", "<div>{{Front}}</div>", kind="notetypes", unit="front of template 1"
        )
    )
    assert "<br>" in found  # fmt: skip


def test_a_deletion_is_not_compared_word_by_word():
    found = shown(conflict("el libro", "deleted", "el libro (wanted)", unit="deletion"))
    assert "deleted" in found
    assert "{+deleted+}" not in found
    assert "el libro{+ (wanted)+}" in found


def test_right_to_left_is_never_beside_anything():
    """A terminal that turns such lines around would exchange the columns."""
    found = shown(conflict("שלום", "שלום עולם", "שלום לך"), width=120)
    assert "  desktop\n    שלום{+ עולם+}\n  phone ✓\n    שלום{+ לך+}\n" in found


def test_what_is_far_from_a_difference_is_left_out_unless_the_whole_is_wanted():
    text = " ".join(f"word{at}" for at in range(300))
    what = conflict(text, text.replace("word150", "DESK"), text.replace("word151", "PHONE"))
    short, whole = shown(what), shown(what, whole=True)
    assert "{+DESK+}" in short
    assert "{+PHONE+}" in short
    assert "…" in short
    assert "word10 " not in short
    assert all(f"word{at}" in whole for at in range(300))


def test_a_hostile_text_commands_no_terminal():
    what = conflict("a", "\x1b[2Jb", "\u202ec", title="\x1b]0;x\x07")
    for found in (shown(what), shown(what, width=30), side_by_side(what).plain):
        assert "\x1b" not in found
        assert "\u202e" not in found
        assert "\\u001b" in found


values = (
    st.none()
    | st.text(max_size=80)
    | st.sampled_from(["東京に行く" * 9, "שלום עולם", "👩‍👧" * 30, "a" * 200, "<br>" * 9])
)


@given(values, values, values, st.integers(12, 130), st.booleans())
def test_no_line_is_wider_than_the_terminal(ancestor, desktop, phone, width, whole):
    found = shown(conflict(ancestor, desktop, phone), width=width, whole=whole)
    assert all(cell_len(line) <= width for line in found.split("\n"))


@pytest.mark.parametrize("width", [20, 80])
def test_every_word_of_both_is_to_be_seen(width):
    found = shown(conflict("one two", "one zwei", "uno two"), width=width)
    for word in ("one", "two", "zwei", "uno"):
        assert word in found
