"""Verbs about projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update

from muster.domain.errors import Conflict, NotFound
from muster.domain.event import NewEvent
from muster.domain.ids import new_id
from muster.store.base import Tx
from muster.store.rows import AnyRow
from muster.store.schema import projects, tasks

TRUSTED_RULES = "trusted_rules"
"""Under which the settings of a file hold the digest of the rules file that a person trusted."""

_BY_REF = select(projects).where(
    or_(
        projects.c.id == bindparam("ref"),
        (projects.c.name == bindparam("ref")) & (projects.c.removed == 0),
    )
)
_ALL = select(projects).where(projects.c.removed == 0).order_by(projects.c.name)


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project as stored: what was registered and what was set, before defaults are added.

    `file_settings` are those of the trusted `.muster/config.toml`, whose digest is `trusted_file`.
    """

    id: str
    name: str
    git_dir: str
    work_tree: str | None
    branch: str
    overrides: Mapping[str, Any]
    file_settings: Mapping[str, Any]
    trusted_file: str
    trusted_config: str
    removed: bool
    rev: int
    created_at: int


@dataclass(frozen=True, slots=True)
class NewProject:
    """What registering a repository needs."""

    name: str
    git_dir: str
    work_tree: str | None
    branch: str
    overrides: Mapping[str, Any]
    file_settings: Mapping[str, Any]
    trusted_file: str
    trusted_config: str


def _project(row: AnyRow) -> ProjectRow:
    values = dict(row._mapping)
    values["removed"] = bool(row.removed)
    return ProjectRow(**values)


def add_project(tx: Tx, new: NewProject) -> tuple[ProjectRow, bool]:
    """Register a repository; one already registered is returned as it is, with False."""
    same = tx.conn.execute(
        select(projects).where(projects.c.git_dir == new.git_dir, projects.c.removed == 0)
    ).first()
    if same is not None:
        return _project(same), False
    project_id = new_id("prj")
    name = _free_name(tx, new.name)
    rev = tx.emit(NewEvent("project.added", project_id, {"name": name}, project_id))
    tx.conn.execute(
        insert(projects).values(
            id=project_id,
            name=name,
            git_dir=new.git_dir,
            work_tree=new.work_tree,
            branch=new.branch,
            overrides=dict(new.overrides),
            file_settings=dict(new.file_settings),
            trusted_file=new.trusted_file,
            trusted_config=new.trusted_config,
            removed=0,
            rev=rev,
            created_at=tx.now,
        )
    )
    return get_project(tx, project_id), True


def _free_name(tx: Tx, wanted: str) -> str:
    taken = set(
        tx.conn.execute(select(projects.c.name).where(projects.c.removed == 0)).scalars().all()
    )
    if wanted not in taken:
        return wanted
    return next(f"{wanted}-{n}" for n in range(2, len(taken) + 3) if f"{wanted}-{n}" not in taken)


def get_project(tx: Tx, ref: str) -> ProjectRow:
    """A project by id or name.

    Raises:
        NotFound: nothing answers to `ref`; the hint lists the names there are.
    """
    row = tx.conn.execute(_BY_REF, {"ref": ref}).first()
    if row is None:
        names = tx.conn.execute(select(projects.c.name).where(projects.c.removed == 0)).scalars()
        known = ", ".join(sorted(names)) or "none yet: run 'muster init' in a repository"
        raise NotFound(f"there is no project '{ref}'", hint=f"projects: {known}")
    return _project(row)


def list_projects(tx: Tx) -> list[ProjectRow]:
    """All projects that were not removed, by name."""
    return [_project(row) for row in tx.conn.execute(_ALL)]


def change_project(tx: Tx, project_id: str, columns: Mapping[str, Any]) -> ProjectRow:
    """Set columns of a project (`overrides`, `branch`, trust) and say so in an event."""
    shown = {k: v for k, v in columns.items() if k in {"overrides", "branch"}}
    rev = tx.emit(NewEvent("project.changed", project_id, shown, project_id))
    tx.conn.execute(update(projects).where(projects.c.id == project_id).values(**columns, rev=rev))
    return get_project(tx, project_id)


def remove_project(tx: Tx, project_id: str) -> None:
    """Take a project off the list; its repository and its history stay.

    Raises:
        Conflict: tasks of it have not ended.
    """
    live = (
        tx.conn.execute(
            select(tasks.c.number).where(
                tasks.c.project_id == project_id,
                tasks.c.stage.not_in(["completed", "failed", "cancelled"]),
            )
        )
        .scalars()
        .all()
    )
    if live:
        named = ", ".join(f"MU-{n}" for n in live[:5])
        raise Conflict(
            f"{len(live)} tasks of this project have not ended: {named}",
            hint="wait for them or cancel them first: muster task cancel …",
        )
    rev = tx.emit(NewEvent("project.removed", project_id, {}, project_id))
    tx.conn.execute(update(projects).where(projects.c.id == project_id).values(removed=1, rev=rev))
