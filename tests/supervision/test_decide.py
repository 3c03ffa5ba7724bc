"""Every combination of findings leads to exactly one next step, with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.agent import Outcome
from muster.domain.task import Autonomy
from muster.domain.verdict import OPTIONS, BreakpointKind, Decision, Finding, Severity, Step
from muster.supervision.case import About, Case, Hold, Policy, Tried, case_json, case_of
from muster.supervision.decide import ASK_EVERY, DEFAULT_PARK_MS, LONGEST_PARK_MS
from muster.supervision.decision import decide
from muster.supervision.evidence import CheckResult

GOOD = Finding("tests.green", Severity.OK, "The tests pass.")
NOTE = Finding("tests.no_new", Severity.NOTE, "There are no new tests.")
ASK = Finding("plan.outside", Severity.ASK, "It goes beyond the plan.")
ABSTAIN = Finding("tests.none", Severity.ABSTAIN, "There is no test command.")
RED = CheckResult("result", "pytest", 1, "exit", 1.0, "r", "E assert 1 == 2")
BASE = CheckResult("base", "pytest", 0, "exit", 1.0, "r", "all well")
VETO = Finding(
    "tests.broken",
    Severity.VETO,
    "It breaks a test.",
    {"about": "result", "runs": [BASE.as_json(), RED.as_json()], "broken": ["t::b"]},
)
NOW = 1_000_000


def decided(
    *findings: Finding,
    autonomy: Autonomy = Autonomy.CONFIRM,
    tries: int = 1,
    max_attempts: int = 3,
    outcome: Outcome = Outcome.COMPLETED,
    retry_at: int | None = None,
    unspent: int = 1,
) -> Decision:
    case = Case(
        findings=findings,
        policy=Policy(autonomy=autonomy, max_attempts=max_attempts),
        outcome=outcome,
        tries=tries,
        retry_at=retry_at,
        now=NOW,
        label="MU-7",
        unspent=unspent,
    )
    return decide(case)


def tried(attempt: int, agent: str = "claude", harm: int = 1, base: str = "b") -> Tried:
    return Tried(attempt, agent, base, f"c{attempt}", "tests.broken: It breaks a test.", harm)


def again(
    *past: Tried, agent: str = "claude", chosen: bool = False, may_split: bool = True, **policy: Any
) -> Decision:
    """What is decided about refused work (harm 2) after these attempts."""
    case = Case(
        findings=(VETO,),
        policy=Policy(autonomy=Autonomy.FULL, max_attempts=9, **policy),
        outcome=Outcome.COMPLETED,
        tries=len(past) + 1,
        agent=agent,
        agent_is_chosen=chosen,
        base="b",
        commit="now",
        past=past,
        may_split=may_split,
    )
    return decide(case)


def test_work_that_is_worse_than_what_it_stands_on_is_taken_back() -> None:
    decision = again(tried(1, harm=2), tried(2, harm=1))
    assert (decision.step, decision.commit) == (Step.ROLL_BACK, "c2")
    assert decision.feedback is not None
    (said,) = decision.feedback["findings"]
    assert "as attempt 2 left them" in said["text"]
    assert again(tried(1, harm=1), roll_back=False).step is Step.RETRY
    assert again(tried(1, harm=2)).step is Step.RETRY  # no worse
    assert again(tried(1, harm=1, base="before the branch moved")).step is Step.RETRY


FALLBACK = {"fallback_agents": ("claude", "codex", "gemini")}


def test_an_agent_that_is_refused_again_and_again_makes_way_for_another_one() -> None:
    assert again(**FALLBACK).step is Step.RETRY
    decision = again(tried(1, harm=2), **FALLBACK)
    assert (decision.step, decision.agent) == (Step.OTHER_AGENT, "codex")
    assert "codex" in decision.reasons[-1]
    assert again(tried(1), tried(2), agent="codex", **FALLBACK).agent is None  # its first try
    third = again(tried(1), tried(2), tried(3, "codex"), agent="codex", **FALLBACK)
    assert (third.step, third.agent) == (Step.OTHER_AGENT, "gemini")
    everybody = [tried(1), tried(2, "codex"), tried(3, "gemini", harm=2)]
    assert again(*everybody, agent="gemini", **FALLBACK).agent is None
    assert again(tried(1, harm=2), fallback_after=3, **FALLBACK).step is Step.RETRY


def test_an_agent_that_a_person_chose_is_not_replaced() -> None:
    assert again(tried(1, harm=2), chosen=True, **FALLBACK).step is Step.RETRY


def test_what_is_refused_so_often_for_what_it_does_is_split_once_nobody_else_can_try() -> None:
    assert again(tried(1)).step is Step.ROLL_BACK  # nobody asked for it
    assert again(split_after=2).step is Step.RETRY
    assert again(tried(1), split_after=2).step is Step.SPLIT
    assert again(tried(1), split_after=2, may_split=False).step is Step.ROLL_BACK
    badly_made = replace(tried(1), of_form=True)
    assert again(badly_made, split_after=2).step is Step.ROLL_BACK
    assert again(badly_made, tried(2), split_after=2).step is Step.SPLIT
    assert again(tried(1), split_after=2, **FALLBACK).step is Step.OTHER_AGENT
    assert again(tried(1), tried(2, "codex"), agent="codex", split_after=2).step is Step.SPLIT


def test_the_last_try_is_split_rather_than_given_up_and_a_person_may_come_before_it() -> None:
    case = Case(
        findings=(VETO,),
        policy=Policy(autonomy=Autonomy.FULL, max_attempts=1, split_after=1),
        outcome=Outcome.COMPLETED,
        tries=1,
        may_split=True,
    )
    assert decide(case).step is Step.SPLIT
    held = decide(replace(case, holds=(Hold("A rule."),)))
    assert (held.step, held.kind, held.feedback) == (Step.ASK, "rule", decide(case).feedback)
    crashed = Finding("agent.crashed", Severity.VETO, "It crashed.")
    crash = replace(case, findings=(crashed,), outcome=Outcome.CRASHED)
    assert decide(crash).step is Step.GIVE_UP
    slow = Finding("agent.timeout", Severity.VETO, "It ran out of time.")
    assert decide(replace(case, findings=(slow,), outcome=Outcome.TIMEOUT)).step is Step.SPLIT


def test_another_agent_goes_on_from_the_better_work_where_the_last_made_it_worse() -> None:
    decision = again(tried(1, harm=1), **FALLBACK)
    assert (decision.step, decision.agent, decision.commit) == (Step.OTHER_AGENT, "codex", "c1")


@pytest.mark.parametrize("autonomy", [Autonomy.MANUAL, Autonomy.CONFIRM])
def test_clean_work_waits_for_a_person_to_merge_it(autonomy: Autonomy) -> None:
    decision = decided(NOTE, GOOD, autonomy=autonomy)
    assert (decision.step, decision.kind) == (Step.ASK, "merge")
    assert decision.question == "Merge MU-7?"
    assert decision.options == ("merge", "retry", "close", "cancel")


def test_clean_work_is_accepted_under_full_autonomy() -> None:
    decision = decided(NOTE, GOOD, autonomy=Autonomy.FULL)
    assert decision.step is Step.ACCEPT
    assert decision.reasons == (GOOD.text, NOTE.text)


@pytest.mark.parametrize("autonomy", Autonomy)
@pytest.mark.parametrize("finding", [ASK, ABSTAIN])
def test_open_evidence_is_asked_about_under_every_autonomy(
    autonomy: Autonomy, finding: Finding
) -> None:
    decision = decided(GOOD, finding, autonomy=autonomy)
    assert (decision.step, decision.kind) == (Step.ASK, "evidence")
    assert decision.reasons[0] == finding.text
    assert finding.text in decision.question


@pytest.mark.parametrize("autonomy", Autonomy)
def test_work_that_nothing_was_found_about_is_never_accepted(autonomy: Autonomy) -> None:
    assert decided(autonomy=autonomy).kind == "evidence"


@pytest.mark.parametrize("autonomy", Autonomy)
def test_refused_work_is_tried_again_with_what_failed(autonomy: Autonomy) -> None:
    decision = decided(GOOD, ASK, VETO, autonomy=autonomy, tries=2)
    assert decision.step is Step.RETRY
    assert decision.counts
    assert decision.feedback is not None
    assert decision.feedback["failing"] == ["t::b"]
    assert decision.feedback["tails"] == [{"name": "result", "tail": "E assert 1 == 2"}]
    assert [f["code"] for f in decision.feedback["findings"]] == ["tests.broken", "plan.outside"]
    assert "without changing, skipping or deleting" in decision.feedback["instructions"]


def test_when_no_try_is_left_full_gives_up_and_others_ask() -> None:
    assert decided(VETO, autonomy=Autonomy.FULL, tries=3).step is Step.GIVE_UP
    decision = decided(VETO, tries=3)
    assert (decision.step, decision.kind) == (Step.ASK, "exhausted")
    assert decision.question == "MU-7 was refused 3 times. Try again?"
    assert decided(VETO, tries=1, max_attempts=1).question.startswith("MU-7 was refused once.")


def test_a_rate_limit_parks_and_is_no_try() -> None:
    decision = decided(VETO, outcome=Outcome.RATE_LIMITED, tries=3, retry_at=NOW + 60_000)
    assert (decision.step, decision.park_until, decision.counts) == (
        Step.PARK,
        NOW + 60_000,
        False,
    )


@pytest.mark.parametrize(
    ("retry_at", "until"),
    [
        (None, NOW + DEFAULT_PARK_MS),
        (NOW - 5, NOW + DEFAULT_PARK_MS),
        (10**18, NOW + LONGEST_PARK_MS),
    ],
)
def test_a_limit_without_a_sensible_end_is_parked_for_a_sensible_time(
    retry_at: int | None, until: int
) -> None:
    assert decided(outcome=Outcome.RATE_LIMITED, retry_at=retry_at).park_until == until


@pytest.mark.parametrize("retry_at", [None, NOW + 60_000])
def test_a_service_that_failed_is_asked_again_later_and_that_is_no_try(retry_at) -> None:
    decision = decided(VETO, outcome=Outcome.UNAVAILABLE, tries=3, retry_at=retry_at)
    assert (decision.step, decision.counts) == (Step.PARK, False)
    assert decision.park_until == (retry_at or NOW + DEFAULT_PARK_MS)


@pytest.mark.parametrize("autonomy", Autonomy)
def test_a_service_that_fails_again_and_again_is_a_problem_for_a_person(autonomy: Autonomy) -> None:
    asked = [
        (decision.step, decision.kind, decision.counts)
        for n in range(2 * ASK_EVERY + 1)
        if (decision := decided(VETO, outcome=Outcome.UNAVAILABLE, autonomy=autonomy, unspent=n))
        and decision.step is not Step.PARK
    ]
    assert asked == [(Step.ASK, "problem", False)] * 2
    assert decided(VETO, outcome=Outcome.RATE_LIMITED, unspent=ASK_EVERY).step is Step.PARK


@pytest.mark.parametrize("autonomy", Autonomy)
def test_an_agent_that_is_not_signed_in_is_a_problem_for_a_person(autonomy: Autonomy) -> None:
    decision = decided(outcome=Outcome.AUTH, autonomy=autonomy)
    assert (decision.step, decision.kind, decision.counts) == (Step.ASK, "problem", False)
    assert "Sign in" in decision.question


def test_a_spent_budget_is_not_spent_again() -> None:
    assert decided(VETO, outcome=Outcome.BUDGET).kind == "problem"
    assert decided(VETO, outcome=Outcome.BUDGET, autonomy=Autonomy.FULL).step is Step.GIVE_UP


def test_a_cancelled_run_is_given_up() -> None:
    assert decided(GOOD, outcome=Outcome.CANCELLED).step is Step.GIVE_UP


def test_an_agent_that_did_not_complete_is_refused_even_without_a_finding_that_says_so() -> None:
    decision = decided(GOOD, outcome=Outcome.CRASHED, autonomy=Autonomy.FULL)
    assert decision.step is Step.RETRY


FINDINGS = st.lists(
    st.builds(
        Finding,
        st.sampled_from(["tests.broken", "tests.none", "change.none", "x.y"]),
        st.sampled_from(Severity),
        st.sampled_from(["One thing.", "Another thing.", ""]),
        st.sampled_from([{}, VETO.evidence, {"about": None, "runs": [], "broken": None}]),
    ),
    max_size=5,
)


@given(
    FINDINGS,
    st.sampled_from(Autonomy),
    st.integers(0, 5),
    st.integers(1, 4),
    st.sampled_from(Outcome),
    st.none() | st.integers(-(10**15), 10**19),
)
def test_every_combination_gives_one_decision_that_keeps_the_promises(
    findings: list[Finding],
    autonomy: Autonomy,
    tries: int,
    max_attempts: int,
    outcome: Outcome,
    retry_at: int | None,
) -> None:
    decision = decided(
        *findings,
        autonomy=autonomy,
        tries=tries,
        max_attempts=max_attempts,
        outcome=outcome,
        retry_at=retry_at,
    )
    severities = {finding.severity for finding in findings}
    assert decision.reasons
    assert all(reason.strip() for reason in decision.reasons)
    if decision.step is Step.ACCEPT:
        assert autonomy is Autonomy.FULL
        assert outcome is Outcome.COMPLETED
        assert severities
        assert severities <= {Severity.OK, Severity.NOTE}
    if decision.step is Step.GIVE_UP:
        assert autonomy is Autonomy.FULL or outcome is Outcome.CANCELLED
    if decision.tries_again:
        assert tries < max_attempts
        assert decision.feedback is not None
    if decision.kind == "merge":
        assert not severities & {Severity.VETO, Severity.ABSTAIN, Severity.ASK}
    assert (decision.step is Step.ASK) == bool(decision.question) == bool(decision.options)
    if decision.step is Step.ASK:
        offered = tuple(map(str, OPTIONS[BreakpointKind(decision.kind)]))
        held = outcome is Outcome.HELD  # whose work was not looked at, so that it is not merged
        assert decision.options == tuple(o for o in offered if not held or o != "merge")
    assert (decision.step is Step.PARK) == (decision.park_until is not None)
    if decision.park_until is not None:
        assert NOW < decision.park_until <= NOW + LONGEST_PARK_MS
    json.dumps(decision.feedback)


TRIED = st.builds(
    Tried,
    st.integers(1, 9),
    st.sampled_from(["claude", "codex"]),
    st.sampled_from(["b", "other", None]),
    st.sampled_from(["c1", "c2", "b", None]),
    st.text(max_size=20),
    st.integers(0, 9),
    st.booleans(),
)
POLICIES = st.builds(
    Policy,
    autonomy=st.sampled_from(Autonomy),
    max_attempts=st.integers(1, 9),
    fallback_agents=st.lists(st.sampled_from(["claude", "codex", "gemini"])).map(tuple),
    fallback_after=st.integers(1, 4),
    roll_back=st.booleans(),
    split_after=st.integers(0, 4),
)
CASES = st.builds(
    Case,
    findings=FINDINGS.map(lambda found: tuple(found) or (VETO,)),
    policy=POLICIES,
    outcome=st.sampled_from(Outcome),
    tries=st.integers(1, 9),
    about=st.sampled_from(About),
    unspent=st.integers(0, 24),
    retry_at=st.none() | st.integers(0, 10**15),
    now=st.integers(0, 10**13),
    agent=st.sampled_from(["claude", "codex"]),
    agent_is_chosen=st.booleans(),
    may_split=st.booleans(),
    base=st.sampled_from(["b", None]),
    commit=st.sampled_from(["c1", "now", None]),
    past=st.lists(TRIED, max_size=5).map(tuple),
    holds=st.lists(st.builds(Hold, st.text(min_size=1, max_size=9)), max_size=2).map(tuple),
)


@given(CASES)
def test_a_case_that_was_kept_is_the_same_case_again(case: Case) -> None:
    if case.about is About.MERGE and not any(f.severity is Severity.VETO for f in case.findings):
        return  # only a refused merge is decided about
    kept = json.loads(json.dumps(case_json(case)))
    assert case_of(kept, case.findings) == case
    decision = decide(case)
    assert decision == decide(case_of(kept, case.findings))
    if decision.agent:
        assert not case.agent_is_chosen
        assert decision.agent not in {case.agent, *(t.agent for t in case.past)}
    if decision.commit:
        assert decision.commit in {t.commit for t in case.past if t.base == case.base}
