"""`muster do`: submit a task, and wait for it if asked."""

from __future__ import annotations

from typing import Any

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.look import Ink
from muster.cli.reach import reach
from muster.cli.task import task_line
from muster.cli.watch import ENDS, NEEDS_A_PERSON, PATIENT, wait_for, what_now
from muster.cli.which import project_or_here
from muster.cli.wish import said_of, wish
from muster.cli.words import words_given
from muster.client import Muster
from muster.client.shapes import Task
from muster.domain.task import PLAN, TaskType


@command("do")
@click.option("--agent", metavar="NAME", help="A driver, a preset or an own agent.")
@click.option("--runtime", metavar="NAME", help="Where the agent runs.")
@click.option("--playbook", metavar="NAME", help="Which roles the task goes through.")
@click.option("--repo", "repos", multiple=True, metavar="PROJECT", help="A further project.")
@click.option(
    "--type", "type_", type=click.Choice([str(t) for t in TaskType]), help="What kind of change."
)
@click.option("--title", metavar="TEXT", help="A short name [the first line of the text].")
@click.option("--path", "paths", multiple=True, metavar="GLOB", help="Only these may change.")
@click.option(
    "--timeout",
    "timeout_minutes",
    type=click.FloatRange(min=0),
    metavar="MINUTES",
    help="How long an attempt may take.",
)
@click.option("--plan", "planned", is_flag=True, help="Have it split into tasks first.")
@click.option("--wait", is_flag=True, help="Wait until it is done or needs a person.")
@wish
def do(
    line: Line,
    text: str | None,
    file: str | None,
    project: str | None,
    key: str | None,
    planned: bool,
    wait: bool,
    wait_timeout: float | None,
    type_: str | None,
    **fields: Any,
) -> int:
    """Submit a task: TEXT says what should be done.

    With --wait the exit status says how it ended: 0 completed, 1 failed or cancelled, 7 a person
    has to decide, 8 the --wait-timeout is over. The task goes on when you stop waiting.
    """
    description = words_given(text, file)
    given = said_of(fields)
    if planned and given.setdefault("playbook", PLAN) != PLAN:
        raise click.UsageError("--plan is a playbook of its own: leave --playbook out")
    with reach(line) as muster:
        task = muster.create_task(
            project_or_here(muster, project), description, key=key, type=type_, **given
        )
    if wait or wait_timeout is not None:
        with reach(line, PATIENT) as muster:
            return _wait(line, muster, task, wait_timeout)
    if line.json:
        out.document(task)
    else:
        out.say(line, task_line(Ink(line.colour), task))
        out.tell(line, f"Follow it: muster task show {task['label']}")
    return 0


def _wait(line: Line, muster: Muster, task: Task, seconds: float | None) -> int:
    ended = wait_for(muster, task["id"], out.Progress(line), seconds)
    if line.json:
        out.document(ended)
    else:
        out.say(line, task_line(Ink(line.colour), ended))
        out.tell(line, what_now(ended))
    return ENDS.get(ended["status"], NEEDS_A_PERSON)
