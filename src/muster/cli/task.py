"""`muster task`: list, show and act on tasks."""

from __future__ import annotations

from typing import Any

import click

from muster.cli import out
from muster.cli.checkpoint import checkpoint, checkpoints, fork, restore
from muster.cli.decisions import why
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, ago, money, some, table
from muster.cli.outcome import outcome
from muster.cli.reach import reach
from muster.cli.task_diff import show_diff
from muster.cli.task_page import task_log, task_page
from muster.cli.which import project_here
from muster.client.shapes import Task
from muster.domain.task import Status


@group("task")
def task() -> None:
    """List, show and act on tasks.

    A task is named by its label (MU-12) or its id.
    """


def task_line(ink: Ink, item: Task) -> str:
    """A task in one line: label, state, title."""
    return f"{some(item['label'])}  {ink.state(item['status'])}  {some(item['title'])}"


def _row(ink: Ink, item: Task) -> list[str]:
    live = item.get("live_agent")
    why = (live["last_line"] if live else "") or item.get("reason")
    title = some(item["title"])
    return [
        some(item["label"]),
        ink.state(item["status"]),
        some(item.get("project")),
        money(item.get("cost_usd")),
        ago(item.get("updated_at")),
        f"{title} ({some(why)})" if why else title,
    ]


@command("list")
@click.option("--project", metavar="NAME", help="Only this project's [the current directory's].")
@click.option("--all", "everywhere", is_flag=True, help="Every project's.")
@click.option(
    "--status", type=click.Choice([str(s) for s in Status]), help="Only tasks with this status."
)
@click.option("--limit", type=click.IntRange(1, 200), default=100, show_default=True)
@click.option("--after", metavar="CURSOR", help="Go on after a page: its `next`.")
def list_(
    line: Line,
    project: str | None,
    everywhere: bool,
    status: str | None,
    limit: int,
    after: str | None,
) -> None:
    """List tasks, those of the current directory's project when it is in one."""
    with reach(line) as muster:
        if project is None and not everywhere:
            project = project_here(muster)
        page = muster.list_tasks(project=project, status=status, limit=limit, after=after)
    if line.json:
        out.document(page)
        return
    ink = Ink(line.colour)
    if not page["items"]:
        out.tell(line, 'No tasks. Submit one: muster do "what should be done"')
        return
    rows = [_row(ink, item) for item in page["items"]]
    out.say(line, table(ink, ["TASK", "STATE", "PROJECT", "COST", "CHANGED", "TITLE"], rows))
    if page["next"]:
        out.tell(line, f"There are more: muster task list --after {some(page['next'])}")


@command()
@click.argument("name", metavar="TASK")
def show(line: Line, name: str) -> None:
    """Show a task: its state and why, the evidence, the decisions, the next step."""
    with reach(line) as muster:
        found = muster.get_task(name)
    if line.json:
        out.document(found)
    else:
        out.say(line, task_page(Ink(line.colour), found))


def _acted(line: Line, item: Any, next_step: str = "") -> None:
    """Show the task that an action left behind."""
    if line.json:
        out.document(item)
        return
    if isinstance(item, dict) and "label" in item and "status" in item:
        out.say(line, task_line(Ink(line.colour), item))  # type: ignore[arg-type]
    out.tell(line, next_step)


@command()
@click.argument("name", metavar="TASK")
def approve(line: Line, name: str) -> None:
    """Say go to a proposed task."""
    with reach(line) as muster:
        _acted(line, muster.approve_task(name), f"Follow it: muster task show {name}")


@command()
@click.argument("name", metavar="TASK")
def cancel(line: Line, name: str) -> None:
    """End a task and whatever of it runs."""
    with reach(line) as muster:
        _acted(line, muster.cancel_task(name), f"Start it again: muster task retry {name}")


@command()
@click.argument("name", metavar="TASK")
@click.option("--note", default="", metavar="TEXT", help="What the agent should know this time.")
def retry(line: Line, name: str, note: str) -> None:
    """Try a task again."""
    with reach(line) as muster:
        _acted(line, muster.retry_task(name, note), f"Follow it: muster task show {name}")


@command()
@click.argument("name", metavar="TASK")
@click.argument("usd", metavar="USD", type=click.FloatRange(min=0, min_open=True))
def budget(line: Line, name: str, usd: float) -> None:
    """Set what a task may cost, in US dollars; a manager with all of its workers.

    It counts from the next attempt; for a manager and its workers at once.
    """
    with reach(line) as muster:
        found = muster.set_budget(name, usd)
    again = found["status"] in {"failed", "waiting"}
    _acted(line, found, f"Try it again: muster task retry {name}" if again else "")


@command()
@click.argument("name", metavar="TASK")
@click.argument("priority", metavar="0-9", type=click.IntRange(0, 9))
def priority(line: Line, name: str, priority: int) -> None:
    """Say how urgent a task is, 0 to 9; a higher number starts first."""
    with reach(line) as muster:
        _acted(line, muster.set_priority(name, priority), "")


@command()
@click.argument("name", metavar="TASK")
def merge(line: Line, name: str) -> None:
    """Merge accepted work into the project's branch."""
    with reach(line) as muster:
        _acted(line, muster.merge_task(name), f"Follow it: muster task show {name}")


@command()
@click.argument("name", metavar="TASK")
@click.option("--stat", is_flag=True, help="Only the files and the size of each change.")
@click.option("--patch", is_flag=True, help="The exact patch, for a file or `git apply`.")
def diff(line: Line, name: str, stat: bool, patch: bool) -> None:
    """Show what a task changed."""
    with reach(line) as muster:
        found = muster.task_diff(name)
    if line.json:
        out.document(found)
    else:
        show_diff(line, name, found, stat=stat, patch=patch)


@command()
@click.argument("name", metavar="TASK")
@click.option("--why", "wants_why", is_flag=True, help="The decisions, with all they depended on.")
def log(line: Line, name: str, wants_why: bool) -> None:
    """Show what happened to a task, step by step."""
    if wants_why:
        _log_why(line, name)
        return
    with reach(line) as muster:
        found = muster.get_task(name)
    steps = sorted(found["trail"], key=lambda step: step["rev"])
    if line.json:
        out.document({"items": steps, "next": None})
    else:
        out.say(line, task_log(Ink(line.colour), steps))


def _log_why(line: Line, name: str) -> None:
    with reach(line) as muster:
        found = muster.decisions(name)
    if line.json:
        out.document(found)
    elif found["items"]:
        out.say(line, why(Ink(line.colour), found["items"]))
    else:
        out.tell(line, f"Nothing was decided about {some(name)} yet.")


for _command in (
    *(list_, show, approve, cancel, retry, budget, priority, diff, merge, outcome, log),
    *(checkpoints, checkpoint, restore, fork),
):
    task.add_command(_command)
