"""The options of every command that hands in a wish: `muster do` and `muster plan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from muster.domain.task import Autonomy

_OPTIONS = (
    click.argument("text", required=False),
    click.option("-f", "--file", metavar="FILE", help="Read the text from a file, or - for stdin."),
    click.option("--project", metavar="NAME", help="The project [the current directory's]."),
    click.option(
        "--autonomy",
        type=click.Choice([str(a) for a in Autonomy]),
        help="How much may be done unasked.",
    ),
    click.option(
        "--after", multiple=True, metavar="TASK", help="Only after this task (repeatable)."
    ),
    click.option("--priority", type=click.IntRange(0, 9), help="0 to 9; higher starts first."),
    click.option(
        "--budget",
        "budget_usd",
        type=click.FloatRange(min=0),
        metavar="USD",
        help="What it may cost at most.",
    ),
    click.option(
        "--acceptance/--no-acceptance",
        default=None,
        help="Whether another agent first writes tests that judge the work.",
    ),
    click.option("--model", metavar="NAME", help="The model that agents should use."),
    click.option("--key", metavar="KEY", help="With the same key it is handed in only once."),
    click.option(
        "--wait-timeout",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Stop waiting after so long; it goes on.",
    ),
)


def wish(call: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the text of a wish and the options that every wish has."""
    for option in reversed(_OPTIONS):
        call = option(call)
    return call


def said_of(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a task that were given at all, as the server wants them."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value not in (None, ())
    }
