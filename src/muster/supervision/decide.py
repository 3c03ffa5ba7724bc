"""Findings → the next step. Pure: the same findings always lead to the same decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from muster.domain.agent import Outcome
from muster.domain.task import Autonomy
from muster.domain.verdict import (
    OPTIONS,
    Answer,
    BreakpointKind,
    Decision,
    Finding,
    Severity,
    Step,
)
from muster.supervision.feedback import feedback_of
from muster.supervision.rules import Match, holding
from muster.supervision.severity import strongest_first

DEFAULT_PARK_MS = 5 * 60_000
LONGEST_PARK_MS = 8 * 24 * 3_600_000
"""A limit may last a week; a time beyond that is a mistake in what the agent said."""

ASK_EVERY = 12
"""After so many attempts that were no tries somebody is asked about a service that fails."""

MOST_REASONS = 12
_NO_MERGE = (Answer.RETRY, Answer.FAIL, Answer.CANCEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that has ended, besides what was found about it.

    `tries` counts the attempts so far, this one included; `unspent` those that used up no try.
    `retry_at` and `now` are epoch milliseconds; `retry_at` is when a rate limit ends, if the agent
    said so. `label` names the task in questions.
    """

    outcome: Outcome
    autonomy: Autonomy
    tries: int
    max_attempts: int
    retry_at: int | None = None
    now: int = 0
    label: str = "this task"
    unspent: int = 0


def decide(findings: Iterable[Finding], ended: Ended) -> Decision:
    """The one next step and why, strongest reason first.

    Only work whose agent completed, and that something was found about and nothing against, is
    accepted.
    """
    found = strongest_first(findings)
    if ended.outcome is Outcome.UNAVAILABLE and ended.unspent and ended.unspent % ASK_EVERY == 0:
        reasons = _reasons(found, "The service of the agent's model fails again and again.")
        question = f"The model's service keeps failing the agent of {ended.label}. Try again?"
        return _ask(BreakpointKind.PROBLEM, question, reasons, counts=False)
    if (early := _by_outcome(found, ended)) is not None:
        return early
    if ended.outcome is not Outcome.COMPLETED or _any(found, Severity.VETO):
        return _refused(found, ended)
    return _not_refused(found, ended)


def _by_outcome(found: tuple[Finding, ...], ended: Ended) -> Decision | None:
    """Endings that say nothing about the work."""
    match ended.outcome:
        case Outcome.CANCELLED:
            return Decision(Step.GIVE_UP, ("The task was cancelled.",), counts=False)
        case Outcome.RATE_LIMITED | Outcome.UNAVAILABLE:
            return _park(found, ended)
        case Outcome.AUTH:
            reasons = _reasons(found, "The agent could not sign in.")
            question = f"The agent of {ended.label} could not sign in. Sign in, then retry?"
            return _ask(BreakpointKind.PROBLEM, question, reasons, counts=False)
        case Outcome.BUDGET:
            return _spent(found, ended)
        case Outcome.HELD:
            reasons = _reasons(found, "A rule stopped the agent.")
            question = f"{ended.label} was stopped: {reasons[0]} Let it go on?"
            return _ask(BreakpointKind.RULE, question, reasons, counts=False, options=_NO_MERGE)
        case _:
            return None


def _spent(found: tuple[Finding, ...], ended: Ended) -> Decision:
    reasons = _reasons(found, "The agent spent its budget.")
    if ended.autonomy is Autonomy.FULL:
        return Decision(Step.GIVE_UP, reasons)
    question = f"{reasons[0]} Retry {ended.label} with more?"
    return _ask(BreakpointKind.PROBLEM, question, reasons)


def _park(found: tuple[Finding, ...], ended: Ended) -> Decision:
    until = ended.now + DEFAULT_PARK_MS
    if ended.retry_at is not None and ended.retry_at > ended.now:
        until = min(ended.retry_at, ended.now + LONGEST_PARK_MS)
    otherwise = "The service of the agent's model failed; it is asked again later."
    if ended.outcome is Outcome.RATE_LIMITED:
        otherwise = "The agent met a rate limit; it goes on when that ends."
    reasons = _reasons(found, otherwise)
    return Decision(Step.PARK, reasons, park_until=until, counts=False)


def _refused(found: tuple[Finding, ...], ended: Ended) -> Decision:
    reasons = _reasons(found, f"The agent ended with '{ended.outcome}'.")
    if ended.tries < ended.max_attempts:
        return Decision(Step.RETRY, reasons, feedback=feedback_of(found))
    times = "once" if ended.tries == 1 else f"{ended.tries} times"
    spent = f"The work was refused {times}, and no try is left."
    if ended.autonomy is Autonomy.FULL:
        return Decision(Step.GIVE_UP, (*reasons, spent), feedback=feedback_of(found))
    question = f"{ended.label} was refused {times}. Try again?"
    return _ask(BreakpointKind.EXHAUSTED, question, (*reasons, spent), feedback=feedback_of(found))


def _not_refused(found: tuple[Finding, ...], ended: Ended) -> Decision:
    reasons = _reasons(found, "Nothing was checked, so nothing shows whether this work is right.")
    if not found or _any(found, Severity.ABSTAIN) or _any(found, Severity.ASK):
        question = f"{ended.label} needs a look before it is merged: {reasons[0]} Merge it?"
        return _ask(BreakpointKind.EVIDENCE, question, reasons, feedback=feedback_of(found))
    if ended.autonomy is Autonomy.FULL:
        return Decision(Step.ACCEPT, reasons)
    return _ask(BreakpointKind.MERGE, f"Merge {ended.label}?", reasons)


def _ask(
    kind: BreakpointKind,
    question: str,
    reasons: tuple[str, ...],
    *,
    feedback: Mapping[str, object] | None = None,
    counts: bool = True,
    options: tuple[Answer, ...] = (),
) -> Decision:
    offered = tuple(str(option) for option in options or OPTIONS[kind])
    return Decision(Step.ASK, reasons, question, str(kind), offered, feedback, counts=counts)


def held_back(
    decision: Decision, matches: Iterable[Match], findings: Iterable[Finding], label: str
) -> Decision:
    """The decision as it is when rules put a person before its move.

    One that asks a person anyway asks the same, and says which rules hold. Work that something was
    found against cannot be merged by the answer.
    """
    found = holding(matches)
    if not found or decision.step is Step.PARK:
        return decision
    said = tuple(match.rule.ask or match.sentence() for match in found)
    reasons = tuple(dict.fromkeys((*(m.sentence() for m in found), *said, *decision.reasons)))
    roles = sorted({match.rule.role for match in found if match.rule.role})
    whose = f" (approval of: {', '.join(roles)})" if roles else ""
    if decision.step is Step.ASK:
        question = f"{found[0].sentence()} {decision.question}{whose}"
        return replace(decision, question=question, reasons=reasons[:MOST_REASONS])
    then = {Step.ACCEPT: "Merge it?", Step.RETRY: "Try again?"}.get(decision.step, "Try again?")
    refused = decision.step is not Step.ACCEPT or _any(tuple(findings), Severity.VETO)
    return _ask(
        BreakpointKind.RULE,
        f"{label} waits for you: {said[0]} {then}{whose}",
        reasons[:MOST_REASONS],
        feedback=decision.feedback,
        counts=decision.counts,
        options=_NO_MERGE if refused else (),
    )


def _any(found: tuple[Finding, ...], severity: Severity) -> bool:
    return any(finding.severity is severity for finding in found)


def _reasons(found: tuple[Finding, ...], otherwise: str) -> tuple[str, ...]:
    """The texts of the findings, each once; `otherwise` when none says anything."""
    texts = dict.fromkeys(finding.text for finding in found if finding.text.strip())
    return tuple(texts)[:MOST_REASONS] or (otherwise,)
