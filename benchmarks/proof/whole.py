"""All stages with confidence: weights from the other changes, and a threshold chosen there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Broken
from benchmarks.proof.cases import TYPE, WRONG, Outcome
from benchmarks.proof.gates import vetoed
from muster.domain.verdict import Finding
from muster.supervision.features import FEATURES, features_of, row_of
from muster.supervision.fitting import fit, leave_one_group_out
from muster.supervision.prior import pull_of
from muster.supervision.reliability import Reliability, reliability_of, suggested_threshold

FOLDS = 5
FEWEST_CHANGES = 2
TARGET = 0.05


@dataclass(frozen=True)
class Whole:
    """Per outcome: how likely it is right by the weights of the other changes, and if accepted."""

    probabilities: list[float]
    accepted: list[bool]
    reliability: Reliability


def rows_of(outcomes: Sequence[Outcome], *, acceptance: bool) -> list[tuple[float, ...]]:
    """The features that muster's model reads; without acceptance tests as if none were there."""
    return [row_of(features_of(_kept(o.findings, acceptance), TYPE)) for o in outcomes]


def _kept(findings: Sequence[Finding], acceptance: bool) -> list[Finding]:
    return [f for f in findings if acceptance or not f.code.startswith("acceptance.")]


def judged(outcomes: Sequence[Outcome], *, acceptance: bool, ridge: float = 1.0) -> Whole:
    """Leave one change out: its own outcomes have no say in its weights, nor in its threshold."""
    rows = rows_of(outcomes, acceptance=acceptance)
    labels = [outcome.truth != WRONG for outcome in outcomes]
    groups = [outcome.change for outcome in outcomes]
    if len(set(groups)) <= FEWEST_CHANGES:
        raise Broken(
            f"{len(set(groups))} changes are too few to leave one out of; take more projects"
        )
    pull = pull_of(ridge)
    probabilities = leave_one_group_out(rows, labels, groups, pull)
    accepted = [False] * len(outcomes)
    names = list(dict.fromkeys(groups))
    for own in names:
        rest = [i for i, group in enumerate(groups) if group != own]
        folds = {name: n % FOLDS for n, name in enumerate(n for n in names if n != own)}
        inner = leave_one_group_out(
            [rows[i] for i in rest],
            [labels[i] for i in rest],
            [folds[groups[i]] for i in rest],
            pull,
        )
        at = suggested_threshold(inner, [labels[i] for i in rest], TARGET)
        for i, group in enumerate(groups):
            if group == own and at is not None:
                sure = probabilities[i] >= at.at
                accepted[i] = sure and not _against(outcomes[i], acceptance)
    pairs = list(zip(probabilities, labels, strict=True))
    return Whole(probabilities, accepted, reliability_of(pairs, TARGET))


def _against(outcome: Outcome, acceptance: bool) -> bool:
    if acceptance:
        return vetoed(outcome)
    rest = [f for f in outcome.findings if not f.code.startswith("acceptance.")]
    return any(f.severity == "veto" for f in rest)


def weights(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The weights fitted to all outcomes, those that are not zero."""
    labels = [outcome.truth != WRONG for outcome in outcomes]
    found = fit(rows_of(outcomes, acceptance=True), labels, pull_of())
    return {n: round(w, 3) for n, w in zip(FEATURES, found.weights, strict=True) if w}
