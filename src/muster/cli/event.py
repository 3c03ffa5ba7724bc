"""`muster event`: list, show, follow, emit events, and mark those that were dealt with."""

from __future__ import annotations

import json
import shlex
from itertools import islice
from typing import Any

import click

from muster.cli import out
from muster.cli.event_page import event_page
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, ago, cut, some, table
from muster.cli.reach import reach
from muster.cli.words import words_given
from muster.client.shapes import Event
from muster.domain.errors import Invalid

_PAYLOAD_COLUMNS = 100
_USUAL = 100


@group("event")
def event() -> None:
    """List, show, follow and emit events.

    An event is one fact; its number is its place in the one order of all events.
    """


@command("list")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only after this number.")
@click.option("--limit", type=click.IntRange(1, 200), default=_USUAL, show_default=True)
@click.option("--type", "type_", metavar="TYPE", help="Only this type.")
@click.option("--task", metavar="TASK", help="Only about this task.")
@click.option(
    "--pending/--processed", default=None, help="Only without a mark, or with one (event done)."
)
def list_(
    line: Line, after: int, limit: int, type_: str | None, task: str | None, pending: bool | None
) -> None:
    """List events in their order."""
    processed = None if pending is None else not pending
    with reach(line) as muster:
        page = muster.list_events(
            after=after, limit=limit, type=type_, task=task, processed=processed
        )
    if line.json:
        out.document(page)
        return
    ink = Ink(line.colour)
    rows = [
        [some(e["rev"]), ago(e["time"]), some(e["type"]), some(e["subject"]), _payload(e)]
        for e in page["items"]
    ]
    out.say(line, table(ink, ["REV", "WHEN", "TYPE", "SUBJECT", "PAYLOAD"], rows))
    if page["next"]:
        same = {"limit": str(limit) if limit != _USUAL else None, "type": type_, "task": task}
        options = [word for name, value in same.items() if value for word in (f"--{name}", value)]
        options += [] if pending is None else ["--pending" if pending else "--processed"]
        more = shlex.join(["--after", some(page["next"]), *options])
        out.tell(line, f"There are more: muster event list {more}")


@command()
@click.argument("rev", metavar="ID", type=click.IntRange(min=1))
def show(line: Line, rev: int) -> None:
    """Show an event, the chain that led to it, and what it led to.

    Each line of the tree is led to by the one above it that stands further left.
    """
    with reach(line) as muster:
        found = muster.get_event(rev)
    if line.json:
        out.document(found)
    else:
        out.say(line, event_page(Ink(line.colour), found))


@command()
@click.argument("rev", metavar="ID", type=click.IntRange(min=1))
def done(line: Line, rev: int) -> None:
    """Mark an event as dealt with; one that is marked already stays as it is."""
    with reach(line) as muster:
        found: Event = muster.get_event(rev)
        before = found["processed_at"]
        if not before:
            found = muster.mark_processed(rev)
    if line.json:
        out.document({k: v for k, v in found.items() if k not in {"chain", "led_to"}})
    elif before:
        out.say(line, f"event {rev} was marked already, {ago(before)}")
    else:
        out.say(line, f"event {rev} is marked as dealt with")


def _payload(item: Event) -> str:
    return cut(json.dumps(item["payload"]), _PAYLOAD_COLUMNS) if item["payload"] else ""


@command()
@click.option("--after", type=click.IntRange(min=0), help="Start after this number [from now].")
@click.option("--type", "type_", metavar="TYPE", help="Only this type.")
@click.option("--task", metavar="TASK", help="Only about this task.")
@click.option("-n", "--count", type=click.IntRange(min=1), help="Stop after this many.")
def tail(
    line: Line, after: int | None, type_: str | None, task: str | None, count: int | None
) -> None:
    """Follow events as they happen, across restarts of the server."""
    with reach(line) as muster:
        task_id = muster.get_task(task)["id"] if task else None
        wanted = (
            item
            for item in muster.events(after=after)
            if (not type_ or item["type"] == type_)
            and (not task_id or item.get("task_id") == task_id)
        )
        for item in islice(wanted, count):
            if line.json:
                out.json_line(item)
            else:
                head = [item.get("rev"), item.get("time"), item["type"], item.get("subject")]
                payload = json.dumps(item.get("payload") or {})
                out.say(line, "  ".join(map(some, [*head, payload])))


@command()
@click.argument("type_", metavar="TYPE")
@click.argument("subject", default="")
@click.option(
    "--payload", default="{}", metavar="JSON|@FILE", help="An object with what is to be said."
)
@click.option("--project", "project_id", metavar="ID", help="The project it is about.")
@click.option("--task", "task_id", metavar="TASK", help="The task it is about.")
def emit(
    line: Line,
    type_: str,
    subject: str,
    payload: str,
    project_id: str | None,
    task_id: str | None,
) -> None:
    """Put an event of your own into the stream."""
    value = _object(payload)
    with reach(line) as muster:
        made = muster.emit_event(type_, subject, value, project_id=project_id, task_id=task_id)
    if line.json:
        out.document(made)
    else:
        out.say(line, f"event {some(made['rev'])}  {some(made['type'])}")


def _object(payload: str) -> dict[str, Any]:
    """What is to be said, from the line or from the file behind an @."""
    text = words_given(None, payload[1:]) if payload.startswith("@") else payload
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"the payload is not JSON: {error}", hint="""--payload '{"a": 1}'"""
        ) from error
    if not isinstance(value, dict):
        raise Invalid("the payload is not an object", hint="""--payload '{"a": 1}'""")
    return value


for _command in (list_, show, tail, emit, done):
    event.add_command(_command)
