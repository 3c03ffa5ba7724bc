"""The counter's part for tasks: what a person does to one that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from muster.domain.answers import words_of
from muster.domain.errors import Conflict, Invalid
from muster.domain.permission import permitted
from muster.domain.person import SOMEBODY, Person
from muster.domain.playbook import PARTS
from muster.domain.task import TERMINAL, Stage
from muster.domain.verdict import BreakpointKind
from muster.service import roles, shapes
from muster.service.requests import amount, urgency
from muster.service.steps import again, answered, merge_move, merge_parts, pay, start_move, told
from muster.service.submitting import Submitting
from muster.service.task_pages import TaskPages
from muster.store import judgements, keys, moves, tasks
from muster.store.base import Tx


class Tasks(TaskPages, Submitting):
    """Everything a door can ask about tasks."""

    async def change_task(
        self, ref: str, body: Mapping[str, Any], by: Person = SOMEBODY
    ) -> dict[str, Any]:
        """Let a task that has not started wait for more (`after`), cost more or less, be urgent.

        `budget_usd` counts from the next attempt; for a manager and its workers at once. `priority`
        can be set of one that has not ended.

        Raises:
            Cycle: the tasks would wait for each other.
            NeedsRole: what would go on waits for the approval of a role.
        """
        unknown = sorted(set(body) - {"after", "budget_usd", "priority"})
        if unknown:
            hint = "after, budget_usd and priority can be"
            raise Invalid(f"'{unknown[0]}' of a task cannot be changed", hint=hint)
        budget = amount(body, "budget_usd")
        priority = None if body.get("priority") is None else urgency(body)

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if body.get("after") is not None:
                task = tasks.add_needs(tx, task.id, tasks.resolve_refs(tx, list(body["after"])))
            if budget is not None:
                task = pay(tx, task, budget, by)
            if priority is not None:
                task = tasks.set_priority(tx, task, priority)
            return self._task_shape(tx, task)

        return await roles.told(self._store, self._store.write(write))

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

    async def retry_task(
        self, ref: str, note: str = "", by: Person = SOMEBODY, key: str | None = None
    ) -> dict[str, Any]:
        """Give an ended or waiting task a fresh set of attempts, with a word from the person.

        Raises:
            Conflict: the task is at work, or completed.
            NeedsRole: it waits for the approval of a role, or ended without it.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if task.stage not in {Stage.FAILED, Stage.CANCELLED, Stage.WAITING}:
                raise Conflict(
                    f"{task.label} is {task.status}, so there is nothing to retry",
                    hint="only failed, cancelled and waiting tasks can be retried",
                )
            roles.refuse_act(tx, task, by, f"retry {task.label}")
            return self._task_shape(tx, moves.move(tx, again(tx, task, note, by=by.name)))

        return await self._once("retry", key, [ref, note], write)

    async def approve_task(
        self, ref: str, by: Person = SOMEBODY, key: str | None = None
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
            roles.refuse_act(tx, task, by, f"start {task.label}")
            return self._task_shape(tx, moves.move(tx, start_move(tx, task, by.name)))

        return await self._once("approve", key, [ref], write)

    async def merge_task(
        self, ref: str, by: Person = SOMEBODY, key: str | None = None
    ) -> dict[str, Any]:
        """Merge a waiting task's work.

        Raises:
            Conflict: the task does not wait, or has nothing to merge.
            NeedsRole: it waits for the approval of a role.
        """

        def write(tx: Tx) -> dict[str, Any]:
            task = tasks.get_task(tx, ref)
            if task.stage is Stage.WAITING and task.step == PARTS:
                roles.refuse_act(tx, task, by, f"merge {task.label}")
                return self._task_shape(tx, moves.move(tx, merge_parts(tx, task, by.name)))
            if task.stage is not Stage.WAITING or not task.result_commit:
                raise Conflict(
                    f"{task.label} is {task.status} and has nothing that waits to be merged",
                    hint="muster inbox shows what can be merged",
                )
            roles.refuse_act(tx, task, by, f"merge {task.label}")
            return self._task_shape(tx, moves.move(tx, merge_move(task, "", by.name)))

        return await self._once("merge", key, [ref], write)

    async def _once(
        self, act: str, key: str | None, body: list[str], write: Callable[[Tx], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do something to a task; the same request with its key gets the same answer again."""
        scoped = f"{act} {key}" if key else None
        done = self._store.write(keys.once, scoped, body, write)
        answer, _ = await roles.told(self._store, done)
        return answer

    async def resolve_breakpoint(
        self,
        breakpoint_id: str,
        answer: str,
        note: str = "",
        by: Person = SOMEBODY,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Answer a question; its task goes on.

        Raises:
            Invalid: the answer is none of the options.
            Conflict: somebody answered before.
            NeedsRole: a rule wants the answer of somebody with another role.
        """

        def write(tx: Tx) -> dict[str, Any]:
            judgements.refuse_resolved(tx, breakpoint_id)
            item = judgements.get_breakpoint(tx, breakpoint_id)
            task, who = tasks.get_task(tx, item.task_id), by.name
            roles.refuse_answer(tx, task, item, by)
            if item.kind is BreakpointKind.QUESTION and task.plans:
                item, task = moves.resolve(tx, item.id, told(task, item, answer, note, who))
                return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))
            if item.kind is BreakpointKind.QUESTION:
                words = words_of(answer, note)
                item = judgements.answer_question(tx, item, words, note, who)
                return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))
            if item.kind is BreakpointKind.PERMISSION:
                chosen, kept = permitted(item.options, item.evidence["input"], answer, note)
                item = judgements.answer_question(tx, item, chosen, kept, who)
                return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))
            step = answered(tx, task, item, answer, note, who)
            item, task = moves.resolve(tx, breakpoint_id, step)
            return shapes.breakpoint_shape(item, task, tasks.holds_back(tx, task.id))

        return await self._once("resolve", key, [breakpoint_id, answer, note], write)
