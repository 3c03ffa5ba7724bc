"""`muster github`: whether the token does, and pull requests by hand."""

from __future__ import annotations

import click

from muster.cli import out
from muster.cli.line import Line, command, group
from muster.cli.look import Ink, facts, some, table
from muster.cli.reach import reach
from muster.cli.which import project_or_here
from muster.client.shapes import PullRequest, WholePullRequest

_METHODS = click.Choice(["merge", "squash", "rebase"])


@group("github")
def github() -> None:
    """Look at GitHub, and merge pull requests there.

    A repository is named by its project, as owner/name, or by its name alone where github_owner
    is set. What muster needs there is in docs/github.md.
    """


@command()
def status(line: Line) -> None:
    """Tell whether GitHub takes the token, and for whom; never the token."""
    with reach(line) as muster:
        found = muster.github_status()
    if line.json:
        out.document(found)
        return
    left = found["rate_left"]
    rows = [
        ("address", some(found["api_url"])),
        ("token", f"of {some(found['login'] or 'an app')}" if found["signed_in"] else "none"),
        ("scopes", ", ".join(map(some, found["scopes"])) or "not told"),
        ("owner", some(found["owner"]) if found["owner"] else "not set"),
        ("requests left", "not told" if left is None else str(left)),
        ("webhook", "taken when signed" if found["webhook"] else "off: no secret is set"),
    ]
    out.say(line, facts(Ink(line.colour), rows))
    if not found["signed_in"]:
        out.tell(line, f"{some(found['why'])}. {some(found['mend'])}")


@group("pr")
def pr() -> None:
    """List, show and merge pull requests."""


@command("list")
@click.argument("repo", required=False)
@click.option("--state", default="open", show_default=True, help="open, closed or all.")
def list_(line: Line, repo: str | None, state: str) -> None:
    """List pull requests of a repository, else of the project of this directory."""
    with reach(line) as muster:
        found = muster.list_pulls(project_or_here(muster, repo), state=state)
    if line.json:
        out.document(found)
        return
    if not found["items"]:
        out.tell(line, "No pull requests.")
        return
    head = ["NUMBER", "STATE", "BRANCH", "ONTO", "TITLE"]
    out.say(line, table(Ink(line.colour), head, [_row(each) for each in found["items"]]))


def _row(each: PullRequest) -> list[str]:
    names = (each["state"], each["branch"], each["base"], each["title"])
    return [str(each["number"]), *map(some, names)]


@command()
@click.argument("repo")
@click.argument("number", type=int)
def show(line: Line, repo: str, number: int) -> None:
    """Show a pull request, what its checks say and who reviewed it."""
    with reach(line) as muster:
        found = muster.get_pull(repo, number)
    if line.json:
        out.document(found)
        return
    out.say(line, facts(Ink(line.colour), _facts(found)))


def _facts(found: WholePullRequest) -> list[tuple[str, str]]:
    said = [f"{some(one['author'])}: {some(one['opinion'])}" for one in found["reviews"]]
    return [
        ("title", some(found["title"])),
        ("state", some(found["state"])),
        ("branch", f"{some(found['branch'])} onto {some(found['base'])}"),
        ("head", some(found["head"])),
        ("checks", some(found["checks"])),
        ("reviews", ", ".join(said) or "none"),
        ("address", some(found["url"])),
    ]


@command()
@click.argument("repo")
@click.argument("number", type=int)
@click.option("--method", type=_METHODS, default="merge", show_default=True, help="How.")
@click.option("--head", metavar="COMMIT", help="Only if its head still is this commit.")
def merge(line: Line, repo: str, number: int, method: str, head: str | None) -> None:
    """Merge a pull request whose checks passed."""
    with reach(line) as muster:
        merged = muster.merge_pull(repo, number, method=method, head=head)
    if line.json:
        out.document(merged)
        return
    commit = some(merged["merged_commit"] or "")[:12]
    out.say(line, f"{some(merged['repo'])} #{merged['number']}: {some(merged['state'])} {commit}")


github.add_command(status)
for _command in (list_, show, merge):
    pr.add_command(_command)
github.add_command(pr)
