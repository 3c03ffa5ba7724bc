"""`muster plan`: have a wish split into tasks, and look at them before they start."""

from __future__ import annotations

from typing import Any

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.look import Ink
from muster.cli.plan_page import plan_table
from muster.cli.reach import reach
from muster.cli.task import task_line
from muster.cli.watch import ENDS, PATIENT, wait_for, what_now
from muster.cli.which import project_or_here
from muster.cli.wish import said_of, wish
from muster.cli.words import words_given
from muster.client.shapes import TaskDetail
from muster.domain.task import PLAN

_UNPLANNED = {"waiting": 7, "failed": 1, "cancelled": 1}
"""The exit status where the planning ended without a plan."""


@command("plan")
@click.option("--agent", metavar="NAME", help="The agent of all tasks [chosen for each].")
@click.option("--runtime", metavar="NAME", help="Where they run [chosen for each].")
@wish
def plan(
    line: Line,
    text: str | None,
    file: str | None,
    project: str | None,
    key: str | None,
    wait_timeout: float | None,
    **fields: Any,
) -> int:
    """Split a wish into tasks: TEXT says what should be achieved.

    The project's model (setting `supervisor`) plans; without one it is a single task. The tasks
    are proposed, and start once you say go; under `full` they start. Exit status: 0 planned, 1
    failed, 7 the plan needs an answer of yours first.
    """
    with reach(line, PATIENT) as muster:
        where = project_or_here(muster, project)
        task = muster.create_task(
            where, words_given(text, file), key=key, playbook=PLAN, **said_of(fields)
        )
        found = wait_for(muster, task["id"], out.Progress(line), wait_timeout, over=_is_over)
    if line.json:
        out.document(found)
    else:
        ink = Ink(line.colour)
        shown = plan_table(ink, found)
        out.say(line, "\n\n".join(filter(None, (task_line(ink, found), shown))))
        out.tell(line, what_now(found))
    return 0 if found["plan"] is not None else _UNPLANNED.get(found["status"], 0)


def _is_over(task: TaskDetail) -> bool:
    return task["plan"] is not None or task["status"] in ENDS
