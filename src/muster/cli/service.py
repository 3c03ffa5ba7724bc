"""`muster service`: what a service manager needs to run the server of this installation."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command, group
from muster.cli.unit import Installation, unit_of

_USUAL = ("/usr/local/bin", "/usr/bin", "/bin")


@group("service")
def service() -> None:
    """Run the server under systemd."""


@command("print")
@click.option("--user", "for_user", is_flag=True, help="A unit for your own manager, not root's.")
@click.option("--run-as", metavar="USER", help="Who the server runs as [you].")
@click.option("--host", metavar="ADDRESS", help="The address to listen on, as of muster up.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port, as of muster up.")
@click.option(
    "--allow-host", "allow_hosts", multiple=True, metavar="NAME", help="A host name to answer to."
)
def print_(
    line: Line,
    for_user: bool,
    run_as: str | None,
    host: str | None,
    port: int | None,
    allow_hosts: tuple[str, ...],
) -> None:
    """Print a systemd unit that fits this installation; it changes nothing."""
    if for_user and run_as:
        raise click.UsageError("--run-as is for the system's manager; leave out --user")
    arguments = ["--host", host] if host else []
    arguments += ["--port", str(port)] if port is not None else []
    for name in allow_hosts:
        arguments += ["--allow-host", name]
    installed = Installation(
        python=sys.executable,
        home=line.home,
        path=_path(late("muster.settings").environment().get("PATH", "").split(os.pathsep)),
        arguments=tuple(arguments),
        user="" if for_user else run_as or getpass.getuser(),
    )
    text = unit_of(installed)
    if line.json:
        out.document({"name": "muster.service", "unit": text})
    else:
        out.say(line, text.rstrip("\n"))


def _path(folders: Iterable[str]) -> str:
    """The folders that are there, in their order, and the usual ones."""
    there = [name for name in folders if name.startswith("/") and Path(name).is_dir()]
    return ":".join(dict.fromkeys((*there, *_USUAL)))


service.add_command(print_)
