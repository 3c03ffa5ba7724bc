"""`muster playbook`: through which roles tasks may go, and the faults of a file that says so."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from muster.cli import out
from muster.cli.late import late
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, facts, some, table
from muster.cli.reach import reach
from muster.cli.which import project_or_here
from muster.client.shapes import Playbook
from muster.domain.errors import Invalid, NotFound
from muster.domain.playbook import ROUTED

_PROJECT = click.option("--project", metavar="NAME", help="Another project than the one here.")


@group("playbook")
def playbook() -> None:
    """List, show and check the tables that lead tasks from role to role."""


@command("list")
@_PROJECT
def list_(line: Line, project: str | None) -> None:
    """List the playbooks that a task of a project may ask for."""
    with reach(line) as muster:
        found = muster.list_playbooks(project_or_here(muster, project))
    if line.json:
        out.document(found)
        return
    rows = [[some(one["name"]), some(one["source"]), _about(one)] for one in found["items"]]
    out.say(line, table(Ink(line.colour), ["PLAYBOOK", "FROM", "ABOUT"], rows))
    for one in found["items"]:
        _tell_faults(line, one)


def _about(one: Playbook) -> str:
    return "not used: it has faults" if one["faults"] else some(one["about"])


def _tell_faults(line: Line, one: Playbook) -> None:
    for fault in one["faults"]:
        out.tell(line, f"{some(one['file'] or one['name'])}, {_fault(fault)}")


def _fault(fault: dict[str, Any]) -> str:
    return some(f"line {fault['line']}: {fault['what']}; {fault['remedy']}")


@command()
@click.argument("name", metavar="NAME")
@_PROJECT
def show(line: Line, name: str, project: str | None) -> int:
    """Show the table of a playbook: which role or act follows each event."""
    with reach(line) as muster:
        found = muster.list_playbooks(project_or_here(muster, project))
    one = next((one for one in found["items"] if one["name"] == name), None)
    if one is None:
        known = ", ".join(some(one["name"]) for one in found["items"])
        raise NotFound(f"there is no playbook '{some(name)[:60]}'", hint=f"playbooks: {known}")
    if line.json:
        out.document(one)
    else:
        out.say(line, _page(Ink(line.colour), one))
        _tell_faults(line, one)
    return int(bool(one["faults"]))


def _page(ink: Ink, one: Playbook) -> str:
    head = f"{ink.paint('bold', some(one['name']))}  {_about(one)}"
    book = one["table"] or {}
    limits = book.get("limits", {})
    pairs = [
        ("from", some(one["source"])),
        ("file", some(one["file"])),
        ("reviewers", some(book["reviewers"]) if book.get("reviewers", 1) != 1 else ""),
        ("waits for", ", ".join(map(some, book.get("waits_for", ())))),
    ]
    rows = [
        [some(event), some(step), some(limits.get(event)), ROUTED.get(event, "a kind of its own")]
        for event, step in book.get("on", {}).items()
    ]
    shown = table(ink, ["EVENT", "LEADS TO", "AT MOST", "WHEN"], rows) if rows else ""
    return "\n\n".join(filter(None, (f"{head}\n{facts(ink, pairs)}", shown)))


@command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
def check(line: Line, file: Path) -> int:
    """Tell every fault of a playbook's file, with its line; needs no server."""
    faults = [asdict(fault) for fault in _faults(file)]
    if line.json:
        out.document({"items": faults, "next": None})
        return int(bool(faults))
    told = [f"{some(str(file))}, {_fault(fault)}" for fault in faults]
    out.say(line, "\n".join(told or [f"{some(str(file))} has no fault."]))
    return int(bool(faults))


def _faults(file: Path) -> Any:
    """What is wrong with a file, as a playbook that is called like it.

    Raises:
        Invalid: it cannot be read.
    """
    most = late("muster.supervision.rules_yaml").LARGEST
    try:
        with file.open("rb") as opened:
            data = opened.read(most + 1)
    except OSError as error:
        raise Invalid(
            f"{file} cannot be read: {error.strerror}", hint="name a file that you may read"
        ) from error
    return late("muster.supervision.playbook_file").read_playbook(data, file.stem)[1]


for _command in (list_, show, check):
    playbook.add_command(_command)
