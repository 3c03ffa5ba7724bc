"""The counter's part for projects: register a repository, look at it, set it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from muster.domain.errors import Invalid, NotFound
from muster.domain.guard import ref_name
from muster.domain.project import OFF
from muster.domain.telling import text
from muster.knowledge.overrides import project_files, templates_with
from muster.own_file import OWN_FILE, OWN_FOLDERS, parse_own_file
from muster.service import shapes
from muster.service.desk import Desk
from muster.settings import (
    parse_project_settings,
    plain_value,
    refuse_unknown_setting,
    resolve,
)
from muster.store import projects
from muster.store.base import Tx
from muster.store.projects import NewProject, ProjectRow
from muster.supervision.rulebook import FILE as RULES_FILE
from muster.supervision.rulebook import digest_of
from muster.workspace.survey import Survey, inspect


class Projects(Desk):
    """Everything a door can ask about projects."""

    async def list_projects(self, path: str | None = None) -> dict[str, Any]:
        """All projects; with `path` only the one whose work tree or repository holds it."""

        def read(tx: Tx) -> dict[str, Any]:
            found = projects.list_projects(tx)
            if path is not None:
                found = [p for p in found if _holds(p, Path(path))]
                found.sort(key=lambda p: -len(p.work_tree or p.git_dir))
            return {"items": [self._project_shape(p) for p in found], "next": None}

        return await self._store.read(read)

    async def get_project(self, ref: str) -> dict[str, Any]:
        """One project by id or name."""
        return await self._store.read(lambda tx: self._project_shape(projects.get_project(tx, ref)))

    def _project_shape(self, project: ProjectRow) -> dict[str, Any]:
        settings, sources = resolve(self._own.settings, project.overrides, project.file_settings)
        usual = self._own.usual()
        if settings.runtime is None and usual is not None:
            settings = replace(settings, runtime=usual.name)
        return shapes.project_shape(project, settings, sources)

    async def add_project(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Register a repository; one that is registered is given back, with False.

        Trusting a registered one again takes its configuration and settings file as they are now.

        With `trust` the repository's own `.muster/config.toml` counts as it is at the branch's
        head; without it, what it says about commands and merging is left out.

        Raises:
            Invalid: the path is no repository, has no commits, or a setting is wrong.
        """
        path = Path(text(body, "path", 4096))
        if not path.is_absolute():
            raise Invalid(f"'{path}' is not an absolute path", hint="send the whole path")
        found = await asyncio.to_thread(inspect, path)
        overrides = parse_project_settings(_table(body, "settings"))
        self._refuse_unknown_forge(overrides)
        new = NewProject(
            name=text(body, "name", 200) if body.get("name") is not None else found.name,
            git_dir=str(found.git_dir),
            work_tree=str(found.work_tree) if found.work_tree else None,
            branch=_branch(body, found),
            overrides={k: plain_value(v) for k, v in overrides.items()},
            file_settings={},
            trusted_file="",
            trusted_config=found.trusted_config,
        )
        await self._require_branch(found.git_dir, new.branch)
        project, added = await self._store.write(projects.add_project, new)
        trust = bool(body.get("trust"))
        if added or trust:
            columns = await asyncio.to_thread(self._own_file, project, trust)
            if not added:
                columns["trusted_config"] = found.trusted_config
            if columns:
                project = await self._store.write(projects.change_project, project.id, columns)
        return self._project_shape(project), added

    async def _require_branch(self, git_dir: Path, branch: str) -> None:
        if await asyncio.to_thread(self._own.workspaces.head, git_dir, branch) is None:
            raise NotFound(
                f"there is no branch '{branch}'", hint="name one that is there, or make it with git"
            )

    def _own_file(self, project: ProjectRow, trust: bool) -> dict[str, Any]:
        """What counts of the repository's own settings file; this version alone is now trusted.

        Raises:
            Invalid: it is none, or a prompt beside it that is to be trusted cannot be used.
        """
        mirror = self._own.workspaces.mirror(project.id)
        commit = mirror.fetch(Path(project.git_dir), project.branch)
        own_space = self._own.workspaces
        own = parse_own_file(
            own_space.small_file(project.id, commit, OWN_FILE),
            {n: own_space.small_folder(project.id, commit, *f) for n, f in OWN_FOLDERS.items()},
        )
        if trust:
            templates_with(project_files(own.guarded.get("prompts", {})))
        trusted = own.digest if trust else ""
        counts = own.counting(trusted, {})
        if trust and (rules := self._own.workspaces.small_file(project.id, commit, RULES_FILE)):
            counts[projects.TRUSTED_RULES] = digest_of(rules)
        found = {"file_settings": counts, "trusted_file": trusted}
        return {k: v for k, v in found.items() if v != getattr(project, k)}

    async def change_project(self, ref: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Set or clear (null) settings, or name another branch.

        Raises:
            Invalid: there is no such setting, or it cannot have that value.
        """
        unknown = sorted(set(body) - {"settings", "branch"})
        if unknown:
            raise Invalid(
                f"'{unknown[0]}' of a project cannot be changed", hint="settings and branch can be"
            )
        changes = _table(body, "settings")
        parsed = parse_project_settings({k: v for k, v in changes.items() if v is not None})
        self._refuse_unknown_forge(parsed)
        for name in set(changes) - set(parsed):
            refuse_unknown_setting(name)
        project = await self._store.read(projects.get_project, ref)
        columns: dict[str, Any] = {}
        if body.get("branch") is not None:
            wanted = text(body, "branch", 200)
            await self._require_branch(Path(project.git_dir), ref_name(wanted))
            columns["branch"] = wanted

        def write(tx: Tx) -> dict[str, Any]:
            now = projects.get_project(tx, project.id)
            overrides = {k: v for k, v in now.overrides.items() if k not in changes}
            overrides |= {k: plain_value(v) for k, v in parsed.items()}
            return self._project_shape(
                projects.change_project(tx, now.id, {**columns, "overrides": overrides})
            )

        return await self._store.write(write)

    def _refuse_unknown_forge(self, parsed: Mapping[str, Any]) -> None:
        known = {OFF, *self._own.forges.names}
        if parsed.get("forge", OFF) not in known:
            raise Invalid(
                f"there is no forge '{parsed['forge']}'",
                hint=f"there are: {', '.join(sorted(known))}",
            )

    async def remove_project(self, ref: str) -> None:
        """Take a project off the list; its repository is not touched."""

        def write(tx: Tx) -> None:
            projects.remove_project(tx, projects.get_project(tx, ref).id)

        await self._store.write(write)


def _branch(body: Mapping[str, Any], found: Survey) -> str:
    if not found.has_commits:
        raise Invalid(
            f"{found.git_dir} has no commits yet", hint="make a first commit, then: muster init"
        )
    if body.get("branch") is not None:
        return ref_name(text(body, "branch", 200))
    branch = found.branch or found.default_branch
    if not branch:
        raise Invalid(
            "the repository's head is detached, so no branch is the obvious target",
            hint="name one: muster init --branch main",
        )
    return ref_name(branch)


def _table(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, Mapping):
        raise Invalid(f"'{name}' must be an object", hint=f'for example "{name}": {{}}')
    return dict(value)


def _holds(project: ProjectRow, path: Path) -> bool:
    roots = [Path(p) for p in (project.work_tree, project.git_dir) if p]
    return any(path == root or root in path.parents for root in roots)
