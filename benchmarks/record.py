"""A store with many tasks and agents on record, written by the store's own verbs."""

from __future__ import annotations

from pathlib import Path

from muster.domain.agent import Outcome, Role, Usage
from muster.domain.event import NewEvent
from muster.domain.ids import new_agent_id, new_id
from muster.domain.task import Stage, Task, TaskType
from muster.domain.verdict import (
    OPTIONS,
    BreakpointKind,
    Decision,
    Finding,
    Severity,
    Step,
    Verdict,
)  # fmt: skip
from muster.store import admission, agents, projects, tasks
from muster.store.admission import Limits
from muster.store.agents import EndedAgent, NewAgent
from muster.store.base import Tx
from muster.store.judgements import NewBreakpoint
from muster.store.moves import Fence, Move, move
from muster.store.sqlite import open_store
from muster.store.tasks import NewTask

WAITING_EVERY = 4
LINE = "Edited src/parser.py and ran the tests: 12 passed"


async def fill(home: Path, count: int) -> None:
    """Put so many ended tasks, each with its agent and verdict, on the record of a home."""
    store = open_store("", home)
    try:
        await store.write(_fill, count)
    finally:
        await store.close()


def _fill(tx: Tx, count: int) -> None:
    project = projects.list_projects(tx)[0].id
    for number in range(count):
        new = NewTask(project, f"Task {number}", f"Do what is wanted, {number}\n", TaskType.CHORE,
                      4, Stage.QUEUED)  # fmt: skip
        tasks.create_task(tx, new)
        [task] = admission.admit(tx, Limits(1, {}, 1))
        _walk(tx, task, waits=number % WAITING_EVERY == 0)


def _walk(tx: Tx, task: Task, *, waits: bool) -> None:
    """One attempt from its start to its end, or to a person's desk."""
    agent = new_agent_id(Role.CODING)
    agents.start_agent(tx, task, NewAgent(agent, Role.CODING, "command", "process"))
    task = move(tx, Move(Fence.of(task), Stage.RUNNING, columns={"base_commit": "0" * 40}))
    started = NewEvent("agent.started", agent, {"driver": "command"}, task.project_id, task.id)
    agents.update_agent(tx, task, agent, {"started_at": tx.now, "status": "running"}, (started,))
    agents.report(tx, task, agent, {"last_line": LINE, "cost_usd": 0.01})
    ending = EndedAgent(agent, Outcome.COMPLETED, "", 0, 1.0, 10**7, Usage(1000, 100, 0.01))
    task = move(tx, Move(Fence.of(task), Stage.VALIDATING, ended=ending))
    verdict = _verdict(task, agent, waits=waits)
    if waits:
        kind = BreakpointKind.EVIDENCE
        ask = NewBreakpoint(kind, "Nothing proves it. Merge?", tuple(map(str, OPTIONS[kind])))
        move(tx, Move(Fence.of(task), Stage.WAITING, verdict=verdict, ask=ask,
                      columns={"result_commit": "1" * 40}))  # fmt: skip
    else:
        task = move(tx, Move(Fence.of(task), Stage.MERGING, verdict=verdict))
        move(tx, Move(Fence.of(task), Stage.COMPLETED, columns={"merged_commit": "1" * 40}))


def _verdict(task: Task, agent: str, *, waits: bool) -> Verdict:
    severity = Severity.ABSTAIN if waits else Severity.OK
    finding = Finding("tests.none", severity, "no test command is set", {"runs": []})
    decision = Decision(Step.ASK if waits else Step.ACCEPT, (finding.text,))
    return Verdict(new_id("vdt"), task.id, task.attempt, agent, (finding,), decision, None,
                   task.updated_at)  # fmt: skip
