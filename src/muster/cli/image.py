"""`muster image`: the images that agents in containers stand on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command, group


@group("image")
def image() -> None:
    """Make images for agents in containers."""


@command("build")
@click.argument("name", required=False)
@click.option(
    "--from", "folder", metavar="FOLDER", help="Build the Dockerfile in this folder instead."
)
@click.option("--with", "programs", multiple=True, metavar="PROGRAM", help="Take it along too.")
def build(line: Line, name: str | None, folder: str | None, programs: tuple[str, ...]) -> None:
    """Make an image: of this machine's own programs, or from a Dockerfile.

    Without a NAME it becomes the one that containers stand on unless the project names another.
    """
    if folder and programs:
        raise click.UsageError("--with takes programs of this machine; a Dockerfile has its own")
    images = late("muster.runtimes.image")
    name = name or str(late("muster.runtimes.docker").IMAGE)
    out.tell(line, f"making {name} …")
    if folder:
        made = asyncio.run(images.built(name, Path(folder).expanduser().absolute()))
    else:
        made = asyncio.run(images.assembled(name, programs=programs))
    if line.json:
        out.document({"name": made.name, "id": made.id, "size": made.size})
    else:
        out.say(line, f"{made.name} is there, {made.size / 1e6:.0f} MB ({made.id[:19]})")


image.add_command(build)
