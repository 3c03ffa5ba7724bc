"""Verbs about parts: a task of several repositories is one part in each, merged all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from muster.domain.event import Event, NewEvent
from muster.domain.plain import plain_line
from muster.domain.playbook import MERGED, PART, PARTS, Act
from muster.domain.project import ProjectSettings
from muster.domain.task import TERMINAL, Stage, Task
from muster.domain.verdict import OPTIONS, BreakpointKind
from muster.failpoint import failpoint
from muster.store.base import Tx
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move, cancel, hold, move
from muster.store.orders import comes_of, is_full
from muster.store.papers import ANALYSIS, REPOS, paper_of, put_paper
from muster.store.projects import get_project
from muster.store.tasks import NewTask, create_task, get_task
from muster.store.workers import workers_of

_GONE = frozenset({Stage.FAILED, Stage.CANCELLED})


def spans(tx: Tx, task: Task) -> tuple[str, ...]:
    """The ids of the projects that a task may touch, its own first."""
    kept = paper_of(tx, task.id, REPOS)
    return tuple(kept["items"]) if kept else (task.project_id,)


def parts_of(tx: Tx, task: Task) -> list[Task]:
    """The parts of a task as it was planned last that are not given up, oldest first."""
    mine = f"-{task.attempt}"
    team = [t for t in workers_of(tx, task.id) if t.playbook == PART]
    return [p for p in team if p.stage not in _GONE and str(p.errand).endswith(mine)]


def in_parts(tx: Tx, task: Task, event: Event) -> str | None:
    """Give each repository that the starter's plan touches its part; None where one is all.

    The task rests until all of them are merged.
    """
    touched = _touched(tx, task)
    if [project for project, _ in touched] == [task.project_id]:
        return None
    analysis = paper_of(tx, task.id, ANALYSIS)
    labels = []
    for project, what in touched:
        part = create_task(tx, _part(tx, task, event, project, what))
        if analysis:
            put_paper(tx, part.id, ANALYSIS, analysis)
        labels.append(part.label)
    failpoint("route.parts_made")
    columns = {"step": PARTS, "came_by": event.rev, "reason": f"in parts: {', '.join(labels)}"}
    hold(tx, Fence.of(task), columns)
    return ", ".join(labels)


def _touched(tx: Tx, task: Task) -> list[tuple[str, str]]:
    """The projects with what is done there; all of them where the plan names none of them."""
    may = spans(tx, task)
    said = (paper_of(tx, task.id, ANALYSIS) or {}).get("repos") or []
    named = {str(one.get("repo")): str(one.get("what") or "") for one in said}
    found = [(p, named[get_project(tx, p).name]) for p in may if get_project(tx, p).name in named]
    return found or [(project, "") for project in may]


def _part(tx: Tx, task: Task, event: Event, project: str, what: str) -> NewTask:
    name = get_project(tx, project).name
    words = f"Your part is in the repository {name}. {plain_line(what, 2000)}".strip()
    new = comes_of(
        task,
        event.rev,
        title=f"{task.title} ({name})",
        description=f"{task.description}\n\n{words}",
        type=task.type,
        priority=task.priority,
        stage=Stage.QUEUED,
    )
    return replace(
        new,
        project_id=project,
        playbook=PART,
        paths=task.paths,
        image=task.image,
        parent_id=task.id,
        errand=f"{name}-{task.attempt}",
    )


def approved(tx: Tx, part: Task, event: Event, own: ProjectSettings) -> str:
    """Let an approved part rest until all are, and then all of them be merged."""
    columns = {"step": str(Act.MERGE), "came_by": event.rev, "tries": 0}
    if part.stage is Stage.WAITING:
        part = move(tx, Move(Fence.of(part), Stage.HANDED_ON, event.type, columns=columns))
    else:
        part = hold(tx, Fence.of(part), columns)
    whole = get_task(tx, str(part.parent_id))
    if whole.stage in TERMINAL:
        cancel(tx, part, f"{whole.label}, which it is a part of, has {whole.stage}")
        return f"{whole.label} has {whole.stage}"
    team = [t for t in parts_of(tx, whole) if t.stage is not Stage.COMPLETED]
    waits = [t.label for t in team if t.step != Act.MERGE or t.stage is not Stage.HANDED_ON]
    if waits or whole.stage is Stage.WAITING:
        return f"merged with {', '.join(waits) or whole.label}"
    if is_full(whole, own):
        merge_all(tx, team, event.rev)
        return "all parts are merged"
    _ask(tx, whole, team, event)
    return "a person says merge"


def _ask(tx: Tx, whole: Task, team: Sequence[Task], event: Event) -> None:
    kind = BreakpointKind.MERGE
    named = ", ".join(part.label for part in team)
    ask = NewBreakpoint(
        kind,
        f"Merge {whole.label} in all of its repositories ({named})?",
        tuple(str(o) for o in OPTIONS[kind] if o not in {"retry", "close"}),
        {"reasons": ["the reviewers of each part approve"], "parts": [p.label for p in team]},
    )
    why = "all of its parts are approved"
    move(tx, Move(Fence.of(whole), Stage.WAITING, why, ask=ask, cause=event.rev))


def reopened(tx: Tx, part: Task) -> None:
    """Take back the question about the whole: one of its parts is changed once more."""
    whole = get_task(tx, str(part.parent_id))
    if whole.stage is Stage.WAITING and whole.step == PARTS:
        why = f"{part.label} is changed once more"
        move(tx, Move(Fence.of(whole), Stage.HANDED_ON, why, answer="changed", by="the playbook"))


def merge_all(tx: Tx, team: Sequence[Task], cause: int | None = None) -> None:
    """Send all approved parts that rest on their way to their branches."""
    for part in team:
        if part.stage is not Stage.HANDED_ON or part.step != Act.MERGE or is_landed(part):
            continue
        why = "all parts are approved"
        move(tx, Move(Fence.of(part), Stage.MERGING, why, cause=cause))


def merged(tx: Tx, part: Task, event: Event) -> None:
    """Lead the whole task on once the last of its parts is merged."""
    whole = get_task(tx, str(part.parent_id))
    team = parts_of(tx, whole)
    if any(t.stage is not Stage.COMPLETED for t in team) or whole.stage in TERMINAL:
        return
    own = next((t for t in team if t.project_id == whole.project_id), None)
    said: Mapping[str, Any] = {
        "parts": {t.label: t.merged_commit for t in team},
        "commit": own.merged_commit if own else None,
    }
    tx.emit(NewEvent(MERGED, whole.id, said, whole.project_id, whole.id, event.rev))


def is_landed(part: Task) -> bool:
    """Whether a part is on its branch."""
    after = part.stage in {Stage.HANDED_ON, Stage.COMPLETED}
    return part.merged_commit is not None and after
