"""`muster record`: save an agent's transcript as a cassette that `rehearsal` replays."""

from __future__ import annotations

from pathlib import Path

import click

from muster.cli import out
from muster.cli.line import Line, command
from muster.cli.reach import reach
from muster.cli.which import agent_named
from muster.domain.errors import Conflict, Invalid


@command("record")
@click.argument("name", metavar="AGENT")
@click.argument("file", metavar="FILE")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def record(line: Line, name: str, file: str, force: bool) -> None:
    """Save an agent's transcript in FILE, as a cassette for `rehearsal`."""
    with reach(line) as muster:
        agent = agent_named(muster, name)
        text = muster.cassette(agent)
    path = Path(file)
    try:
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as cassette:
            cassette.write(text)
    except FileExistsError:
        raise Conflict(f"{file} is there already", hint="add --force to overwrite it") from None
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}", hint="name a file") from error
    parts = text.count("\n")
    if line.json:
        out.document({"agent": agent, "file": str(path.absolute()), "parts": parts})
    else:
        out.say(line, f"{parts} parts of {agent} are in {file}")
        out.tell(
            line,
            f'Replay it: an agent with driver = "rehearsal" and cassette = "{path.absolute()}"',
        )
