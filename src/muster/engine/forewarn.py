"""What agents at work are told of conflicts ahead: by a word, or by a file where they hear none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from muster.domain.plain import few, plain_line
from muster.domain.task import Stage, Task
from muster.engine.order import mailbox_of
from muster.engine.tools import Tools, in_thread, job_of
from muster.store import agents, foreseen, words
from muster.store.base import Tx
from muster.store.foreseen import Clash, News, Pair, UnderWay, rank

_BOX, _FILE = "tasks", "conflicts"
_MOST_PATHS, _MOST_TOLD = 20, 20
_BY = "muster"


def settle_and_tell(
    tx: Tx, kept: Mapping[Pair, Clash], clashes: Mapping[Pair, Clash], branch: str
) -> None:
    """Keep what conflicts now, and have each agent that hears be told of what is new."""
    for news in foreseen.settle(tx, kept, clashes, branch):
        task = news.task
        agent = agents.agent_of_attempt(tx, task.id, task.attempt)
        if task.stage is Stage.RUNNING and agent is not None and agent.hears:
            words.tell(tx, agent, sentence(news, branch), _BY)


def sentence(news: News, branch: str) -> str:
    """What an agent is told; titles and paths are strangers' words."""
    other = _named(news.other, branch)
    if not news.begins:
        return f"Your work conflicts no more with {other}."
    return f"{other} has changed the same lines of {few(news.paths, 5)}. " + _advice(
        news.task, news.other
    )


def _named(other: Task | None, branch: str) -> str:
    return f"{other.label} ('{plain_line(other.title, 80)}')" if other else f"The branch {branch}"


def _advice(task: Task, other: Task | None) -> str:
    small = "Keep your change there as small as you can"
    if other is None:
        return f"{small}: as it is now, it cannot be merged."
    if rank(other) < rank(task):
        return f"{small}, or leave that part for last: the other one is to be merged first."
    return f"{small}: yours is to be merged first, and the other one has to fit in."


@dataclass(slots=True)
class Forewarning:
    """Files in the mailboxes of agents that hear nothing, put there when they say something new.

    After a restart they are put there once more.
    """

    _delivered: dict[str, object] = field(default_factory=dict)

    async def deliver(self, tools: Tools, state: UnderWay, branch: str) -> None:
        """Bring the files of a project's tasks up to date."""
        for task in state.tasks:
            told = _all_of(task, state, branch)
            known = self._delivered.get(task.id)
            if task.stage is not Stage.RUNNING or known == (task.attempt, told):
                continue
            if known is None and not told:
                continue
            agent = await tools.store.read(agents.agent_of_attempt, task.id, task.attempt)
            if agent is not None and agent.hears is None:
                mailbox = mailbox_of(tools, await job_of(tools, task), agent.id)
                await in_thread(mailbox.deliver, _BOX, _FILE, {"conflicts": told})
            self._delivered[task.id] = (task.attempt, told)

    def forget(self, under_way: set[str]) -> None:
        """Keep nothing of tasks that have ended."""
        for task_id in set(self._delivered) - under_way:
            del self._delivered[task_id]


def _all_of(task: Task, state: UnderWay, branch: str) -> list[dict[str, Any]]:
    """What a task conflicts with now, as its agent's file says it."""
    others = {other.id: other for other in state.tasks}
    found = []
    for pair, clash in sorted(state.clashes.items()):
        if task.id in pair:
            (other,) = set(pair) - {task.id} or {""}
            found.append(_as_file(task, others.get(other), clash, branch))
    return found[:_MOST_TOLD]


def _as_file(task: Task, other: Task | None, clash: Clash, branch: str) -> dict[str, Any]:
    return {
        "with": other.label if other else branch,
        "title": plain_line(other.title, 80) if other else "",
        "paths": [plain_line(path) for path in clash.paths[:_MOST_PATHS]],
        "do": _advice(task, other),
    }
