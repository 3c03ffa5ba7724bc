"""The stages of evidence as gates: which findings belong to which, and whom each stops."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.proof.cases import Outcome
from muster.domain.verdict import Finding, Severity

ALONE = "tests pass"
STAGES = ("existing tests", "lint", "tests weakened", "coverage", "mutants", "acceptance")
"""The stages in the order in which they are added; those that only tell stop nobody."""

_WEAKENED = frozenset(
    {
        *("tests.only_by_changed_tests", "tests.missing", "tests.skipped", "tests.fewer"),
        *("tests.config_changed", "tests.prove_nothing", "tests.silent", "tests.no_report"),
        "tests.weakened",
    }
)
_STOPS = frozenset({Severity.VETO, Severity.ASK, Severity.ABSTAIN})


def stage_of(finding: Finding) -> str:
    """The stage that a finding comes from."""
    room = finding.code.partition(".")[0]
    if finding.code in _WEAKENED:
        return "tests weakened"
    return {"tests": "existing tests", "type": "lint"}.get(room, room)


def stopped(outcome: Outcome, stages: Sequence[str]) -> bool:
    """Whether a finding of these stages speaks against accepting it without a person."""
    return any(f.severity in _STOPS and stage_of(f) in stages for f in outcome.findings)


def vetoed(outcome: Outcome) -> bool:
    """Whether anything speaks against it for certain."""
    return any(f.severity is Severity.VETO for f in outcome.findings)


def gates(outcomes: Sequence[Outcome]) -> dict[str, list[bool]]:
    """Per gate, whether each outcome is accepted: tests alone, then stage by stage."""
    found = {ALONE: [outcome.alone for outcome in outcomes]}
    for count in range(1, len(STAGES) + 1):
        stages = STAGES[:count]
        name = stages[0] if count == 1 else f"+ {stages[-1]}"
        if seen(outcomes, stages[-1]):
            found[name] = [not stopped(outcome, stages) for outcome in outcomes]
    return found


def seen(outcomes: Sequence[Outcome], stage: str) -> bool:
    """Whether the stage looked at any outcome; not every version has every stage."""
    told = any(stage_of(f) == stage for outcome in outcomes for f in outcome.findings)
    return told or stage in {"existing tests", "tests weakened"}
