"""The counter's part for the rules of breakpoints: which are in force for a project, and whose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster.service.desk import Desk
from muster.store import projects
from muster.supervision.rulebook import FILE, InForce
from muster.supervision.rules import Rule


class BreakpointRules(Desk):
    """Everything a door can ask about rules."""

    async def breakpoint_rules(self, ref: str) -> dict[str, Any]:
        """The rules that tasks of a project start under now, those at the head of its branch."""
        project = await self._store.read(projects.get_project, ref)
        trusted = str(project.file_settings.get(projects.TRUSTED_RULES, ""))

        def read() -> tuple[str, InForce]:
            mirror = self._own.workspaces.mirror(project.id)
            commit = mirror.fetch(Path(project.git_dir), project.branch)

            def text() -> bytes | None:
                return self._own.workspaces.find_file(project.id, commit, FILE)

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
