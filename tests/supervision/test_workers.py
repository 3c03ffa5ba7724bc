"""What a manager's attempt is worth: that of its workers, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest

from muster.domain.agent import Outcome
from muster.domain.task import Autonomy, Stage, Task, TaskType
from muster.domain.verdict import Severity, Step
from muster.supervision.case import About, Case, Policy
from muster.supervision.decision import decide
from muster.supervision.workers import Worked, is_over, judge_workers

GOOD = {"status": "completed", "output": "all of it"}
DONE = Outcome.COMPLETED


def worker(stage: Stage, name: str = "one", merged: str | None = "c" * 40) -> Task:
    return Task(
        "tsk_2", 2, "prj_1", "t", "d", TaskType.CHORE, 5, stage, 1, 0, 0, reason="because",
        merged_commit=merged, parent_id="tsk_1", errand=name,
    )  # fmt: skip


def decided(
    *stages: Stage,
    outcome: Outcome = DONE,
    summary: Any = GOOD,
    had_wish: bool = True,
    **more: Any,
) -> Any:
    team = [Worked(worker(stage), None) for stage in stages]
    found = judge_workers(outcome, "why", summary, team, had_wish=had_wish)
    policy = Policy(
        autonomy=more.pop("autonomy", Autonomy.FULL), max_attempts=more.pop("max_attempts", 3)
    )
    given = {"tries": 1, "label": "MU-1", "about": About.WORKERS, **more}
    return decide(Case(findings=found, policy=policy, outcome=outcome, **given))


@pytest.mark.parametrize("autonomy", Autonomy)
def test_it_is_accepted_unasked_when_nothing_failed(autonomy: Autonomy) -> None:
    good = decided(Stage.COMPLETED, Stage.CANCELLED, autonomy=autonomy)
    assert good.step is Step.ACCEPT
    assert good.reasons[0] == "1 of 2 workers have completed."
    assert decided(Stage.COMPLETED).reasons == ("MU-2 (one) is completed and is merged.",)
    assert decided(autonomy=autonomy, had_wish=False).step is Step.ACCEPT


@pytest.mark.parametrize("autonomy", Autonomy)
@pytest.mark.parametrize("stages", [(), (Stage.CANCELLED,)])
def test_a_wish_for_which_no_worker_did_anything_is_not_called_done(
    autonomy: Autonomy, stages: tuple[Stage, ...]
) -> None:
    asked = decided(*stages, autonomy=autonomy)
    assert asked.step is Step.ASK
    assert "No worker of the manager completed anything" in asked.question


def test_a_failed_worker_is_the_end_and_named_and_a_person_may_try_again() -> None:
    full = decided(Stage.COMPLETED, Stage.FAILED)
    assert full.step is Step.GIVE_UP
    assert full.reasons[0] == "MU-2 (one) failed: because"
    asked = decided(Stage.FAILED, autonomy=Autonomy.CONFIRM)
    assert (asked.step, asked.kind) == (Step.ASK, "problem")
    assert "MU-2 (one) failed" in asked.question
    assert "retry" in asked.options


def test_its_own_word_that_it_failed_counts_against_it_at_once() -> None:
    said = {"status": "failed", "output": "no"}
    assert decided(Stage.COMPLETED, summary=said).step is Step.GIVE_UP


def test_without_a_summary_it_is_tried_again_until_no_try_is_left() -> None:
    assert decided(Stage.COMPLETED, summary=None).step is Step.RETRY
    assert decided(Stage.COMPLETED, summary=None, tries=3).step is Step.GIVE_UP


@pytest.mark.parametrize(
    ("outcome", "step"),
    [
        (Outcome.CRASHED, Step.RETRY),
        (Outcome.RATE_LIMITED, Step.PARK),
        (Outcome.AUTH, Step.ASK),
        (Outcome.CANCELLED, Step.GIVE_UP),
    ],
)
def test_an_ending_that_says_nothing_of_the_workers_is_decided_as_that_of_any_task(
    outcome: Outcome, step: Step
) -> None:
    assert decided(Stage.FAILED, outcome=outcome).step is step


@pytest.mark.parametrize("stage", Stage)
def test_an_attempt_with_a_summary_is_over_when_no_worker_is_open(stage: Stage) -> None:
    ended = stage in {Stage.COMPLETED, Stage.FAILED, Stage.CANCELLED}
    assert is_over(DONE, GOOD, [worker(Stage.COMPLETED), worker(stage)]) is ended
    assert is_over(DONE, None, [worker(stage)])
    assert is_over(Outcome.CRASHED, GOOD, [worker(stage)])


def test_the_evidence_names_each_worker_with_its_verdict() -> None:
    (found,) = judge_workers(DONE, "", GOOD, [Worked(worker(Stage.COMPLETED), True)], had_wish=True)
    assert (found.code, found.severity) == ("worker.completed", Severity.OK)
    assert found.evidence["passed"] is True
    assert found.evidence["merged_commit"] == "c" * 40
    assert found.text == "MU-2 (one) is completed and is merged."
