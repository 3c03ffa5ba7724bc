"""Templates of prompts that a person wrote, in the place of muster's own: where they come from.

A file is called as the template that it replaces, and may include that one as `built-in/NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from muster.domain.errors import Invalid
from muster.knowledge.filling import Filling, Own
from muster.knowledge.prompts import BUILT_IN, Templates
from muster.own_file import OWN_FOLDERS

HOME_FOLDER = "prompts"
LARGEST = 20_000
"""Bytes of one file."""
_MOST_FILES = 200
_NONE: Mapping[str, str] = {}


def templates_of(home: Path, trusted: Mapping[str, str] = _NONE) -> Templates:
    """The templates that count: muster's own, the home's before them, a project's before these.

    `trusted` are the texts of a project's own, as far as a person trusts it.

    Raises:
        Invalid: a file cannot be one; it is named, with the line where that is known.
    """
    found = home_files(home / HOME_FOLDER) | project_files(trusted)
    return templates_with(found) if found else BUILT_IN


def project_files(texts: Mapping[str, str]) -> dict[str, Own]:
    """A project's own templates, by the names of their files.

    Raises:
        Invalid: one is too large.
    """
    folder, _, _ = OWN_FOLDERS["prompts"]
    paths = {name: f"{folder}/{name}" for name in texts}
    return {n: Own(as_text(texts[n].encode(), path), path) for n, path in paths.items()}


def home_files(folder: Path) -> dict[str, Own]:
    """The files of a folder that are called as templates.

    Raises:
        Invalid: there are too many, or one is too large or no text.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".j2")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if len(paths) > _MOST_FILES:
        raise Invalid(f"{folder} holds {len(paths)} templates", hint="keep those that are used")
    return {path.name: Own(_read(path), str(path)) for path in paths}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return as_text(file.read(LARGEST + 1), str(path))
    except OSError as error:
        hint = "make it a file that the server may read, or take it away"
        raise Invalid(f"{path} cannot be read: {error.strerror}", hint=hint) from error


def as_text(data: bytes, file: str) -> str:
    """The text of a template.

    Raises:
        Invalid: it is too large, or no UTF-8.
    """
    if len(data) > LARGEST:
        raise Invalid(f"{file} has more than {LARGEST} bytes", hint="make the template shorter")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is no UTF-8", hint="save it as UTF-8") from error


def templates_with(overrides: Mapping[str, Own]) -> Templates:
    """Muster's templates with some replaced, by the names of their files.

    Raises:
        Invalid: one has an unknown name, cannot be read as a template, or does what none may.
    """
    return _made(tuple(sorted(overrides.items())))


@lru_cache(maxsize=8)
def _made(items: tuple[tuple[str, Own], ...]) -> Templates:
    filling = Filling(dict(items))
    for name, _ in items:
        filling.check(name)
    return Templates(filling.render)
