"""Routes of people's tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from muster.api import bodies
from muster.api.parameters import Who
from muster.api.problems import Json
from muster.service.counter import Service


def tokens_routes(service: Service) -> APIRouter:
    """The routes, bound to the counter."""
    router = APIRouter(prefix="/tokens", tags=["tokens"])

    @router.get("")
    async def list_tokens(by: Who) -> Any:
        """All tokens there ever were, without the tokens themselves."""
        return await service.list_tokens(by)

    @router.post("", status_code=201)
    async def create_token(body: bodies.NewToken, by: Who) -> Any:
        """Make a token; only this answer has it, so that no key gives it again."""
        made = await service.create_token(body.sent(), by)
        return Json(made, status_code=201, headers={"Cache-Control": "no-store"})

    @router.delete("/{token_id}")
    async def revoke_token(token_id: str, by: Who) -> Any:
        """Have a token open nothing more, at once."""
        return await service.revoke_token(token_id, by)

    return router
