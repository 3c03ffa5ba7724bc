"""Routes of GitHub: what is there, what a person does there, and what it says by itself."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from muster.api import bodies
from muster.api.parameters import Key, Limit, Who
from muster.api.problems import Json
from muster.gate import TooLarge
from muster.service.counter import Service
from muster.service.forge_hooks import LARGEST_PAYLOAD

Number = Annotated[int, Path(ge=1, le=2**31)]


def github_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter; a `repo` may hold a slash."""
    router = APIRouter(prefix="/github", tags=["github"])

    @router.get("/status")
    async def status() -> Any:
        """Whether the token does, and for whom; never the token."""
        return await service.github_status()

    @router.get("/repo/{repo:path}/default-branch")
    async def default_branch(repo: str) -> Any:
        """The main branch of a repository there."""
        return await service.github_default_branch(repo)

    @router.get("/repo/{repo:path}")
    async def repository(repo: str) -> Any:
        """A repository there."""
        return await service.github_repository(repo)

    @router.get("/clone-url/{repo:path}")
    async def clone_url(repo: str, by: Who, authenticated: bool = False) -> Any:
        """Where git gets it; `authenticated` with the token in the URL, for an admin."""
        found = await service.github_clone_url(repo, authenticated, by)
        return Json(found, headers={"Cache-Control": "no-store"})

    @router.get("/prs/{repo:path}")
    async def pulls(repo: str, state: str = "open", limit: Limit = 100) -> Any:
        """The newest pull requests."""
        return await service.github_pulls(repo, state, limit)

    @router.get("/pr/{repo:path}/{number}")
    async def pull(repo: str, number: Number) -> Any:
        """A pull request with what its checks and its reviewers say."""
        return await service.github_pull(repo, number)

    return router


def github_act_routes(service: Service) -> APIRouter:
    """The routes that do something there, and the one by which GitHub speaks."""
    router = APIRouter(prefix="/github", tags=["github"])

    @router.post("/push")
    async def push(body: bodies.GitHubPush) -> Any:
        """Bring a task's work to its own branch there."""
        return await service.github_push(body.sent())

    @router.post("/pr")
    async def open_pull(body: bodies.GitHubPull, key: Key = None) -> Any:
        """Offer a branch as a pull request; the one that is open already is given back."""
        return await service.github_open_pull(body.sent(), key)

    @router.post("/pr/{repo:path}/{number}/merge")
    async def merge(
        repo: str, number: Number, by: Who, body: bodies.GitHubMerge | None = None
    ) -> Any:
        """Merge a pull request whose checks passed."""
        return await service.github_merge(repo, number, body.sent() if body else {}, by)

    @router.post("/ensure-remote/{repo:path}")
    async def ensure_remote(repo: str) -> Any:
        """See that a project's repository names a remote there."""
        return await service.github_ensure_remote(repo)

    @router.post("/webhook", status_code=202)
    async def webhook(request: Request) -> Any:
        """Take what GitHub says by itself; open to whoever has signed it."""
        service.refuse_webhook(request.headers.get("x-hub-signature-256", ""))
        return await service.webhook(request.headers, await _bounded(request))

    return router


async def _bounded(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_PAYLOAD:
            raise TooLarge(
                f"the delivery has more than {LARGEST_PAYLOAD} bytes",
                hint="what it would have said is found by looking",
            )
    return bytes(data)
