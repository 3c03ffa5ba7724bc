"""The rules of breakpoints over a verdict: which hold, and what becomes of its decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from muster.domain.agent import Agent, Outcome
from muster.domain.event import NewEvent
from muster.domain.verdict import Step, Verdict
from muster.engine.order import budget_of
from muster.engine.overseer import counted, rules_of, told_of
from muster.engine.tools import Job, Tools, in_thread, program_name, program_of
from muster.store import breakpoint_rules as rule_verbs
from muster.store import checkpoints, judgements
from muster.store.base import Tx
from muster.supervision.condition import Facts
from muster.supervision.decide import held_back
from muster.supervision.evidence import Changes
from muster.supervision.feedback import refusal_of
from muster.supervision.rules import Match, Ruleset

_OF_THE_PAST = frozenset({"same_failure", "oscillation"})


@dataclass(frozen=True, slots=True)
class Overseen:
    """A verdict as rules leave it; `rules` are those that hold, `events` tell of them."""

    verdict: Verdict
    rules: tuple[Mapping[str, Any], ...] = ()
    events: tuple[NewEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What an attempt left: its commit, what that changes, and what the agent says of it."""

    commit: str | None
    changed: Changes
    claims: str


async def overseen(tools: Tools, job: Job, agent: Agent, verdict: Verdict, work: Work) -> Overseen:
    """Ask the rules about a verdict before its decision becomes a move.

    All is kept by the move itself, so that who is killed before it asks again, and nobody is
    asked twice.
    """
    task = job.task
    if agent.outcome is Outcome.CANCELLED or verdict.decision.step is Step.PARK:
        return Overseen(verdict)
    if agent.outcome is Outcome.HELD:
        told = await tools.store.read(rule_verbs.told_of_task, task.id)
        rules = tuple(item.payload for item in told.values() if item.stopped == agent.id)
        return Overseen(verdict, rules)
    rules_now = (await rules_of(tools, job)).rules
    facts = await _facts(tools, job, agent, verdict, work, rules_now)
    matches = rules_now.matching(facts)
    if matches:
        told = await tools.store.read(rule_verbs.told_of_task, task.id)
        matches = tuple(match for match in matches if match.cause not in told)
    return _with(verdict, job, agent, matches)


def _with(verdict: Verdict, job: Job, agent: Agent, matches: Sequence[Match]) -> Overseen:
    decision = held_back(verdict.decision, matches, verdict.findings, job.task.label)
    return Overseen(
        replace(verdict, decision=decision),
        tuple(match.as_json() for match in matches),
        tuple(
            rule_verbs.event_of(job.task, agent.id, told_of(match, "verdict")) for match in matches
        ),
    )


async def _facts(
    tools: Tools,
    job: Job,
    agent: Agent,
    verdict: Verdict,
    work: Work,
    rules: Ruleset,
) -> Facts:
    task, kinds, cost = job.task, rules.kinds(), agent.usage.cost_usd
    counts_cost = tools.drivers[agent.driver].capabilities.reports_cost
    past: list[Verdict] = []
    if task.attempt > 1 and kinds & _OF_THE_PAST:
        past = await tools.store.read(_past, task.id, task.tries)
    began, ended = agent.started_at, agent.ended_at
    return Facts(
        type=str(task.type),
        agent=program_name(tools, job),
        attempt=task.attempt,
        events=await tools.store.read(counted, task.id, rules) if "event" in kinds else None,
        cost_usd=cost if counts_cost or cost else None,
        budget_usd=budget_of(job, program_of(tools, job)[1]),
        seconds=(ended - began) / 1000 if began and ended else None,
        findings=verdict.findings,
        step=str(verdict.decision.step),
        outcome=str(agent.outcome or Outcome.FAILED),
        claims=work.claims,
        files=tuple(dict.fromkeys(path for change in work.changed for path in change.paths)),
        lines=sum(change.added + change.removed for change in work.changed),
        confidence=verdict.confidence,
        refusals=tuple(refusal_of(each.findings) for each in (*past, verdict)),
        trees=await _trees(tools, job, past, work.commit) if past else None,
    )


def _past(tx: Tx, task_id: str, tries: int) -> list[Verdict]:
    """The verdicts before this one since a person last said try again, as far as they count."""
    counted_ones = [v for v in judgements.verdicts_of(tx, task_id) if v.decision.counts]
    return counted_ones[len(counted_ones) - (tries - 1) :] if tries > 1 else []


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
