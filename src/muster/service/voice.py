"""The counter's part for what an agent says of its own task: progress, questions, results, wishes.

Every verb takes the agent's id, which the gate found by the agent's token, and looks in its own
transaction whether that agent's attempt is still under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from muster.domain.acceptance import Shown, Written, shown_of, written_of
from muster.domain.agent import Agent
from muster.domain.errors import Conflict, Invalid, NotFound
from muster.domain.event import NewEvent
from muster.domain.project import Project
from muster.domain.secret_names import secrets_in
from muster.domain.task import Autonomy, Task
from muster.domain.telling import PROGRESS_BYTES, Telling
from muster.domain.verdict import Answer, Breakpoint, BreakpointKind
from muster.knowledge.brief import brief
from muster.service import shapes
from muster.service.requests import TaskRequest, task_request
from muster.service.tasks import Tasks
from muster.store import acceptance, agent_tokens, agents, events, judgements, keys
from muster.store.agents import get_agent
from muster.store.base import Tx
from muster.store.judgements import NewBreakpoint
from muster.supervision.reports import schema_of, with_report

QUESTION_BYTES = 8_000
MOST_QUESTIONS = 5
MOST_OPTIONS = 8
MOST_PROPOSED = 20
LONGEST_WAIT = 300.0
_PROPOSED_KEYS = frozenset({"description", "title", "type", "paths", "after"})


class Voice(Tasks):
    """Everything an agent can say of its own task."""

    async def agent_of_token(self, token: str) -> str | None:
        """The agent that a token belongs to, while its attempt is under way."""
        return await self._store.read(agent_tokens.agent_of_token, token)

    async def claim_work(self, agent_id: str) -> dict[str, Any]:
        """The work that this agent is there for: its task, its whole brief, what it may touch."""

        def read(tx: Tx) -> tuple[Agent, Task, Written | None]:
            agent, task = agent_tokens.agent_at_work(tx, agent_id)
            author = acceptance.author_of(tx, task)
            said = acceptance.last_verdict(tx, author) if author else None
            return agent, task, written_of(said.findings) if said else None

        agent, task, written = await self._store.read(read)
        told = await asyncio.to_thread(self._told, agent)
        shown = await asyncio.to_thread(self._shown, task, written) if written else None
        work = await self._store.read(self._work, agent, task, shown)
        return {**work, "brief": told or work["brief"]}

    def _told(self, agent: Agent) -> str:
        """What the agent was told when it was started; empty where that was not kept."""
        path = self._own.settings.runs / agent.id / "brief.md"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _shown(self, task: Task, written: Written) -> Shown:
        """What its agent may know of the tests that judge it."""
        read = partial(self._own.workspaces.read_file, task.hidden_repo, written.commit)
        return shown_of(written, read)

    def _work(self, tx: Tx, agent: Agent, task: Task, shown: Shown | None) -> dict[str, Any]:
        row = self._project(tx, task)
        settings = self._settings(row)
        project = Project(row.id, row.name, row.git_dir, row.work_tree, row.branch, settings)
        return {
            "agent_id": agent.id,
            "task_id": task.id,
            "label": task.label,
            "title": task.title,
            "type": str(task.type),
            "attempt": task.attempt,
            "project": row.name,
            "base_commit": task.base_commit,
            "target_branch": row.branch,
            "paths": list(task.paths),
            "brief": brief(task, project, task.feedback, acceptance=shown).text,
        }

    async def report_progress(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Say what the agent does now; it becomes the live line of its task."""
        words = self._telling.words(body, "text", PROGRESS_BYTES)
        percent = body.get("percent")

        def write(tx: Tx, agent: Agent, task: Task) -> dict[str, Any]:
            line = words.splitlines()[-1][:200]
            more = {"progress": words, "percent": percent}
            agents.report(tx, task, agent.id, {"last_line": line}, more)
            return {"noted": True}

        return await self._said(agent_id, "progress", key, body, write)

    async def hand_in(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Keep the agent's structured result; a later one replaces it.

        It is the agent's word: the work is judged all the same, once its program has ended.

        Raises:
            Invalid: it is none, or `data` is not the report that the agent's role owes.
        """
        agent = await self._store.read(get_agent, agent_id)
        told = self._telling.result(body)
        result = await asyncio.to_thread(with_report, agent.role, told)

        def write(tx: Tx, agent: Agent, task: Task) -> dict[str, Any]:
            self._refuse_early(tx, agent, task)
            agents.hand_in(tx, task, agent.id, result)
            return {"kept": True, "next": "end your program now; then the work is checked"}

        return await self._said(agent_id, "result", key, body, write)

    async def report_schema(self, agent_id: str) -> dict[str, Any] | None:
        """What the `data` of this agent's result has to be; None where it may be anything."""
        agent = await self._store.read(get_agent, agent_id)
        return await asyncio.to_thread(schema_of, agent.role)

    def _refuse_early(self, tx: Tx, agent: Agent, task: Task) -> None:
        """Raise `Conflict` while a result of this agent cannot be taken."""

    async def emit_own_event(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Append a fact of the agent's own kind, about its own task.

        Raises:
            Invalid: the type is one of muster's own, which only muster may say.
        """
        kind, payload = self._telling.own_event(body)

        def write(tx: Tx, agent: Agent, _task: Task) -> dict[str, Any]:
            return shapes.event_shape(events.append(tx, _of(kind, agent, payload)))

        return await self._said(agent_id, "event", key, body, write)

    async def ask_person(
        self, agent_id: str, body: Mapping[str, Any], wait: float = 0.0
    ) -> dict[str, Any]:
        """Ask a person; the answer when it comes within `wait` seconds, else that it is open.

        Asking the same again gives the same question with its answer, so that an agent that lost
        the first answer, or waits on, just asks again; so does the next attempt.

        Raises:
            Conflict: too many questions of this agent are open.
        """
        question = self._telling.words(body, "question", QUESTION_BYTES)
        options = self._options(body.get("options") or ())

        def write(tx: Tx, agent: Agent, task: Task) -> dict[str, Any]:
            mine = _questions_of(tx, task)
            same = next((q for q in mine if q.question == question), None)
            if same is not None:
                return {"id": same.id}
            if sum(q.open for q in mine) >= MOST_QUESTIONS:
                raise Conflict(
                    f"{MOST_QUESTIONS} questions of yours are open already",
                    hint="wait for an answer, or decide for yourself and say what you assumed",
                )
            asked = judgements.raise_breakpoint(
                tx,
                task,
                NewBreakpoint(
                    BreakpointKind.QUESTION,
                    question,
                    (*options, str(Answer.ANSWER), str(Answer.DECLINE)),
                    {"agent": agent.id, "attempt": agent.attempt},
                ),
            )
            return {"id": asked}

        asked = await self._said(agent_id, "ask", None, body, write)
        return await self._answer(agent_id, asked["id"], min(wait, LONGEST_WAIT))

    def _options(self, given: Any) -> tuple[str, ...]:
        if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > MOST_OPTIONS:
            raise Invalid(
                f"'options' must be a list of at most {MOST_OPTIONS} short texts",
                hint='for example "options": ["sqlite", "postgres"]',
            )
        own = (self._telling.words({"option": option}, "option", 200) for option in given)
        taken = {str(Answer.ANSWER), str(Answer.DECLINE)}
        return tuple(dict.fromkeys(option for option in own if option not in taken))

    async def _answer(self, agent_id: str, question_id: str, wait: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        end = loop.time() + max(0.0, wait)
        while True:
            seen = self._store.feed.rev
            item = await self._store.read(_question, agent_id, question_id)
            if not item.open or loop.time() >= end:
                return _answer_shape(item)
            await self._store.feed.wait(seen, min(5.0, max(0.01, end - loop.time())))

    async def propose(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Propose tasks of the agent's own project; a person says go to each.

        Under `full` those of a task that no agent proposed start by themselves.

        Raises:
            Conflict: this agent has proposed too many.
        """
        given = body.get("tasks")
        if not isinstance(given, Sequence) or isinstance(given, str) or not given:
            raise Invalid("'tasks' must be a list of tasks", hint='each has a "description"')
        wanted = [self._proposed(n, item) for n, item in enumerate(given)]

        def write(tx: Tx, agent: Agent, task: Task) -> dict[str, Any]:
            before = events.events_after(
                tx, 0, kind="agent.proposed", project_id=task.project_id, limit=100_000
            )
            mine = sum(e.subject == agent.id for e in before)
            if mine + len(wanted) > MOST_PROPOSED:
                raise Conflict(
                    f"an agent may propose {MOST_PROPOSED} tasks; {mine} were proposed before",
                    hint="put what belongs together into one task",
                )
            second_hand = any(e.task_id == task.id for e in before)
            return {"tasks": self._propose_all(tx, agent, task, wanted, second_hand)}

        return await self._said(agent_id, "propose", key, body, write)

    def _proposed(self, n: int, item: Any) -> tuple[TaskRequest, tuple[int, ...]]:
        if not isinstance(item, Mapping) or set(item) - _PROPOSED_KEYS:
            raise Invalid(
                f"task {n} of the list is not a task that can be proposed",
                hint=f"it takes: {', '.join(sorted(_PROPOSED_KEYS))}",
            )
        after = tuple(item.get("after") or ())
        if not all(isinstance(a, int) and 0 <= a < n for a in after):
            raise Invalid(
                f"'after' of task {n} names no earlier task of the list",
                hint="use places in this list, counted from 0",
            )
        body = {k: v for k, v in item.items() if k != "after" and v is not None}
        body["description"] = self._telling.words(body, "description", QUESTION_BYTES * 4)
        if "title" in body:
            body["title"] = self._telling.words(body, "title", 1000)
        return task_request({**body, "project": "-"}), after

    def _propose_all(
        self,
        tx: Tx,
        agent: Agent,
        task: Task,
        wanted: Sequence[tuple[TaskRequest, tuple[int, ...]]],
        second_hand: bool,
    ) -> list[dict[str, Any]]:
        autonomy = task.autonomy or self._settings(self._project(tx, task)).autonomy
        made: list[dict[str, Any]] = []
        for request, after in wanted:
            shape = self._create(
                tx,
                replace(
                    request,
                    project=task.project_id,
                    after=tuple(made[a]["id"] for a in after),
                    priority=task.priority,
                    autonomy=task.autonomy,
                    agent=task.agent,
                    runtime=task.runtime,
                    model=task.model,
                    budget_usd=task.budget_usd,
                    timeout_minutes=task.timeout_minutes,
                ),
                proposed=second_hand or autonomy is not Autonomy.FULL,
            )
            tx.emit(
                NewEvent(
                    "agent.proposed",
                    agent.id,
                    {"label": shape["label"], "for": task.label},
                    task.project_id,
                    shape["id"],
                )
            )
            made.append(shape)
        return [{k: m[k] for k in ("id", "label", "title", "status")} for m in made]

    async def _said(
        self,
        agent_id: str,
        what: str,
        key: str | None,
        body: Mapping[str, Any],
        act: Callable[[Tx, Agent, Task], dict[str, Any]],
    ) -> dict[str, Any]:
        """Do it once for a key, if the agent's attempt is still under way then."""

        def write(tx: Tx) -> dict[str, Any]:
            return act(tx, *agent_tokens.agent_at_work(tx, agent_id))

        scoped = f"{what} {agent_id} {key}" if key else None
        answer, _ = await self._store.write(keys.once, scoped, dict(body), write)
        return answer

    @cached_property
    def _telling(self) -> Telling:
        return Telling(secrets_in(self._own.settings.environ))


def _of(kind: str, agent: Agent, payload: Mapping[str, Any]) -> NewEvent:
    return NewEvent(kind, agent.id, payload, agent.project_id, agent.task_id)


def _questions_of(tx: Tx, task: Task) -> list[Breakpoint]:
    """What agents asked about a task, in all attempts; what nobody answered in time is left out."""
    asked = judgements.list_breakpoints(tx, open_only=False, task_id=task.id, limit=1000)
    return [q for q in asked if q.kind is BreakpointKind.QUESTION and (q.open or q.by)]


def _question(tx: Tx, agent_id: str, question_id: str) -> Breakpoint:
    _, task = agent_tokens.agent_at_work(tx, agent_id)
    found = next((q for q in _questions_of(tx, task) if q.id == question_id), None)
    if found is None:
        raise NotFound(f"you asked no question '{question_id}'", hint="ask_person asks one")
    return found


def _answer_shape(item: Breakpoint) -> dict[str, Any]:
    if item.open:
        return {
            "question_id": item.id,
            "answered": False,
            "hint": "call ask_person again with the same question to wait on",
        }
    declined = item.answer == str(Answer.DECLINE)
    return {
        "question_id": item.id,
        "answered": True,
        "declined": declined,
        "answer": None if declined else item.answer,
        "note": item.note,
        "by": item.by,
    }
