"""Verbs about outcomes: what became of judged work, by which later verdicts are calibrated."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from muster.domain.aftermath import Aftermath, Shown, Sign
from muster.domain.agent import Role
from muster.domain.confidence import Confidence
from muster.domain.event import NewEvent
from muster.domain.task import Stage, Task
from muster.domain.verdict import Answer, BreakpointKind
from muster.failpoint import failpoint
from muster.store import judgements
from muster.store.base import Tx
from muster.store.rows import aftermath_of
from muster.store.schema import agents, outcomes, tasks, verdicts
from muster.store.tasks import with_needs

MOST_KNOWN = 300
"""So many of a project's newest outcomes count."""

_REFUSALS = frozenset({str(Answer.RETRY), str(Answer.FAIL)})
_ABOUT_WORK = frozenset({BreakpointKind.MERGE, BreakpointKind.EVIDENCE, BreakpointKind.RULE})
_OF_VERDICT = select(outcomes).where(outcomes.c.verdict_id == bindparam("of_verdict"))
_OF_TASK = (
    select(outcomes).where(outcomes.c.task_id == bindparam("of_task")).order_by(outcomes.c.rev)
)
_KNOWN = (
    select(outcomes.c.right, verdicts.c.sure)
    .join(verdicts, verdicts.c.id == outcomes.c.verdict_id)
    .where(outcomes.c.project_id == bindparam("of_project"), verdicts.c.sure.is_not(None))
    .order_by(outcomes.c.rev.desc())
    .limit(MOST_KNOWN)
)
_SETTLED = (
    select(outcomes.c.verdict_id)
    .where(outcomes.c.task_id == tasks.c.id, outcomes.c.shown != str(Shown.STAYED))
    .exists()
)


_WORKED = [str(Role.CODING), str(Role.MANAGER)]
"""Roles that leave work; what is said of the others' reports is no verdict on work."""
_JUDGED = (
    select(verdicts.c.id, verdicts.c.attempt, verdicts.c.confidence)
    .join(agents, agents.c.id == verdicts.c.agent_id, isouter=True)
    .where(verdicts.c.task_id == bindparam("of_task"), verdicts.c.agent_id.is_not(None))
    .where(func.coalesce(agents.c.role, str(Role.CODING)).in_(_WORKED))
    .order_by(verdicts.c.rev.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict without what was found, which may be long."""

    id: str
    attempt: int
    confidence: float | None


def record(tx: Tx, task: Task, verdict: Judged, found: Sign) -> Aftermath:
    """Keep the outcome of a verdict, unless a stronger one is known; the one that counts now.

    The task changes by it, so that those who look at it see the outcome.
    """
    kept, new = _keep(tx, task, verdict, found)
    if new:
        tx.conn.execute(update(tasks).where(tasks.c.id == task.id).values(rev=kept.rev))
    return kept


def _keep(tx: Tx, task: Task, verdict: Judged, found: Sign) -> tuple[Aftermath, bool]:
    """The outcome that counts now, and whether it is the one that was found."""
    row = tx.conn.execute(_OF_VERDICT, {"of_verdict": verdict.id}).first()
    known = aftermath_of(row) if row else None
    if known and (not known.gives_way(found.shown) or _same(known, found)):
        return known, False
    rev = tx.emit(
        NewEvent(
            "outcome.recorded",
            verdict.id,
            {
                "attempt": verdict.attempt,
                "right": found.right,
                "shown": str(found.shown),
                "why": found.why,
                "confidence": verdict.confidence,
                "by": found.by,
            },
            task.project_id,
            task.id,
        )
    )
    new = Aftermath(
        verdict_id=verdict.id,
        task_id=task.id,
        project_id=task.project_id,
        attempt=verdict.attempt,
        right=found.right,
        shown=found.shown,
        why=found.why,
        by=found.by,
        confidence=verdict.confidence,
        created_at=tx.now,
        rev=rev,
    )
    tx.conn.execute(delete(outcomes).where(outcomes.c.verdict_id == verdict.id))
    columns = {**asdict(new), "right": int(new.right), "shown": str(new.shown)}
    tx.conn.execute(insert(outcomes), columns)
    failpoint("outcome.before_commit")
    return new, True


def _same(known: Aftermath, found: Sign) -> bool:
    return (known.right, known.shown, known.why) == (found.right, found.shown, found.why)


def outcomes_of(tx: Tx, task_id: str) -> list[Aftermath]:
    """What became of a task's attempts, as far as it is known, oldest first."""
    return [aftermath_of(row) for row in tx.conn.execute(_OF_TASK, {"of_task": task_id})]


def outcomes_of_project(tx: Tx, project_id: str, limit: int = 10_000) -> list[Aftermath]:
    """A project's outcomes, newest first."""
    query = select(outcomes).where(outcomes.c.project_id == project_id)
    rows = tx.conn.execute(query.order_by(outcomes.c.rev.desc()).limit(limit))
    return [aftermath_of(row) for row in rows]


def known_of(tx: Tx, project_id: str) -> list[tuple[Confidence, bool]]:
    """What was said of work whose outcome is known, and whether it was right; newest first."""
    rows = tx.conn.execute(_KNOWN, {"of_project": project_id})
    return [(Confidence.of_json(row.sure), bool(row.right)) for row in rows]


def judged(tx: Tx, task_id: str) -> Judged | None:
    """The newest verdict on what an agent of the task left; None where there is none."""
    row = tx.conn.execute(_JUDGED, {"of_task": task_id}).first()
    return Judged(row.id, row.attempt, row.confidence) if row else None


def refused_by_answer(tx: Tx, task: Task, answer: str | None, note: str, by: str | None) -> None:
    """That a person would not have work that was put to them to be merged shows it was wrong."""
    if answer not in _REFUSALS:
        return
    for asked in judgements.list_breakpoints(tx, task_id=task.id):
        if asked.kind not in _ABOUT_WORK or str(Answer.MERGE) not in asked.options:
            continue
        verdict = judged(tx, task.id)
        if verdict is not None and verdict.id == asked.evidence.get("verdict"):
            why = note.strip() or f"answered with '{answer}' when asked about the merge"
            _keep(tx, task, verdict, Sign(False, Shown.REFUSED, why, by))


@dataclass(frozen=True, slots=True)
class Landed:
    """A merged task with the verdict that let it pass, and what is known of it so far.

    `later` counts the tasks of the project that were merged after it.
    """

    task: Task
    verdict: Judged
    known: Aftermath | None
    later: int


def landed_since(tx: Tx, project_id: str, since: int, most: int) -> list[Landed]:
    """The newest merged tasks of a project since a time, of which nothing certain is known yet."""
    merged = (
        tasks.c.project_id == project_id,
        tasks.c.stage == str(Stage.COMPLETED),
        tasks.c.merged_commit.is_not(None),
        tasks.c.finished_at >= since,
    )
    newest = tasks.c.finished_at.desc()
    rows = tx.conn.execute(select(tasks).where(*merged, ~_SETTLED).order_by(newest).limit(most))
    open_ones = with_needs(tx, rows.all())
    times = sorted(tx.conn.execute(select(tasks.c.finished_at).where(*merged)).scalars())
    found = []
    for task in open_ones:
        verdict = judged(tx, task.id)
        if verdict is not None:
            later = len(times) - bisect_right(times, task.finished_at)
            kept = outcomes_of(tx, task.id)
            found.append(Landed(task, verdict, kept[-1] if kept else None, later))
    return found


def later_words(tx: Tx, project_id: str, since: int, most: int) -> list[str]:
    """What tasks that were merged since a time say they are about, where they name a task."""
    rows = tx.conn.execute(
        select(tasks.c.title, tasks.c.description)
        .where(
            tasks.c.project_id == project_id,
            tasks.c.stage == str(Stage.COMPLETED),
            tasks.c.merged_commit.is_not(None),
            tasks.c.finished_at >= since,
            tasks.c.description.contains("MU-"),
        )
        .order_by(tasks.c.finished_at.desc())
        .limit(most)
    )
    return [f"{row.title}\n{row.description}" for row in rows]
