"""How likely is it that the work is right? One number from the evidence, with reasons, or none.

Pure: the same findings, weights and outcomes always give the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from muster.domain.confidence import Calibration, Confidence, Reason
from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity, Verdict
from muster.supervision.features import FEATURES, HIGH, NOT_KNOWN, features_of
from muster.supervision.fitting import Platt
from muster.supervision.prior import Prior, the_prior

MOST_REASONS = 3
_LEAST_SHARE = 0.05
"""A reason that moves the sum by less is none."""

_AGAINST = ("tests_broken", "acceptance_failed", "lint_new", "types_new", "change_refused")


def confidence_of(
    findings: Iterable[Finding],
    task_type: TaskType,
    *,
    prior: Prior | None = None,
    calibration: Calibration | None = None,
) -> Confidence:
    """How likely work with these findings is right.

    `prior` are the weights, the shipped ones unless they are given; `calibration` is what the
    project's own outcomes make of them, once they count.
    """
    found = tuple(findings)
    weights = prior or the_prior()
    features = features_of(found, task_type)
    logit = round(weights.logit(features), 6)
    bend = Platt(calibration.slope, calibration.shift) if calibration else Platt()
    why = _abstains(found, features, calibrated=calibration is not None)
    reasons = _reasons(features, weights, task_type)
    return Confidence(
        value=None if why else round(bend.probability(logit), 4),
        for_=tuple(r for r in reasons if r.share > 0)[:MOST_REASONS],
        against=tuple(r for r in reasons if r.share < 0)[:MOST_REASONS],
        abstains=why,
        features=features,
        logit=logit,
        prior=weights.version,
        calibration=calibration,
    )


def recomputed(verdict: Verdict, task_type: TaskType, prior: Prior | None = None) -> Confidence:
    """What is said of a stored verdict now, with the outcomes that counted then."""
    then = verdict.sure.calibration if verdict.sure else None
    return confidence_of(verdict.findings, task_type, prior=prior, calibration=then)


def _abstains(
    found: tuple[Finding, ...], features: Mapping[str, float], *, calibrated: bool
) -> str:
    """Why there is no number, if there is none."""
    vetoes = {f.code for f in found if f.severity is Severity.VETO}
    if any(code.startswith("agent.") for code in vetoes):
        return "The agent did not finish its work, so nothing was judged."
    if "change.none" in vetoes:
        return "Nothing has changed, so there is nothing to be sure of."
    if any(features[name] for name in _AGAINST):
        return ""
    if features["tests_unknown"] and features["acceptance_unknown"]:
        return "No tests show whether this work is right."
    if features["acceptance_unknown"] and not calibrated:
        return "No acceptance tests were run, and existing tests alone tell too little."
    return ""


def _reasons(features: Mapping[str, float], prior: Prior, task_type: TaskType) -> list[Reason]:
    """What is known, by how much it moves the sum away from not knowing it; the strongest first."""
    shares: dict[str, float] = {}
    for name, feature in FEATURES.items():
        apart = prior.weights[name] * (features[name] - NOT_KNOWN.get(name, 0.0))
        shares[feature.group] = shares.get(feature.group, 0.0) + apart
    strong = [(group, share) for group, share in shares.items() if abs(share) >= _LEAST_SHARE]
    strong.sort(key=lambda pair: (-abs(pair[1]), pair[0]))
    return [
        Reason(_sentence(group, features, task_type), round(share, 3)) for group, share in strong
    ]


def _sentence(group: str, features: Mapping[str, float], task_type: TaskType) -> str:
    """What is known of one kind of evidence."""
    told = {
        "acceptance": lambda: _accepted(features),
        "coverage": lambda: _share("The tests run {} of the changed lines.", features["coverage"]),
        "mutants": lambda: _share(
            "The tests notice {} of the faults planted in the changed lines.",
            features["mutants_killed"],
        ),
        "review": lambda: _share(
            "The reviewing model says yes to {} of the rubric.", features["review_yes"]
        ),
        "type": lambda: f"It is a task of the type {task_type}.",
    }
    for name, sentence in _SENTENCES.get(group, {}).items():
        if features[name]:
            return sentence
    return told[group]()


def _accepted(features: Mapping[str, float]) -> str:
    passed = "Acceptance tests of another agent pass"
    if features["acceptance_reach_unknown"]:
        return f"{passed}."
    reach = features["acceptance_reach"]
    return _share(passed + ", and run {} of the changed lines.", reach)


def _share(sentence: str, share: float) -> str:
    return sentence.format(f"{math.floor(share * 100)} %")


_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "tests": {
        "tests_broken": "The existing tests do not pass.",
        "tests_green": "The existing tests pass.",
    },
    "flaky": {"tests_flaky": "Some tests pass and fail by chance."},
    "proof": {
        "tests_proven": "New tests fail without the change and pass with it.",
        "tests_prove_nothing": "The new tests prove nothing.",
        "tests_none_new": "It comes without new tests.",
    },
    "weakened": {"tests_weakened": "Tests were deleted, skipped or weakened."},
    "acceptance": {"acceptance_failed": "Acceptance tests of another agent fail."},
    "lint": {
        "lint_new": "The linter has new complaints.",
        "lint_clean": "The linter has no new complaints.",
    },
    "types": {
        "types_new": "The type checker has new complaints.",
        "types_clean": "The type checker has no new complaints.",
    },
    "refused": {"change_refused": "The change has something in it that must not be merged."},
    "unfinished": {"unfinished": "Something in it looks unfinished."},
    "outside": {"outside": "It changes files outside the plan."},
    "large": {"large": "It is large for its task."},
}


def well_shown(features: Mapping[str, float]) -> bool:
    """Whether the evidence is of the kind that may speak before any outcome is known."""
    return bool(features.get("acceptance_passed")) and features.get("coverage", 0.0) >= HIGH
