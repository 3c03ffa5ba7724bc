"""Which project, agent or question is meant when the command line says it only in part."""

from __future__ import annotations

from pathlib import Path

from muster.client import Muster
from muster.domain.errors import NotFound
from muster.domain.ids import task_number


def here() -> str:
    """The current directory, absolute."""
    return str(Path.cwd())


def project_here(muster: Muster) -> str | None:
    """The id of the project whose work tree holds the current directory, or None."""
    found = muster.list_projects(path=here())["items"]
    return found[0]["id"] if found else None


def project_or_here(muster: Muster, given: str | None) -> str:
    """The project that was named, else the current directory's.

    Raises:
        NotFound: none was named and this directory belongs to none.
    """
    found = given or project_here(muster)
    if found is None:
        raise NotFound(
            f"{here()} is not in a project that muster knows",
            hint="register it with `muster init`, or name one with --project",
        )
    return found


def is_task(text: str) -> bool:
    """Whether a text names a task rather than something that belongs to one."""
    return text.startswith("tsk_") or task_number(text) is not None


def agent_named(muster: Muster, given: str) -> str:
    """The agent's id; a task's name stands for the newest agent of that task.

    Raises:
        NotFound: the task has had no agent.
    """
    if not is_task(given):
        return given
    found = muster.list_agents(task=given, limit=1)["items"]
    if not found:
        raise NotFound(f"{given} has had no agent yet", hint=f"muster task show {given}")
    return found[0]["id"]


def breakpoint_named(muster: Muster, given: str) -> str:
    """The question's id; a task's name stands for the question that is open on it.

    Raises:
        NotFound: nothing is asked about that task.
    """
    if not is_task(given):
        return given
    asked = muster.get_task(given)["breakpoint"]
    if asked is None:
        raise NotFound(f"no question is open on {given}", hint="muster inbox lists those that are")
    return asked["id"]
