"""What an event does to the task that it leads on: its next role, an act of muster, a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from muster.domain.agent import Role
from muster.domain.event import Event
from muster.domain.plain import plain_line
from muster.domain.playbook import (
    CHANGES,
    DEPLOY,
    MERGED,
    MOST_LIMIT,
    PART,
    PLANNED,
    Act,
)
from muster.domain.project import ProjectSettings
from muster.domain.task import Stage, Task, TaskType
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.failpoint import failpoint
from muster.store.base import Tx
from muster.store.events import events_after
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move, move
from muster.store.orders import comes_of, is_full, made_of
from muster.store.papers import DEPLOYMENT, REVIEWS, paper_of
from muster.store.parts import approved, in_parts, merged, reopened
from muster.store.pulls import note_merged
from muster.store.tasks import get_task

_MOST_TOLD = 30
_OF_THE_STORY = ("pr.", "deploy.", "verify.", "audit.", "verdict.")


def led_on(
    tx: Tx, task: Task, event: Event, target: str, own: ProjectSettings, *, spent: bool
) -> str:
    """Move a task to what follows an event; what that was, in a word or two.

    `spent`: the event has led on as often as it may, so that a person is asked.
    """
    if event.type == MERGED and event.payload.get("commit"):
        note_merged(tx, task.id, str(event.payload["commit"]))
    if spent and target == Act.BUG:
        why = f"{_told(event)}; it is the {bugs_before(tx, task) + 1}. in a row of one task"
        return _asked(tx, task, event, task.step or "", why)
    if spent:
        return _asked(tx, task, event, target, _too_often(task, event))
    if target in _ACTS:
        return _ACTS[target](tx, task, event, own)
    if target == Role.CODING and event.type == PLANNED and (parts := in_parts(tx, task, event)):
        return parts
    if target == Role.DEPLOYER and not own.deploy_command:
        return _nothing_to_deploy(tx, task, event)
    return _to_role(tx, task, event, target)


def _to_role(tx: Tx, task: Task, event: Event, role: str) -> str:
    columns: dict[str, Any] = {"step": role, "came_by": event.rev, "tries": 0, "due_at": None}
    columns |= _with_commit(tx, task, event)
    if event.type == CHANGES:
        columns["rounds"] = task.rounds + 1
        if task.playbook == PART:
            reopened(tx, task)
    if role != task.step or event.type == CHANGES:
        columns["feedback"] = _told_before(tx, task, event)
    move(
        tx,
        Move(
            Fence.of(task),
            Stage.QUEUED,
            f"{event.type}: {role} is next",
            columns=columns,
            answer=event.type,
            by="the playbook",
            cause=event.rev,
        ),
    )
    return role


def _with_commit(tx: Tx, task: Task, event: Event) -> dict[str, Any]:
    """The commit that was merged, or that somebody wants deployed."""
    if event.type not in {MERGED, DEPLOY}:
        return {}
    commit = event.payload.get("commit")
    if not commit and task.cause_id:
        commit = get_task(tx, task.cause_id).merged_commit
    return {"merged_commit": commit} if isinstance(commit, str) and commit else {}


def _told_before(tx: Tx, task: Task, event: Event) -> Mapping[str, Any] | None:
    """What the next role is told of before: a person's words, and the notes of reviewers.

    Not why another role was refused.
    """
    told: dict[str, Any] = {}
    if note := (task.feedback or {}).get("note"):
        told["note"] = note
    if event.type == CHANGES:
        told["reviews"] = _notes(tx, task, event)
    return told or None


def _notes(tx: Tx, task: Task, event: Event) -> list[dict[str, Any]]:
    """What is wanted changed of the pull request as it is; of who wrote no review, their word."""
    items = (paper_of(tx, task.id, REVIEWS) or {"items": []})["items"]
    found = [
        {"by": one["by"], "summary": one["summary"], "comments": one["comments"]}
        for one in items
        if one["verdict"] == "request_changes" and one["round"] == task.rounds
    ]
    if found:
        return found
    said = plain_line(str(event.payload.get("summary") or ""), 4000)
    by = plain_line(str(event.payload.get("by") or "somebody outside"), 80)
    return [{"by": by, "summary": said, "comments": []}]


def _merge(tx: Tx, task: Task, event: Event, own: ProjectSettings) -> str:
    if task.playbook == PART:
        return approved(tx, task, event, own)
    columns = {"step": str(Act.MERGE), "came_by": event.rev, "tries": 0}
    if is_full(task, own):
        move(
            tx, Move(Fence.of(task), Stage.MERGING, _told(event), columns=columns, cause=event.rev)
        )
        return str(Act.MERGE)
    kind = BreakpointKind.MERGE
    ask = NewBreakpoint(
        kind,
        f"Merge {task.label}? {_told(event)}",
        tuple(map(str, OPTIONS[kind])),
        {"reasons": [_told(event)], "event": event.rev},
    )
    step = Move(
        Fence.of(task), Stage.WAITING, _told(event), columns=columns, ask=ask, cause=event.rev
    )
    move(tx, step)
    return "a person says merge"


def _complete(tx: Tx, task: Task, event: Event, _own: ProjectSettings) -> str:
    done = _ended(tx, task, event, Stage.COMPLETED, _told(event))
    if task.playbook == PART:
        merged(tx, task, event)
    return done


def _fail(tx: Tx, task: Task, event: Event, _own: ProjectSettings) -> str:
    return _ended(tx, task, event, Stage.FAILED, _told(event))


def _ask(tx: Tx, task: Task, event: Event, _own: ProjectSettings) -> str:
    return _asked(tx, task, event, task.step or "", _told(event))


def _ended(tx: Tx, task: Task, event: Event, stage: Stage, why: str) -> str:
    columns = {"came_by": event.rev, **_with_commit(tx, task, event)}
    step = Move(Fence.of(task), stage, why, columns=columns, answer=event.type, cause=event.rev)
    move(tx, step)
    return str(stage)


def _nothing_to_deploy(tx: Tx, task: Task, event: Event) -> str:
    if event.type == DEPLOY:
        why = "the project has no deploy_command, so nothing can be deployed"
        return _ended(tx, task, event, Stage.FAILED, why)
    why = f"{_told(event)}; the project has no deploy_command, so nothing is deployed"
    return _ended(tx, task, event, Stage.COMPLETED, why)


def _asked(tx: Tx, task: Task, event: Event, target: str, why: str) -> str:
    """Ask a person, with all that led here; another try goes to where the event led."""
    merges = event.type == CHANGES and task.result_commit is not None
    kind = BreakpointKind.EVIDENCE if merges else BreakpointKind.PROBLEM
    question = f"{task.label}: {why}. " + ("Merge it as it is?" if merges else "Try again?")
    ask = NewBreakpoint(
        kind,
        question,
        tuple(map(str, OPTIONS[kind])),
        {"reasons": [why], "event": event.rev, "history": history(tx, task)},
    )
    # From a merge another try leads to the coder, whom the reviewer's notes are for.
    step = str(Act.MERGE) if merges else target
    columns = {"step": step, "came_by": event.rev, **_with_commit(tx, task, event)}
    if merges:
        columns["feedback"] = _told_before(tx, task, event)
    moved = Move(Fence.of(task), Stage.WAITING, why, columns=columns, ask=ask, cause=event.rev)
    move(tx, moved)
    return "a person is asked"


def _too_often(task: Task, event: Event) -> str:
    said = plain_line(str(event.payload.get("summary") or ""), 300)
    times = task.rounds + 1 if event.type == CHANGES else 0
    many = f"for the {times}. time " if times else "more often than its playbook allows "
    words = "changes were requested" if event.type == CHANGES else f"{event.type} came"
    return f"{words} {many}".strip() + (f": {said}" if said else "")


def _told(event: Event) -> str:
    """An event in a line for people."""
    said = event.payload
    by = plain_line(str(said.get("by") or ""), 80)
    words = plain_line(str(said.get("summary") or said.get("notes") or ""), 300)
    line = f"{event.type} by {by}" if by else event.type
    return f"{line}: {words}" if words else line


def history(tx: Tx, task: Task) -> list[dict[str, Any]]:
    """The newest events of a task's story, oldest first, as a question carries them."""
    found = [e for e in _all(tx, task) if e.type.startswith(_OF_THE_STORY)]
    return [{"event": e.rev, "type": e.type, "told": _told(e)} for e in found[-_MOST_TOLD:]]


def _all(tx: Tx, task: Task) -> list[Event]:
    tx.flush()
    return events_after(tx, 0, task_id=task.id, limit=10_000)


def _bug(tx: Tx, task: Task, event: Event, own: ProjectSettings) -> str:
    """Make a bug of a deployment that is not as it should be."""
    full = is_full(task, own)
    made = made_of(
        tx,
        task,
        comes_of(
            task,
            event.rev,
            title=f"Mend what {task.label} broke: {task.title}",
            description=_about_bug(tx, task, event),
            type=TaskType.BUG,
            priority=task.priority + 1,
            stage=Stage.QUEUED if full else Stage.PROPOSED,
        ),
        asked=not full,
    )
    failpoint("route.bug_made")
    _ended(tx, task, event, Stage.FAILED, f"{_told(event)}; {made.label} is to mend it")
    return made.label


def bugs_before(tx: Tx, task: Task) -> int:
    """How many bugs in a row led to a task, itself among them."""
    depth = 0
    while task.cause_id and task.type is TaskType.BUG and depth < MOST_LIMIT:
        depth += 1
        task = get_task(tx, task.cause_id)
    return depth


def _about_bug(tx: Tx, task: Task, event: Event) -> str:
    record = paper_of(tx, task.id, DEPLOYMENT) or {}
    said = event.payload.get("checks")
    checks = [c for c in said if isinstance(c, Mapping)] if isinstance(said, list) else []
    lines = [
        f"- {plain_line(str(c.get('name')), 200)}: {plain_line(str(c.get('detail')), 500)}"
        for c in checks
        if not c.get("passed")
    ]
    parts = [
        f"The deployment of {task.label} ({task.title}) did not pass its verification.",
        plain_line(str(event.payload.get("summary") or ""), 1000),
        "Checks that failed:\n" + "\n".join(lines) if lines else "",
        f"Deployed: commit {record.get('commit') or task.merged_commit}"
        f" to {record.get('environment') or 'the usual environment'}.",
        f"What {task.label} was to do:\n\n{task.description}",
    ]
    return "\n\n".join(part for part in parts if part.strip())


_ACTS: Mapping[str, Callable[[Tx, Task, Event, ProjectSettings], str]] = {
    Act.MERGE: _merge,
    Act.COMPLETE: _complete,
    Act.FAIL: _fail,
    Act.ASK: _ask,
    Act.BUG: _bug,
}
