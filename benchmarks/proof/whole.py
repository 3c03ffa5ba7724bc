"""All stages with confidence: weights from the other releases, and a threshold chosen there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from benchmarks.figures import Broken
from benchmarks.proof.cases import TYPE, WRONG, Outcome
from benchmarks.proof.gates import vetoed
from muster.domain.verdict import Finding
from muster.supervision.confidence import confidence_of
from muster.supervision.features import FEATURES, features_of, row_of
from muster.supervision.fitting import Pull, fit, leave_one_group_out
from muster.supervision.prior import Prior, parse_prior, pull_of
from muster.supervision.reliability import Reliability, reliability_of, suggested_threshold

BY_HAND = Path(__file__).with_name("by_hand.json")
FOLDS = 6
FEWEST_RELEASES = 2
TARGETS = (0.05, 0.1, 0.15, 0.2)
"""Shares of wrong work that what is accepted must not be above, with 95 % certainty."""


@cache
def by_hand() -> Prior:
    """The weights that were chosen before this set was there; a fit is drawn to them."""
    return parse_prior(BY_HAND.read_text("utf-8"))


def pull() -> Pull:
    """How weights are fitted here, and for the file that is shipped."""
    return pull_of(toward=by_hand())


@dataclass(frozen=True)
class Whole:
    """Per outcome: how likely it is right by the weights of the other releases, and if accepted.

    `accepted_at` tells that for each of `TARGETS`.
    """

    probabilities: list[float]
    accepted_at: Mapping[float, list[bool]]
    reliability: Reliability

    @property
    def accepted(self) -> list[bool]:
        """What is accepted with the target that muster has unless somebody says else."""
        return self.accepted_at[TARGETS[0]]


def rows_of(outcomes: Sequence[Outcome], *, acceptance: bool) -> list[tuple[float, ...]]:
    """The features that muster's model reads; without acceptance tests as if none were there."""
    return [row_of(features_of(_kept(o.findings, acceptance), TYPE)) for o in outcomes]


def _kept(findings: Sequence[Finding], acceptance: bool) -> list[Finding]:
    return [f for f in findings if acceptance or not f.code.startswith("acceptance.")]


def judged(outcomes: Sequence[Outcome], *, acceptance: bool) -> Whole:
    """Leave one release out: its own outcomes have no say in its weights, nor in its threshold.

    Parts of one release are left out together.
    """
    rows = rows_of(outcomes, acceptance=acceptance)
    labels = [outcome.truth != WRONG for outcome in outcomes]
    groups = [outcome.release for outcome in outcomes]
    names = list(dict.fromkeys(groups))
    if len(names) <= FEWEST_RELEASES:
        raise Broken(f"{len(names)} releases are too few to leave one out of; take more projects")
    probabilities = leave_one_group_out(rows, labels, groups, pull())
    free = [not _against(outcome, acceptance) for outcome in outcomes]
    folds = {name: n % FOLDS for n, name in enumerate(names)}
    known = _known_to(rows, labels, [folds[group] for group in groups])
    accepted = {}
    for target in TARGETS:
        bars = {}
        for fold, said in known.items():
            fit_for = [i for i in said if free[i]]
            at = suggested_threshold(
                [said[i] for i in fit_for], [labels[i] for i in fit_for], target
            )
            bars[fold] = at.at if at else None
        accepted[target] = [
            free[i] and (bar := bars[folds[groups[i]]]) is not None and p >= bar
            for i, p in enumerate(probabilities)
        ]
    pairs = list(zip(probabilities, labels, strict=True))
    return Whole(probabilities, accepted, reliability_of(pairs, TARGETS[0]))


def _known_to(
    rows: Sequence[tuple[float, ...]], labels: Sequence[bool], folds: Sequence[int]
) -> dict[int, dict[int, float]]:
    """Per fold what is said of each row of the others, by weights that know of neither."""
    every = sorted(set(folds))
    found: dict[int, dict[int, float]] = {fold: {} for fold in every}
    for one, other in combinations(every, 2):
        rest = [i for i, fold in enumerate(folds) if fold not in {one, other}]
        fitted = fit([rows[i] for i in rest], [labels[i] for i in rest], pull())
        for i, fold in enumerate(folds):
            if fold in {one, other}:
                found[other if fold == one else one][i] = fitted.probability(rows[i])
    return found


def across_projects(outcomes: Sequence[Outcome]) -> Reliability | None:
    """The same with a whole project left out; None of only one."""
    groups = [outcome.project for outcome in outcomes]
    if len(set(groups)) < 2:
        return None
    labels = [outcome.truth != WRONG for outcome in outcomes]
    said = leave_one_group_out(rows_of(outcomes, acceptance=True), labels, groups, pull())
    return reliability_of(zip(said, labels, strict=True), TARGETS[0])


def abstained(outcomes: Sequence[Outcome]) -> float:
    """Of how much that nothing speaks against muster says nothing without acceptance tests."""
    said = [
        confidence_of(_kept(o.findings, acceptance=False), TYPE).value
        for o in outcomes
        if not _against(o, acceptance=False)
    ]
    return sum(value is None for value in said) / len(said) if said else 1.0


def _against(outcome: Outcome, acceptance: bool) -> bool:
    if acceptance:
        return vetoed(outcome)
    rest = [f for f in outcome.findings if not f.code.startswith("acceptance.")]
    return any(f.severity == "veto" for f in rest)


def weights(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The weights fitted to all outcomes, those that are not zero."""
    labels = [outcome.truth != WRONG for outcome in outcomes]
    found = fit(rows_of(outcomes, acceptance=True), labels, pull())
    return {n: round(w, 3) for n, w in zip(FEATURES, found.weights, strict=True) if w}
