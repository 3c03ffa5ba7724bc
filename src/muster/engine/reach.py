"""What a contained run sees of this machine, and where on the network it may go."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from muster.agents.services import place_of
from muster.domain.errors import Invalid
from muster.engine.tools import Job, Tools
from muster.runtimes.visible import installation
from muster.settings import Settings
from muster.workspace.base import Workspace

_ADDRESS = ("_URL", "_BASE", "_HOST", "_ENDPOINT")


class Reach(TypedDict):
    """The part of a run's order that says so (`RunSpec`)."""

    writable: tuple[str, ...]
    readable: tuple[str, ...]
    folders: tuple[str, ...]
    network: tuple[str, ...]
    image: str
    grows: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run needs beside that; of a program in `readable` also what it stands on."""

    network: Sequence[str] = ()
    readable: Sequence[str] = ()
    writable: Sequence[str] = ()


def reach_of(
    tools: Tools,
    job: Job,
    workspace: Workspace,
    private: Sequence[str],
    env: Mapping[str, str],
    wanted: Wanted,
) -> Reach:
    """Its workspace with its own git folder, its `private` folders, and what the project allows.

    The services that its variables name are those that the person has set up, muster's own door
    among them; they may be reached as well.

    Raises:
        Invalid: a path of the settings would show muster's own home.
    """
    own_git = tools.workspaces.agent_git(workspace)
    objects = tools.workspaces.objects(workspace.repo_id)
    network = (*(job.settings.network or ()), *wanted.network, *_named(env))
    return {
        "writable": (str(own_git), *private, *wanted.writable),
        "readable": (
            *(str(own_git / "config"), str(own_git / "hooks"), *map(str, objects)),
            *_shown(tools.settings, (*(job.settings.readable or ()), *wanted.readable)),
        ),
        "folders": (str(workspace.tree), *private),
        "network": tuple(dict.fromkeys(network)),
        "image": job.settings.image or "",
        "grows": str(tools.workspaces.grows(workspace)),
    }


def programs_in(command: str) -> tuple[str, ...]:
    """The programs that a shell line of the project's own settings names by their whole paths."""
    try:
        words = shlex.split(command)
    except ValueError:  # what the shell makes of it is its own affair
        return ()
    paths = (word for word in words if word.startswith("/") and os.access(word, os.X_OK))
    return tuple(path for path in paths if Path(path).is_file())


def _shown(settings: Settings, paths: Sequence[str]) -> Iterator[str]:
    """Each path, and of a program also what it stands on."""
    for given in paths:
        path = given
        if path.startswith("~/"):
            path = f"{settings.environ.get('HOME', '')}{path[1:]}"
        own = settings.home.resolve()
        if own.is_relative_to(Path(path).resolve()):
            raise Invalid(
                f"'{given}' cannot be shown to agents: muster keeps its own files there",
                hint="name the folders below it that they need, in `readable`",
            )
        if Path(path).is_file() and os.access(path, os.X_OK):
            yield from installation(path)
        else:
            yield path


def _named(env: Mapping[str, str]) -> Iterator[str]:
    """The hosts and ports of the services that variables name by their address."""
    places = (place_of(value) for name, value in env.items() if name.endswith(_ADDRESS))
    yield from filter(None, places)
