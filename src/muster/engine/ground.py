"""What an attempt stands on: the commit that its role works on, and the settings there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muster.domain.agent import Role
from muster.domain.playbook import role_of
from muster.domain.task import Task
from muster.engine.forge_side import follow
from muster.engine.own_settings import follow_branch
from muster.engine.tools import Tools, in_thread, own_file_at
from muster.own_file import OwnFile
from muster.settings import resolve
from muster.store.projects import ProjectRow

_OF_MERGED = frozenset({Role.DEPLOYER, Role.VERIFIER})


@dataclass(frozen=True, slots=True)
class Ground:
    """The workspace is `commit`, which stands on `base`.

    `own` are the repository's own settings at the base, `kept` is the base that the task keeps:
    that of its work, once there is some.
    """

    base: str
    commit: str
    own: OwnFile
    kept: str


async def ground_of(tools: Tools, task: Task, project: ProjectRow) -> Ground:
    """What the next attempt at a task stands on.

    A repeated attempt stays on the base that its work stands on, and a reviewer looks at that work;
    what is deployed and verified is what was merged. All else begins at the target branch's head.
    """
    if role_of(task) in _OF_MERGED and task.merged_commit:
        at = task.merged_commit
        own = await own_file_at(tools, project.id, at)
        return Ground(at, at, own, task.base_commit or at)
    if task.result_commit and task.base_commit:
        own = await own_file_at(tools, project.id, task.base_commit)
        return Ground(task.base_commit, task.result_commit, own, task.base_commit)
    if task.step:
        own_settings = resolve(tools.settings, project.overrides, project.file_settings)[0]
        await follow(tools, project, own_settings)
    mirror = tools.workspaces.mirror(project.id)
    head = await in_thread(mirror.fetch, Path(project.git_dir), project.branch)
    own = await own_file_at(tools, project.id, head)
    await follow_branch(tools, project, own)
    return Ground(head, head, own, head)
