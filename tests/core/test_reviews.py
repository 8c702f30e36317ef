"""The review history: a union in which no answer is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from usbsync.core.changes import Change, Review
from usbsync.core.reviews import last_acts, merge_reviews, shared_answers


def review(at: int, cid: int = 1, ease: int = 3, kind: int = 1) -> Review:
    return Review(at, cid, ease, 0, 0, 0, 0, kind)


def made(*rows: Review) -> dict[int, Change]:
    return {row.id: Change(None, row) for row in rows}


ONE, TWO = review(5, ease=1), review(5, ease=2)


def test_what_only_one_side_has_is_kept():
    assert merge_reviews(made(review(1)), made(review(2)), ()) == {1: review(1), 2: review(2)}


def test_what_both_have_is_one():
    assert merge_reviews(made(ONE), made(ONE), ()) == {5: ONE}


def test_of_two_answers_of_one_moment_the_greater_moves_to_the_next_free_one():
    expected = {5: ONE, 8: TWO._replace(id=8)}
    for one, other in ((ONE, TWO), (TWO, ONE)):
        assert merge_reviews(made(one, review(6)), made(other), {5, 7}) == expected | {6: review(6)}


def test_many_that_collide_find_places_of_their_own():
    mine = [review(at, ease=1) for at in (5, 6, 7)]
    theirs = [review(at, ease=2) for at in (5, 6, 7)]
    merged = merge_reviews(made(*mine), made(*theirs), ())
    assert merged == {row.id: row for row in mine} | {at + 3: review(at + 3, ease=2) for at in (5, 6, 7)}


def test_an_answer_that_one_side_removed_comes_back():
    removed = {5: Change(ONE, None)}
    assert merge_reviews(removed, {}, ()) == {5: ONE}
    assert merge_reviews({}, removed, ()) == {5: ONE}
    assert merge_reviews(removed, {5: Change(ONE, TWO)}, ()) == {5: TWO}
    assert merge_reviews(removed, removed, ()) == {5: ONE}


def test_an_answer_altered_since():
    for ancestor, mine, theirs, expected in (
        (ONE, TWO, ONE, TWO), (ONE, ONE, TWO, TWO), (TWO, ONE, TWO, ONE), (review(5, ease=4), ONE, TWO, TWO),
    ):  # fmt: skip
        sides = [{5: Change(ancestor, row)} for row in (mine, theirs)]
        assert merge_reviews(*sides, ()) == {5: expected}


rows = st.builds(review, st.integers(1, 5), st.integers(1, 2), st.integers(1, 3))
histories = st.lists(rows, max_size=5, unique_by=lambda row: row.id)


@given(histories, histories)
def test_no_answer_is_lost_and_none_is_made_up(mine, theirs):
    merged = merge_reviews(made(*mine), made(*theirs), range(4, 8))
    assert all(key == row.id for key, row in merged.items())
    assert sorted(row[1:] for row in merged.values()) == sorted(row[1:] for row in {*mine, *theirs})
    assert merged == merge_reviews(made(*theirs), made(*mine), range(4, 8))
    assert list(merged) == list(merge_reviews(made(*theirs), made(*mine), range(4, 8)))
    assert not (merged.keys() - {row.id for row in (*mine, *theirs)}) & set(range(4, 8))


# --- who acted last ----------------------------------------------------------------------------------


def test_the_last_act_and_whether_a_card_was_answered():
    reviews = made(review(5), review(9, kind=4), review(7, cid=2, kind=5), review(8, cid=2, kind=4))
    assert last_acts(reviews, {}) == {1: (9, True), 2: (8, False)}
    assert last_acts(dict(reversed(reviews.items())), {}) == {1: (9, True), 2: (8, False)}


def test_what_was_altered_or_removed_is_no_act():
    assert last_acts({5: Change(ONE, TWO), 6: Change(review(6), None)}, {}) == {}


def test_what_both_hold_by_way_of_ankiweb_is_no_act_of_either():
    mine, theirs = made(review(5), review(9)), made(review(5))
    assert last_acts(mine, theirs) == {1: (9, True)}
    assert last_acts(theirs, mine) == {}
    assert last_acts(made(ONE), made(TWO)) == {1: (5, True)}


def test_shared_answers_and_lapses():
    lapse, learnt_again, manual = review(5, ease=1), review(6, ease=1, kind=0), review(7, kind=4)
    again_too = learnt_again._replace(id=10)
    rows = (
        lapse,
        learnt_again,
        again_too,
        manual,
        review(8, kind=5),
        review(11),
        review(12),
        review(9, cid=2, kind=2),
    )
    assert shared_answers(made(*rows, ONE._replace(id=20)), made(*rows, TWO._replace(id=20))) == {
        1: (5, 1),
        2: (1, 0),
    }
    assert shared_answers(made(review(1)), made(review(2))) == {}
    assert shared_answers({5: Change(ONE, None)}, {5: Change(ONE, None)}) == {}
