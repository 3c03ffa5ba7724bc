"""`muster project`: registered repositories and their settings."""

from __future__ import annotations

import json
from typing import Any

import click

from muster.cli import out
from muster.cli.decisions import try_
from muster.cli.indexes import line_to_open
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, ago, facts, some, table
from muster.cli.reach import reach
from muster.cli.which import project_or_here
from muster.client.shapes import Project

_UNSET = {"null", "none", "default", ""}


@group("project")
def project() -> None:
    """List and change projects: repositories that muster works on.

    A project is named by its name or id; unnamed it is the current directory's.
    """


@command("list")
def list_(line: Line) -> None:
    """List projects."""
    with reach(line) as muster:
        page = muster.list_projects()
    if line.json:
        out.document(page)
        return
    if not page["items"]:
        out.tell(line, "No projects. Register a repository: muster init PATH")
        return
    rows = [
        [
            some(item["name"]),
            some(item["branch"]),
            some(item["settings"].get("autonomy")),
            some(item["settings"].get("agent")) or "-",
            ago(item["created_at"]),
            some(item["work_tree"] or item["git_dir"]),
        ]
        for item in page["items"]
    ]
    head = ["PROJECT", "BRANCH", "AUTONOMY", "AGENT", "ADDED", "REPOSITORY"]
    out.say(line, table(Ink(line.colour), head, rows))


@command()
@click.argument("name", metavar="[PROJECT]", required=False)
def show(line: Line, name: str | None) -> None:
    """Show a project's settings and where each came from."""
    with reach(line) as muster:
        found = muster.get_project(project_or_here(muster, name))
    if line.json:
        out.document(found)
    else:
        out.say(line, project_page(Ink(line.colour), found))


def project_page(ink: Ink, found: Project) -> str:
    """A project as text."""
    pairs = [
        ("repository", some(found["work_tree"] or found["git_dir"])),
        ("branch", some(found["branch"])),
        ("added", ago(found["created_at"])),
        ("id", some(found["id"])),
    ]
    rows = [
        [some(key), _shown(value), some(found["sources"].get(key))]
        for key, value in found["settings"].items()
    ]
    settings = table(ink, ["SETTING", "VALUE", "FROM"], rows)
    return f"{ink.paint('bold', some(found['name']))}\n{facts(ink, pairs)}\n\n{settings}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return some(value) if isinstance(value, str) else json.dumps(value)


@command("set")
@click.argument("words", nargs=-1, required=True, metavar="[PROJECT] KEY VALUE")
@click.option("--unset", is_flag=True, help="Take KEY back to what is below it; no VALUE then.")
def set_(line: Line, words: tuple[str, ...], unset: bool) -> None:
    """Set a setting; the VALUE `default` takes it back."""
    needed = 1 if unset else 2
    if len(words) not in {needed, needed + 1}:
        raise click.UsageError("give [PROJECT] KEY VALUE, or [PROJECT] KEY --unset")
    name = words[0] if len(words) > needed else None
    key, value = (words[-1], None) if unset else (words[-2], _value(words[-1]))
    with reach(line) as muster:
        done = muster.change_project(project_or_here(muster, name), {key: value})
    if line.json:
        out.document(done)
    else:
        now, source = _shown(done["settings"].get(key)), some(done["sources"].get(key))
        out.say(line, f"{some(done['name'])}: {key} = {now}" + (f" ({source})" if source else ""))
        if key == "setup_command" and (closed := line_to_open(done)):
            out.tell(line, closed)


def _value(text: str) -> str | None:
    return None if text.lower() in _UNSET else text


@command()
@click.argument("name", metavar="PROJECT")
def remove(line: Line, name: str) -> None:
    """Forget a project; its repository is not touched."""
    with reach(line) as muster:
        answer = muster.remove_project(name)
    if line.json:
        out.document(answer if answer is not None else {})
    else:
        out.say(line, f"{name} is no project any more; its repository is as it was")


for _command in (list_, show, set_, try_, remove):
    project.add_command(_command)
