"""The one way a task moves: compare-and-set on who believes what, its event beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from muster.domain.errors import Conflict, Stale
from muster.domain.event import NewEvent
from muster.domain.ids import new_token
from muster.domain.playbook import BEGIN, PART, PARTS
from muster.domain.task import (
    ACCEPTANCE,
    ACTIVE,
    SOLO,
    TERMINAL,
    Stage,
    Task,
    may_move,
)
from muster.domain.verdict import Breakpoint, Verdict
from muster.failpoint import failpoint
from muster.store import agents as agent_verbs
from muster.store import judgements, listing
from muster.store.acceptance import author_of, let_go, written_for
from muster.store.agents import EndedAgent
from muster.store.base import Tx
from muster.store.checkpoints import NewCheckpoint, add_checkpoint
from muster.store.judgements import NewBreakpoint
from muster.store.outcomes import refused_by_answer
from muster.store.schema import task_needs, tasks
from muster.store.tasks import get_task, unfinished_needs, wish, with_needs
from muster.store.workers import workers_of

_FENCED = (
    update(tasks)
    .where(
        tasks.c.id == bindparam("held_id"),
        tasks.c.stage == bindparam("held_stage"),
        tasks.c.attempt == bindparam("held_attempt"),
        tasks.c.token == bindparam("held_token"),
    )
    .returning(tasks)
)
_WAITING = (  # who writes tests last: else a coder that waits too would go on without them
    select(task_needs.c.task_id)
    .join(tasks, tasks.c.id == task_needs.c.task_id)
    .where(task_needs.c.needs_id == bindparam("needed"))
    .order_by(func.coalesce(tasks.c.playbook, SOLO) == ACCEPTANCE, task_needs.c.task_id)
)


@dataclass(frozen=True, slots=True)
class Fence:
    """What a writer believes of a task; any difference means that its claim has passed on."""

    task_id: str
    project_id: str
    stage: Stage
    attempt: int
    token: str

    @classmethod
    def of(cls, task: Task) -> Fence:
        """The fence of somebody who has just read or claimed the task."""
        return cls(task.id, task.project_id, task.stage, task.attempt, task.token)

    def update(self, tx: Tx, values: Mapping[str, Any]) -> Task:
        """Set columns of the task if it still is what the fence says.

        Raises:
            Stale: it is not.
        """
        held = {
            "held_id": self.task_id,
            "held_stage": str(self.stage),
            "held_attempt": self.attempt,
            "held_token": self.token,
        }
        row = tx.conn.execute(_FENCED, {**values, **held}).first()
        if row is None:
            raise _stale(tx, self)
        return with_needs(tx, [row])[0]


@dataclass(frozen=True, slots=True)
class Move:
    """One step of the walk and everything that becomes true with it, in one transaction."""

    fence: Fence
    to: Stage
    reason: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[NewEvent, ...] = ()
    verdict: Verdict | None = None
    ask: NewBreakpoint | None = None
    checkpoint: NewCheckpoint | None = None
    ended: EndedAgent | None = None
    answer: str | None = None
    note: str = ""
    by: str | None = None
    cause: int | None = None


def move(tx: Tx, step: Move) -> Task:
    """Move a task.

    A task that comes into the engine's hands gets a fresh token; one that leaves them has none.

    Raises:
        Stale: the task is no longer what the fence says.
        Conflict: the walk does not allow this step.
    """
    fence = step.fence
    if not may_move(fence.stage, step.to):
        raise Conflict(
            f"a task that is {fence.stage} cannot become {step.to}",
            hint="muster task show tells where it stands",
        )
    token = _token_after(fence, step.to)
    values = _ending(tx, step) | dict(step.columns)
    rev = tx.emit(_event(step))
    failpoint("move.before_update")
    own = {
        "stage": str(step.to),
        "token": token,
        "reason": step.reason,
        "rev": rev,
        "updated_at": tx.now,
    }
    task = fence.update(tx, own | values)
    _beside(tx, step, task)
    if fence.stage in {Stage.PROPOSED, *TERMINAL} and step.to not in TERMINAL:
        listing.go_on(tx, task)
        _start_author(tx, task)
    if step.to in TERMINAL:
        _after_the_end(tx, task)
    return task


def _stale(tx: Tx, fence: Fence) -> Stale:
    now = get_task(tx, fence.task_id)
    return Stale(
        f"{now.label} is {now.stage} in attempt {now.attempt} and no longer held by this claim",
        hint="read the task again; somebody else moved it",
    )


def _token_after(fence: Fence, to: Stage) -> str:
    if to not in ACTIVE:
        return ""
    return fence.token if fence.stage in ACTIVE else new_token()


def _ending(tx: Tx, step: Move) -> dict[str, Any]:
    if step.to in TERMINAL:
        return {"finished_at": tx.now, "wish": None, "due_at": None}
    if step.fence.stage in TERMINAL:
        return {"finished_at": None, "wish": None}
    return {}


def _event(step: Move) -> NewEvent:
    fence = step.fence
    return NewEvent(
        f"task.{step.to}",
        fence.task_id,
        {
            "from": str(fence.stage),
            "to": str(step.to),
            "attempt": fence.attempt,
            "reason": step.reason,
            **step.payload,
        },
        fence.project_id,
        fence.task_id,
        step.cause,
    )


def _beside(tx: Tx, step: Move, task: Task) -> None:
    for event in step.events:
        tx.emit(event)
    if step.ended is not None:
        agent_verbs.end_agent(tx, task, step.ended)
    if step.fence.stage is Stage.RUNNING:
        judgements.resolve_of_task(tx, task, "decline", "the agent ended first", None)
    if step.fence.stage in {Stage.WAITING, Stage.PROPOSED}:
        refused_by_answer(tx, task, step.answer, step.note, step.by)
        judgements.resolve_of_task(tx, task, step.answer or str(step.to), step.note, step.by)
    if step.verdict is not None:
        judgements.add_verdict(tx, task, step.verdict)
    if step.checkpoint is not None:
        add_checkpoint(tx, task, step.checkpoint)
    if step.ask is not None:
        judgements.raise_breakpoint(tx, task, step.ask)


def _after_the_end(tx: Tx, task: Task) -> None:
    """Let go of those that waited: they are ready, or they can never start."""
    agent_verbs.close_leftovers(tx, task)
    if task.stage is Stage.FAILED:
        listing.stop(tx, task)
    if task.stage is Stage.CANCELLED and (task.manages or task.plans or task.step == PARTS):
        _cancel_workers(tx, task)
    if task.playbook == PART and task.stage is not Stage.COMPLETED:
        _give_up_whole(tx, task)
    author = author_of(tx, task)
    if author is not None and task.stage is not Stage.COMPLETED:
        _cancel_idle(tx, task, author)
    waiting = tx.conn.execute(_WAITING, {"needed": task.id}).scalars().all()
    for other in (get_task(tx, task_id) for task_id in waiting):
        if task.stage is Stage.CANCELLED and other.plans and task.parent_id == other.id:
            _leave_out(tx, other, task)
        elif other.stage is Stage.BLOCKED:  # perhaps no more, through a third that both need
            _unblock(tx, other, task)


def _unblock(tx: Tx, other: Task, task: Task) -> None:
    """Let go of a task that waited for one that has ended now."""
    if task.stage is not Stage.COMPLETED and other.acceptance_id == task.id:
        left = let_go(tx, other, task)
        if not unfinished_needs(tx, left.needs):
            reason = f"{task.label} wrote no acceptance tests, so none will judge it"
            move(tx, Move(Fence.of(left), Stage.QUEUED, reason))
    elif task.stage is not Stage.COMPLETED:
        reason = f"needs {task.label}, which {_ended(task.stage)}"
        move(tx, Move(Fence.of(other), Stage.FAILED, reason))
    elif not unfinished_needs(tx, other.needs):
        move(tx, Move(Fence.of(other), Stage.QUEUED))


def _start_author(tx: Tx, task: Task) -> None:
    """Who says go to a task, or has it tried again, says it to the one that writes its tests.

    One that it waits for no more is left as it is.
    """
    author = author_of(tx, task)
    if author is None or author.id not in task.needs:
        return
    if author.stage in {Stage.PROPOSED, Stage.FAILED, Stage.CANCELLED}:
        there = Stage.BLOCKED if unfinished_needs(tx, author.needs) else Stage.QUEUED
        move(tx, Move(Fence.of(author), there, columns={"tries": 0, "due_at": None}))


def _cancel_idle(tx: Tx, task: Task, author: Task) -> None:
    """End what writes tests for tasks of which none is left."""
    if all(coder.stage in TERMINAL for coder in written_for(tx, author)):
        cancel(tx, author, f"{task.label}, which it writes tests for, {_ended(task.stage)}")


def _cancel_workers(tx: Tx, task: Task) -> None:
    """End what a cancelled manager has spawned, or a plan proposed, and what has not ended."""
    did = "spawned" if task.manages else "planned"
    for worker in reversed(workers_of(tx, task.id)):
        # Read again: one that waited for another may have ended with it.
        cancel(tx, get_task(tx, worker.id), f"{task.label}, which {did} it, was cancelled")


def _give_up_whole(tx: Tx, part: Task) -> None:
    """A task of which one part fails has failed: its other parts are merged with it or not at all.

    Tried again, it is planned again.
    """
    whole = get_task(tx, str(part.parent_id))
    if whole.stage in TERMINAL:
        return
    why = f"its part {part.label} {_ended(part.stage)}"
    move(tx, Move(Fence.of(whole), Stage.FAILED, why, columns={"step": BEGIN}))
    for other in workers_of(tx, whole.id):
        cancel(tx, get_task(tx, other.id), f"{part.label}, a part of the same task, has ended")


def _leave_out(tx: Tx, plan: Task, task: Task) -> None:
    """Let a plan wait no more for a task of it that was cancelled."""
    one = (task_needs.c.task_id == plan.id, task_needs.c.needs_id == task.id)
    tx.conn.execute(delete(task_needs).where(*one))
    left = [need for need in plan.needs if need != task.id]
    if plan.stage not in {Stage.PROPOSED, Stage.BLOCKED}:
        return
    if not any(get_task(tx, need).parent_id == plan.id for need in left):
        move(tx, Move(Fence.of(plan), Stage.CANCELLED, "all of its tasks were cancelled"))
    elif plan.stage is Stage.BLOCKED and not unfinished_needs(tx, left):
        move(tx, Move(Fence.of(plan), Stage.QUEUED))


def cancel(tx: Tx, task: Task, why: str) -> Task:
    """End a task: at once when nothing runs for it, else the engine stops what runs."""
    if task.stage in TERMINAL:
        return task
    if task.stage in ACTIVE:
        return wish(tx, task.id, "cancel")
    return move(tx, Move(Fence.of(task), Stage.CANCELLED, why, answer="cancel"))


def _ended(stage: Stage) -> str:
    return "was cancelled" if stage is Stage.CANCELLED else "failed"


def resolve(tx: Tx, breakpoint_id: str, step: Move) -> tuple[Breakpoint, Task]:
    """Answer a breakpoint and move its task, in one transaction.

    Raises:
        Conflict: it was answered before; the error says by whom and how.
    """
    judgements.refuse_resolved(tx, breakpoint_id)
    task = move(tx, step)
    return judgements.get_breakpoint(tx, breakpoint_id), task


def hold(tx: Tx, fence: Fence, columns: Mapping[str, Any]) -> Task:
    """Set columns of a task that stays where it is, fenced like a move.

    Raises:
        Stale: the task is no longer what the fence says.
    """
    return fence.update(tx, {**columns, "updated_at": tx.now})
