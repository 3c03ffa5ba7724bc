"""Confidence follows the evidence, tells why, says when it does not know, and can be made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.agent import Outcome
from muster.domain.confidence import Calibration, Confidence
from muster.domain.errors import Invalid
from muster.domain.task import TaskType
from muster.domain.verdict import Decision, Finding, Severity, Step, Verdict
from muster.supervision.bar import over_the_bar
from muster.supervision.calibration import LEAST_OUTCOMES, calibration_of
from muster.supervision.case import Case, Policy
from muster.supervision.confidence import confidence_of, recomputed
from muster.supervision.features import FEATURES, features_of
from muster.supervision.prior import parse_prior, prior_from, prior_text, the_prior

OK, NOTE, ASK, VETO = Severity.OK, Severity.NOTE, Severity.ASK, Severity.VETO
ABSTAIN = Severity.ABSTAIN
ACCEPT = Decision(Step.ACCEPT, ("The tests pass.",))
SOME = Calibration(1.0, 0.0, 30, 10)


def found(code: str, severity: Severity = OK, **evidence: Any) -> Finding:
    return Finding(code, severity, f"About {code}.", evidence)


GREEN = found("tests.green")
PASSED = found("acceptance.passed", tests=["a", "b"], visible=1, hidden=1, author="agt_1")
REACHES = found("acceptance.passed", tests=["a", "b"], share=1.0, covered=1, lines=1)


def covered(share: float) -> Finding:
    return found("coverage.changed", share=share, covered=1, lines=1, by="calls")


def sure_of(*findings: Finding, calibration: Calibration | None = None) -> Confidence:
    return confidence_of(findings, TaskType.BUG, calibration=calibration)


def value_of(*findings: Finding) -> float:
    value = sure_of(*findings).value
    assert value is not None
    return value


# --- features -------------------------------------------------------------------------------------


def test_what_no_finding_tells_is_not_known_and_never_good():
    features = features_of([], TaskType.CHORE)

    assert list(features) == list(FEATURES)
    assert {name for name, value in features.items() if value} == {
        *("tests_unknown", "acceptance_unknown", "acceptance_reach_unknown"),
        "coverage_unknown",
        *("mutants_unknown", "review_unknown"),
    }


@pytest.mark.parametrize(
    ("finding", "told"),
    [
        (found("tests.broken", VETO), {"tests_broken": 1}),
        (found("tests.only_by_changed_tests", ASK), {"tests_broken": 0, "tests_green": 1}),
        (found("tests.no_report", ABSTAIN), {"tests_unknown": 1, "tests_green": 0}),
        (found("tests.flaky", NOTE, tests=["t"], reruns=3), {"tests_flaky": 1}),
        (found("tests.missing", ASK), {"tests_weakened": 1}),
        (found("tests.proven"), {"tests_proven": 1}),
        (found("acceptance.failed", VETO, failed=["t"]), {"acceptance_failed": 1}),
        (PASSED, {"acceptance_passed": 1, "acceptance_unknown": 0}),
        (PASSED, {"acceptance_reach": 0, "acceptance_reach_unknown": 1}),
        (found("acceptance.passed", tests=1, share=0.5), {"acceptance_reach": 0.5}),
        (found("acceptance.passed", tests=1, share=1.0), {"acceptance_reach_full": 1}),
        (covered(0.5), {"coverage": 0.5, "coverage_high": 0, "coverage_unknown": 0}),
        (covered(0.8), {"coverage_high": 1, "coverage_full": 0}),
        (covered(1.0), {"coverage_full": 1}),
        (found("coverage.changed", share="1e99"), {"coverage": 0, "coverage_unknown": 1}),
        (found("coverage.changed", share=float("nan")), {"coverage_unknown": 1}),
        (found("coverage.unknown", NOTE), {"coverage_unknown": 1}),
        (found("mutants.changed", share=0.9, enough=True), {"mutants_killed": 0.9}),
        (found("mutants.changed", share=0.9, enough=False), {"mutants_unknown": 1}),
        (found("lint.new", VETO), {"lint_new": 1, "lint_clean": 0}),
        (found("lint.old", NOTE), {"lint_clean": 1}),
        (found("type.new", VETO), {"types_new": 1}),
        (found("review.rubric", NOTE, yes=3, no=1), {"review_yes": 0.75, "review_unknown": 0}),
        (found("review.rubric", NOTE, yes=0, no=0), {"review_unknown": 1}),
        (found("review.rubric", NOTE, yes="lots"), {"review_unknown": 1}),
        (found("change.secret", VETO), {"change_refused": 1}),
        (found("change.stub", ASK), {"unfinished": 1, "change_refused": 0}),
        (found("files.outside_plan", NOTE), {"outside": 1}),
        (found("size.large", NOTE), {"large": 1}),
    ],
    ids=lambda part: part.code if isinstance(part, Finding) else "",
)
def test_each_finding_becomes_the_numbers_that_it_stands_for(
    finding: Finding, told: Mapping[str, float]
):
    features = features_of([GREEN, finding], TaskType.BUG)

    assert {name: features[name] for name in told} == told


def test_a_judging_model_has_a_say_only_by_its_answers():
    plain = found("review.rubric", NOTE, yes=2, no=1)
    boasting = found("review.rubric", NOTE, yes=2, no=1, confidence=0.99, score=100)

    assert sure_of(GREEN, PASSED, plain) == sure_of(GREEN, PASSED, boasting)


# --- the number -----------------------------------------------------------------------------------


def test_the_shipped_weights_say_about_what_the_planted_defects_showed():
    assert 0.65 < value_of(GREEN, PASSED) < 0.9
    assert 0.9 < value_of(GREEN, REACHES, covered(1.0)) < 0.98
    assert value_of(GREEN, found("acceptance.failed", VETO)) < 0.02
    assert value_of(found("tests.broken", VETO)) < 0.05


@pytest.mark.parametrize(
    ("findings", "why"),
    [
        ((), "No tests show"),
        ((found("tests.none", ABSTAIN),), "No tests show"),
        ((GREEN,), "existing tests alone"),
        ((GREEN, covered(1.0), found("lint.clean")), "existing tests alone"),
        ((GREEN, PASSED, found("agent.timeout", VETO)), "did not finish"),
        ((found("change.none", VETO),), "Nothing has changed"),
    ],
)
def test_it_abstains_and_says_why_where_nothing_shows_it(findings: tuple[Finding, ...], why: str):
    sure = sure_of(*findings)

    assert sure.value is None
    assert why in sure.abstains


def test_enough_outcomes_of_the_project_let_it_speak_without_acceptance_tests():
    assert sure_of(GREEN, covered(0.9), calibration=SOME).value is not None
    assert sure_of(found("tests.none", ABSTAIN), calibration=SOME).value is None


def test_it_tells_the_three_strongest_reasons_for_and_against_with_what_each_moved():
    sure = sure_of(
        *(GREEN, REACHES, covered(1.0), found("lint.clean"), found("review.rubric", yes=9, no=0)),
        *(found("tests.skipped", ASK), found("change.stub", ASK), found("plan.outside", ASK)),
    )

    assert [r.text for r in sure.for_] == [
        "Acceptance tests of another agent pass, and run 100 % of the changed lines.",
        "The existing tests pass.",
        "The reviewing model says yes to 100 % of the rubric.",
    ]
    assert len(sure.against) == 3
    assert [r.share for r in sure.for_] == sorted((r.share for r in sure.for_), reverse=True)
    assert all(r.share < 0 for r in sure.against)


BETTER: tuple[tuple[Finding | None, Finding | None], ...] = (
    (found("acceptance.failed", VETO), PASSED),
    (None, PASSED),
    (found("acceptance.passed", tests=["a"]), PASSED),
    (found("acceptance.passed", tests=["a"], share=0.5), REACHES),
    (None, covered(0.1)),
    (found("tests.broken", VETO), GREEN),
    (found("lint.new", VETO), found("lint.clean")),
    (None, found("lint.clean")),
    (found("type.new", VETO), found("type.clean")),
    (covered(0.3), covered(0.7)),
    (covered(0.7), covered(1.0)),
    (
        found("mutants.changed", share=0.2, enough=True),
        found("mutants.changed", share=0.9, enough=True),
    ),
    (found("review.rubric", yes=1, no=5), found("review.rubric", yes=5, no=1)),
    (found("tests.skipped", ASK), None),
    (found("change.stub", ASK), None),
    (None, found("tests.proven")),
    (found("change.secret", VETO), None),
)
others = st.lists(
    st.sampled_from([pair[1] for pair in BETTER if pair[1]] + [p[0] for p in BETTER if p[0]]),
    max_size=5,
)
bends = st.none() | st.builds(
    lambda slope, shift: Calibration(slope, shift, 30, 10), st.floats(0, 3), st.floats(-2, 2)
)


def _family(finding: Finding) -> str:
    return finding.code.split(".")[0]


@given(st.sampled_from(BETTER), others, bends, st.booleans())
def test_better_evidence_never_lowers_it(
    pair: tuple[Finding | None, Finding | None],
    beside: list[Finding],
    bend: Calibration | None,
    fitted: bool,
):
    family = next(_family(f) for f in pair if f)
    rest = [f for f in beside if _family(f) != family]
    prior = FITTED if fitted else the_prior()
    worse, better = (
        confidence_of([*rest, *filter(None, [f])], TaskType.BUG, prior=prior, calibration=bend)
        for f in pair
    )

    assert better.logit >= worse.logit
    if better.value is not None and worse.value is not None:
        assert better.value >= worse.value


# Weights fitted to outcomes that say the opposite of all sense are held on their sides.
FITTED = prior_from(
    [features_of(list(filter(None, [f])), TaskType.BUG) for pair in BETTER for f in pair],
    [right for _ in BETTER for right in (True, False)],
    version="upside-down",
    date="2026-01-01",
    source="a test",
)


@given(others, bends, st.sampled_from(TaskType))
def test_a_stored_verdict_says_the_same_again(
    findings: list[Finding], bend: Calibration | None, task_type: TaskType
):
    sure = confidence_of(findings, task_type, calibration=bend)
    kept = Confidence.of_json(json.loads(json.dumps(sure.as_json())))
    verdict = Verdict("vdt_1", "tsk_1", 1, None, tuple(findings), ACCEPT, sure.value, 0, sure=kept)

    again = recomputed(verdict, task_type)
    assert again == sure
    assert again.as_json() == kept.as_json() == sure.as_json()


# --- weights --------------------------------------------------------------------------------------


def test_weights_survive_their_file_and_are_those_that_were_fitted():
    again = parse_prior(prior_text(FITTED))

    assert again.version == "upside-down"
    assert again.weights == {name: round(w, 4) for name, w in FITTED.weights.items()}
    assert prior_text(again) == prior_text(FITTED)
    assert prior_text(the_prior()).count('"weight"') == len(FEATURES)


def test_a_fit_leaves_what_its_rows_do_not_tell_apart_where_it_was():
    rows = [features_of([GREEN, f], TaskType.BUG) for f in (PASSED, found("acceptance.failed"))]
    made = prior_from(
        rows * 40, [True, False] * 40, version="v", date="2026-01-01", source="", toward=the_prior()
    )

    told = {name for name in FEATURES if rows[0][name] != rows[1][name]}
    assert told == {"acceptance_passed", "acceptance_many", "acceptance_failed"}
    kept = {*FEATURES} - told
    assert {n: made.weights[n] for n in kept} == pytest.approx(
        {n: the_prior().weights[n] for n in kept}, abs=1e-4
    )
    assert set(made.origins) == set(the_prior().origins) - told


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["features"].pop("coverage"), "coverage"),
        (lambda d: d["features"].update(luck={"weight": 1}), "luck"),
        (lambda d: d["features"]["acceptance_passed"].update(weight=-1), "acceptance_passed"),
        (lambda d: d["features"]["tests_broken"].update(weight=0.1), "tests_broken"),
        (lambda d: d.update(bias=float("nan")), "no numbers"),
        (lambda d: d.update(bias="much"), "much"),
        (lambda d: d.pop("version"), "version"),
        (lambda d: d.update(features=[]), "features|list"),
    ],
)
def test_weights_that_cannot_be_right_are_refused(change: Any, why: str):
    document = json.loads(prior_text(the_prior()))
    change(document)
    with pytest.raises(Invalid, match=why):
        parse_prior(json.dumps(document))


# --- a project's own outcomes ---------------------------------------------------------------------


def test_outcomes_count_only_once_there_are_enough_of_both_kinds():
    few = [(1.0, True)] * 10 + [(1.0, False)] * (LEAST_OUTCOMES - 11)

    assert calibration_of([]) is None
    assert calibration_of(few) is None
    assert calibration_of([(1.0, True)] * 100) is None
    bend = calibration_of([*few, (1.0, False)])
    assert bend is not None
    assert (bend.outcomes, bend.wrong) == (20, 10)


def test_outcomes_worse_than_what_was_said_lower_what_is_said():
    said = sure_of(GREEN, PASSED)
    bend = calibration_of([(said.logit, i % 2 == 0) for i in range(60)])
    assert bend is not None
    now = sure_of(GREEN, PASSED, calibration=bend)

    assert said.value is not None
    assert now.value is not None
    assert 0.45 < now.value < said.value - 0.1


# --- the bar --------------------------------------------------------------------------------------


def at_the_bar(decision: Decision, sure: Confidence, bar: float | None) -> Decision:
    """The decision as a project with this bar leaves it."""
    case = Case(
        findings=(), policy=Policy(accept_at=bar), outcome=Outcome.COMPLETED, tries=1, sure=sure,
        label="MU-1",
    )  # fmt: skip
    return over_the_bar(decision, case)


def test_without_a_bar_the_evidence_alone_decides():
    assert at_the_bar(ACCEPT, sure_of(GREEN), None) is ACCEPT


def test_only_what_would_be_accepted_meets_the_bar():
    refused = Decision(Step.RETRY, ("red",))
    assert at_the_bar(refused, sure_of(), 0.99) is refused


@pytest.mark.parametrize(
    ("sure", "bar", "why"),
    [
        (sure_of(GREEN), 0.1, "does not say"),
        (sure_of(GREEN, PASSED), 0.1, "Too few outcomes"),
        (sure_of(GREEN, PASSED, covered(0.79)), 0.1, "Too few outcomes"),
        (sure_of(GREEN, PASSED, covered(0.9)), 0.99, "below the 0.99"),
        (sure_of(GREEN, covered(0.9), calibration=SOME), 0.9, "below the 0.9"),
    ],
)
def test_what_does_not_reach_the_bar_is_put_to_a_person(sure: Confidence, bar: float, why: str):
    decision = at_the_bar(ACCEPT, sure, bar)

    assert decision.step is Step.ASK
    assert decision.kind == "merge"
    assert "merge" in decision.options
    assert why in decision.reasons[0]
    assert decision.question.startswith("Merge MU-1?")
    assert decision.reasons[1:] == ACCEPT.reasons


def test_what_reaches_the_bar_is_accepted():
    sure = sure_of(GREEN, PASSED, covered(0.9))
    assert at_the_bar(ACCEPT, sure, sure.value) is ACCEPT
    known = replace(sure_of(GREEN, calibration=SOME), value=0.95)
    assert at_the_bar(ACCEPT, known, 0.9) is ACCEPT
