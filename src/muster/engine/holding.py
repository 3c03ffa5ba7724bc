"""The rules of breakpoints over an attempt that has ended: which hold its next move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from muster.domain.agent import Agent, Outcome
from muster.domain.event import NewEvent
from muster.domain.verdict import Decision, Step, Verdict
from muster.engine.hidden import shows_secret
from muster.engine.order import budget_of
from muster.engine.overseer import counted, rules_of, told_of
from muster.engine.tools import Job, Tools, in_thread, program_of
from muster.store import breakpoint_rules as rule_verbs
from muster.store import checkpoints
from muster.supervision.asked import Asked, asked_of
from muster.supervision.case import Case, Hold
from muster.supervision.condition import Facts
from muster.supervision.decision import decide
from muster.supervision.evidence import Changes
from muster.supervision.feedback import refusal_of
from muster.supervision.rules import Match, Ruleset, holding

_OF_THE_PAST = frozenset({"same_failure", "oscillation"})


@dataclass(frozen=True, slots=True)
class Overseen:
    """A case with the rules that hold; `rules` are those, as a question carries them.

    `events` tell of them.
    """

    case: Case
    rules: tuple[Mapping[str, Any], ...] = ()
    events: tuple[NewEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What an attempt left: its commit, what that changes, and what the agent says of it."""

    commit: str | None
    changed: Changes
    claims: str


async def overseen(
    tools: Tools, job: Job, agent: Agent, case: Case, work: Work, past: Sequence[Verdict]
) -> Overseen:
    """Ask the rules about a case before its decision becomes a move.

    All is kept by the move itself, so that who is killed before it asks again, and nobody is
    asked twice.
    """
    task, decision = job.task, decide(case)
    if agent.outcome is Outcome.CANCELLED or decision.step is Step.PARK:
        return Overseen(case)
    if agent.outcome is Outcome.HELD:
        told = await tools.store.read(rule_verbs.told_of_task, task.id)
        rules = tuple(item.payload for item in told.values() if item.stopped == agent.id)
        return Overseen(case, rules)
    rules_now = (await rules_of(tools, job)).rules
    asked_past = past if rules_now.kinds() & _OF_THE_PAST else ()
    rev = tools.store.feed.rev
    facts = await _facts(tools, job, agent, (case, decision), work, rules_now, asked_past, rev)
    case = replace(case, asked=_asked(tools, agent, facts, rev, case, past))
    matches = rules_now.matching(facts)
    if matches:
        told = await tools.store.read(rule_verbs.told_of_task, task.id)
        matches = tuple(match for match in matches if match.cause not in told)
    return _with(case, job, agent, matches)


def _with(case: Case, job: Job, agent: Agent, matches: Sequence[Match]) -> Overseen:
    holds = tuple(Hold(m.sentence(), m.rule.ask, m.rule.role) for m in holding(matches))
    return Overseen(
        replace(case, holds=holds),
        tuple(match.as_json() for match in matches),
        tuple(
            rule_verbs.event_of(job.task, agent.id, told_of(match, rule_verbs.AT_VERDICT))
            for match in matches
        ),
    )


async def _facts(
    tools: Tools,
    job: Job,
    agent: Agent,
    decided: tuple[Case, Decision],
    work: Work,
    rules: Ruleset,
    past: Sequence[Verdict],
    rev: int,
) -> Facts:
    task, kinds, cost = job.task, rules.kinds(), agent.usage.cost_usd
    counts_cost = tools.drivers[agent.driver].capabilities.reports_cost
    case, decision = decided
    began, ended = agent.started_at, agent.ended_at
    return Facts(
        type=str(task.type),
        agent=case.agent,
        attempt=task.attempt,
        events=await tools.store.read(counted, task.id, rules, rev) if "event" in kinds else None,
        cost_usd=cost if counts_cost or cost else None,
        budget_usd=budget_of(job, program_of(tools, job)[1]),
        seconds=(ended - began) / 1000 if began and ended else None,
        findings=case.findings,
        step=str(decision.step),
        outcome=str(agent.outcome or Outcome.FAILED),
        claims=work.claims,
        files=tuple(dict.fromkeys(path for change in work.changed for path in change.paths)),
        lines=sum(change.added + change.removed for change in work.changed),
        confidence=case.sure.value if case.sure else None,
        refusals=tuple(refusal_of(found) for found in (*(v.findings for v in past), case.findings)),
        trees=await _trees(tools, job, past, work.commit) if past else None,
    )


def _asked(
    tools: Tools, agent: Agent, facts: Facts, rev: int, case: Case, past: Sequence[Verdict]
) -> Asked:
    """What is kept of the facts, and which of the past nobody looked at or nobody kept."""
    unknown = []
    if past and facts.trees is None:
        unknown.append("trees")
    if len(case.past) != len(past):
        unknown.append("refusals")
    return asked_of(facts, rev, partial(shows_secret, tools, agent.id), unknown)


async def _trees(
    tools: Tools, job: Job, past: Sequence[Verdict], commit: str | None
) -> tuple[str, ...]:
    """What the files were after each of these attempts and this one; empty where none were kept."""
    kept = await tools.store.read(checkpoints.checkpoints_of, job.task.id)
    by_attempt = {p.attempt: p.commit for p in kept if p.label == checkpoints.after(p.attempt)}
    commits = (*(by_attempt.get(verdict.attempt) for verdict in past), commit)

    def read() -> tuple[str, ...]:
        return tuple(tools.workspaces.tree(job.repo, c) if c else "" for c in commits)

    return await in_thread(read)
