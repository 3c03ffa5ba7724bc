"""`muster help`: topics that belong to no single command."""

from __future__ import annotations

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.look import Ink, table
from muster.domain.errors import NotFound

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "the work itself failed (task failed, checks failed)",
    2: "wrong usage",
    3: "not found",
    4: "not signed in or not allowed",
    5: "conflict or stale",
    6: "server not reachable",
    7: "waiting for a person (with --wait)",
    8: "timeout",
    130: "interrupted",
}
TOPICS = {"exit-codes": "what the exit status of a command says"}


@command("help")
@click.argument("topic", required=False)
def help_(line: Line, topic: str | None) -> None:
    """Explain a TOPIC: exit-codes."""
    if topic is None:
        _show(line, ["TOPIC", "WHAT"], TOPICS)
    elif topic == "exit-codes":
        _show(line, ["CODE", "MEANS"], {str(code): text for code, text in EXIT_CODES.items()})
    else:
        raise NotFound(f"there is no topic '{topic}'", hint=f"topics: {', '.join(TOPICS)}")


def _show(line: Line, head: list[str], rows: dict[str, str]) -> None:
    if line.json:
        out.document(rows)
    else:
        out.say(line, table(Ink(line.colour), head, [list(row) for row in rows.items()]))
