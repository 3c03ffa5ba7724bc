"""The playbooks that a project's tasks may go by: those that come along, and its and the home's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muster.domain.errors import Invalid
from muster.domain.playbook import BUILT_IN, PART, Playbook
from muster.domain.task import PLAN
from muster.settings import Settings
from muster.store.projects import ProjectRow
from muster.supervision.playbook_file import FOLDER, playbook_of
from muster.supervision.rules_yaml import LARGEST

_MOST = 100


@dataclass(frozen=True, slots=True)
class BookFile:
    """Where a playbook's text is: `source` is `home` or `project`, `where` names the file."""

    source: str
    where: str
    text: str


def book_named(name: str, settings: Settings, project: ProjectRow) -> Playbook:
    """The playbook of this name; the project's own before the home's.

    Raises:
        Invalid: there is none of that name, or its file is none; the message names file and line.
    """
    if name in BUILT_IN and name != PART:
        return BUILT_IN[name]
    found = file_of(name, settings, project)
    if found is not None:
        return playbook_of(found.text, name, found.where)
    known = ", ".join(names(settings, project))
    raise Invalid(f"there is no playbook '{name[:60]}'", hint=f"playbooks: {known}")


def file_of(name: str, settings: Settings, project: ProjectRow) -> BookFile | None:
    """The file that holds the playbook of this name; None for those that come along.

    Raises:
        Invalid: it cannot be read.
    """
    of_project = texts_of(project)
    if name in of_project:
        return BookFile("project", f"{FOLDER}/{name}.yaml", of_project[name])
    folder = settings.home / "playbooks"
    if name not in names_in(folder):
        return None
    path = folder / f"{name}.yaml"
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1).decode("utf-8", "replace")
    except OSError as error:
        raise Invalid(
            f"{path} cannot be read: {error.strerror}", hint="make it a file that you may read"
        ) from error
    return BookFile("home", str(path), text)


def names(settings: Settings, project: ProjectRow) -> list[str]:
    """Every name that a task of the project may ask for."""
    own = (*names_in(settings.home / "playbooks"), *texts_of(project))
    return list(dict.fromkeys((*(n for n in BUILT_IN if n != PART), PLAN, *own)))


def texts_of(project: ProjectRow) -> dict[str, str]:
    """The project's own playbooks, as far as they are trusted."""
    files: dict[str, str] = project.file_settings.get("playbooks", {})
    return {name.removesuffix(".yaml"): text for name, text in files.items()}


def names_in(folder: Path) -> list[str]:
    """The names of the playbooks in a folder of the person's own."""
    return sorted(path.stem for path in folder.glob("*.yaml"))[:_MOST]
