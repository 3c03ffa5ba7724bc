"""The server's own view of the files, where workspaces are best made in one."""

from __future__ import annotations

from pathlib import Path

from muster.settings import Settings
from muster.wiring.plugins import working
from muster.workspace.base import Backend
from muster.workspace.choice import in_order
from muster.workspace.namespace import PRIVATE, enter, tried


def why_not(backend: Backend, where: Path) -> str:
    """Why no server can make workspaces this way, or nothing; one may enter a view of its own."""
    reason = backend.available(where)
    if reason and backend.name == PRIVATE:
        return tried(lambda: backend.available(where))
    return reason


def take_view(settings: Settings) -> str:
    """Enter a view of our own when the workspaces will need one; before there are threads.

    Answers the backend that works without one, so that nobody tries it again; else nothing.

    Raises:
        Unavailable: it is wanted by name and cannot be had.
    """
    wanted, where = settings.workspace_backend, settings.workspaces
    if wanted not in {"auto", PRIVATE}:
        return ""
    where.mkdir(parents=True, exist_ok=True, mode=0o700)
    backends: dict[str, Backend] = working("workspaces", settings.home)
    tries = in_order(backends)
    for name in tries[: tries.index(PRIVATE)] if wanted == "auto" else ():
        if not backends[name].available(where):
            return name
    private = backends[PRIVATE]
    if private.available(where) and not why_not(private, where):
        enter(where)
    return ""
