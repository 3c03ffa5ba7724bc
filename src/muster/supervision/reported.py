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
from muster.supervision.reports import DeployReport, Report, report_of
from muster.supervision.validate import about_agent


def judge_report(
    role: Role, outcome: Outcome, reason: str, result: object, commit: str | None
) -> tuple[Report | None, list[Finding]]:
    """The report that an agent of a role left, and what speaks for and against its step.

    `result` is what it handed in, a stranger's; `commit` what it was to deploy, if it was.
    """
    found = list(about_agent(outcome, reason, result))
    if outcome is not Outcome.COMPLETED or any(f.severity is Severity.VETO for f in found):
        return None, found
    data = result.get("data") if isinstance(result, Mapping) else None
    if data is None:
        text = f"The {role} ended without handing in its report."
        return None, [*found, Finding("role.no_report", Severity.VETO, text)]
    try:
        report = report_of(role, data)
    except Invalid as fault:
        text = f"The {role}'s report is none: {fault.detail}."
        return None, [*found, Finding("role.no_report", Severity.VETO, text)]
    if isinstance(report, DeployReport) and report.deployed and not _is(report.commit, commit):
        text = f"The deployer deployed {report.commit[:12]}, and was to deploy {commit}."
        return None, [*found, Finding("role.other_commit", Severity.VETO, text)]
    return report, [*found, _told(role, report.as_json())]


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


def decide_step(case: Case) -> Decision:
    """The one next step where a playbook leads on: what passes needs nobody's word to go on.

    A person is asked about the merge, which comes later.
    """
    decision = decide_work(case)
    if decision.step is Step.ASK and decision.kind == BreakpointKind.MERGE:
        return Decision(Step.ACCEPT, decision.reasons)
    return decision
