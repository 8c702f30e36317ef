"""When phones are synced by themselves: every state that can be reached, and what must hold in each."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from usbsync.core.watching import (
    BACKOFF,
    LONGEST_BACKOFF,
    MOST_PROBLEMS,
    REPLUG,
    STILL,
    STUCK_AGAIN,
    TELL_AFTER,
    TRIES,
    Allowed,
    AnkiClosed,
    AnkiOpened,
    Asked,
    Done,
    Failed,
    Left,
    Moved,
    Revoked,
    Standing,
    Sync,
    Tell,
    Tick,
    Topic,
    Why,
    came,
    forgotten,
    next_due,
    step,
)

ANY_TIME = (
    Allowed(),
    Revoked(),
    Moved(),
    AnkiOpened(),
    AnkiClosed(changed=True),
    AnkiClosed(changed=False),
    Tick(),
    Left(),
)
FAILURES = [Failed(why, problem) for why in Why for problem in ("this", "that")]
OF_A_SYNC = (Asked(), Done(news=True), Done(news=False), *FAILURES)
LATE = 1e9


def beginnings():
    for allowed in (True, False):
        for known in (True, False):
            for anki_open in (True, False):
                yield came(0.0, allowed=allowed, known=known, anki_open=anki_open)[0]


def reachable():
    """Every state, the moment left out; each with every event that can happen in it, and what comes of it."""
    seen, todo = set(), [replace(phone, due=0.0) for phone in beginnings()]
    while todo:
        phone = todo.pop()
        if phone in seen:
            continue
        seen.add(phone)
        running = phone.standing is Standing.SYNCING
        for event in ANY_TIME + (OF_A_SYNC if running else ()):
            after, actions = step(phone, event, LATE)
            yield phone, event, after, actions
            todo.append(replace(after, due=0.0))


ALL = list(reachable())


def test_all_states_are_looked_at():
    assert {phone.standing for phone, *_ in ALL} == set(Standing)
    assert len({phone for phone, *_ in ALL}) > 200


def test_a_sync_begins_only_where_it_may():
    for phone, event, after, actions in ALL:
        if Sync() in actions:
            assert phone.standing in {Standing.DUE, Standing.STUCK}, event
            assert not phone.anki_open
            assert after.standing is Standing.SYNCING


def test_a_sync_that_runs_is_not_begun_again_and_ends_by_its_own_end():
    for phone, event, after, actions in ALL:
        if phone.standing is Standing.SYNCING and event not in OF_A_SYNC:
            assert Sync() not in actions
            assert after.standing in {Standing.SYNCING, Standing.UNASKED, Standing.LEFT}
            assert (after.standing is Standing.LEFT) == (event == Left())


def test_who_was_not_allowed_is_never_synced_before_somebody_says_so():
    for phone, event, after, actions in ALL:
        if phone.standing is Standing.UNASKED:
            assert Sync() not in actions
            wanted = {Allowed(): Standing.DUE, Left(): Standing.LEFT}.get(event, Standing.UNASKED)
            assert after.standing is wanted


def test_nothing_is_told_twice_but_what_was_done():
    for phone, event, _after, actions in ALL:
        told = [action.topic for action in actions if isinstance(action, Tell)]
        problem = event.problem if isinstance(event, Failed) and Topic.FAILED in told else ""
        assert not {(topic, problem) for topic in told} & phone.told, event
        assert len(actions) <= 1


def test_a_sync_without_news_is_quiet():
    assert {actions for _, event, _, actions in ALL if event == Done(news=False)} == {()}
    assert {actions for _, event, _, actions in ALL if event == Done(news=True)} == {(Tell(Topic.DONE),)}


def test_never_busy_after_a_tick_nothing_is_due_at_once():
    for _phone, event, after, _actions in ALL:
        if event == Tick():
            assert after.standing is not Standing.DUE
            assert (next_due({"p": after}) or LATE * 2) > LATE
        if isinstance(event, Failed) and after.standing is Standing.DUE:
            assert after.due >= LATE + BACKOFF


def test_whatever_happened_a_phone_that_may_be_synced_is_once_anki_closes():
    """The liveness beside the safety above."""
    for phone, _event, after, _actions in ALL:
        if after.standing in {Standing.SYNCING, Standing.UNASKED, Standing.LEFT}:
            continue
        later, _ = step(after, AnkiClosed(changed=True), LATE)
        _, actions = step(later, Tick(), LATE * 2)
        assert actions == (Sync(),), phone


def test_a_phone_that_waits_is_synced_though_nothing_changed_on_the_desktop():
    for phone, _event, _after, _actions in ALL:
        if phone.standing is Standing.WAITING:
            assert step(phone, AnkiClosed(changed=False), 0.0)[0].standing is Standing.DUE


def test_at_rest_anki_closing_without_changes_wakes_nobody():
    for phone, _event, _after, _actions in ALL:
        if phone.standing is Standing.RESTING:
            assert step(phone, AnkiClosed(changed=False), 0.0)[0].standing is Standing.RESTING


def stuck(problem="this"):
    phone, _ = came(0.0, allowed=True, known=True, anki_open=False)
    phone, _ = step(phone, Tick(), 1.0)
    return step(phone, Failed(Why.FINAL, problem), 1.0)


@pytest.mark.parametrize("changed", [True, False])
def test_what_was_stuck_is_tried_again_when_the_desktop_changed_and_is_still(changed):
    """However it differs from what was synced last: what was taken away may just be back."""
    phone, _ = stuck()
    for now in (2.0, 3.0):
        phone, _ = step(phone, AnkiClosed(changed=changed), now)
    assert step(phone, Tick(), 2.0 + STILL) == (phone, ())
    assert next_due({"p": phone}) == 3.0 + STILL
    assert step(phone, Tick(), 3.0 + STILL)[1] == (Sync(),)


def test_what_was_stuck_is_tried_again_after_a_while_and_what_was_told_is_not_told_again():
    phone, actions = stuck()
    assert actions == (Tell(Topic.FAILED),)
    assert next_due({"p": phone}) == 1.0 + STUCK_AGAIN
    phone, actions = step(phone, Tick(), 1.0 + STUCK_AGAIN)
    assert actions == (Sync(),)
    again, actions = step(phone, Failed(Why.FINAL, "this"), 1.0 + STUCK_AGAIN)
    assert (again.standing, actions) == (Standing.STUCK, ())
    assert step(phone, Failed(Why.FINAL, "that"), 1.0 + STUCK_AGAIN)[1] == (Tell(Topic.FAILED),)


def test_what_was_stuck_asks_nobody_to_close_anki():
    for phone, event, after, actions in ALL:
        if phone.standing is Standing.STUCK and phone.anki_open and event == Tick():
            assert (after, actions) == (phone, ())
            assert next_due({"p": phone}) is None


def test_a_phone_that_fails_in_ever_other_words_is_told_of_a_few_times_only():
    phone, actions = stuck("0")
    told = len(actions)
    for number in range(1, 30):
        phone, _ = step(phone, Tick(), phone.due)
        phone, actions = step(phone, Failed(Why.FINAL, str(number)), phone.due)
        told += len(actions)
    assert told == MOST_PROBLEMS


def test_what_passes_is_told_once_it_has_lasted_each_problem_by_itself():
    phone, _ = came(0.0, allowed=True, known=True, anki_open=False)
    said = []
    for problem in ("this", "that", "that", "this", "this", "that"):
        phone, _ = step(phone, Tick(), phone.due)
        phone, actions = step(phone, Failed(Why.PASSING, problem), phone.due)
        said.append(actions)
    assert said == [(), (), (Tell(Topic.FAILED),), (Tell(Topic.FAILED),), (), ()]


@pytest.mark.parametrize("why", [Why.TAP, Why.PASSING, Why.CABLE])
def test_failures_are_tried_again_later_each_time_and_not_for_ever(why):
    phone, _ = came(0.0, allowed=True, known=True, anki_open=False)
    now, waits, told = 0.0, [], []
    while phone.standing is Standing.DUE:
        assert step(phone, Tick(), phone.due - 0.01) == (phone, ())
        now = phone.due
        phone, _ = step(phone, Tick(), now)
        phone, actions = step(phone, Failed(why), now)
        told += actions
        waits.append(phone.due - now)
    assert len(told) == 1
    assert phone.failures == TRIES
    assert all(a < b or b == LONGEST_BACKOFF for a, b in pairwise(waits[:-1]))
    assert step(phone, Moved(), now)[0].standing is Standing.DUE  # unlocked, or plugged in again


@pytest.mark.parametrize("why", Why)
def test_a_cable_pulled_in_the_middle_is_told_once_it_is_out(why):
    phone, _ = came(0.0, allowed=True, known=True, anki_open=False)
    assert forgotten(step(phone, Left(), 0.0)[0])
    phone, _ = step(phone, Tick(), 1.0)
    phone, actions = step(phone, Failed(why), 1.0)
    assert (actions == ()) == (why in {Why.CABLE, Why.PASSING, Why.AT_WORK})
    phone, actions = step(phone, Left(), 1.1)
    assert actions == ()  # it may be back at once: a reset of its port
    assert forgotten(phone) == (why is not Why.CABLE)
    assert next_due({"p": phone}) == (1.1 + REPLUG if why is Why.CABLE else None)
    assert step(phone, Tick(), 1.0 + REPLUG) == (phone, ())
    phone, actions = step(phone, Tick(), 1.2 + REPLUG)
    assert actions == ((Tell(Topic.CUT),) if why is Why.CABLE else ())
    assert forgotten(phone)


def test_a_phone_that_left_moves_no_more():
    for phone, event, after, actions in ALL:
        if phone.standing is Standing.LEFT and event != Tick():
            assert (after, actions) == (phone, ())


def test_who_is_at_work_on_it_is_waited_for_without_a_word_and_for_as_long_as_it_takes():
    phone, _ = came(0.0, allowed=True, known=True, anki_open=False)
    for _ in range(TRIES * 2):
        now = phone.due
        phone, _ = step(phone, Tick(), now)
        phone, actions = step(phone, Failed(Why.AT_WORK), now)
        assert (phone.standing, actions) == (Standing.DUE, ())


def test_a_strange_phone_is_told_of_once_ever():
    assert came(0.0, allowed=False, known=False, anki_open=False)[1] == (Tell(Topic.ASK),)
    assert came(0.0, allowed=False, known=True, anki_open=False)[1] == ()
    assert came(0.0, allowed=True, known=False, anki_open=False)[1] == ()


def test_the_next_moment_is_the_earliest_of_those_due():
    due, _ = came(5.0, allowed=True, known=True, anki_open=False)
    later, _ = came(7.0, allowed=True, known=True, anki_open=False)
    resting = replace(due, standing=Standing.RESTING, due=1.0)
    assert next_due({"a": later, "b": due, "c": resting}) == due.due
    assert next_due({"c": resting}) is None


def test_a_cable_that_was_told_to_fail_is_not_told_again_when_it_is_out():
    phone, _ = came(0.0, allowed=True, known=True, anki_open=False)
    for _ in range(TELL_AFTER):
        phone, _ = step(phone, Tick(), phone.due)
        phone, actions = step(phone, Failed(Why.CABLE), phone.due)
    assert actions == (Tell(Topic.FAILED),)
    assert forgotten(step(phone, Left(), phone.due)[0])


@pytest.mark.parametrize("event", OF_A_SYNC)
def test_a_sync_that_ends_after_it_was_revoked_allows_nothing(event):
    phone, _ = came(0.0, allowed=True, known=True, anki_open=False)
    phone, _ = step(phone, Tick(), 1.0)
    phone, _ = step(phone, Revoked(), 1.0)
    after, actions = step(phone, event, 1.0)
    assert after.standing is Standing.UNASKED
    assert Tell(Topic.FAILED) not in actions


def test_anki_is_open_from_its_opening_to_its_closing():
    for phone, event, after, _actions in ALL:
        if phone.standing is not Standing.LEFT and isinstance(event, AnkiOpened | AnkiClosed):
            assert after.anki_open == (event == AnkiOpened())
