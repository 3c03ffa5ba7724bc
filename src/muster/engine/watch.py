"""The eyes on one running agent: its facts, its account, and the reasons to end it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from muster.agents import service_errors
from muster.agents.base import Driver, Ending, Fact, Reader, Session
from muster.domain.agent import Agent, Outcome, Usage
from muster.domain.event import NewEvent
from muster.domain.task import Task
from muster.engine.converse import Conversation
from muster.engine.follow import Follower
from muster.engine.overseer import Overseer
from muster.engine.permit import Permits
from muster.engine.pulse import Pulse
from muster.engine.ran_into import LIMIT, MOST_REFUSALS, Told, limits_reached, refused
from muster.engine.tools import Tools
from muster.engine.tried import Tries
from muster.failpoint import failpoint
from muster.runtimes.base import Exit, Why
from muster.runtimes.refusals import read_refusals
from muster.store import agents as agent_verbs
from muster.store import events, permissions
from muster.store.purse import Purse, how_to_raise, purse_of

_REPORT_EVERY = 0.25
_HELD = "rule"
_MOST_SAID = 2000
_GETS_ON = frozenset({"text", "thought", "plan", "tool_started", "tool_finished", "file", "usage"})
_COUNT_EVERY = 1.0


@dataclass(slots=True)
class Watch:
    """The eyes on one running agent: reads its facts, keeps its account, and ends it if it must.

    `seconds` is how long a run that waits for people may work; others are ended by their place.
    """

    tools: Tools
    task: Task
    agent: Agent
    driver: Driver
    reader: Reader
    follower: Follower
    overseer: Overseer
    tries: Tries
    budget: float | None = None
    purse: Purse | None = None
    seconds: float | None = None
    usage: Usage = field(default_factory=Usage)
    session_id: str | None = None
    line: str = ""
    _open_tools: int = 0
    _trouble: tuple[Mapping[str, Any], float] | None = None
    _hushed: Ending | None = None
    _heard_at: float = field(default_factory=time.monotonic)
    _pulse: Pulse = field(default_factory=Pulse)
    _told: tuple[str, float] = ("", 0.0)
    _told_at: float = 0.0
    _counted: tuple[float, float] = (0.0, -_COUNT_EVERY)
    _too_much: str = ""
    _refused: set[Told] = field(default_factory=set)
    _read_to: int = 0
    _began_at: float = 0.0
    _ends_at: float = 0.0
    _already_said: int = 0
    _may_say: int = 0
    _saying: list[str] = field(default_factory=list)

    async def until_over(self) -> tuple[Ending, Exit]:
        """Follow the run to its end and say how it ended."""
        if self.task.manages:
            said = await self.tools.store.read(events.count, "agent.said", self.agent.id)
            self._already_said, self._may_say = said, _MOST_SAID - said
        talk = self._conversation()
        if talk is not None:
            await talk.catch_up()
        async for data in self.follower.pieces():
            for fact in self.reader.feed(data) if data else ():
                self._take(fact)
                if talk is not None:
                    talk.hear(fact)
            await self._oversee()
            if talk is not None:
                await talk.go_on()
            await self._report()
            await self._tell_words()
            await self._tell_refusals()
            await self.tries.tell()
            await self._enforce()
        exit_ = self.follower.exit
        await self._tell_limits(exit_)
        return await self._held(exit_) or self._ending(exit_), exit_

    def _conversation(self) -> Conversation | None:
        if not isinstance(self.reader, Session):
            return None
        permits = Permits(self.tools, self.task, self.agent, self.reader, self.overseer)
        return Conversation(self.tools, self.task, self.agent, self.reader, self.follower, permits)

    def _take(self, fact: Fact) -> None:
        self._heard_at = time.monotonic()
        self.overseer.hear(fact)
        self.tries.hear(fact)
        data = fact.data
        if fact.kind == "retry":
            self._trouble = (data, self.tools.clock())
        elif fact.kind in _GETS_ON:
            self._trouble = None
        match fact.kind:
            case "usage":
                self.usage = Usage(
                    int(data.get("input_tokens", 0)),
                    int(data.get("output_tokens", 0)),
                    float(data.get("cost_usd", 0.0)),
                )
            case "session":
                self.session_id = str(data.get("session_id", "")) or None
            case "text" if self.task.manages:
                self._saying.append(str(data.get("text", "")))
            case "tool_started":
                self._open_tools += 1
            case "tool_finished":
                self._open_tools = max(0, self._open_tools - 1)
        words = data.get("summary") or data.get("text") or data.get("path")
        if words and fact.kind != "raw":
            self.line = str(words).strip().splitlines()[-1][:200] if str(words).strip() else ""

    async def _oversee(self) -> None:
        """Ask the rules of breakpoints; one that holds may end the run until a person decides."""
        if self.follower.stopped or (self.follower.over and not self.overseer.has_news):
            return
        waits = isinstance(self.reader, Session) and (bool(self.reader.waiting) or self._listens())
        if await self.overseer.look(self.usage.cost_usd, self.budget, waits=waits):
            failpoint("rule.before_stop")
            await self.follower.stop(_HELD)
            failpoint("rule.after_stop")

    async def _held(self, exit_: Exit) -> Ending | None:
        """How it ended when a rule stopped it, be it by an earlier process of muster."""
        rule = self.overseer.held
        said = rule.sentence() if rule is not None and self.follower.stopped == _HELD else ""
        if not self.follower.stopped and exit_.why in {Why.STOPPED, Why.KILLED}:
            said = await self.overseer.held_before()
        return Ending(Outcome.HELD, said) if said else None

    async def _report(self) -> None:
        now = time.monotonic()
        state = (self.line, self.usage.cost_usd)
        if state == self._told or now - self._told_at < _REPORT_EVERY:
            return
        self._told, self._told_at = state, now
        await self.tools.store.write(
            agent_verbs.report,
            self.task,
            self.agent.id,
            {
                "last_line": self.line,
                "cost_usd": self.usage.cost_usd,
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "session_id": self.session_id,
            },
        )

    async def _tell_words(self) -> None:
        """Tell people what a manager says, each text once though its output is read again."""
        saying, self._saying = self._saying, []
        for text in saying:
            if self._already_said:
                self._already_said -= 1
                continue
            if self._may_say <= 0:
                return
            self._may_say -= 1
            await self._tell("agent.said", {"text": text})

    async def _tell_refusals(self) -> None:
        """Say what the run was kept from, each once.

        After a restart of muster they are said once more.
        """
        found, self._read_to = read_refusals(self.follower.run_dir, self._read_to)
        for key, payload in refused(found, self._refused):
            if sum(key[0] == told[0] for told in self._refused) < MOST_REFUSALS:
                self._refused.add(key)
                await self._tell(key[0], payload)

    async def _tell_limits(self, exit_: Exit) -> None:
        """Say which limits the run ran into, also where it went on all the same."""
        for payload in limits_reached(exit_):
            await self._tell(LIMIT, payload)

    async def _tell(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Keep a fact about the agent."""
        told = NewEvent(kind, self.agent.id, payload, self.task.project_id, self.task.id)
        await self.tools.store.write(events.append, told)

    async def _enforce(self) -> None:
        if not self.follower.stopped and (why := await self._overspent()):
            self._too_much = why
            await self.follower.stop("budget")
        if self.driver.capabilities.structured and self._idle():
            # Judged before it is ended: what it says at its end is no word about its silence.
            self._hushed = self._hushed or self._silence()
            await self.follower.stop("idle")
        if await self._has_worked_too_long():
            await self.follower.stop("time")

    async def _overspent(self) -> str:
        """Why it may spend no more, in words; empty while it may."""
        cost = self.usage.cost_usd
        if self.budget is not None and cost > self.budget:
            spent = f"${cost:.2f} of ${self.budget:.2f} spent"
            return f"stopped at its budget: {spent}; {how_to_raise(self.task.label)}"
        purse = await self._purse(cost)
        return purse.told() if purse is not None and purse.left < 0 else ""

    async def _purse(self, cost: float) -> Purse | None:
        """What a manager or a worker is paid from, read when it has spent more, and now and then.

        What it has spent itself is known here first.
        """
        if not (self.task.manages or self.task.parent_id):
            return None
        now = time.monotonic()
        if cost != self._counted[0] or now - self._counted[1] >= _COUNT_EVERY:
            self._counted = (cost, now)
            others = await self.tools.store.read(purse_of, self.task, self.agent.id)
            self.purse = others and others.and_spent(cost)
        return self.purse

    async def _has_worked_too_long(self) -> bool:
        """Whether its time is over, that not counted in which it waited for people."""
        if self.seconds is None:
            return False
        now = self.tools.clock()
        if not self._ends_at:
            began = self.agent.started_at
            self._ends_at = self.seconds + (began / 1000 if began is not None else now)
            self._began_at = self._ends_at - self.seconds
        if now < self._ends_at:
            return False
        waited = await self.tools.store.read(permissions.waited, self.task.id, self.agent.id)
        self._ends_at = self._began_at + self.seconds + waited / 1000
        return now >= self._ends_at

    def _idle(self) -> bool:
        """Silent for long, with no tool at work, no processor time used, and nobody to answer."""
        if isinstance(self.reader, Session) and (self.reader.waiting or self._listens()):
            self._heard_at = time.monotonic()
        if self._open_tools or time.monotonic() - self._heard_at < self.tools.idle_seconds:
            return False
        if self._pulse.beats(self.follower.runtime, self.follower.run_dir):
            self._heard_at = time.monotonic()
            return False
        return True

    def _listens(self) -> bool:
        """Whether it has nothing to do until a person says something."""
        return self.task.listens and isinstance(self.reader, Session) and self.reader.finished

    def _only_waited(self, exit_: Exit) -> bool:
        """Whether it was done when its time was over, and nobody was there to let it end."""
        done = isinstance(self.reader, Session) and self.reader.finished
        return done and exit_.why is Why.TIMEOUT and not self.follower.stopped

    def _ending(self, exit_: Exit) -> Ending:
        """Why muster ended it, else why its place did, else the program's own account."""
        by_muster = {
            "cancelled": Ending(Outcome.CANCELLED, "cancelled by a person"),
            "budget": Ending(Outcome.BUDGET, self._too_much),
            "time": Ending(Outcome.TIMEOUT, "worked longer than its time limit"),
            "idle": self._hushed or self._silence(),
            "deaf": Ending(Outcome.TIMEOUT, "took nothing in of what it was told"),
        }
        closed = self.follower.stopped == "closed" or self._only_waited(exit_)
        own = self.reader.end(exit_.code, "closed" if closed else str(exit_.why))
        if closed:
            return own
        if self.follower.stopped:
            return by_muster[self.follower.stopped]
        by_place = {
            Why.TIMEOUT: Ending(Outcome.TIMEOUT, "ran longer than its time limit"),
            Why.MEMORY: Ending(Outcome.CRASHED, _used_up("used more memory than it may", "memory")),
            Why.DISK: Ending(Outcome.CRASHED, _used_up(exit_.detail, "disk")),
            Why.LOST: Ending(Outcome.LOST, "its supervisor was killed; nothing of it is left"),
            Why.EXEC: Ending(Outcome.FAILED, exit_.detail or "its program could not be started"),
            Why.KILLED: Ending(Outcome.CANCELLED, "stopped by a person"),
            Why.STOPPED: Ending(Outcome.CANCELLED, "stopped by a person"),
        }
        return by_place.get(exit_.why, own)

    def _silence(self) -> Ending:
        """What its silence means.

        In the middle of a turn, with no tool at work and nobody to answer, a program can only wait
        for its model's service. Some tell that they do, and for how long.
        """
        said = f"said nothing for {self.tools.idle_seconds:.0f} s and did nothing"
        if self._trouble is not None:
            told, heard_at = self._trouble
            return service_errors.waiting(told, heard_at, said)
        if isinstance(self.reader, Session) and self.session_id and not self.reader.finished:
            why = "its model's service does not answer, or has it wait for a limit to end"
            return Ending(Outcome.UNAVAILABLE, f"{said}: {why}")
        return Ending(Outcome.TIMEOUT, said)


def _used_up(said: str, what: str) -> str:
    return f"{said}; if the work needs more, raise the setting {what}_mb of the project"
