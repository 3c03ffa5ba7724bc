"""Findings as named numbers: what a model of confidence may know. Pure.

They are made of the findings and the type of the task alone, so that a stored verdict gives the
same numbers again. What no finding tells is "not known", by a number of its own; never "good".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.domain.task import TaskType
from muster.domain.verdict import Finding, Severity

HIGH, FULL = 0.8, 0.9995
"""Shares of the changed lines from which coverage counts as high, and as full."""

_MANY_TESTS = 31


@dataclass(frozen=True, slots=True)
class Feature:
    """One number from 0 to 1.

    `sign` says what it can speak for: 1 never against the work, -1 never for it, 0 either. Numbers
    of one `group` are told as one reason.
    """

    group: str
    sign: int


FEATURES: Mapping[str, Feature] = {
    "tests_green": Feature("tests", 1),
    "tests_broken": Feature("tests", -1),
    "tests_unknown": Feature("tests", -1),
    "tests_flaky": Feature("flaky", -1),
    "tests_proven": Feature("proof", 1),
    "tests_prove_nothing": Feature("proof", -1),
    "tests_none_new": Feature("proof", -1),
    "tests_weakened": Feature("weakened", -1),
    "acceptance_passed": Feature("acceptance", 1),
    "acceptance_many": Feature("acceptance", 1),
    "acceptance_reach": Feature("acceptance", 1),
    "acceptance_reach_full": Feature("acceptance", 1),
    "acceptance_failed": Feature("acceptance", -1),
    "acceptance_unknown": Feature("acceptance", -1),
    "acceptance_reach_unknown": Feature("acceptance", 0),
    "coverage": Feature("coverage", 1),
    "coverage_high": Feature("coverage", 1),
    "coverage_full": Feature("coverage", 1),
    "coverage_unknown": Feature("coverage", -1),
    "mutants_killed": Feature("mutants", 1),
    "mutants_unknown": Feature("mutants", 0),
    "lint_clean": Feature("lint", 1),
    "lint_new": Feature("lint", -1),
    "types_clean": Feature("types", 1),
    "types_new": Feature("types", -1),
    "review_yes": Feature("review", 1),
    "review_unknown": Feature("review", 0),
    "change_refused": Feature("refused", -1),
    "unfinished": Feature("unfinished", -1),
    "outside": Feature("outside", -1),
    "large": Feature("large", -1),
    "of_feature": Feature("type", 0),
    "of_bug": Feature("type", 0),
    "of_refactor": Feature("type", 0),
}
"""Every number there is, in the order in which a fit takes them."""

NOT_KNOWN: Mapping[str, float] = {name: 1.0 for name in FEATURES if name.endswith("_unknown")}
"""The numbers of work of which nothing is known."""

_BROKEN = frozenset(
    {
        *("tests.broken", "tests.red", "tests.timeout", "tests.no_report", "tests.silent"),
        "tests.only_by_changed_tests",
    }
)
_WEAKENED = frozenset(
    f"tests.{how}" for how in ("missing", "skipped", "weakened", "fewer", "config_changed")
)
_BY_CHANCE = frozenset(f"tests.{how}" for how in ("flaky", "unsteady"))
_UNFINISHED = frozenset({"change.unfinished", "change.elided", "change.stub", "change.promised"})
_OUTSIDE = frozenset({"plan.outside", "files.outside_plan"})
_NOTHING_OF_TESTS = frozenset(
    {"tests.none", "tests.unknown", "tests.empty", "tests.not_run", "tests.no_report"}
)
_REFUSED = ("change.", "licence.")


def features_of(findings: Iterable[Finding], task_type: TaskType) -> dict[str, float]:
    """Every number of `FEATURES`, in its order."""
    found = tuple(findings)
    known = {
        **_tests(found),
        **_acceptance(found),
        **_coverage(found),
        **_mutants(found),
        **_linted(found, "lint", "lint"),
        **_linted(found, "types", "type"),
        **_review(found),
        "change_refused": _has(found, _is_refused),
        "unfinished": _has(found, lambda f: f.code in _UNFINISHED),
        "outside": _has(found, lambda f: f.code in _OUTSIDE),
        "large": _has(found, lambda f: f.code == "size.large"),
        f"of_{task_type}": 1.0,
    }
    return {name: known.get(name, 0.0) for name in FEATURES}


def row_of(features: Mapping[str, float]) -> tuple[float, ...]:
    """The numbers as a fit takes them."""
    return tuple(features.get(name, 0.0) for name in FEATURES)


def signs() -> tuple[int, ...]:
    """Which side the weight of each number must not leave."""
    return tuple(feature.sign for feature in FEATURES.values())


def _has(found: Sequence[Finding], asked: Callable[[Finding], bool]) -> float:
    return float(any(map(asked, found)))


def _is_refused(finding: Finding) -> bool:
    return (
        finding.severity is Severity.VETO
        and finding.code.startswith(_REFUSED)
        and finding.code not in _UNFINISHED
    )


def _tests(found: Sequence[Finding]) -> dict[str, float]:
    codes = {finding.code for finding in found}
    broken = _has(found, lambda f: f.code in _BROKEN and f.severity is Severity.VETO)
    green = "tests.green" in codes or (
        # Nothing is worse than on the base, which was red.
        "tests.red_before" in codes and not codes & _NOTHING_OF_TESTS
    )
    silent = _has(found, lambda f: f.severity is Severity.ABSTAIN and f.code.startswith("tests."))
    return {
        "tests_green": float(green and not broken and not silent),
        "tests_broken": broken,
        "tests_unknown": float(not broken and (bool(silent) or not green)),
        "tests_flaky": float(bool(codes & _BY_CHANCE)),
        "tests_proven": float(bool(codes & {"tests.proven", "tests.fixed"})),
        "tests_prove_nothing": float(bool(codes & {"tests.prove_nothing", "tests.nothing_fixed"})),
        "tests_none_new": float("tests.no_new" in codes),
        "tests_weakened": float(bool(codes & _WEAKENED)),
    }


def _acceptance(found: Sequence[Finding]) -> dict[str, float]:
    failed = _one(found, "acceptance.failed") is not None
    passed = _one(found, "acceptance.passed")
    if failed or passed is None:
        told = {"acceptance_failed": float(failed), "acceptance_unknown": float(not failed)}
        return told | {"acceptance_reach_unknown": 1.0}
    tests = _amount(passed.evidence, "tests", "visible", "hidden")
    many = math.log2(1 + min(tests, _MANY_TESTS)) / math.log2(1 + _MANY_TESTS)
    reach = _share(passed)
    told = {"acceptance_passed": 1.0, "acceptance_many": many}
    if reach is None:
        return told | {"acceptance_reach_unknown": 1.0}
    return told | {"acceptance_reach": reach, "acceptance_reach_full": float(reach >= FULL)}


def _coverage(found: Sequence[Finding]) -> dict[str, float]:
    share = _share(_one(found, "coverage.changed"))
    if share is None:
        return {"coverage_unknown": 1.0}
    return {
        "coverage": share,
        "coverage_high": float(share >= HIGH),
        "coverage_full": float(share >= FULL),
    }


def _mutants(found: Sequence[Finding]) -> dict[str, float]:
    """Only a sample that is large enough says anything."""
    finding = _one(found, "mutants.changed")
    share = _share(finding)
    if finding is None or share is None or finding.evidence.get("enough") is not True:
        return {"mutants_unknown": 1.0}
    return {"mutants_killed": share}


def _linted(found: Sequence[Finding], name: str, code: str) -> dict[str, float]:
    codes = {finding.code for finding in found}
    new = f"{code}.new" in codes
    clean = not new and bool(codes & {f"{code}.clean", f"{code}.old"})
    return {f"{name}_new": float(new), f"{name}_clean": float(clean)}


def _review(found: Sequence[Finding]) -> dict[str, float]:
    """A judging model has a say only by its yes and no to the questions of the rubric."""
    finding = _one(found, "review.rubric")
    if finding is None:
        return {"review_unknown": 1.0}
    yes, no = _amount(finding.evidence, "yes"), _amount(finding.evidence, "no")
    return {"review_yes": yes / (yes + no)} if yes + no else {"review_unknown": 1.0}


def _one(found: Sequence[Finding], code: str) -> Finding | None:
    return next((finding for finding in found if finding.code == code), None)


def _share(finding: Finding | None) -> float | None:
    if finding is None:
        return None
    value = finding.evidence.get("share")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= 1 else None


def _amount(evidence: Mapping[str, Any], name: str, *parts: str) -> float:
    """A count, or the length of a list, or the sum of its parts where it is not there."""
    value = evidence.get(name)
    if isinstance(value, (list, tuple)):
        return float(len(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    return math.fsum(_amount(evidence, part) for part in parts)
