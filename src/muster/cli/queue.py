"""`muster queue`: the ordered list, and what holds work back."""

from __future__ import annotations

from typing import Any

import click

from muster.cli import out
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, facts, some, table
from muster.cli.reach import reach
from muster.cli.stopped import NO_PROCESSOR, RESUME, stopped_words
from muster.client.shapes import Queue
from muster.domain.errors import Invalid

_PLACE = click.IntRange(min=1)


@group("queue")
def queue() -> None:
    """Show and steer the queue.

    `stop_on_failure` holds only the ordered list; `paused` and `max_concurrent` hold everything.
    """


@command()
def show(line: Line) -> None:
    """Show the ordered list and the settings."""
    with reach(line) as muster:
        found = muster.get_queue()
    if line.json:
        out.document(found)
    else:
        out.say(line, _page(Ink(line.colour), found))


def _page(ink: Ink, found: Queue) -> str:
    settings = found["settings"]
    pairs = [
        ("running", f"{found['running']} of {settings['max_concurrent']}"),
        ("waiting", f"{found['waiting']} for a slot"),
        *_held(found),
    ]
    rows = [
        [str(n), some(item["label"]), ink.state(item["status"]), some(item["title"])]
        for n, item in enumerate([*found["items"], *found["completed"]], 1)
    ]
    shown = table(ink, ["#", "TASK", "STATE", "TITLE"], rows) if rows else "The list is empty."
    return f"{facts(ink, pairs, '')}\n\n{shown}"


def _held(found: Queue) -> list[tuple[str, str]]:
    settings, stop = found["settings"], found["stopped"]
    retry = f"muster task retry {some(stop['task_label'])}" if stop else ""
    return [
        ("processor", "" if settings["processor"] else NO_PROCESSOR),
        ("paused", f"yes; go on with: {RESUME}" if settings["paused"] else "no"),
        ("stop on failure", "yes" if settings["stop_on_failure"] else "no"),
        ("list stopped", stopped_words(stop) if stop else ""),
        ("go on with", f"{RESUME}, or {retry}" if stop else ""),
    ]


@command()
@click.argument("name", metavar="TASK")
@click.option("--position", type=_PLACE, metavar="N", help="Its place; unsaid: the end.")
def add(line: Line, name: str, position: int | None) -> None:
    """Put a task on the ordered list, or move it there to another place."""
    _put(line, name, position)


@command()
@click.argument("name", metavar="TASK")
@click.argument("position", type=_PLACE, metavar="N")
def move(line: Line, name: str, position: int) -> None:
    """Move a task to place N of the ordered list; its priority goes first."""
    _put(line, name, position)


def _put(line: Line, name: str, position: int | None) -> None:
    with reach(line) as muster:
        found = muster.queue_add(name, position=position)
    items = found["items"]
    at = [n for n, item in enumerate(items, 1) if name in (item["id"], item["label"])]
    where = f", number {at[0]} of {len(items)}" if at else ""
    _acted(line, found, f"{some(name)} is on the list{where}")


@command()
@click.argument("names", nargs=-1, required=True, metavar="TASK...")
def order(line: Line, names: tuple[str, ...]) -> None:
    """Order the whole list; name every task on it that has not ended."""
    with reach(line) as muster:
        found = muster.queue_order(list(names))
    _acted(line, found, " ".join(some(item["label"]) for item in found["items"]))


@command()
@click.argument("name", metavar="TASK")
def remove(line: Line, name: str) -> None:
    """Take a task off the ordered list; the task stays."""
    with reach(line) as muster:
        _acted(line, muster.queue_remove(name), f"{name} is off the list")


@command()
def clear(line: Line) -> None:
    """Take the completed tasks off the ordered list."""
    with reach(line) as muster:
        _acted(line, muster.queue_clear(), "the completed tasks are off the list")


@command()
def pause(line: Line) -> None:
    """Start nothing more; what runs goes on."""
    with reach(line) as muster:
        _acted(line, muster.set_queue(paused=True), "paused: nothing more starts")


@command()
def resume(line: Line) -> None:
    """Start tasks again."""
    with reach(line) as muster:
        _acted(line, muster.set_queue(paused=False), "tasks start again")


@command("set")
@click.argument("pairs", nargs=-1, metavar="[KEY VALUE]...")
@click.option("--max-concurrent", type=click.IntRange(min=1), help="Agents at the same time.")
@click.option("--stop-on-failure/--no-stop-on-failure", default=None, help="Hold the list then.")
def set_(
    line: Line,
    pairs: tuple[str, ...],
    max_concurrent: int | None,
    stop_on_failure: bool | None,
) -> None:
    """Change the settings: max_concurrent, stop_on_failure, paused."""
    given: dict[str, Any] = _pairs(pairs)
    if max_concurrent is not None:
        given["max_concurrent"] = max_concurrent
    if stop_on_failure is not None:
        given["stop_on_failure"] = stop_on_failure
    if not given:
        raise click.UsageError("say what to set: muster queue set max_concurrent 4")
    with reach(line) as muster:
        settings = muster.set_queue(**given)
    if line.json:
        out.document(settings)
    else:
        out.say(line, "\n".join(f"{key} = {some(value)}" for key, value in given.items()))


def _pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    if len(pairs) % 2:
        raise click.UsageError("a value is missing: give KEY VALUE")
    return {key: _value(key, value) for key, value in zip(pairs[::2], pairs[1::2], strict=True)}


def _value(key: str, text: str) -> bool | int:
    if key in {"paused", "stop_on_failure"}:
        return click.BOOL.convert(text, None, None)
    if key == "max_concurrent":
        if not text.isdecimal():
            raise Invalid(f"max_concurrent is a number, not '{text}'", hint="1 or more")
        return int(text)
    raise Invalid(
        f"the queue has no setting '{key}'", hint="max_concurrent, stop_on_failure or paused"
    )


def _acted(line: Line, answer: Any, words: str) -> None:
    if line.json:
        out.document(answer if answer is not None else {})
    else:
        out.say(line, words)


for _command in (show, add, move, order, remove, pause, resume, set_, clear):
    queue.add_command(_command)
