"""The spans that an event ends, of the facts of its task so far: one trace per task. Pure.

All ids are made of the task's, so that a span that is told twice, as after a crash, is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from muster.domain.event import Event
from muster.domain.task import TERMINAL, Stage

_STAGE_OF = {f"task.{stage}": stage for stage in Stage}
_ENDING = frozenset({"agent.ended", "breakpoint.resolved", "verdict.reached"})
_OUTSIDE = frozenset({Stage.PROPOSED, Stage.BLOCKED, Stage.QUEUED})
"""Stages that belong to no attempt."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a task's life in epoch milliseconds; `parent` is empty for the whole of it."""

    trace_id: str
    span_id: str
    parent: str
    name: str
    began: int
    ended: int
    failed: bool = False
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


def trace_id_of(task_id: str) -> str:
    """The trace of a task, as 32 hex digits."""
    return hashlib.sha256(f"muster task {task_id}".encode()).hexdigest()[:32]


def span_id_of(task_id: str, *key: str | int) -> str:
    """The id of a span of this task, as 16 hex digits."""
    words = " ".join(map(str, (task_id, *key)))
    return hashlib.sha256(f"muster span {words}".encode()).hexdigest()[:16]


def ends_something(event: Event) -> bool:
    """Whether an event can end a span; most do not."""
    return event.task_id is not None and (event.type in _STAGE_OF or event.type in _ENDING)


def ended_by(event: Event, before: Sequence[Event]) -> list[Span]:
    """The spans that end with this event; `before` are all earlier ones of its task, in order."""
    if event.task_id is None:
        return []
    if event.type in _STAGE_OF:
        return list(_of_move(event, before))
    if event.type == "agent.ended":
        return list(_of_pair(event, before, "agent.starting", "agent"))
    if event.type == "breakpoint.resolved":
        return list(_of_pair(event, before, "breakpoint.raised", "question"))
    return []


def life_of(task_id: str, before: Sequence[Event]) -> str:
    """The id of the root span that what comes after these events belongs to."""
    ends = sum(_STAGE_OF.get(e.type) in TERMINAL for e in before)
    return span_id_of(task_id, "life", ends)


def attempt_of(task_id: str, before: Sequence[Event]) -> str:
    """The id of the attempt that is under way after these events, else of the root."""
    for event in reversed(before):
        stage = _STAGE_OF.get(event.type)
        if stage is Stage.PREPARING:
            return span_id_of(task_id, "attempt", event.payload["attempt"])
        if stage in _OUTSIDE | TERMINAL:
            break
    return life_of(task_id, before)


def _of_move(event: Event, before: Sequence[Event]) -> Iterator[Span]:
    task_id = str(event.task_id)
    trace, life = trace_id_of(task_id), life_of(task_id, before)
    to = _STAGE_OF[event.type]
    last = next((e for e in reversed(before) if _is_move(e)), None)
    if last is None:
        return
    stage = _entered(last)
    if stage not in TERMINAL:
        parent = life if stage in _OUTSIDE else attempt_of(task_id, before)
        own = span_id_of(task_id, "stage", last.rev)
        yield Span(trace, own, parent, f"stage {stage}", last.time, event.time)
    if stage not in _OUTSIDE | TERMINAL and to in _OUTSIDE | TERMINAL:
        began = next((e for e in reversed(before) if e.type == "task.preparing"), None)
        if began is not None and (own := attempt_of(task_id, before)) != life:
            number = int(began.payload["attempt"])
            facts: dict[str, str | int | float] = {"attempt": number}
            failed = to is Stage.FAILED
            name = f"attempt {number}"
            yield Span(trace, own, life, name, began.time, event.time, failed, facts)
    if to in TERMINAL:
        ends = [n for n, e in enumerate(before) if _STAGE_OF.get(e.type) in TERMINAL]
        first = before[ends[-1] + 1] if ends else before[0]
        said = {"end": str(to)}
        yield Span(trace, life, "", "task", first.time, event.time, to is Stage.FAILED, said)


def _of_pair(event: Event, before: Sequence[Event], kind: str, what: str) -> Iterator[Span]:
    """The span from the event of this kind about the same subject to this one."""
    began = next(
        (e for e in reversed(before) if e.type == kind and e.subject == event.subject), None
    )
    if began is None:
        return
    task_id = str(event.task_id)
    told = {**began.payload, **event.payload}
    facts = {
        name: told[name]
        for name in ("driver", "runtime", "kind", "outcome", "answer", "exit_code", "cost_usd")
        if isinstance(told.get(name), str | int | float)
    }
    failed = what == "agent" and told.get("outcome") != "completed"
    yield Span(
        trace_id_of(task_id),
        span_id_of(task_id, what, event.subject),
        attempt_of(task_id, [e for e in before if e.rev <= began.rev]),
        what,
        began.time,
        event.time,
        failed,
        {**facts, "id": event.subject},
    )


def _is_move(event: Event) -> bool:
    return event.type in _STAGE_OF or event.type == "task.created"


def _entered(event: Event) -> Stage:
    return _STAGE_OF.get(event.type) or Stage(event.payload["stage"])
