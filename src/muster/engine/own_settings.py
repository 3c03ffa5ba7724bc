"""How a repository's own settings come to count: as its branch has them, once they are trusted."""

from __future__ import annotations

import logging

from muster.domain.errors import Invalid
from muster.domain.event import NewEvent
from muster.domain.task import Task
from muster.engine.tools import Tools, in_thread, read_own_file
from muster.own_file import OWN_FILE, OwnFile, guarded_of, trusting_also
from muster.store import projects
from muster.store.base import Tx
from muster.store.moves import Move, move
from muster.store.projects import ProjectRow
from muster.workspace.workspaces import Workspaces

log = logging.getLogger("muster.engine")


async def follow_branch(tools: Tools, project: ProjectRow, own: OwnFile) -> None:
    """Let what the file at the branch's head says count for all that is no attempt, too."""
    if own.counting(project.trusted_file, project.file_settings) != project.file_settings:
        await tools.store.write(_take, project.id, own)


def _take(tx: Tx, project_id: str, own: OwnFile) -> None:
    now = projects.get_project(tx, project_id)
    counts = own.counting(now.trusted_file, now.file_settings)
    if counts != now.file_settings:
        projects.change_project(tx, project_id, {"file_settings": counts})


def untrusted(task: Task, project: ProjectRow, own: OwnFile) -> tuple[NewEvent, ...]:
    """That the file has changed since it was trusted, and what of it does not count therefore."""
    counts = project.file_settings
    if not project.trusted_file or own.is_trusted(project.trusted_file, counts):
        return ()
    said, known = own.guarded, guarded_of(counts)
    names = sorted(n for n in {*said, *known} if said.get(n) != known.get(n))
    path = project.work_tree or project.git_dir
    log.warning(
        "%s of %s has changed since it was trusted; %s: as before; to trust it: muster init %s",
        *(OWN_FILE, project.name, ", ".join(names), path),
    )
    payload = {"file": OWN_FILE, "settings": names, "path": path}
    return (NewEvent("settings.untrusted", project.id, payload, project.id, task.id),)


async def complete(tools: Tools, task_move: Move, project_id: str, merged: str) -> Task:
    """Complete a task with what it merged: a person let that in, and with it its settings file."""
    try:
        versions = await in_thread(_before_and_after, tools.workspaces, project_id, merged)
    except Invalid as error:
        # The work is merged. What counted goes on to count, and the next attempt says this again.
        log.warning("%s as it was merged does not count: %s", OWN_FILE, error)
        return await tools.store.write(move, task_move)
    return await tools.store.write(_complete, task_move, project_id, *versions)


def _before_and_after(
    workspaces: Workspaces, project_id: str, merged: str
) -> tuple[OwnFile, OwnFile]:
    before, *_ = workspaces.mirror(project_id).commit(merged).parents
    versions = (read_own_file(workspaces, project_id, commit) for commit in (before, merged))
    return next(versions), next(versions)


def _complete(tx: Tx, task_move: Move, project_id: str, before: OwnFile, after: OwnFile) -> Task:
    now = projects.get_project(tx, project_id)
    trusted, counts = now.trusted_file, now.file_settings
    # Supervision lets no change of that file pass without a person, who saw that change alone.
    if after.guarded != before.guarded and before.is_trusted(trusted, counts):
        trusted = trusting_also(trusted, after.digest)
    found = {"file_settings": after.counting(trusted, counts), "trusted_file": trusted}
    changed = {k: v for k, v in found.items() if v != getattr(now, k)}
    if changed:
        projects.change_project(tx, project_id, changed)
    return move(tx, task_move)
