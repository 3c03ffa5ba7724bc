"""Whose approval a task waits for, and that nobody else gives it, whichever way they come."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeVar

from muster.domain.errors import NeedsRole
from muster.domain.event import NewEvent
from muster.domain.person import Person
from muster.domain.plain import few
from muster.domain.task import TERMINAL, Stage, Task
from muster.domain.verdict import Answer, Breakpoint, BreakpointKind
from muster.store import breakpoint_rules as rule_verbs
from muster.store import events, judgements, people_tokens
from muster.store.acceptance import author_of
from muster.store.base import Store, Tx

REFUSED = "approval.refused"
_GOES_ON = frozenset({Answer.MERGE, Answer.RETRY, Answer.APPROVE, Answer.ONE_TASK})
_MOST = 100_000

T = TypeVar("T")


def refuse_answer(tx: Tx, task: Task, item: Breakpoint, by: Person) -> None:
    """Raise `NeedsRole` if the question wants the approval of a role that this person has not."""
    owed = _roles_of(_rules(item))
    if item.kind not in {BreakpointKind.QUESTION, BreakpointKind.PERMISSION}:
        owed |= _owed_by_author(tx, task)
    _refuse(tx, task, owed, by, f"answer {item.id}", item.id)


def refuse_act(tx: Tx, task: Task, by: Person, act: str) -> None:
    """Raise `NeedsRole` if the task waits for a role's approval, or ended without it."""
    owed = _owed(tx, task) | _owed_by_author(tx, task)
    _refuse(tx, task, owed, by, act, task.id)


async def told(store: Store, work: Awaitable[T]) -> T:
    """What the work gives; where a role was lacking for it, an event says so.

    Raises:
        Whatever the work raises.
    """
    try:
        return await work
    except NeedsRole as error:
        said = error.extra
        payload = {name: said[name] for name in ("by", "act", "roles")}
        event = NewEvent(REFUSED, said["subject"], payload, said["project_id"], said["task_id"])
        await store.write(events.append, event)
        raise


def _refuse(tx: Tx, task: Task, roles: frozenset[str], by: Person, act: str, subject: str) -> None:
    acts = people_tokens.as_known_now(tx, by)
    lacked = acts.lacks(roles)
    if not lacked:
        return
    holders = [t.name for t in people_tokens.living(tx) if not t.person.lacks(roles)]
    whose = few([f"'{role}'" for role in lacked])
    could = f"{few(holders)}, or the first user" if holders else "only the first user so far"
    raise NeedsRole(
        f"{acts.name} may not {act}: a rule wants the approval of {whose} for {task.label}",
        hint=f"who could: {could}",
        roles=lacked,
        holders=holders,
        by=acts.name,
        act=act,
        subject=subject,
        project_id=task.project_id,
        task_id=task.id,
    )


def _owed(tx: Tx, task: Task) -> frozenset[str]:
    """The roles whose approval a task waits for; for one that has ended, those that it never got.

    A rule holds once for its cause, so that a task that was cancelled while it waited and is tried
    again would not be asked about another time.
    """
    asked = judgements.list_breakpoints(tx, open_only=False, task_id=task.id, limit=_MOST)
    owed = set().union(*(_roles_of(_rules(item)) for item in asked if item.open))
    if task.stage in TERMINAL:
        given = {r["cause"] for item in asked if item.answer in _GOES_ON for r in _rules(item)}
        held = rule_verbs.told_of_task(tx, task.id)
        owed |= _roles_of(
            item.payload
            for cause, item in held.items()
            if cause not in given and item.payload["at"] != "request"
        )
    return frozenset(owed)


def _owed_by_author(tx: Tx, task: Task) -> frozenset[str]:
    """The same of what writes the task's acceptance tests, where it would start again with it."""
    author = author_of(tx, task)
    ended = author is not None and author.stage in {Stage.FAILED, Stage.CANCELLED}
    return _owed(tx, author) if author is not None and ended else frozenset()


def _rules(item: Breakpoint) -> list[Mapping[str, Any]]:
    return list(item.evidence.get("rules") or ())


def _roles_of(rules: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(rule["role"]) for rule in rules if rule.get("role"))
