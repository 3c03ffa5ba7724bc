"""What the corpus is made of: projects, their releases by hash, and how their tests run."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

RECIPES = Path(__file__).parent / "recipes.toml"


@dataclass(frozen=True)
class Release:
    """One source distribution, by version and hash."""

    version: str
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """One project.

    `root` is where its packages are imported from, `keep` the files that matter, `tests` those that
    are tests; `needs` are pinned packages for its environment. `entries` are functions whose
    answers can be hard-coded (`module:function`). With `metadata` its code finds the release's own.
    `changes` names the pairs of consecutive releases that are of use; all of them without it.
    """

    name: str
    command: str
    keep: tuple[str, ...]
    tests: tuple[str, ...]
    needs: tuple[str, ...]
    releases: tuple[Release, ...]
    root: str = "."
    entries: tuple[str, ...] = ()
    metadata: bool = False
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def pairs(self) -> list[tuple[Release, Release]]:
        """The releases to be told apart, each with the one before: those listed, or all."""
        every = list(pairwise(self.releases))
        named = set(self.changes)
        return [p for p in every if not named or (p[0].version, p[1].version) in named]

    @property
    def environment(self) -> str:
        """The name of the environment that has its needs."""
        return hashlib.sha256("\n".join(sorted(self.needs)).encode()).hexdigest()[:12]


def recipes(path: Path = RECIPES) -> list[Recipe]:
    """All recipes of a file."""
    document = tomllib.loads(path.read_text("utf-8"))
    common = tuple(document.get("needs", ()))
    return [
        Recipe(
            name=entry["name"],
            command=entry["command"],
            keep=tuple(entry["keep"]),
            tests=tuple(entry["tests"]),
            needs=(*common, *entry.get("needs", ())),
            releases=tuple(Release(*pair.split()) for pair in entry["releases"]),
            root=entry.get("root", "."),
            entries=tuple(entry.get("entries", ())),
            metadata=entry.get("metadata", False),
            changes=tuple((a, b) for a, b in map(str.split, entry.get("changes", ()))),
        )
        for entry in document["project"]
    ]


def builders(path: Path = RECIPES) -> tuple[str, ...]:
    """The build backends that the package installer wants before it hands out a source."""
    return tuple(tomllib.loads(path.read_text("utf-8"))["builders"])
