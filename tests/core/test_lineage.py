"""Which state a package descends from: the truth table, whole, and what a wrong choice would cost."""

from __future__ import annotations

from itertools import product

import pytest

from usbsync.core.lineage import Evidence, Kind, Trace, base, descends

WHOLE = Trace(0, 0, 0)


@pytest.mark.parametrize("trace", [Trace(1, 0, 0), Trace(0, 0, 1)])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("held", [None, True, False])
def test_what_the_phone_lacks_disproves_every_state(kind, trace, held) -> None:
    assert not descends(Evidence(kind, "m", "m", held, trace, desktop_keeps=True))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("held", [None, True, False])
def test_what_the_phone_has_older_disproves_all_but_what_a_mark_proves(kind, held) -> None:
    older = Trace(0, 1, 0)
    assert descends(Evidence(kind, "m", "m", held, older, desktop_keeps=True)) is (
        kind is Kind.SENT or held is True
    )
    assert descends(Evidence(kind, "m", "n", held, older, desktop_keeps=True)) is (held is True)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("held", [None, True, False])
def test_what_was_taken_from_the_desktop_disproves_every_state(kind, held) -> None:
    assert not descends(Evidence(kind, "m", "m", held, WHOLE, desktop_keeps=False))


@pytest.mark.parametrize(("mark", "phone_mark"), [*product((None, "m", "n"), repeat=2)])
@pytest.mark.parametrize("held", [None, False])
def test_only_its_own_mark_proves_an_answer_imported(mark, phone_mark, held) -> None:
    evidence = Evidence(Kind.SENT, mark, phone_mark, held, WHOLE, desktop_keeps=True)
    assert descends(evidence) is (mark is not None and mark == phone_mark)


@pytest.mark.parametrize("kind", Kind)
def test_the_mark_of_an_answer_proves_all_that_it_was_made_of(kind) -> None:
    assert descends(Evidence(kind, "m", "n", True, WHOLE, desktop_keeps=True))  # noqa: FBT003


@pytest.mark.parametrize("kind", [Kind.GIVEN, Kind.SYNCED])
@pytest.mark.parametrize(("mark", "phone_mark"), [*product((None, "m", "n"), repeat=2)])
def test_what_the_phone_gave_needs_no_mark(kind, mark, phone_mark) -> None:
    assert descends(Evidence(kind, mark, phone_mark, None, WHOLE, desktop_keeps=True))


@pytest.mark.parametrize("kind", [Kind.GIVEN, Kind.SYNCED])
@pytest.mark.parametrize("mark", [None, "m", "n"])
def test_a_phone_that_imported_an_older_answer_since_has_lost_what_it_gave(kind, mark) -> None:
    evidence = Evidence(kind, mark, "n", False, WHOLE, desktop_keeps=True)  # noqa: FBT003
    assert descends(evidence) is (mark == "n")


def given(trace: Trace = WHOLE) -> Evidence:
    return Evidence(Kind.GIVEN, None, "1", None, trace, desktop_keeps=True)


def sent(mark: str) -> Evidence:
    return Evidence(Kind.SENT, mark, "1", None, WHOLE, desktop_keeps=True)


def test_the_newest_proven_state_is_the_base() -> None:
    states = [("M2", sent("2")), ("P2", given(Trace(0, 0, 3))), ("M1", sent("1")), ("P1", given())]
    assert base(states) == "M1"
    assert base([("M2", sent("2")), ("P2", given()), ("M1", sent("1"))]) == "P2"


def test_without_proof_they_never_met() -> None:
    assert base([]) is None
    assert base([("M2", sent("2")), ("P2", given(Trace(1, 0, 0)))]) is None
