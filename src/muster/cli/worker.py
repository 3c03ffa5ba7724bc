"""`muster worker`: what managers do with workers, done by hand."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from muster.cli import out
from muster.cli.agent import logs
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, money, some, table
from muster.cli.reach import reach
from muster.cli.task import task_line
from muster.cli.watch import ENDS, PATIENT, wait_for, what_now
from muster.cli.which import project_or_here
from muster.client import Muster
from muster.client.shapes import Task, TaskDetail
from muster.domain.errors import Conflict, Invalid
from muster.domain.task import MANAGER, TaskType

_LARGEST = 1_000_000
_OPEN = "proposed,blocked,queued,planning,executing,monitoring,waiting"
_OF_A_FILE = ("title", "type", "agent", "paths", "after")
_SECONDS, _LOOK = 120.0, 0.2


@group("worker")
def worker() -> None:
    """Spawn, watch and clear away workers by hand.

    A worker is a task whose agent works in a workspace of its own; it is named like a task (MU-12).
    """


@command()
@click.argument("taskfile", type=click.Path(dir_okay=False, exists=True, allow_dash=True))
@click.option("--project", metavar="NAME", help="The project [the current directory's].")
@click.option("--image", metavar="NAME", help="The image that its containers stand on.")
@click.option("--agent", metavar="NAME", help="A driver, a preset or an own agent.")
@click.option("--runtime", metavar="NAME", help="Where the agent runs.")
@click.option("--model", metavar="NAME", help="The model the agent should use.")
@click.option("--autonomy", metavar="LEVEL", help="How much may be done unasked.")
@click.option(
    "--type", "type_", type=click.Choice([str(t) for t in TaskType]), help="What kind of change."
)
@click.option("--wait", is_flag=True, help="Wait until it is done or needs a person.")
def spawn(
    line: Line, taskfile: str, project: str | None, type_: str | None, wait: bool, **fields: Any
) -> int:
    """Spawn a worker for a TASKFILE: a mailbox's {"id", "prompt"} in JSON, or plain text.

    A file that names an id spawns its worker once.
    """
    said = _read(taskfile)
    given = {**said, **{name: value for name, value in fields.items() if value}}
    if type_:
        given["type"] = type_
    with reach(line, PATIENT) as muster:
        where = project_or_here(muster, project)
        name = given.pop("id", None)
        prompt = given.pop("prompt")
        key = f"worker {where} {name}" if name else None
        made: Any = muster.create_task(where, prompt, key=key, **given)
        if wait:
            made = wait_for(muster, made["id"], out.Progress(line))
    if line.json:
        out.document(made)
    else:
        out.say(line, task_line(Ink(line.colour), made))
        label = made["label"]
        out.tell(line, what_now(made) if wait else f"Its result: muster worker result {label}")
    return ENDS[made["status"]] if wait else 0


def _read(file: str) -> dict[str, Any]:
    """What a task file says; a file of plain text is the prompt itself."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}", hint="name a text file") from error
    if not text.strip() or len(text) > _LARGEST:
        raise Invalid(f"{file} is empty or too long", hint="say in it what should be done")
    if not text.lstrip().startswith("{"):
        return {"prompt": text}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{file} is not valid JSON: {error}", hint="correct the file") from error
    known = {"id", "prompt", *_OF_A_FILE}
    unknown = sorted(set(found) - known)
    if unknown or not isinstance(found.get("prompt"), str):
        why = f"'{unknown[0]}' is not known" if unknown else "'prompt' is missing"
        raise Invalid(f"{file}: {why}", hint=f"it may hold: {', '.join(sorted(known))}")
    return {name: value for name, value in found.items() if value is not None}


@command("list")
@click.option("--project", metavar="NAME", help="The project [the current directory's].")
@click.option("--manager", metavar="TASK", help="Only the workers of this manager's task.")
@click.option("--all", "ended_too", is_flag=True, help="Those that have ended, too.")
def list_(line: Line, project: str | None, manager: str | None, ended_too: bool) -> None:
    """List workers: every task that is no manager's own."""
    with reach(line) as muster:
        if manager:
            found = list(muster.get_task(manager)["workers"])
        else:
            found = _tasks(muster, project_or_here(muster, project), None if ended_too else _OPEN)
    found = [t for t in found if t["playbook"] != MANAGER]
    if line.json:
        out.document({"items": found, "next": None})
        return
    if not found:
        out.tell(line, "No workers.")
        return
    ink = Ink(line.colour)
    head = ["WORKER", "STATE", "NAME", "AGENT", "RUNTIME", "COST", "TITLE"]
    out.say(line, table(ink, head, [_row(ink, item) for item in found]))


def _row(ink: Ink, item: Task) -> list[str]:
    live = item["live_agent"]
    title, why = some(item["title"]), "" if live else some(item["reason"])
    return [
        some(item["label"]),
        ink.state(item["status"]),
        some(item["errand"]) or "-",
        some(live["id"]) if live else "-",
        some(live["runtime"]) if live else some(item["runtime"]) or "-",
        money(item["cost_usd"]),
        f"{title} ({why})" if why else title,
    ]


def _tasks(muster: Muster, project: str, status: str | None) -> list[Task]:
    found: list[Task] = []
    after = None
    while True:
        page = muster.list_tasks(project=project, status=status, limit=200, after=after)
        found += page["items"]
        after = page["next"]
        if after is None:
            return found


@command()
@click.argument("name", metavar="TASK")
def result(line: Line, name: str) -> int:
    """Show a worker's result as a mailbox holds it; exits with 1 unless it is completed.

    While the worker has not ended, the exit status is 5.
    """
    with reach(line) as muster:
        task = muster.get_task(name)
    if task["status"] not in {"completed", "failed", "cancelled"}:
        raise Conflict(
            f"{task['label']} is {task['status']} and has no result yet",
            hint=f"muster task show {task['label']}",
        )
    found = _result(task)
    if line.json:
        out.document(found)
    else:
        ink = Ink(line.colour)
        out.say(line, f"{task_line(ink, task)}\n{some(found['output'])}")
        out.say(line, "\n".join(f"  {some(text)}" for text in found["findings"]))
    return 0 if task["status"] == "completed" else 1


def _result(task: TaskDetail) -> dict[str, Any]:
    last = max(task["agents"], key=lambda agent: agent["attempt"], default=None)
    said: Any = last.get("result") if last else None
    verdict = task["verdicts"][-1] if task["verdicts"] else None
    return {
        "task_id": task["errand"] or task["label"],
        "label": task["label"],
        "status": task["status"],
        "output": (said or {}).get("summary") or task["reason"],
        "completed_at": task["finished_at"],
        "passed": verdict["passed"] if verdict else None,
        "merged_commit": task["merged_commit"],
        "findings": [finding["text"] for finding in verdict["findings"]] if verdict else [],
    }


@command()
def clean(line: Line) -> None:
    """Clear away what is left of workers that have ended: workspaces, containers, folders.

    Only what muster itself has recorded as its own is touched; work that was not merged is kept.
    """
    with reach(line) as muster:
        done = muster.clean_agents()
    _cleared(line, done)


@command()
@click.option("--project", metavar="NAME", help="The project [the current directory's].")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(line: Line, project: str | None, yes: bool) -> None:
    """End all workers and managers of a project, and clear away what they left."""
    with reach(line, PATIENT) as muster:
        where = project_or_here(muster, project)
        found = _tasks(muster, where, _OPEN)
        if not yes:
            _ask(len(found))
        # A manager first: its workers end with it.
        for task in sorted(found, key=lambda t: t["playbook"] != MANAGER):
            try:
                muster.cancel_task(task["id"])
            except Conflict:
                continue  # it has ended meanwhile
        until = time.monotonic() + _SECONDS
        while left := _tasks(muster, where, _OPEN):
            if time.monotonic() > until:
                names = ", ".join(task["label"] for task in left)
                raise Conflict(f"not ended yet: {names}", hint="muster agent kill ends an agent")
            time.sleep(_LOOK)
        done = {"ended": [task["label"] for task in found], **muster.clean_agents()}
    _cleared(line, done)


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise Invalid("there is no terminal to ask on", hint="add --yes to end them unasked")
    click.confirm(f"End {count} tasks of this project?", default=False, err=True, abort=True)


def _cleared(line: Line, done: dict[str, Any]) -> None:
    if line.json:
        out.document(done)
        return
    if "ended" in done:
        out.say(line, f"ended: {', '.join(map(some, done['ended'])) or 'nothing'}")
    out.say(line, f"workspaces cleared away: {some(done['workspaces'])}")
    for name in done["runs"]:
        out.say(line, f"cleared away: {some(name)}")


for _command in (spawn, list_, logs, result, clean, reset):
    worker.add_command(_command)
