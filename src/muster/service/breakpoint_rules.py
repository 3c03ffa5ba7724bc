"""The counter's part for the rules of breakpoints: which are in force for a project, and whose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from muster.service.desk import Desk
from muster.store import projects
from muster.store.projects import ProjectRow
from muster.supervision.rulebook import FILE, InForce, digest_of
from muster.supervision.rules import Rule
from muster.workspace.workspaces import Workspaces


class BreakpointRules(Desk):
    """Everything a door can ask about rules."""

    async def breakpoint_rules(self, ref: str) -> dict[str, Any]:
        """The rules that tasks of a project start under now, those at the head of its branch."""
        project = await self._store.read(projects.get_project, ref)
        trusted = _trusted(project)

        def read() -> tuple[str, InForce]:
            commit, text = _rules_file(self._own.workspaces, project)
            return commit, self._own.rules.rules(project.id, commit, trusted, text)

        commit, found = await asyncio.to_thread(read)
        return {
            "project": project.name,
            "commit": commit,
            "trusted": bool(found.digest) and found.digest == trusted,
            "items": [_rule(rule) for rule in found.rules.rules],
            "switched_off": {
                name: str(source) for name, source in found.rules.switched_off.items()
            },
            "ignored": list(found.rules.ignored),
            "faults": _faults(found),
            "next": None,
        }


def own_rules(workspaces: Workspaces, project: ProjectRow) -> tuple[bytes, bool]:
    """A project's own file at the head of its branch, and whether it is trusted."""
    _, read = _rules_file(workspaces, project)
    text = read() or b""
    return text, _trusted(project) == digest_of(text)


def _rules_file(
    workspaces: Workspaces, project: ProjectRow
) -> tuple[str, Callable[[], bytes | None]]:
    """The head of a project's branch, and what reads its file of rules there."""
    commit = workspaces.mirror(project.id).fetch(Path(project.git_dir), project.branch)
    return commit, partial(workspaces.find_file, project.id, commit, FILE)


def _trusted(project: ProjectRow) -> str:
    return str(project.file_settings.get(projects.TRUSTED_RULES, ""))


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "when": dict(rule.words),
        "do": str(rule.action),
        "role": rule.role or None,
        "ask": rule.ask,
        "source": str(rule.source),
        "line": rule.line,
    }


def _faults(found: InForce) -> list[Mapping[str, Any]]:
    return [
        {"file": file, "line": fault.line, "what": fault.what, "remedy": fault.remedy}
        for file, faults in found.faults.items()
        for fault in faults
    ]
