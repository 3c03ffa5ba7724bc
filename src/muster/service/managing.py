"""The counter's part for managers: spawn workers, watch them, and end them; only their own.

Every verb takes the manager's id, which the gate found by its token, and finds workers by the names
that this manager gave them: there is no name for anybody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from muster.domain.agent import Agent, Role
from muster.domain.errand import errand_of, worker_name
from muster.domain.errors import Conflict, NotAllowed
from muster.domain.person import Person
from muster.domain.plain import plain
from muster.domain.task import TERMINAL, Stage, Task
from muster.runtimes.rundir import RunDir
from muster.service import roles
from muster.service.steps import again
from muster.service.voice import LONGEST_WAIT, Voice
from muster.store import agent_tokens, agents, judgements, moves, workers
from muster.store.acceptance import author_of
from muster.store.base import Tx
from muster.store.purse import workers_purse

LOG_BYTES = 16_000
NOTE_BYTES = 8_000


class Managing(Voice):
    """Everything a manager can do about its own workers."""

    async def spawn_worker(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Spawn a worker; the same name again gives the same worker.

        Raises:
            NotAllowed: the agent is no manager.
            Conflict: the name was given to another errand, or too many were spawned.
        """
        errand = errand_of(body, self._telling)

        def write(tx: Tx, agent: Agent, task: Task) -> dict[str, Any]:
            _refuse_others(agent)
            row = self._project(tx, task)
            worker, _ = workers.spawn(
                tx,
                task,
                agent,
                errand,
                settings=self._settings(row),
                known_agents={*self._own.agent_names, *row.file_settings.get("agents", {})},
                writers=self._writers(row),
            )
            return self._worker_shape(tx, worker)

        return await self._said(agent_id, "spawn", key, body, write)

    async def list_workers(self, agent_id: str) -> dict[str, Any]:
        """All workers of this manager, and the number to wait on from."""
        return await self._store.read(lambda tx: self._team(tx, agent_id))

    async def wait_for_workers(
        self, agent_id: str, seen: int | None = None, wait: float = 0.0
    ) -> dict[str, Any]:
        """The workers as soon as none is at work, or one has moved since `seen`; else after `wait`.

        Without `seen` only the first counts.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + max(0.0, min(wait, LONGEST_WAIT))
        while True:
            here = self._store.feed.rev
            team = await self._store.read(lambda tx: self._team(tx, agent_id))
            moved = seen is not None and team["seen"] > seen
            if moved or not team["at_work"] or loop.time() >= end:
                return team
            await self._store.feed.wait(here, min(5.0, max(0.01, end - loop.time())))

    async def worker_result(self, agent_id: str, name: str) -> dict[str, Any]:
        """How a worker's work was judged, and what it said of it."""

        def read(tx: Tx) -> dict[str, Any]:
            worker = self._worker(tx, agent_id, name)
            said = agents.agent_of_attempt(tx, worker.id, worker.attempt)
            verdicts = judgements.verdicts_of(tx, worker.id)
            findings = verdicts[-1].findings if verdicts else ()
            return {
                **self._worker_shape(tx, worker),
                "ended": worker.stage in TERMINAL,
                "said": dict(said.result) if said is not None and said.result else None,
                "findings": [
                    {"code": f.code, "severity": str(f.severity), "text": f.text} for f in findings
                ],
            }

        return await self._store.read(read)

    async def worker_log(self, agent_id: str, name: str, last: int = LOG_BYTES) -> dict[str, Any]:
        """The end of what a worker's agent wrote."""

        def read(tx: Tx) -> tuple[Task, Agent | None]:
            worker = self._worker(tx, agent_id, name)
            return worker, agents.agent_of_attempt(tx, worker.id, worker.attempt)

        worker, agent = await self._store.read(read)
        if agent is None:
            raise Conflict(
                f"'{worker.errand}' has not begun, so it has written nothing",
                hint="wait_for_workers tells when it moves",
            )
        run = RunDir(self._own.settings.runs / agent.id)
        size = await asyncio.to_thread(run.log_size)
        start = max(0, size - max(1, min(last, LOG_BYTES)))
        page = await asyncio.to_thread(run.log, start, LOG_BYTES)
        return {
            "id": worker.errand,
            "agent": agent.id,
            "text": plain("".join(item.text for item in page.items)),
            "from": start,
            "size": size,
        }

    async def retry_worker(
        self, agent_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Give a worker that has failed or was cancelled a fresh set of tries, with a word.

        Raises:
            Conflict: it has not failed, or too many tries were given.
            NeedsRole: it ended without the approval of a role.
        """
        note = self._telling.words(body, "note", NOTE_BYTES)

        def write(tx: Tx, agent: Agent, task: Task) -> dict[str, Any]:
            _refuse_others(agent)
            worker = workers.worker_of(tx, task, worker_name(body.get("id")))
            if worker.stage not in {Stage.FAILED, Stage.CANCELLED}:
                raise Conflict(
                    f"'{worker.errand}' is {worker.status}, so there is nothing to try again",
                    hint="only failed and cancelled workers can be set to work again",
                )
            roles.refuse_act(tx, worker, Person(agent.id), f"retry '{worker.errand}'")
            workers.set_to_work_again(tx, task, agent, worker)
            step = again(tx, worker, note, by=agent.id)
            return self._worker_shape(tx, moves.move(tx, step))

        said = self._said(agent_id, "retry", key, body, write)
        return await roles.told(self._store, said)

    async def cancel_worker(
        self, agent_id: str, name: str, key: str | None = None
    ) -> dict[str, Any]:
        """End a worker and all that runs for it; one that has ended stays as it is."""
        wanted = worker_name(name)

        def write(tx: Tx, agent: Agent, task: Task) -> dict[str, Any]:
            _refuse_others(agent)
            worker = workers.worker_of(tx, task, wanted)
            ended = moves.cancel(tx, worker, f"cancelled by its manager, {task.label}")
            return self._worker_shape(tx, ended)

        return await self._said(agent_id, "cancel", key, {"id": wanted}, write)

    @override
    def _refuse_early(self, tx: Tx, agent: Agent, task: Task) -> None:
        """A manager sums up when nothing goes on any more: else its summary cannot be true."""
        if agent.role is not Role.MANAGER:
            return
        busy = [str(worker.errand) for worker in workers.at_work(tx, task.id)]
        if busy:
            raise Conflict(
                f"workers of yours are at work: {', '.join(busy)}",
                hint="wait_for_workers until none is, or cancel_worker; then finish",
            )

    def _worker(self, tx: Tx, agent_id: str, name: str) -> Task:
        agent, task = agent_tokens.agent_at_work(tx, agent_id)
        _refuse_others(agent)
        return workers.worker_of(tx, task, worker_name(name))

    def _team(self, tx: Tx, agent_id: str) -> dict[str, Any]:
        agent, task = agent_tokens.agent_at_work(tx, agent_id)
        _refuse_others(agent)
        team = workers.workers_of(tx, task.id)
        purse = workers_purse(tx, task)
        return {
            "workers": [self._worker_shape(tx, worker) for worker in team],
            "at_once": self._settings(self._project(tx, task)).max_workers,
            "budget_left_usd": None if purse is None else round(max(0.0, purse.left), 4),
            "at_work": [str(worker.errand) for worker in workers.at_work(tx, task.id)],
            "seen": max((worker.rev for worker in team), default=0),
        }

    def _worker_shape(self, tx: Tx, worker: Task) -> dict[str, Any]:
        shape = self._task_shape(tx, worker)
        author = author_of(tx, worker)
        asked = judgements.list_breakpoints(tx, task_id=worker.id)
        if author is not None and author.id in worker.needs:
            asked = asked or judgements.list_breakpoints(tx, task_id=author.id)
        live = shape["live_agent"]
        return {
            "id": worker.errand,
            "task": worker.label,
            "title": worker.title,
            "status": str(worker.status),
            "reason": worker.reason,
            "attempt": worker.attempt,
            "passed": judgements.has_passed(tx, worker.id),
            "merged_commit": worker.merged_commit,
            "cost_usd": shape["cost_usd"],
            "does": live["last_line"] if live else "",
            "a_person_is_asked": asked[0].question if asked else None,
        }


def _refuse_others(agent: Agent) -> None:
    if agent.role is not Role.MANAGER:
        raise NotAllowed(
            f"{agent.id} is no manager and has no workers",
            hint="propose_subtasks proposes tasks to a person",
        )
