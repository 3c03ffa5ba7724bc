"""Routes of projects."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from muster.api import bodies
from muster.api.problems import Json
from muster.service.counter import Service


def projects_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/projects", tags=["projects"])

    @router.get("")
    async def list_projects(path: str | None = None) -> Any:
        """All projects, or the one whose work tree holds `path`."""
        return await service.list_projects(path)

    @router.post("", status_code=201)
    async def add_project(body: bodies.NewProject) -> Any:
        """Register a repository; one that is registered already answers 200."""
        shape, added = await service.add_project(body.sent())
        return Json(shape, status_code=201 if added else 200)

    @router.get("/{ref}")
    async def get_project(ref: str) -> Any:
        """One project by id or name."""
        return await service.get_project(ref)

    @router.get("/{ref}/breakpoint-rules")
    async def breakpoint_rules(ref: str) -> Any:
        """The rules of breakpoints that are in force, and where each comes from."""
        return await service.breakpoint_rules(ref)

    @router.get("/{ref}/playbooks")
    async def list_playbooks(ref: str) -> Any:
        """The playbooks that its tasks may ask for, each with its table or its faults."""
        return await service.list_playbooks(ref)

    @router.post("/{ref}/try")
    async def try_policy(ref: str, body: bodies.Policy | None = None) -> Any:
        """Decide the past again, with other settings or rules; nothing is changed."""
        given = body or bodies.Policy()
        return await service.try_policy(ref, given.settings, given.rules, given.home_rules)

    @router.get("/{ref}/reliability")
    async def reliability(ref: str, target: float = 0.05) -> Any:
        """How well confidences foretold what became of the project's work."""
        return await service.reliability(ref, target)

    @router.patch("/{ref}")
    async def change_project(ref: str, body: bodies.ProjectChange) -> Any:
        """Set or clear settings."""
        return await service.change_project(ref, body.sent())

    @router.delete("/{ref}", status_code=204)
    async def remove_project(ref: str) -> Response:
        """Take a project off the list; its repository is not touched."""
        await service.remove_project(ref)
        return Response(status_code=204)

    return router
