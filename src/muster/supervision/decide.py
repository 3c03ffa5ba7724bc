"""Findings about work → the next step. Pure: the same case always leads to the same decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from muster.domain.agent import Outcome
from muster.domain.verdict import (
    OPTIONS,
    Answer,
    BreakpointKind,
    Decision,
    Finding,
    Severity,
    Step,
    Verdict,
    vetoed,
)
from muster.supervision.case import Case, Tried, harm_of, is_of_form
from muster.supervision.feedback import feedback_of, taken_back
from muster.supervision.severity import strongest_first

DEFAULT_PARK_MS = 5 * 60_000
LONGEST_PARK_MS = 8 * 24 * 3_600_000
"""A limit may last a week; a time beyond that is a mistake in what the agent said."""

ASK_EVERY = 12
"""After so many attempts that were no tries somebody is asked about a service that fails."""

MOST_REASONS = 12
_OPEN = (Severity.ABSTAIN, Severity.ASK)
_NO_MERGE = (Answer.RETRY, Answer.FAIL, Answer.CANCEL)


def decide_work(case: Case) -> Decision:
    """The one next step and why, strongest reason first.

    Only work whose agent completed, and that something was found about and nothing against, is
    accepted.
    """
    found = strongest_first(case.findings)
    if case.outcome is Outcome.UNAVAILABLE and case.unspent and case.unspent % ASK_EVERY == 0:
        reasons = _reasons(found, "The service of the agent's model fails again and again.")
        question = f"The model's service keeps failing the agent of {case.label}. Try again?"
        return _ask(BreakpointKind.PROBLEM, question, reasons, counts=False)
    if (early := _by_outcome(found, case)) is not None:
        return early
    if case.outcome is not Outcome.COMPLETED or _any(found, Severity.VETO):
        return _refused(found, case)
    return _not_refused(found, case)


def _by_outcome(found: tuple[Finding, ...], case: Case) -> Decision | None:
    """Endings that say nothing about the work."""
    match case.outcome:
        case Outcome.CANCELLED:
            return Decision(Step.GIVE_UP, ("The task was cancelled.",), counts=False)
        case Outcome.RATE_LIMITED | Outcome.UNAVAILABLE:
            return _park(found, case)
        case Outcome.AUTH:
            reasons = _reasons(found, "The agent could not sign in.")
            question = f"The agent of {case.label} could not sign in. Sign in, then retry?"
            return _ask(BreakpointKind.PROBLEM, question, reasons, counts=False)
        case Outcome.BUDGET:
            return _spent(found, case)
        case Outcome.HELD:
            reasons = _reasons(found, "A rule stopped the agent.")
            question = f"{case.label} was stopped: {reasons[0]} Let it go on?"
            return _ask(BreakpointKind.RULE, question, reasons, counts=False, options=_NO_MERGE)
        case _:
            return None


def _spent(found: tuple[Finding, ...], case: Case) -> Decision:
    reasons = _reasons(found, "The agent spent its budget.")
    if case.unattended:
        return Decision(Step.GIVE_UP, reasons)
    question = f"{reasons[0]} Retry {case.label} with more?"
    return _ask(BreakpointKind.PROBLEM, question, reasons)


def _park(found: tuple[Finding, ...], case: Case) -> Decision:
    until = case.now + DEFAULT_PARK_MS
    if case.retry_at is not None and case.retry_at > case.now:
        until = min(case.retry_at, case.now + LONGEST_PARK_MS)
    otherwise = "The service of the agent's model failed; it is asked again later."
    if case.outcome is Outcome.RATE_LIMITED:
        otherwise = "The agent met a rate limit; it goes on when that ends."
    reasons = _reasons(found, otherwise)
    return Decision(Step.PARK, reasons, park_until=until, counts=False)


def _refused(found: tuple[Finding, ...], case: Case) -> Decision:
    reasons = _reasons(found, f"The agent ended with '{case.outcome}'.")
    times = "once" if case.tries == 1 else f"{case.tries} times"
    left = case.tries < case.policy.max_attempts
    if _is_too_much(case) and not (left and _other_agent(case)):
        said = f"The work was refused {times} as one task, so that it is split into smaller ones."
        told = (*reasons[: MOST_REASONS - 1], said)
        return Decision(Step.SPLIT, told, feedback=feedback_of(found))
    if left:
        return _again(found, case, reasons)
    spent = f"The work was refused {times}, and no try is left."
    if case.unattended:
        return Decision(Step.GIVE_UP, (*reasons, spent), feedback=feedback_of(found))
    question = f"{case.label} was refused {times}. Try again?"
    return _ask(BreakpointKind.EXHAUSTED, question, (*reasons, spent), feedback=feedback_of(found))


def _is_too_much(case: Case) -> bool:
    """Whether the task itself was what failed, so often in a row that it should be smaller."""
    after = case.policy.split_after
    if not after or not case.may_split:
        return False
    of_form = [*(tried.of_form for tried in case.past), is_of_form(case.findings)]
    return len(of_form) >= after and not any(of_form[len(of_form) - after :])


def _again(found: tuple[Finding, ...], case: Case, reasons: tuple[str, ...]) -> Decision:
    """Another attempt: by whom, and from which files on."""
    back = _better_work(case)
    other = _other_agent(case)
    feedback = taken_back(back.attempt, back.refusal, found) if back else feedback_of(found)
    step = Step.OTHER_AGENT if other else Step.ROLL_BACK if back else Step.RETRY
    said = []
    if other:
        said.append(f"{case.agent} was refused {case.policy.fallback_after} times: now {other}.")
    if back:
        said.append(f"This is worse than what attempt {back.attempt} left, and is taken back.")
    return Decision(
        step,
        (*reasons[: MOST_REASONS - len(said)], *said),
        feedback=feedback,
        agent=other,
        commit=back.commit if back else None,
    )


def _better_work(case: Case) -> Tried | None:
    """The best work of the attempts before, where this attempt's is worse."""
    if not case.policy.roll_back or case.commit is None:
        return None
    known = [
        tried
        for tried in case.past
        if tried.commit not in {None, case.commit, tried.base} and tried.base == case.base
    ]
    best = min(known, key=lambda tried: (tried.harm, -tried.attempt), default=None)
    return best if best and best.harm < harm_of(case.findings) else None


def _other_agent(case: Case) -> str | None:
    """Who goes on where this agent was refused again and again; each is tried once."""
    policy = case.policy
    if case.agent_is_chosen:
        return None
    lately = [tried.agent for tried in case.past][len(case.past) - policy.fallback_after + 1 :]
    in_a_row = len(lately) == policy.fallback_after - 1 and set(lately) <= {case.agent}
    used = {case.agent, *(tried.agent for tried in case.past)}
    return next((a for a in policy.fallback_agents if a not in used), None) if in_a_row else None


def decide_merge(case: Case) -> Decision:
    """The next step where work that passed alone does not pass merged onto the branch as it is.

    Where nothing refuses it and something is open, a person is asked as about any work.
    """
    vetoes = [f.text for f in case.findings if f.severity is Severity.VETO]
    if not vetoes:
        return _not_refused(strongest_first(case.findings), case)
    reason = f"merged onto {case.branch} as it is now it no longer passes: {vetoes[0]}"
    reasons = (reason, *vetoes[1:])
    feedback = {"reasons": list(reasons), "restart": True}
    if not case.unattended:
        question = f"{case.label} passes alone but not together with {case.branch}"
        return _ask(BreakpointKind.CONFLICT, question, reasons, feedback=feedback)
    again = case.tries < case.policy.max_attempts
    return Decision(Step.RETRY if again else Step.GIVE_UP, reasons, feedback=feedback)


def newly_open(known: Sequence[Verdict], found: Iterable[Finding]) -> bool:
    """Whether findings about merged work ask what the last of the verdicts before did not.

    Not of work that was refused then: it is merged because a person wants it so.
    """
    if not known or vetoed(known[-1].findings):
        return False
    asked = {f.code for f in known[-1].findings if f.severity in _OPEN}
    return any(f.severity in _OPEN and f.code not in asked for f in found)


def _not_refused(found: tuple[Finding, ...], case: Case) -> Decision:
    reasons = _reasons(found, "Nothing was checked, so nothing shows whether this work is right.")
    if not found or _any(found, Severity.ABSTAIN) or _any(found, Severity.ASK):
        question = f"{case.label} needs a look before it is merged: {reasons[0]} Merge it?"
        return _ask(BreakpointKind.EVIDENCE, question, reasons, feedback=feedback_of(found))
    if case.unattended:
        return Decision(Step.ACCEPT, reasons)
    return _ask(BreakpointKind.MERGE, f"Merge {case.label}?", reasons)


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


def held_back(decision: Decision, case: Case) -> Decision:
    """The decision as it is when rules put a person before its move.

    One that asks a person anyway asks the same, and says which rules hold. Work that something was
    found against cannot be merged by the answer.
    """
    found = case.holds
    if not found or decision.step is Step.PARK:
        return decision
    said = tuple(hold.ask or hold.sentence for hold in found)
    reasons = tuple(dict.fromkeys((*(h.sentence for h in found), *said, *decision.reasons)))
    roles = sorted({hold.role for hold in found if hold.role})
    whose = f" (approval of: {', '.join(roles)})" if roles else ""
    if decision.step is Step.ASK:
        question = f"{found[0].sentence} {decision.question}{whose}"
        return replace(decision, question=question, reasons=reasons[:MOST_REASONS])
    then = "Merge it?" if decision.step is Step.ACCEPT else "Try again?"
    refused = decision.step is not Step.ACCEPT or _any(case.findings, Severity.VETO)
    return _ask(
        BreakpointKind.RULE,
        f"{case.label} waits for you: {said[0]} {then}{whose}",
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
