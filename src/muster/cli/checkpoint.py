"""`muster task checkpoints`, `checkpoint`, `restore`, `fork`: the points a task can go back to."""

from __future__ import annotations

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.look import Ink, ago, some, table
from muster.cli.reach import reach

_TASK = click.argument("name", metavar="TASK")
_N = click.argument("n", metavar="N", type=int)


@command()
@_TASK
def checkpoints(line: Line, name: str) -> None:
    """List the points that a task can be put back to."""
    with reach(line) as muster:
        found = muster.list_checkpoints(name)
    if line.json:
        out.document(found)
        return
    if not found["items"]:
        out.tell(line, f"{name} has no checkpoints yet.")
        return
    rows = [
        [
            some(c["n"]),
            some(c["attempt"]),
            some(c["commit"])[:10],
            ago(c["created_at"]),
            some(c["label"]),
        ]
        for c in found["items"]
    ]
    out.say(line, table(Ink(line.colour), ["N", "ATTEMPT", "COMMIT", "TAKEN", "LABEL"], rows))
    out.tell(line, f"Go back to one: muster task restore {name} N; or: muster task fork {name} N")


@command()
@_TASK
@click.argument("label", metavar="[LABEL]", required=False, default="")
def checkpoint(line: Line, name: str, label: str) -> None:
    """Keep a task's work as it is now, also while an agent is at it."""
    with reach(line) as muster:
        made = muster.take_checkpoint(name, label)
    if line.json:
        out.document(made)
        return
    out.say(line, f"Checkpoint {made['n']} of {some(name)}: {some(made['label'])}")
    out.tell(line, f"Go back to it: muster task restore {name} {made['n']}")


@command()
@_TASK
@_N
def restore(line: Line, name: str, n: int) -> None:
    """Put a task's work back to a checkpoint; what it had is kept as another one."""
    with reach(line) as muster:
        done = muster.restore_checkpoint(name, n)
    if line.json:
        out.document(done)
        return
    out.say(line, f"{some(name)} is back at checkpoint {n}")
    out.tell(line, f"Go on from there: muster task retry {name}")


@command()
@_TASK
@_N
@click.argument("text", metavar="[TEXT]", required=False)
@click.option("--agent", metavar="NAME", help="Another agent than the task had.")
@click.option("--model", metavar="NAME", help="Another model.")
def fork(
    line: Line, name: str, n: int, text: str | None, agent: str | None, model: str | None
) -> None:
    """Make a new task that begins as this one was at a checkpoint.

    TEXT says what is to be done there, in place of what the first task says.
    """
    with reach(line) as muster:
        made = muster.fork_task(name, n, text, agent=agent, model=model)
    if line.json:
        out.document(made)
        return
    out.say(line, f"{some(made['label'])}  {some(made['status'])}  {some(made['title'])}")
    out.tell(line, f"Follow it: muster task show {made['label']}")
