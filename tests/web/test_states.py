"""The state that a task shows: one resolver, total, and honest about who is needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.task import Stage, Status
from muster.web.states import LOOKS, STEPS, State, bar, candidates, resolve, standing

STATUSES = st.sampled_from(list(Status))


@given(STATUSES, st.booleans(), st.booleans())
def test_every_task_shows_exactly_one_state_the_first_that_is_true(status, asked, held):
    true = candidates(status, asked, held)
    shown = resolve(status, asked=asked, held=held)
    assert shown in true
    assert all(list(State).index(shown) <= list(State).index(other) for other in true)


@given(STATUSES, st.booleans(), st.booleans())
def test_a_task_needs_you_if_and_only_if_an_open_decision_exists(status, asked, held):
    assert (resolve(status, asked=asked, held=held) is State.NEEDS_YOU) == asked


@given(st.lists(st.tuples(STATUSES, st.booleans(), st.booleans()), max_size=40))
def test_whatever_happens_to_a_task_the_badge_follows_the_decision_row(history):
    shown = [resolve(status, asked=asked, held=held) for status, asked, held in history]
    assert [s is State.NEEDS_YOU for s in shown] == [asked for _, asked, _ in history]


@given(STATUSES)
def test_a_paused_fleet_holds_only_what_has_not_begun(status):
    free = resolve(status, asked=False, held=False)
    held = resolve(status, asked=False, held=True)
    assert (held is State.PAUSED) == (status in {Status.QUEUED, Status.PROPOSED})
    assert held in {free, State.PAUSED}


def test_every_state_has_a_word_of_its_own_and_a_tone():
    assert set(LOOKS) == set(State)
    assert len({look.word for look in LOOKS.values()}) == len(State)


@given(st.sampled_from(list(Stage)), STATUSES, st.booleans(), st.booleans())
def test_the_bar_has_five_parts_and_nothing_after_where_the_task_stands(stage, status, asked, work):
    task = {"stage": stage.value, "attempt": 1, "result_commit": "c" if work else None}
    parts = bar(task, resolve(status, asked=asked, held=False))
    at = standing(task)
    assert len(parts) == len(STEPS)
    assert all(part == "d" for part in parts[: max(at, 0)])
    assert not any(parts[at + 1 :]) or at == -1


@pytest.mark.parametrize(
    ("stage", "attempt", "result", "at"),
    [
        ("queued", 0, None, -1),
        ("preparing", 1, None, 0),
        ("running", 1, None, 1),
        ("validating", 1, "c", 2),
        ("waiting", 1, "c", 3),
        ("merging", 1, "c", 4),
        ("completed", 1, "c", 5),
        ("failed", 1, "c", 2),
        ("failed", 1, None, 1),
        ("cancelled", 0, None, -1),
    ],
)
def test_a_task_stands_where_its_work_stopped(stage, attempt, result, at):
    assert standing({"stage": stage, "attempt": attempt, "result_commit": result}) == at
