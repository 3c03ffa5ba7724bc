"""The rules of breakpoints over one task: loaded, asked, told once, and what then happens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from muster.agents.base import Fact
from muster.domain.agent import Agent
from muster.domain.event import NewEvent
from muster.domain.permission import Permissions
from muster.domain.task import Task
from muster.engine.pulse import Pulse
from muster.engine.tools import Job, Tools, in_thread, program_name
from muster.store import breakpoint_rules as rule_verbs
from muster.store import events
from muster.store.base import Tx
from muster.supervision.condition import Facts
from muster.supervision.rulebook import FILE, InForce
from muster.supervision.rules import Action, Match, Ruleset

_CALLS = 200
_LOOK_EVERY = 1.0
_QUIET_FROM = 30.0
"""Seconds of silence from which it is asked whether the processes do anything."""


async def rules_of(tools: Tools, job: Job) -> InForce:
    """The rules in force for a task, those of its base commit; faults are told once."""
    commit, project = str(job.task.base_commit or ""), job.project.id

    def read() -> bytes | None:
        return tools.workspaces.find_file(job.repo, commit, FILE) if commit else None

    asked = (project, commit, job.trusted_rules, read)
    if tools.rules.knows(project, commit):
        found = tools.rules.rules(*asked)
    else:
        found = await in_thread(tools.rules.rules, *asked)
    if tools.rules.are_news(project, found):
        for file, faults in found.faults.items():
            told = {"file": file, "commit": commit, "faults": [str(fault) for fault in faults]}
            new = NewEvent("rules.refused", project, told, project, job.task.id)
            await tools.store.write(events.append, new)
    return found


@dataclass(slots=True)
class Overseer:
    """Asks the rules about a running agent; a rule that holds is told once for each cause.

    `held` is the rule that stops the run. What was told is in the store before the run is
    stopped, so that another process of muster goes on with it.
    """

    tools: Tools
    job: Job
    agent: Agent
    counts_cost: bool
    rules: Ruleset = field(default_factory=Ruleset)
    held: Match | None = None
    _kinds: frozenset[str] = frozenset()
    _facts: Facts = field(default_factory=Facts)
    _calls: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_CALLS))
    _new_calls: list[tuple[str, str]] = field(default_factory=list)
    _asked_at: float = 0.0
    _seen: set[str] = field(default_factory=set)
    _told: dict[str, rule_verbs.Told] | None = None
    _news: int = -1
    _began_at: float = 0.0
    _heard_at: float = field(default_factory=time.monotonic)
    _pulse: Pulse = field(default_factory=Pulse)
    _stamp: bytes | None = None
    _stamped_cost: float = 0.0
    _probed_cost: float = 0.0

    @property
    def task(self) -> Task:
        """The task."""
        return self.job.task

    @property
    def has_news(self) -> bool:
        """Whether the program told of calls that no rule was asked about."""
        return bool(self._new_calls)

    async def load(self) -> None:
        """Know the rules, once; before that none is asked."""
        self._began_at = self.tools.clock()
        self.rules = (await rules_of(self.tools, self.job)).rules
        self._kinds = self.rules.kinds()
        self._facts = Facts(
            type=str(self.task.type),
            agent=program_name(self.tools, self.job),
            attempt=self.task.attempt,
            budget_usd=self.task.budget_usd,
        )

    def hear(self, fact: Fact) -> None:
        """Take in what the program reported."""
        self._heard_at = time.monotonic()
        if fact.kind == "tool_started":
            call = _call(fact.data)
            self._calls.append(call)
            self._new_calls.append(call)

    async def look(self, cost: float, budget: float | None, *, waits: bool) -> Match | None:
        """Ask the rules about what is new; the one that stops the run, if any does.

        `waits`: the program has nothing to do until a person answers.
        """
        now = time.monotonic()
        if waits:
            self._heard_at = now
        if not self._new_calls and now - self._asked_at < _LOOK_EVERY:
            return None
        self._asked_at = now
        facts = replace(
            self._facts,
            budget_usd=budget,
            cost_usd=cost if self.counts_cost or cost else None,
            seconds=self.tools.clock() - (self.agent.started_at or self._began_at * 1000) / 1000,
            quiet_seconds=self._quiet(now),
            idle_cost=await self._idle_cost(cost),
            events=await self._events(),
        )
        for moment in self._moments(facts):
            for match in self.rules.matching(moment):
                if await self.tell(match) and self.held is None:
                    self.held = match
                    return match
        return None

    def asked(self, tool: str, subject: str | None) -> tuple[Match, ...]:
        """The rules that hold because of what the agent asks leave for, before it does it."""
        if not subject:
            return ()
        anyway = {match.rule.name for match in self.rules.matching(self._facts)}
        found = self.rules.matching(replace(self._facts, call=(tool, subject)))
        return tuple(match for match in found if match.rule.name not in anyway)

    async def held_before(self) -> str:
        """What the rule said that stopped this run, where an earlier process had it stopped."""
        for told in (await self._known()).values():
            if told.stopped == self.agent.id:
                return told.sentence
        return ""

    async def tell(self, match: Match) -> bool:
        """Keep that a rule holds, once for its cause; whether it stops the run."""
        if match.cause in self._seen:
            return False
        self._seen.add(match.cause)
        stops = match.rule.action is not Action.NOTIFY
        before = (await self._known()).get(match.cause)
        if before is not None:
            return stops and before.stopped == self.agent.id
        told = told_of(match, "run", self.agent.id if stops else "")
        await self.tools.store.write(rule_verbs.tell, self.task, self.agent.id, told)
        return stops

    def _moments(self, facts: Facts) -> list[Facts]:
        """The facts at each new call, else now; who asks first is answered, not stopped."""
        new, self._new_calls = self._new_calls, []
        past = list(self._calls)
        asks_first = self.agent.permissions is not Permissions.BYPASS
        moments = []
        for at, call in enumerate(new):
            until = len(past) - len(new) + at + 1
            calls = tuple(past[:until]) if until > 0 else ()
            moments.append(replace(facts, call=None if asks_first else call, calls=calls))
        return moments or [replace(facts, calls=tuple(past))]

    async def _known(self) -> Mapping[str, rule_verbs.Told]:
        if self._told is None:
            self._told = await self.tools.store.read(rule_verbs.told_of_task, self.task.id)
        return self._told

    async def _events(self) -> Mapping[str, int] | None:
        """How often each kind that a rule asks for has happened to the task."""
        if "event" not in self._kinds:
            return None
        moved = self.tools.store.feed.moved
        if moved != self._news:
            self._news = moved
            rev = self.tools.store.feed.rev
            counts = await self.tools.store.read(counted, self.task.id, self.rules, rev)
            self._facts = replace(self._facts, events=counts)
        return self._facts.events

    def _quiet(self, now: float) -> float | None:
        """Seconds in which neither the program told a fact nor its processes did anything."""
        if "silence" not in self._kinds:
            return None
        quiet = now - self._heard_at
        if quiet < _QUIET_FROM:
            return quiet
        runtime = self.tools.runtime(self.agent.runtime)
        if self._pulse.beats(runtime, self.tools.run_dir(self.agent.id)):
            self._heard_at = now
            return 0.0
        return quiet

    async def _idle_cost(self, cost: float) -> float | None:
        """What was spent since the files last changed; looked at each time that a part is spent."""
        if not cost or "cost_without_change" not in self._kinds:
            return None
        step = min(self.rules.asked("cost_without_change")) / 2
        if cost - self._probed_cost >= step:
            self._probed_cost = cost
            now = await in_thread(self._files)
            if now is None or now != self._stamp:
                self._stamp, self._stamped_cost = now, cost
        return cost - self._stamped_cost if self._stamp is not None else None

    def _files(self) -> bytes | None:
        workspaces = self.tools.workspaces
        return workspaces.stamp(workspaces.get(self.agent.id))


def told_of(match: Match, moment: str, stopped: str = "") -> dict[str, Any]:
    """A match as its event tells it; `stopped` names the run that it ended."""
    return {**match.as_json(), "text": match.sentence(), "at": moment, "stopped": stopped}


def counted(tx: Tx, task_id: str, rules: Ruleset, up_to: int) -> dict[str, int]:
    """How often what the rules ask for had happened to a task by an event's number."""
    kinds = {kind for kind, _ in rules.asked("event")}
    return rule_verbs.count_events(tx, task_id, kinds, up_to)


def _call(data: Mapping[str, Any]) -> tuple[str, str]:
    """A call of a tool as (tool, what with); drivers begin their words with the tool's name."""
    tool, words = str(data.get("tool", "")), str(data.get("summary", ""))
    on = str(data.get("subject", ""))
    if on and not on.startswith("{"):
        return tool, on  # whole, where the words are cut for a line
    return tool, words.removeprefix(tool).strip()
