"""A verdict: findings from evidence, the decision they led to, and questions for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from muster.domain.confidence import Confidence


class Severity(StrEnum):
    """What a finding does to the work it is about."""

    OK = "ok"
    NOTE = "note"
    ASK = "ask"
    ABSTAIN = "abstain"
    VETO = "veto"


@dataclass(frozen=True, slots=True)
class Finding:
    """One conclusion with the evidence it stands on.

    `code` is stable (`tests.broken`), `text` a sentence for people, `evidence` small and JSON-like;
    long outputs are referred to by run id.
    """

    code: str
    severity: Severity
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def vetoed(findings: Iterable[Finding]) -> bool:
    """Whether one of them refuses the work."""
    return any(finding.severity is Severity.VETO for finding in findings)


class Step(StrEnum):
    """What happens next."""

    ACCEPT = "accept"
    RETRY = "retry"
    OTHER_AGENT = "other_agent"
    ROLL_BACK = "roll_back"
    SPLIT = "split"
    ASK = "ask"
    GIVE_UP = "give_up"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step, why, and what the next attempt or the person is told.

    `agent` is who tries next where that is another one; `commit` the earlier work that the next
    attempt goes on from.
    """

    step: Step
    reasons: tuple[str, ...]
    question: str = ""
    kind: str = ""
    options: tuple[str, ...] = ()
    feedback: Mapping[str, Any] | None = None
    park_until: int | None = None
    counts: bool = True
    agent: str | None = None
    commit: str | None = None

    @property
    def tries_again(self) -> bool:
        """Whether another attempt follows by itself, because this one was refused."""
        return self.step in {Step.RETRY, Step.OTHER_AGENT, Step.ROLL_BACK}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What supervision concluded about one attempt.

    `case` is what the decision depends on besides the findings, as it is kept; None in verdicts of
    versions before that.
    `sure` is what the confidence was made of; None where nobody asked for one.
    """

    id: str
    task_id: str
    attempt: int
    agent_id: str | None
    findings: tuple[Finding, ...]
    decision: Decision
    confidence: float | None
    created_at: int
    rev: int = 0
    case: Mapping[str, Any] | None = None
    sure: Confidence | None = None

    @property
    def passed(self) -> bool:
        """True only when nothing vetoed and nothing was left unknown."""
        return not any(f.severity in {Severity.VETO, Severity.ABSTAIN} for f in self.findings)


class BreakpointKind(StrEnum):
    """What a person is asked about."""

    MERGE = "merge"
    EVIDENCE = "evidence"
    EXHAUSTED = "exhausted"
    CONFLICT = "conflict"
    CHECKOUT = "checkout"
    START = "start"
    PROBLEM = "problem"
    QUESTION = "question"
    PERMISSION = "permission"
    RULE = "rule"


class Answer(StrEnum):
    """What a person can answer."""

    MERGE = "merge"
    RETRY = "retry"
    FAIL = "fail"
    CANCEL = "cancel"
    APPROVE = "approve"
    CLOSE = "close"
    ANSWER = "answer"
    DECLINE = "decline"
    ALLOW = "allow"
    ALLOW_SESSION = "allow_session"
    EDIT = "edit"
    DENY = "deny"
    ONE_TASK = "one_task"


OPTIONS: Mapping[BreakpointKind, tuple[Answer, ...]] = {
    BreakpointKind.MERGE: (Answer.MERGE, Answer.RETRY, Answer.CLOSE, Answer.CANCEL),
    BreakpointKind.EVIDENCE: (Answer.MERGE, Answer.RETRY, Answer.FAIL, Answer.CANCEL),
    BreakpointKind.EXHAUSTED: (Answer.RETRY, Answer.FAIL, Answer.CANCEL),
    BreakpointKind.CONFLICT: (Answer.RETRY, Answer.MERGE, Answer.FAIL, Answer.CANCEL),
    BreakpointKind.CHECKOUT: (Answer.MERGE, Answer.FAIL, Answer.CANCEL),
    BreakpointKind.START: (Answer.APPROVE, Answer.CANCEL),
    BreakpointKind.PROBLEM: (Answer.RETRY, Answer.FAIL, Answer.CANCEL),
    BreakpointKind.QUESTION: (Answer.ANSWER, Answer.DECLINE),
    BreakpointKind.PERMISSION: (
        Answer.ALLOW,
        Answer.ALLOW_SESSION,
        Answer.EDIT,
        Answer.DENY,
    ),
    BreakpointKind.RULE: (Answer.MERGE, Answer.RETRY, Answer.FAIL, Answer.CANCEL),
}


OFFERED_TOO: Mapping[BreakpointKind, tuple[Answer, ...]] = {
    BreakpointKind.PROBLEM: (Answer.ONE_TASK,),
}
"""Answers that a question takes only where it offers them."""


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """A question that outlives everything until a person answers it."""

    id: str
    task_id: str
    project_id: str
    kind: BreakpointKind
    question: str
    options: tuple[str, ...]
    evidence: Mapping[str, Any]
    rev: int
    created_at: int
    resolved_at: int | None = None
    answer: str | None = None
    note: str = ""
    by: str | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A restorable point of a task: the commit of its files, and what was true of it then.

    `commit` has the whole workspace, `base_commit` is what the work stands on. `agent_id` is who
    worked, `session_id` its conversation, `log_offset` how many bytes it had printed; all three
    None where nobody worked. `tries` and `feedback` are the task's.
    """

    task_id: str
    n: int
    attempt: int
    label: str
    commit: str
    created_at: int
    rev: int = 0
    base_commit: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    log_offset: int | None = None
    tries: int | None = None
    feedback: Mapping[str, Any] | None = None
