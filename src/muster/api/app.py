"""The REST door: every route of `docs/api.md`, each one call to the counter."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from muster.api.agents import agent_act_routes, agents_routes
from muster.api.events import events_routes
from muster.api.github import github_act_routes, github_routes
from muster.api.metrics import exposition_route, metrics_routes
from muster.api.people import tokens_routes
from muster.api.problems import Json, answer_problems
from muster.api.projects import projects_routes
from muster.api.queue import breakpoints_routes, queue_routes
from muster.api.tasks import checkpoint_routes, task_act_routes, tasks_routes
from muster.api.terminal import terminal_routes
from muster.service.counter import Service


def make_app(service: Service, version: str) -> FastAPI:
    """The app with every route; the gate in front of it decides who may come in."""
    app = FastAPI(
        title="muster",
        version=version,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        default_response_class=Json,
    )
    answer_problems(app)

    @app.get("/api/health", tags=["health"])
    async def health() -> Any:
        """Whether muster works; open to everybody, so that it says little."""
        return await service.health()

    for routes in (
        projects_routes,
        tasks_routes,
        task_act_routes,
        checkpoint_routes,
        metrics_routes,  # before an agent of any id, as one of its paths reads like one
        agents_routes,
        agent_act_routes,
        terminal_routes,
        events_routes,
        queue_routes,
        breakpoints_routes,
        tokens_routes,
        github_routes,
        github_act_routes,
    ):
        app.include_router(routes(service), prefix="/api")
    app.include_router(exposition_route(service))
    return app
