"""Verbs about plans: the tasks that were planned, written all at once, and the go for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import insert

from muster.domain.errors import Conflict
from muster.domain.event import NewEvent
from muster.domain.task import Stage, Task
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.failpoint import failpoint
from muster.store import judgements
from muster.store.acceptance import create_with_author
from muster.store.base import Tx
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move, cancel, hold, move
from muster.store.papers import PLAN, put_paper
from muster.store.schema import task_needs
from muster.store.tasks import NewTask, get_task, unfinished_needs
from muster.store.workers import workers_of


@dataclass(frozen=True, slots=True)
class Draft:
    """A task of a plan: the plan's name for it, the names of those it needs, and what is told.

    `author` is the agent that first writes its acceptance tests, if it owes any.
    """

    key: str
    after: tuple[str, ...]
    new: NewTask
    paper: Mapping[str, Any]
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """Who says that the planned tasks start: nobody has to, a person once, or for each of them."""

    asked: bool
    for_each: bool = False


def note_asked(tx: Tx, task: Task, model: str) -> Task:
    """Say that a model is being asked, and which.

    Raises:
        Stale: the claim has passed on.
    """
    event = NewEvent("task.plan.asked", task.id, {"model": model}, task.project_id, task.id)
    rev = tx.emit(event)
    return hold(tx, Fence.of(task), {"reason": f"asking {model}", "rev": rev})


def write_plan(
    tx: Tx, task: Task, drafts: Sequence[Draft], paper: Mapping[str, Any], go: Go
) -> Task:
    """Write all tasks of a plan, and let the plan wait for the go or for them.

    `drafts` are in an order in which each comes after those that it needs.

    Raises:
        Stale: the claim has passed on; then no task was written.
    """
    made: dict[str, Task] = {}
    for draft in drafts:
        made[draft.key] = _write(tx, task, draft, [made[key].id for key in draft.after], go)
    failpoint("plan.half_written")
    for child in made.values():
        tx.conn.execute(insert(task_needs).values(task_id=task.id, needs_id=child.id))
    put_paper(tx, task.id, PLAN, paper)
    labels = [child.label for child in made.values()]
    said = {"tasks": labels, "by": paper.get("model") or "muster", "summary": paper["summary"]}
    told = NewEvent("task.plan.created", task.id, said, task.project_id, task.id)
    asks = go.asked and not go.for_each
    moved = move(
        tx,
        Move(
            Fence.of(task),
            Stage.PROPOSED if asks else Stage.BLOCKED,
            _stands(labels, go),
            events=(told,),
            ask=_question(task, list(made.values()), paper) if asks else None,
        ),
    )
    failpoint("plan.before_commit")
    return moved


def _write(tx: Tx, task: Task, draft: Draft, needs: list[str], go: Go) -> Task:
    errand = draft.key if task.attempt <= 1 else f"{draft.key}-{task.attempt}"
    new = replace(
        draft.new,
        stage=Stage.PROPOSED if go.asked else Stage.QUEUED,
        needs=tuple(needs),
        parent_id=task.id,
        errand=errand,
    )
    child = create_with_author(tx, new, draft.author)
    put_paper(tx, child.id, PLAN, draft.paper)
    if go.for_each:
        judgements.ask_to_start(tx, child)
    return child


def _stands(labels: list[str], go: Go) -> str:
    named = ", ".join(labels)
    if go.for_each:
        return f"planned {named}; each waits for a go of its own"
    return f"planned {named}" + ("; they wait for a go" if go.asked else "; they are under way")


def _question(task: Task, made: list[Task], paper: Mapping[str, Any]) -> NewBreakpoint:
    kind = BreakpointKind.START
    labels = [child.label for child in made]
    many = f"its {len(labels)} tasks" if len(labels) > 1 else "its task"
    times = paper.get("refused")
    before = f"{task.label} was refused {times} as one task. " if times else ""
    text = f"{before}Start the plan {task.label}, {many} ({', '.join(labels)})? {paper['summary']}"
    if judged := [child.label for child in made if child.acceptance_id]:
        text = f"{text.strip()} Acceptance tests are written first for {', '.join(judged)}."
    text = text.strip()
    evidence = {key: paper.get(key) for key in ("model", "confidence", "why", "refused")}
    return NewBreakpoint(kind, text, tuple(map(str, OPTIONS[kind])), {**evidence, "tasks": labels})


def start(tx: Tx, plan: Task, by: str) -> Move:
    """Say go to all that a plan has proposed; the move of the plan itself.

    Raises:
        Conflict: nothing of it is left to start.
    """
    _let_go(tx, plan, by)
    now = get_task(tx, plan.id)
    if now.stage is not Stage.PROPOSED:
        raise Conflict(
            f"what is left of {plan.label} needs tasks that were cancelled",
            hint=f"muster task cancel {plan.label}, then muster task retry plans it anew",
        )
    team = [get_task(tx, need) for need in now.needs]
    failed = next((t for t in team if t.stage is Stage.FAILED), None)
    ready = not unfinished_needs(tx, now.needs)
    return Move(
        Fence.of(now),
        Stage.FAILED if failed else Stage.QUEUED if ready else Stage.BLOCKED,
        f"needs {failed.label}, which failed" if failed else f"started by {by}",
        answer="approve",
        by=by,
        events=(NewEvent("task.approved", now.id, {"by": by}, now.project_id, now.id),),
    )


def _let_go(tx: Tx, plan: Task, by: str) -> None:
    """Start what is proposed; what needs a task that has ended badly ends too."""
    for child in workers_of(tx, plan.id):
        now = get_task(tx, child.id)
        if now.stage is not Stage.PROPOSED:
            continue
        # Who writes its tests is started with it, whatever became of that before.
        needed = [get_task(tx, need) for need in now.needs if need != now.acceptance_id]
        dead = [t for t in needed if t.stage in {Stage.FAILED, Stage.CANCELLED}]
        if dead:
            cancel(tx, now, f"needs {dead[0].label}, which has {dead[0].stage}")
            continue
        told = NewEvent("task.approved", now.id, {"by": by}, now.project_id, now.id)
        to = Stage.BLOCKED if unfinished_needs(tx, now.needs) else Stage.QUEUED
        move(tx, Move(Fence.of(now), to, answer="approve", by=by, events=(told,)))
