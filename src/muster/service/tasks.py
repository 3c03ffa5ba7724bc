"""The counter's part for tasks: submit, find, end, retry, merge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from muster.domain.acceptance import written_of
from muster.domain.answers import words_of
from muster.domain.errors import Conflict, GitFailed, Invalid, NoRoom, NotFound
from muster.domain.permission import permitted
from muster.domain.project import ProjectSettings
from muster.domain.task import (
    MANAGER,
    PLAN,
    PLAYBOOKS,
    STATUS_OF,
    TERMINAL,
    Autonomy,
    Stage,
    Status,
    Task,
)
from muster.domain.verdict import BreakpointKind, Checkpoint
from muster.service import shapes
from muster.service.desk import Desk
from muster.service.requests import TaskRequest, amount, owes_acceptance, task_request
from muster.service.steps import again, answered, merge_move, pay, start_move, told
from muster.settings import resolve
from muster.store import (
    agents,
    checkpoints,
    events,
    judgements,
    keys,
    moves,
    outcomes,
    papers,
    projects,
    tasks,
    workers,
)
from muster.store.acceptance import (
    author_of,
    create_with_author,
    last_verdict,
    written_for,
)
from muster.store.base import Tx
from muster.store.moves import Move
from muster.store.projects import ProjectRow
from muster.store.tasks import NewTask

_TRAIL = 400


class Tasks(Desk):
    """Everything a door can ask about tasks."""

    async def list_tasks(
        self,
        project: str | None = None,
        status: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> dict[str, Any]:
        """A page of tasks, newest first; `after` is the `next` of the page before."""
        stages = _stages(status)

        def read(tx: Tx) -> dict[str, Any]:
            project_id = projects.get_project(tx, project).id if project else None
            found = tasks.list_tasks(
                tx, project_id=project_id, stages=stages, after=after, limit=limit + 1
            )
            more = found[limit:]
            page = found[:limit]
            return {
                "items": self._task_shapes(tx, page),
                "next": str(page[-1].number) if more else None,
            }

        return await self._store.read(read)

    async def get_task(self, ref: str) -> dict[str, Any]:
        """A task with its agents, verdicts, decisions, question, checkpoints and trail."""
        task = await self._store.read(tasks.get_task, ref)
        await self.measure(task)
        return await self._store.read(self._detail, task.id)

    async def measure(self, task: Task) -> None:
        """Count how large a task's change is, once per commit."""
        key = (task.project_id, task.base_commit or "", task.result_commit or "")
        if not task.base_commit or not task.result_commit or key in self._own.sizes:
            return
        try:
            changes = await asyncio.to_thread(
                self._own.workspaces.changes, task.repo, task.base_commit, task.result_commit
            )
        except GitFailed:  # the work is gone: the task is shown all the same, and says so itself
            return
        self._own.sizes[key] = {
            "files": len(changes),
            "added": sum(c.added for c in changes),
            "removed": sum(c.removed for c in changes),
        }

    def _detail(self, tx: Tx, task_id: str) -> dict[str, Any]:
        task = tasks.get_task(tx, task_id)
        verdicts = judgements.verdicts_of(tx, task_id)
        open_ones = judgements.list_breakpoints(tx, task_id=task_id)
        holds = tasks.holds_back(tx, task_id)
        asked = [shapes.breakpoint_shape(b, task, holds) for b in open_ones]
        told = [shapes.trail_shape(e) for e in events.newest(tx, _TRAIL, task_id)]
        return {
            **self._task_shape(tx, task),
            "description": task.description,
            "agents": [
                shapes.agent_shape(a, task.label)
                for a in agents.list_agents(tx, task_id=task_id, limit=200)
            ],
            "verdicts": [shapes.verdict_shape(v) for v in verdicts],
            "outcomes": [shapes.outcome_shape(o) for o in outcomes.outcomes_of(tx, task_id)],
            "decisions": [
                {
                    "attempt": v.attempt,
                    "step": str(v.decision.step),
                    "reasons": list(v.decision.reasons),
                    "time": shapes.moment(v.created_at),
                }
                for v in verdicts
            ],
            "breakpoint": asked[0] if asked else None,
            "checkpoints": [
                shapes.checkpoint_shape(c) for c in checkpoints.checkpoints_of(tx, task_id)
            ],
            "trail": [line for line in reversed(told) if line is not None],
            "plan": papers.paper_of(tx, task_id, papers.PLAN),
            "rubric": papers.paper_of(tx, task_id, papers.RUBRIC),
            "parent": self._parent(tx, task),
            "workers": self._task_shapes(tx, workers.workers_of(tx, task_id)),
            "acceptance": _acceptance(tx, task),
        }

    def _parent(self, tx: Tx, task: Task) -> dict[str, Any] | None:
        """The task of a worker's manager."""
        return self._task_shape(tx, tasks.get_task(tx, task.parent_id)) if task.parent_id else None

    async def create_task(
        self, body: Mapping[str, Any], key: str | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Accept a task; with True when an earlier request with this key had made it.

        Raises:
            Invalid, NotFound: something in the body cannot be accepted.
            NoRoom: too little of the disk is free to keep a promise.
        """
        wanted = task_request(body)
        self._refuse_unknown(wanted)
        if not self._own.room_on_disk():
            raise NoRoom(
                "the disk is nearly full, so no new work is accepted",
                hint="free some space where MUSTER_HOME lies; then submit again",
            )
        scoped = f"task {key}" if key else None
        answer, replayed = await self._store.write(
            keys.once, scoped, dict(body), lambda tx: self._create(tx, wanted)
        )
        return answer, replayed

    def _refuse_unknown(self, wanted: TaskRequest) -> None:
        own = self._own
        if wanted.runtime is not None and wanted.runtime not in own.runtime_names:
            known = ", ".join(sorted(own.runtime_names))
            raise Invalid(f"there is no runtime '{wanted.runtime}'", hint=f"runtimes: {known}")
        if wanted.playbook not in {None, *PLAYBOOKS}:
            known = ", ".join(PLAYBOOKS)
            raise Invalid(f"there is no playbook '{wanted.playbook}'", hint=f"playbooks: {known}")

    def _create(
        self,
        tx: Tx,
        wanted: TaskRequest,
        *,
        proposed: bool = False,
        fork: Checkpoint | None = None,
    ) -> dict[str, Any]:
        project = projects.get_project(tx, wanted.project)
        if project.removed:
            raise NotFound(f"the project '{project.name}' was removed", hint="muster init adds it")
        known = {*self._own.agent_names, *project.file_settings.get("agents", {})}
        if wanted.agent is not None and wanted.agent not in known:
            names = ", ".join(sorted(known))
            raise Invalid(f"there is no agent '{wanted.agent}'", hint=f"agents: {names}")
        settings, _ = resolve(self._own.settings, project.overrides, project.file_settings)
        # A plan starts no agent: its tasks are what a person is asked about.
        manual = (wanted.autonomy or settings.autonomy) is Autonomy.MANUAL
        manual = proposed or (manual and wanted.playbook != PLAN)
        new = NewTask(
            project_id=project.id,
            title=wanted.title,
            description=wanted.description,
            type=wanted.type,
            priority=wanted.priority,
            stage=Stage.PROPOSED if manual else Stage.QUEUED,
            needs=tasks.resolve_refs(tx, wanted.after),
            autonomy=wanted.autonomy,
            agent=wanted.agent,
            runtime=wanted.runtime,
            playbook=wanted.playbook,
            model=wanted.model,
            budget_usd=self._budget(wanted, settings, project.file_settings),
            timeout_minutes=wanted.timeout_minutes,
            paths=wanted.paths,
            image=wanted.image,
            fork=fork,
            acceptance_id=tasks.get_task(tx, fork.task_id).acceptance_id if fork else None,
        )
        if fork is None and owes_acceptance(wanted, settings):
            task = create_with_author(tx, new, self._author(wanted, settings, project))
        else:
            task = tasks.create_task(tx, new)
        if manual:
            judgements.ask_to_start(tx, task)
        return self._task_shape(tx, task)

    def _author(self, wanted: TaskRequest, settings: ProjectSettings, project: ProjectRow) -> str:
        """Who writes a task's acceptance tests: another agent than its own, where there is one."""
        own = {**project.file_settings.get("agents", {}), **self._own.settings.agents}
        coder = wanted.agent or settings.agent or self._own.default_agent
        return settings.acceptance_agent or next((name for name in own if name != coder), coder)

    def _budget(
        self, wanted: TaskRequest, settings: ProjectSettings, of_project: Mapping[str, Any]
    ) -> float | None:
        """What a task may cost where that is fixed now: a manager's is its workers' as well."""
        if wanted.budget_usd is not None or wanted.playbook != MANAGER:
            return wanted.budget_usd
        known = {**of_project.get("agents", {}), **self._own.settings.agents}
        agent = known.get(wanted.agent or settings.agent or self._own.default_agent, {})
        limit = agent.get("budget_usd", settings.budget_usd)
        return None if limit is None else float(limit)

    async def change_task(self, ref: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Let a task that has not started wait for more (`after`), or cost more or less.

        `budget_usd` counts from the next attempt; for a manager and its workers at once.

        Raises:
            Cycle: the tasks would wait for each other.
        """
        unknown = sorted(set(body) - {"after", "budget_usd"})
        if unknown:
            hint = "after and budget_usd can be"
            raise Invalid(f"'{unknown[0]}' of a task cannot be changed", hint=hint)
        budget = amount(body, "budget_usd")

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if body.get("after") is not None:
                task = tasks.add_needs(tx, task.id, tasks.resolve_refs(tx, list(body["after"])))
            if budget is not None:
                task = pay(tx, task, budget)
            return self._task_shape(tx, task)

        return await self._store.write(write)

    async def cancel_task(self, ref: str, key: str | None = None) -> dict[str, Any]:
        """End a task: at once when nothing runs for it, else by stopping what runs.

        Raises:
            Conflict: the task has ended already.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if task.stage is Stage.CANCELLED:
                return self._task_shape(tx, task)
            if task.stage in TERMINAL:
                raise Conflict(
                    f"{task.label} has already {task.stage}", hint="an ended task stays as it is"
                )
            return self._task_shape(tx, moves.cancel(tx, task, "cancelled by a person"))

        return await self._once("cancel", key, [ref], write)

    async def retry_task(self, ref: str, note: str = "", key: str | None = None) -> dict[str, Any]:
        """Give an ended or waiting task a fresh set of attempts, with a word from the person.

        Raises:
            Conflict: the task is at work, or completed.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if task.stage not in {Stage.FAILED, Stage.CANCELLED, Stage.WAITING}:
                raise Conflict(
                    f"{task.label} is {task.status}, so there is nothing to retry",
                    hint="only failed, cancelled and waiting tasks can be retried",
                )
            return self._task_shape(tx, moves.move(tx, self._again(tx, task, note)))

        return await self._once("retry", key, [ref, note], write)

    async def approve_task(
        self, ref: str, by: str = "a person", key: str | None = None
    ) -> dict[str, Any]:
        """Say go to a proposed task.

        Raises:
            Conflict: the task is not proposed.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if task.stage is not Stage.PROPOSED:
                raise Conflict(
                    f"{task.label} is {task.status}, not proposed",
                    hint="only proposed tasks wait for a go",
                )
            return self._task_shape(tx, moves.move(tx, start_move(tx, task, by)))

        return await self._once("approve", key, [ref], write)

    async def merge_task(
        self, ref: str, by: str = "a person", key: str | None = None
    ) -> dict[str, Any]:
        """Merge a waiting task's work.

        Raises:
            Conflict: the task does not wait, or has nothing to merge.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if task.stage is not Stage.WAITING or not task.result_commit:
                raise Conflict(
                    f"{task.label} is {task.status} and has nothing that waits to be merged",
                    hint="muster inbox shows what can be merged",
                )
            return self._task_shape(tx, moves.move(tx, merge_move(task, "", by)))

        return await self._once("merge", key, [ref], write)

    def _again(self, tx: Tx, task: Task, note: str, by: str = "a person") -> Move:
        """The move of a task to a fresh set of tries."""
        return again(tx, task, note, by=by)

    async def _once(
        self, act: str, key: str | None, body: list[str], write: Callable[[Tx], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do something to a task; the same request with its key gets the same answer again."""
        scoped = f"{act} {key}" if key else None
        answer, _ = await self._store.write(keys.once, scoped, body, write)
        return answer

    async def resolve_breakpoint(
        self,
        breakpoint_id: str,
        answer: str,
        note: str = "",
        by: str = "a person",
        key: str | None = None,
    ) -> dict[str, Any]:
        """Answer a question; its task goes on.

        Raises:
            Invalid: the answer is none of the options.
            Conflict: somebody answered before.
        """

        def write(tx: Tx) -> dict[str, Any]:
            judgements.refuse_resolved(tx, breakpoint_id)
            item = judgements.get_breakpoint(tx, breakpoint_id)
            task = tasks.get_task(tx, item.task_id)
            if item.kind is BreakpointKind.QUESTION and task.plans:
                item, task = moves.resolve(tx, item.id, told(task, item, answer, note, by))
                return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))
            if item.kind is BreakpointKind.QUESTION:
                words = words_of(answer, note)
                item = judgements.answer_question(tx, item, words, note, by)
                return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))
            if item.kind is BreakpointKind.PERMISSION:
                chosen, kept = permitted(item.options, item.evidence["input"], answer, note)
                item = judgements.answer_question(tx, item, chosen, kept, by)
                return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))
            step = answered(tx, task, item, answer, note, by)
            item, task = moves.resolve(tx, breakpoint_id, step)
            return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))

        return await self._once("resolve", key, [breakpoint_id, answer, note], write)


def _acceptance(tx: Tx, task: Task) -> dict[str, Any] | None:
    """The acceptance tests of a task, or the tasks that a task writes them for."""
    author = task if task.writes_tests else author_of(tx, task)
    if author is None:
        return None
    said = last_verdict(tx, author)
    written = written_of(said.findings) if said else None
    return {
        "task_id": author.id,
        "label": author.label,
        "status": str(author.status),
        "tests": len(written.tests) if written else None,
        "visible": list(written.visible) if written else [],
        "hidden": list(written.hidden) if written else [],
        "judges": [each.label for each in written_for(tx, author)],
    }


def _stages(status: str | None) -> list[Stage] | None:
    if not status:
        return None
    wanted = {s.strip() for s in status.split(",") if s.strip()}
    unknown = sorted(wanted - set(Status))
    if unknown:
        raise Invalid(f"there is no status '{unknown[0]}'", hint=f"one of {', '.join(Status)}")
    return [stage for stage, shown in STATUS_OF.items() if shown in wanted]
