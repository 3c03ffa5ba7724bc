"""A role's step is worth its report: what is found about one, and the step that follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.domain.agent import Outcome, Role
from muster.domain.errors import Invalid
from muster.domain.plain import plain_line
from muster.domain.verdict import BreakpointKind, Decision, Finding, Severity, Step
from muster.supervision.case import Case
from muster.supervision.decide import decide_work
from muster.supervision.reports import Report
from muster.supervision.validate import about_agent


def judge_report(
    role: Role,
    ending: tuple[Outcome, str],
    result: object,
    handed: Report | Invalid,
    commit: str | None,
) -> tuple[Report | None, list[Finding]]:
    """The report of a role where its step is good, and what speaks for and against it.

    `result` is all that its agent handed in, a stranger's, and `handed` the report in it or why
    there is none; `commit` is what it was to deploy, if it was.
    """
    outcome, reason = ending
    found = list(about_agent(outcome, reason, result))
    if outcome is not Outcome.COMPLETED or any(f.severity is Severity.VETO for f in found):
        return None, found
    if isinstance(handed, Invalid):
        text = plain_line(f"{handed.detail[:1].upper()}{handed.detail[1:]}.", 600)
        return None, [*found, Finding("role.no_report", Severity.VETO, text)]
    said = handed.as_json()
    if said.get("deployed") and not _is(said["commit"], commit):
        text = f"The deployer deployed {said['commit'][:12]}, and was to deploy {commit}."
        return None, [*found, Finding("role.other_commit", Severity.VETO, text)]
    return handed, [*found, _told(role, said)]


def _is(said: str, commit: str | None) -> bool:
    return commit is None or commit.startswith(said.lower())


def _told(role: Role, report: Mapping[str, Any]) -> Finding:
    words = report.get("summary") or report.get("analysis") or report.get("notes") or "handed in"
    text = f"The {role}'s report: {plain_line(str(words), 300)}"
    return Finding("role.reported", Severity.OK, text, {"report": _small(report)})


def _small(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a verdict keeps of it; the whole is a paper of the task."""
    return {k: v for k, v in report.items() if isinstance(v, bool | int)} | {
        k: plain_line(v, 300) for k, v in report.items() if isinstance(v, str)
    }


def answered(tree: str, before: str) -> list[Finding]:
    """What speaks against a fix-up that leaves all as its reviewers saw it."""
    if tree != before:
        return []
    text = "The reviewers asked for changes, and nothing was changed."
    return [Finding("review.unanswered", Severity.VETO, text)]


def decide_step(case: Case) -> Decision:
    """The one next step where a playbook leads on: what passes needs nobody's word to go on.

    A person is asked about the merge, which comes later.
    """
    decision = decide_work(case)
    if decision.step is Step.ASK and decision.kind == BreakpointKind.MERGE:
        return Decision(Step.ACCEPT, decision.reasons)
    return decision
