"""What a person's word about a task leads to: the moves towards its branch, its queue, its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from muster.domain.agent import Role
from muster.domain.answers import after_answer, words_of
from muster.domain.errors import Conflict
from muster.domain.event import NewEvent
from muster.domain.person import Person
from muster.domain.playbook import BEGIN, PART, PARTS, Act
from muster.domain.task import TERMINAL, Stage, Task
from muster.domain.verdict import Answer, Breakpoint, BreakpointKind
from muster.service.roles import refuse_act
from muster.store import judgements, moves, parts, plans, purse, routing, tasks, workers
from muster.store.base import Tx
from muster.store.moves import Fence, Move


def answered(tx: Tx, task: Task, item: Breakpoint, answer: str, note: str, by: str) -> Move:
    """The move that the answer to a question about a task leads to.

    Raises:
        Invalid: the question does not take this answer.
    """
    then = after_answer(item.kind, answer, task, note=note, by=by, options=item.options)
    match then.stage:
        case Stage.MERGING if task.step == PARTS:
            return merge_parts(tx, task, by, answer)
        case Stage.MERGING:
            return merge_move(task, note, by, answer)
        case Stage.QUEUED if task.stage is Stage.PROPOSED:
            return start_move(tx, task, by)
        case Stage.QUEUED:
            task = replace(task, feedback=then.feedback)
            restart = item.kind is BreakpointKind.CONFLICT
            step = again(tx, task, note, by=by, restart=restart)
            return replace(step, answer=answer.strip().lower())
        case _:
            return Move(Fence.of(task), then.stage, then.reason, answer=answer, note=note, by=by)


def told(task: Task, item: Breakpoint, answer: str, note: str, by: str) -> Move:
    """The move of a plan back to planning, with what a person answered to its questions."""
    words = words_of(answer, note)
    said = "nothing; decide it yourself" if words == Answer.DECLINE else words
    before = dict(task.feedback or {})
    asked = "; ".join(map(str, item.evidence.get("questions", [])))
    before["answers"] = [*before.get("answers", []), {"question": asked, "answer": said}]
    return Move(
        Fence.of(task),
        Stage.QUEUED,
        f"answered by {by}",
        columns={"feedback": before},
        answer=words,
        note=note,
        by=by,
    )


def pay(tx: Tx, task: Task, budget: float, by: Person) -> Task:
    """Set what a task may cost; what only waits for more in a manager's purse goes on.

    Raises:
        NeedsRole: what would go on waits for the approval of a role.
    """
    raised = tasks.set_budget(tx, task, budget)
    if task.manages and budget > (task.budget_usd or 0.0):
        for each in (raised, *workers.workers_of(tx, task.id), *workers.authors_of(tx, task.id)):
            for asked in judgements.list_breakpoints(tx, task_id=each.id):
                if purse.opening(task.label) in asked.question:
                    refuse_act(tx, each, by, f"pay for {each.label}")
                    moves.resolve(tx, asked.id, again(tx, each, "", by=by.name))
    return tasks.get_task(tx, task.id)


def merge_parts(tx: Tx, task: Task, by: str, answer: str = "merge") -> Move:
    """The move of a task whose parts a person wants merged; the parts go on their way with it."""
    parts.merge_all(tx, parts.parts_of(tx, task))
    return Move(Fence.of(task), Stage.HANDED_ON, f"merge approved by {by}", answer=answer, by=by)


def merge_move(task: Task, note: str, by: str, answer: str = "merge") -> Move:
    """The move of a waiting task towards its branch."""
    if task.step not in {None, str(Role.CODING), str(Act.MERGE)}:
        raise Conflict(
            f"{task.label} is at '{task.step}', where nothing is merged",
            hint=f"muster task retry {task.label} has the role try again",
        )
    if not task.result_commit:
        raise Conflict(
            f"{task.label} has nothing to merge", hint="retry it, or end it with fail or cancel"
        )
    return Move(
        Fence.of(task), Stage.MERGING, f"merge approved by {by}", answer=answer, note=note, by=by
    )


def start_move(tx: Tx, task: Task, by: str) -> Move:
    """The move of a proposed task into the queue, or behind what it waits for."""
    if task.plans:
        return plans.start(tx, task, by)
    ready = not tasks.unfinished_needs(tx, task.needs)
    return Move(
        Fence.of(task),
        Stage.QUEUED if ready else Stage.BLOCKED,
        answer="approve",
        by=by,
        events=(NewEvent("task.approved", task.id, {"by": by}, task.project_id, task.id),),
    )


def _refuse_alone(tx: Tx, task: Task) -> None:
    """Raise `Conflict` where a task is not tried again by itself: it and its parts go together."""
    if task.step == PARTS and task.stage not in TERMINAL:
        raise Conflict(
            f"{task.label} waits with its parts, which are done",
            hint="merge or cancel it; or retry one of its parts",
        )
    whole = tasks.get_task(tx, str(task.parent_id)) if task.playbook == PART else None
    if whole is not None and whole.stage in TERMINAL:
        raise Conflict(
            f"{task.label} is a part of {whole.label}, which has {whole.stage}",
            hint=f"muster task retry {whole.label} plans all of it again",
        )


def again(tx: Tx, task: Task, note: str, *, by: str, restart: bool = False) -> Move:
    """The move of a task to a fresh set of tries; with `restart` from the branch as it is then."""
    _refuse_alone(tx, task)
    if task.step:
        routing.forgive(tx, task.id)
    ready = not tasks.unfinished_needs(tx, task.needs)
    feedback = tasks.lessons(task.feedback)
    if note:
        feedback["note"] = note
    columns: dict[str, Any] = {"tries": 0, "feedback": feedback or None, "due_at": None}
    if task.step == PARTS:
        columns["step"] = BEGIN
    if task.step == Act.MERGE:
        columns["rounds"] = task.rounds + 1  # opinions of before are about what was before
    if restart:
        columns |= {"base_commit": None, "result_commit": None, "merged_commit": None}
    return Move(
        Fence.of(task),
        Stage.QUEUED if ready else Stage.BLOCKED,
        f"retried by {by}",
        columns=columns,
        answer="retry",
        note=note,
        by=by,
    )
