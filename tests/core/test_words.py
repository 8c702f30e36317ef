"""Two texts are told apart word by word, in any script, and nothing of them is lost or split."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from usbsync.core.words import Mark, Piece, differing, printable, readable, right_to_left, words

texts = st.text(max_size=60) | st.lists(
    st.sampled_from(["the", "train", " ", "  ", "\n", "cafe\u0301", "東京", "に", "קטן", "👩‍👧", "🇩🇪🇫🇷", "<b>", ".", "ก็"]), max_size=25
).map("".join)  # fmt: skip


@given(texts)
def test_words_together_are_the_text(text):
    assert "".join(words(text)) == text


@given(texts, texts)
def test_the_pieces_are_both_texts(before, now):
    pieces = differing(before, now)
    assert "".join(p.text for p in pieces if p.mark is not Mark.NEW) == before
    assert "".join(p.text for p in pieces if p.mark is not Mark.GONE) == now
    assert all(p.text for p in pieces)
    assert all(one.mark is not other.mark for one, other in pairwise(pieces))


@given(texts)
def test_a_text_does_not_differ_from_itself(text):
    assert [p.mark for p in differing(text, text)] == [Mark.SAME] * bool(text)


@given(texts, texts, texts)
def test_what_both_begin_and_end_with_is_the_same(head, before, tail):
    """Words at a seam may join; whole lines apart they cannot."""
    one, other = f"{head}\n.{before}.\n{tail}", f"{head}\n..\n{tail}"
    pieces = differing(one, other)
    assert pieces[0].mark is pieces[-1].mark is Mark.SAME


@given(texts)
@example("e\u0301e\u0301")
@example("👩‍👧👍🏽")
def test_no_accent_is_cut_from_its_letter(text):
    for at, word in enumerate(words(text)):
        assert at == 0 or not unicodedata.category(word[0]).startswith("M")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the 8:15, e.g.", ["the", " ", "8", ":", "15", ",", " ", "e", ".", "g", "."]),
        ("今日は東京", ["今", "日", "は", "東", "京"]),
        ("한국어 말", ["한국어", " ", "말"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("🇩🇪a👍🏽", ["🇩🇪", "a", "👍🏽"]),
        ("שלום עולם", ["שלום", " ", "עולם"]),
        ("หน้า", ["หน้า"]),
    ],
)
def test_a_word_is_what_is_read_as_one(text, expected):
    assert words(text) == expected


def test_only_the_words_that_differ_are_marked():
    assert differing("the old train", "the new train") == (
        Piece("the ", Mark.SAME), Piece("old", Mark.GONE), Piece("new", Mark.NEW), Piece(" train", Mark.SAME),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        ("back 0", "from the desk", "[back 0]{from the desk}"),
        ("a b c d", "a x y d", "a [b c]{x y} d"),
        ("one two", "one  two", "one[ ]{  }two"),
        ("a b", "b a", "{b }a[ b]"),
        ("", "new", "{new}"),
        ("x y z", "y", "[x ]y[ z]"),
        ("a b", "x b y", "[a]{x} b{ y}"),
        ("a ", "b ", "[a]{b} "),
    ],
)
def test_marks_reach_over_single_blanks(before, now, shown):
    signs = {Mark.GONE: "[{}]", Mark.NEW: "{{{}}}", Mark.SAME: "{}"}
    assert "".join(signs[piece.mark].format(piece.text) for piece in differing(before, now)) == shown


@pytest.mark.timeout(60)  # it takes far less than a second; by the square of the length it would take hours
def test_texts_of_any_length_are_compared_at_once():
    """Whoever fills a field to vex us gets coarse marks, not a sync that never ends."""
    pieces = differing("a " * 100_000 + "end", "b " * 100_000 + "end")
    assert [p.mark for p in pieces] == [Mark.GONE, Mark.NEW, Mark.SAME]
    differing("a b " * 5000, "a c " * 5000)
    for text in ("<", "<img ", "<!--", "<img src=a ", "a", "<b", "src="):
        assert readable(text * 40_000)
        assert words(text * 40_000)


def test_long_texts_are_compared_sentence_by_sentence_first():
    before = "".join(f"This is sentence {at} of many. " for at in range(200))
    now = before.replace("sentence 3 of", "sentence three of").replace("sentence 190 of", "sentence last of")
    changed = [(p.mark, p.text) for p in differing(before, now) if p.mark is not Mark.SAME]
    assert changed == [(Mark.GONE, "3"), (Mark.NEW, "three"), (Mark.GONE, "190"), (Mark.NEW, "last")]


@given(st.lists(st.integers(0, 399), max_size=30), st.lists(st.integers(0, 399), max_size=30))
@settings(max_examples=30)
def test_long_texts_too_are_both_in_the_pieces(gone, changed):
    old = [f"word {at}. " for at in range(400)]
    new = [("other " if at in changed else "") + text for at, text in enumerate(old) if at not in gone]
    pieces = differing("".join(old), "".join(new))
    assert "".join(p.text for p in pieces if p.mark is not Mark.NEW) == "".join(old)
    assert "".join(p.text for p in pieces if p.mark is not Mark.GONE) == "".join(new)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("plain", "plain"),
        ("a &lt; b &amp;&nbsp;c", "a < b & c"),
        ("<div>one</div><div>two<br>three</div>", "one\ntwo\nthree"),
        ("<ul><li>a</li><li>b</li></ul>after", "• a\n• b\nafter"),
        ('see <img alt="x" src="cat.jpg"> [sound:a.mp3]', "see [image cat.jpg] [sound:a.mp3]"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a<!-- gone -->b <b>bold</b>", "ab bold"),
        ("one\ntwo", "one two"),
    ],
)
def test_a_field_is_read_without_its_markup(field, expected):
    assert readable(field) == expected


@given(st.text())
def test_nothing_commands_the_terminal(text):
    shown = printable(text)
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in shown.replace("\n", ""))
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_what_would_command_a_terminal_is_shown():
    assert printable("\x1b[31m\u202e\x9b\ta\r\nb") == "\\u001b[31m\\u202e\\u009b a\nb"


def test_what_is_read_from_right_to_left():
    assert right_to_left("a שלום")
    assert right_to_left("سلام")
    assert not right_to_left("hello 今日 1")
