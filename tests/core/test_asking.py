"""One answer may settle all of a kind, and nothing is settled that nobody answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core.asking import Answer, Choice, Said, ask_all, kind_of, read_answer
from usbsync.core.conflict import Conflict, Side

units = {
    "notes": ["Front", "Back", "tag x", "deletion"],
    "cards": ["deck", "flag", "deletion"],
    "decks": ["name", "deletion"],
    "config": ["value"],
}
conflicts = st.lists(
    st.sampled_from(sorted(units)).flatmap(
        lambda kind: st.builds(
            Conflict, kind=st.just(kind), id=st.integers(1, 5), title=st.just("t"), unit=st.sampled_from(units[kind]),
            ancestor=st.none(), desktop=st.just("d"), phone=st.just("p"), chosen=st.sampled_from(Side), reason=st.just("r"),
        )
    ),
    max_size=12, unique_by=lambda conflict: conflict.where,
).map(lambda found: sorted(found, key=lambda c: (kind_of(c), c.kind, c.id, c.unit)))  # fmt: skip
whose = st.sampled_from([Choice.DESKTOP, Choice.PHONE, Choice.NEWEST])
answers = st.builds(Answer, whose, st.booleans())


def scripted(given_answers):
    """Return an `ask` that gives answers in turn, then none, and the questions that it was asked."""
    left, asked = list(given_answers), []

    def ask(question):
        asked.append(question)
        return left.pop(0) if left else None

    return ask, asked


def stands(choice, conflict):
    return conflict.chosen if choice is Choice.NEWEST else Side(choice.value)


@given(conflicts, st.lists(answers, min_size=12, max_size=12))
def test_each_conflict_is_settled_as_it_or_its_kind_was_answered(open_, script):
    ask, asked = scripted(script)
    said = ask_all(open_, ask)
    by_number = {question.number: answer for question, answer in zip(asked, script, strict=False)}
    current: dict[str, Choice] = {}
    for number, conflict in enumerate(open_, start=1):
        assert (number in by_number) == (kind_of(conflict) not in current)
        answer = by_number.get(number)
        choice = answer.choice if answer else current[kind_of(conflict)]
        assert said.answers[conflict.where] is stands(choice, conflict)
        if answer and answer.of_all:
            current[kind_of(conflict)] = choice
    assert said.choices == current
    assert len(said.answers) == len(open_)


@given(
    conflicts,
    st.lists(answers, max_size=6),
    st.sampled_from([Answer(Choice.STOP), Answer(Choice.STOP, of_all=True), None]),
)
def test_nothing_is_settled_past_a_stop_or_where_nobody_answers(open_, script, end):  # fmt: skip
    ask, asked = scripted([*script, *([end] if end else [])])
    said = ask_all(open_, ask)
    if len(asked) <= len(script):
        assert said.stopped is said.nobody is None
    elif end:
        assert said.stopped == end
    else:
        assert said.nobody == open_[asked[-1].number - 1]
    if said.stopped or said.nobody:
        assert len(said.answers) == asked[-1].number - 1


@given(conflicts)
def test_a_question_says_how_many_of_its_kind_are_left(open_):
    ask, asked = scripted([Answer(Choice.DESKTOP)] * len(open_))
    ask_all(open_, ask)
    for question, conflict in zip(asked, open_, strict=True):
        assert question.conflict == conflict
        assert question.total == len(open_)
        assert question.left == sum(kind_of(c) == question.kind for c in open_[question.number - 1 :])


@given(conflicts, st.randoms())
def test_kind_by_kind_and_always_in_one_order(open_, random):
    ask, asked = scripted([Answer(Choice.DESKTOP)] * len(open_))
    ask_all(random.sample(open_, len(open_)), ask)
    assert [question.conflict for question in asked] == open_


@given(conflicts, whose)
def test_what_was_said_of_a_kind_holds_for_what_comes_up_later(open_, choice):
    first = Said(choices={kind_of(conflict): choice for conflict in open_})
    ask, asked = scripted([])
    said = ask_all(open_, ask, first)
    assert not asked
    assert said.answers == {conflict.where: stands(choice, conflict) for conflict in open_}


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("", Answer(Choice.NEWEST)),
        ("d", Answer(Choice.DESKTOP)),
        ("Phone", Answer(Choice.PHONE)),
        ("p all", Answer(Choice.PHONE, of_all=True)),
        (" newest  a ", Answer(Choice.NEWEST, of_all=True)),
        ("stop", Answer(Choice.STOP)),
        ("all", None),
        ("x", None),
        ("desktops", None),
        ("d all all", None),
        ("d phone", None),
    ],
)
def test_what_was_typed_is_read_or_asked_again(typed, answer):
    assert read_answer(typed) == answer


@given(st.text())
def test_whatever_is_typed_does_no_harm(text):
    read_answer(text)
