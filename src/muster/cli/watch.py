"""Waiting for a task: its stages as they come, until it ends or needs a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from muster.cli.look import Ink, some
from muster.cli.out import Progress
from muster.cli.task_page import answer_command, attempts
from muster.client import Muster, Patience
from muster.client.shapes import Event, Task, TaskDetail
from muster.domain.plain import plain
from muster.domain.task import MANAGER, PLAN

NEEDS_A_PERSON = 7
ENDS = {"completed": 0, "failed": 1, "cancelled": 1, "waiting": 7, "proposed": 7}
"""The exit status for each state in which waiting is over."""

PATIENT = Patience(seconds=60.0, tries=100)
"""For whoever waits: a server that is started again meanwhile is called again."""

_TELLING = ("task.", "breakpoint.", "agent.", "resync")


_GOES_ON = {"queued", "planning", "executing", "monitoring"}


def is_over(task: TaskDetail) -> bool:
    """Whether it is in one of the states of `ENDS`, or a plan that only waits for people."""
    if task["status"] in ENDS:
        return True
    states = {child["status"] for child in (*task["workers"], *task["authors"])}
    return task["playbook"] == PLAN and bool(states & set(ENDS)) and not states & _GOES_ON


def wait_for(
    muster: Muster,
    label: str,
    progress: Progress,
    seconds: float | None = None,
    over: Callable[[TaskDetail], bool] = is_over,
) -> TaskDetail:
    """Follow a task until it is `over`.

    Raises:
        TimeoutError: `seconds` have passed; the task goes on.
    """
    until = None if seconds is None else time.monotonic() + seconds
    watch = _Watch(progress)
    task = muster.get_task(label)
    try:
        watch.see(task)
        if over(task):
            return task
        for event in muster.events(after=task["rev"], until=until):
            if not _concerns(event, task):
                continue
            task = muster.get_task(label)
            watch.see(task)
            if over(task):
                return task
    except TimeoutError:
        state = some(task["status"])
        raise TimeoutError(f"{some(task['label'])} is still {state} after {seconds:g} s") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped watching; {some(task['label'])} goes on") from None
    finally:
        progress.done()
    raise AssertionError  # pragma: no cover (the stream of events has no end)


def wait_for_all(
    muster: Muster, labels: Sequence[str], progress: Progress, seconds: float
) -> list[TaskDetail]:
    """Follow several tasks until each is in one of the states of `ENDS`.

    Raises:
        TimeoutError: `seconds` have passed; the tasks go on.
    """
    until = time.monotonic() + seconds
    found = {task["id"]: task for task in map(muster.get_task, labels)}
    watches = {task_id: _Watch(progress) for task_id in found}
    try:
        for event in muster.events(after=0, until=until):
            task_id = event.get("task_id") or ""
            if task_id in found and _concerns(event, found[task_id]):
                found[task_id] = muster.get_task(task_id)
                watches[task_id].see(found[task_id])
            if all(task["status"] in ENDS for task in found.values()):
                return list(found.values())
    finally:
        progress.done()
    raise AssertionError  # pragma: no cover (the stream of events has no end)


def _concerns(event: Event, task: TaskDetail) -> bool:
    below = (*task["workers"], *task["authors"]) if task["playbook"] == PLAN else ()
    ids = {task["id"], *(child["id"] for child in below)}
    own = event.get("task_id") in ids or event["type"] == "resync"
    return own and event["type"].startswith(_TELLING)


class _Watch:
    """Turns each new state of the task into a line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._ink = Ink(False)
        self._last = ""

    def see(self, task: TaskDetail) -> None:
        """Show what is new."""
        parts = [some(task["label"]), self._ink.state(task["status"])]
        if task["stage"] != task["status"]:
            parts.append(some(task["stage"]))
        if task["attempt"]:
            parts.append(attempts(task))
        if task["reason"]:
            parts.append(some(task["reason"]))
        text = " · ".join(parts)
        if text != self._last:
            self._progress.step(text)
            self._last = text
        live = task["live_agent"]
        if live:
            self._progress.now(some(live["last_line"]))


def what_now(task: TaskDetail) -> str:
    """What a person reads when waiting is over: the question and how to answer, or how it ended."""
    label = some(task["label"])
    asked = task["breakpoint"]
    if asked and asked["open"]:
        if asked["kind"] == "question":
            return f"{label} needs you:\n{plain(asked['question'])}\n{_in_words(asked['id'])}"
        options = "\n".join(f"  {answer_command(asked['id'], o)}" for o in asked["options"])
        return f"{label} needs you: {some(asked['question'])}\n{options}"
    if task["status"] == "proposed":
        return f"{label} waits for your go:\n  muster task approve {label}"
    if task["playbook"] == PLAN and task["plan"] is not None:
        return "\n".join(["Its tasks:", *(f"  {_child(child)}" for child in task["workers"])])
    return _look_at(task, label)


def _look_at(task: TaskDetail, label: str) -> str:
    """Where to look once it has ended."""
    if task["status"] == "completed" and task["playbook"] == MANAGER:
        return f"See its workers: muster worker list --manager {label}"
    if task["status"] == "completed":
        return f"See what it changed: muster task diff {label}"
    return f"See why: muster task show {label}"


def _in_words(breakpoint_id: str) -> str:
    return f'  {answer_command(breakpoint_id, "")}"YOUR ANSWER"'


def _child(child: Task) -> str:
    """A task of a plan, and what a person does about it."""
    label, waits = some(child["label"]), child["breakpoint_id"] is not None
    if child["status"] == "proposed":
        return f"muster task approve {label}"
    return f"{'muster inbox' if waits else 'muster task show'} {'' if waits else label}".strip()
