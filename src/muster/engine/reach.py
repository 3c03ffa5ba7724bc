"""What a contained run sees of this machine, and where on the network it may go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict
from urllib.parse import urlsplit

from muster.engine.tools import Job, Tools
from muster.workspace.base import Workspace

_ADDRESS = ("_URL", "_BASE", "_HOST", "_ENDPOINT")
_PORTS = {"http": 80, "https": 443}


class Reach(TypedDict):
    """The part of a run's order that says so (`RunSpec`)."""

    writable: tuple[str, ...]
    readable: tuple[str, ...]
    folders: tuple[str, ...]
    network: tuple[str, ...]
    image: str


def reach_of(
    tools: Tools, job: Job, workspace: Workspace, private: Sequence[str], env: Mapping[str, str]
) -> Reach:
    """Its workspace with its own git folder, its `private` folders, and the project's network.

    The services that its variables name are those that the person has set up, muster's own door
    among them; they may be reached as well.
    """
    own_git = tools.workspaces.agent_git(workspace)
    objects = tools.workspaces.mirror(workspace.repo_id).path / "objects"
    return {
        "writable": (str(own_git), *private),
        "readable": (str(own_git / "config"), str(own_git / "hooks"), str(objects)),
        "folders": (str(workspace.tree), *private),
        "network": tuple(dict.fromkeys((*job.settings.network, *_named(env)))),
        "image": job.settings.image or "",
    }


def _named(env: Mapping[str, str]) -> Iterator[str]:
    """The hosts and ports of the services that variables name by their address."""
    for name, value in env.items():
        if not name.endswith(_ADDRESS):
            continue
        try:
            parts = urlsplit(value)
            host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
        except ValueError:
            continue
        if host and port:
            yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
