"""`muster manager`: open a manager on a repository, and speak with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from muster.cli import out
from muster.cli.init import ask_trust, guess_test_command
from muster.cli.late import late
from muster.cli.line import Line, command
from muster.cli.look import Ink
from muster.cli.reach import reach
from muster.cli.task import task_line
from muster.cli.watch import ENDS, PATIENT, wait_for, what_now
from muster.cli.which import project_or_here
from muster.client import Muster
from muster.client.shapes import Task
from muster.domain.errors import Invalid
from muster.domain.task import MANAGER

_AT_WORK = "queued,planning,executing,monitoring,waiting"


@command("manager")
@click.argument("wish", required=False)
@click.option("--repo", metavar="URL|PATH", help="The repository [the current directory's].")
@click.option("--branch", metavar="BRANCH", help="Where accepted work goes [its current one].")
@click.option(
    "--token",
    "token_file",
    type=click.Path(dir_okay=False, exists=True),
    metavar="FILE",
    help="A file with the access token for an https URL.",
)
@click.option(
    "--ssh-key",
    type=click.Path(dir_okay=False, exists=True),
    metavar="FILE",
    help="The private key for an ssh URL.",
)
@click.option("--model", metavar="NAME", help="The model that manager and workers should use.")
@click.option("--agent", metavar="NAME", help="A driver, a preset or an own agent.")
@click.option("--runtime", metavar="NAME", help="Where they run [the most contained that works].")
@click.option("--autonomy", metavar="LEVEL", help="How much may be done unasked.")
@click.option(
    "--budget",
    "budget_usd",
    type=click.FloatRange(min=0, min_open=True),
    metavar="USD",
    help="What it may cost with all of its workers.",
)
@click.option("--wait", is_flag=True, help="Wait until it is done or needs a person.")
@click.option("--wait-timeout", type=click.FloatRange(min=0), metavar="SECONDS")
def manager(
    line: Line,
    wish: str | None,
    repo: str | None,
    branch: str | None,
    token_file: str | None,
    ssh_key: str | None,
    wait: bool,
    wait_timeout: float | None,
    **fields: Any,
) -> int:
    """Have a manager split a WISH into tasks, spawn workers for them, and sum up.

    Without a WISH it is a conversation: what you type is said to the manager. Ctrl-C leaves it and
    the manager lives on; the same command goes back to it. With --wait the exit status is as of
    `muster do --wait`.
    """
    given = {name: value for name, value in fields.items() if value}
    with reach(line) as muster:
        project = _project(line, muster, repo, branch, token_file, ssh_key)
        task = None if wish else _at_work(muster, project)
        if task is None:
            _tell_of_one(line, muster)
        is_new = task is None
        if task is None:
            task = muster.create_task(project, (wish or "").strip(), playbook=MANAGER, **given)
        elif given:
            raise Invalid(
                f"{task['label']}, the manager that is at work there, was started without that",
                hint="leave those options out to go back to it, or end it: /done",
            )
    if wait or wait_timeout is not None:
        with reach(line, PATIENT) as muster:
            return _wait(line, muster, task, wait_timeout)
    if wish and not sys.stdin.isatty():
        _tell_of(line, task)
        return 0
    talk = late("muster.cli.talk").Talk(line, task, is_new)
    ended: int = talk.until_left()
    return ended


def _project(
    line: Line,
    muster: Muster,
    repo: str | None,
    branch: str | None,
    token: str | None,
    key: str | None,
) -> str:
    """The id of the project, registered if it was not."""
    if repo is None:
        return project_or_here(muster, None)
    getting = late("muster.workspace.obtain")
    if getting.is_url(repo):
        out.tell(line, f"getting {getting.shown(repo)} …")
        folder = _obtained(line, getting, repo, branch, token, key)
    elif token or key:
        raise Invalid("--token and --ssh-key are for a URL", hint="leave them out for a path")
    else:
        folder = Path(repo).expanduser().absolute()
    known = muster.list_projects(path=folder)["items"]
    if known:
        return _on_branch(known[0], branch)
    command_line = guess_test_command(folder)
    settings = {"test_command": command_line} if command_line else {}
    trust = _trusts(line, folder)
    made = muster.add_project(folder, branch=branch, settings=settings, trust=trust)
    tests = command_line or "none: each change will be asked about"
    out.tell(line, f"registered {made['name']} ({made['branch']}); tests: {tests}")
    return made["id"]


def _trusts(line: Line, folder: Path) -> bool:
    """Whether the settings of a repository may run commands: only when a person says so."""
    if not (folder / ".muster" / "config.toml").exists():
        return False
    trust = sys.stdin.isatty() and ask_trust(folder)
    if not trust:
        out.tell(
            line,
            f"what its own settings would run does not count; to trust it: muster init {folder}",
        )
    return trust


def _obtained(
    line: Line, getting: Any, url: str, branch: str | None, token: str | None, key: str | None
) -> Path:
    """The folder of muster's own clone of a URL."""
    own = late("muster.settings")
    environ = own.environment()
    projects = own.load(line.home, environ).projects_dir or line.home / "projects"
    files = getting.Credentials(Path(token) if token else None, Path(key) if key else None)
    folder, why_not = getting.obtain(projects, url, branch, files, environ)
    if why_not:
        out.tell(line, f"its branch was left as it is: {why_not}")
    return Path(folder)


def _on_branch(project: Any, branch: str | None) -> str:
    if branch and branch != project["branch"]:
        raise Invalid(
            f"{project['name']} takes accepted work on '{project['branch']}', not '{branch}'",
            hint="leave --branch out, or register it anew: muster project remove, then again",
        )
    return str(project["id"])


def _tell_of_one(line: Line, muster: Muster) -> None:
    """Say so where workers cannot run side by side."""
    if muster.queue_settings()["max_concurrent"] == 1:
        out.tell(
            line,
            "the queue lets one agent run at once, so workers run one after another; for more:"
            " muster queue set max_concurrent 4",
        )


def _at_work(muster: Muster, project: str) -> Task | None:
    """The manager that listens there already, if there is one."""
    after = None
    while True:
        page = muster.list_tasks(project=project, status=_AT_WORK, limit=200, after=after)
        for task in page["items"]:
            if task["playbook"] == MANAGER and not task["description"]:
                return task
        after = page["next"]
        if after is None:
            return None


def _wait(line: Line, muster: Muster, task: Task, seconds: float | None) -> int:
    ended = wait_for(muster, task["id"], out.Progress(line), seconds)
    if line.json:
        out.document(ended)
    else:
        ink = Ink(line.colour)
        out.say(line, "\n".join(task_line(ink, each) for each in (ended, *ended["workers"])))
        if ended["status"] != "completed":
            out.tell(line, what_now(ended))
    return ENDS[ended["status"]]


def _tell_of(line: Line, task: Task) -> None:
    if line.json:
        out.document(task)
    else:
        out.say(line, task_line(Ink(line.colour), task))
        out.tell(line, f"Follow it: muster task show {task['label']}")
