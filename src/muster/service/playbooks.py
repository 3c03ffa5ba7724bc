"""The counter's part for playbooks: which a project's tasks may ask for, and what each says."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.plain import plain_line
from muster.domain.playbook import BEGIN, BUILT_IN, CREW, Playbook, straight_way
from muster.domain.task import MANAGER, PLAN, SOLO
from muster.service.books import BookFile, file_of, names
from muster.service.desk import Desk
from muster.settings import Settings
from muster.store import projects
from muster.store.projects import ProjectRow
from muster.supervision.playbook_file import read_playbook

_ABOUT = {
    SOLO: "One agent writes the change, and evidence judges it.",
    MANAGER: "A manager splits the wish among workers of its own.",
    CREW: "Six roles plan, write, review, deploy, verify and audit.",
    PLAN: "A model splits the wish into tasks; no agent works for it.",
}
_LONGEST = 200


class Playbooks(Desk):
    """Everything a door can ask about playbooks."""

    async def list_playbooks(self, ref: str) -> dict[str, Any]:
        """Every playbook that a task of the project may ask for, with its table or its faults."""
        project = await self._store.read(projects.get_project, ref)
        items = await asyncio.to_thread(_all, self._own.settings, project)
        return {"project": project.name, "items": items, "next": None}


def _all(settings: Settings, project: ProjectRow) -> list[dict[str, Any]]:
    return [_shape(name, settings, project) for name in names(settings, project)]


def _shape(name: str, settings: Settings, project: ProjectRow) -> dict[str, Any]:
    if name in _ABOUT:
        table = _table(BUILT_IN[name]) if name in BUILT_IN else None
        return _item(name, "built in", about=_ABOUT[name], table=table)
    try:
        found = file_of(name, settings, project)
    except Invalid as error:
        return _item(name, "home", faults=[_fault(1, error.detail, error.hint)])
    if found is None:
        return _item(name, "home", faults=[_fault(1, "its file is gone", "write it once more")])
    book, faults = read_playbook(found.text.encode("utf-8", "replace"), name)
    return _item(
        name,
        found.source,
        file=found.where,
        about=_about(found, book),
        table=_table(book) if book else None,
        faults=[asdict(fault) for fault in faults],
    )


def _item(name: str, source: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"file": None, "about": "", "table": None, "faults": []}
    return {"name": name, "source": source, **empty, **more}


def _table(book: Playbook) -> dict[str, Any]:
    return {key: value for key, value in book.as_json().items() if key != "name"}


def _fault(line: int, what: str, remedy: str) -> dict[str, Any]:
    return {"line": line, "what": what, "remedy": remedy}


def _about(found: BookFile, book: Playbook | None) -> str:
    """The comment in a file's first line, else the way that its table leads."""
    first = found.text.lstrip().partition("\n")[0]
    if first.startswith("#"):
        return plain_line(first.lstrip("# "), _LONGEST)
    return " → ".join(straight_way(book, BEGIN)) if book else ""
