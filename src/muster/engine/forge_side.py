"""Where a project's work is seen: its forge, the repository there, and git between both."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from muster.domain.errors import Conflict, MusterError
from muster.domain.project import OFF, ProjectSettings
from muster.engine.tools import Job, Tools, in_thread
from muster.forge.base import Forge
from muster.store.projects import ProjectRow
from muster.workspace.forge_repo import repo_at

log = logging.getLogger("muster.engine")


@dataclass(frozen=True, slots=True)
class Side:
    """A forge, and the repository as it is called there."""

    forge: Forge
    repo: str


async def side_of(tools: Tools, job: Job) -> Side | None:
    """The forge of a job's project; None where muster alone keeps its pull requests.

    Raises:
        Invalid: the settings name no forge that there is, or no repository.
    """
    project, own = job.project, job.settings
    return await _side(tools, project.git_dir, project.name, own)


async def _side(tools: Tools, git_dir: str, name: str, own: ProjectSettings) -> Side | None:
    if own.forge == OFF:
        return None
    forge = await tools.forges.of(own.forge)
    git = tools.workspaces.git
    repo = await in_thread(repo_at, forge, git, Path(git_dir), name, own.github_repo)
    return Side(forge, repo)


async def push(tools: Tools, job: Job, side: Side, commit: str) -> None:
    """Bring a task's work to its branch there; agents never hold what opens it."""
    to = await side.forge.remote(side.repo)
    environ = tools.settings.environ
    await in_thread(
        tools.workspaces.push, job.repo, to.url, to.headers, commit, job.task.branch, environ
    )


async def fetch(tools: Tools, repo_id: str, side: Side, branch: str) -> str:
    """Bring a branch there into muster's own copy; its commit."""
    at = await side.forge.remote(side.repo)
    environ = tools.settings.environ
    return await in_thread(
        tools.workspaces.fetch_remote, repo_id, at.url, at.headers, branch, environ
    )


async def follow(tools: Tools, project: ProjectRow, own: ProjectSettings) -> None:
    """Let the person's branch be where it is at the forge, if that is ahead of it and no more.

    What has begun here goes on from here where the forge does not answer, or both went ways of
    their own.
    """
    try:
        side = await _side(tools, project.git_dir, project.name, own)
        if side is not None:
            await bring_home(tools, project, side)
    except MusterError as fault:
        log.warning("%s could not be brought up to date: %s", project.name, fault)


async def bring_home(tools: Tools, project: ProjectRow, side: Side) -> str:
    """The forge's head of the project's branch; the person's own branch follows if it can."""
    there = await fetch(tools, project.id, side, project.branch)
    mirror, git_dir = tools.workspaces.mirror(project.id), Path(project.git_dir)
    here = await in_thread(mirror.fetch, git_dir, project.branch)
    if here != there and await in_thread(tools.workspaces.is_ancestor, project.id, here, there):
        tree = Path(project.work_tree) if project.work_tree else None
        try:
            await in_thread(
                tools.workspaces.land,
                project.id,
                git_dir,
                tree,
                project.branch,
                here,
                there,
                trusted_config=project.trusted_config,
            )
        except Conflict as error:
            log.warning("%s stays behind %s: %s", project.branch, side.repo, error)
    return there
