"""What every request is given before the gate: an id that the answer and the log name."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from muster.access import Access
from muster.domain.about import facts_at_hand


async def told(_request: Request) -> Response:
    """What the log would name here."""
    return JSONResponse(dict(facts_at_hand()))


async def stream(_request: Request) -> Response:
    """An answer in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b"):
            yield piece

    return StreamingResponse(pieces())


async def broken(_request: Request) -> Response:
    """No answer at all."""
    raise LookupError("nothing is here")


def app(handler: Any) -> Access:
    """An app of one route."""
    return Access(Starlette(routes=[Route("/{path:path}", handler, methods=["GET", "POST"])]))


async def ask(handler: Any, path: str = "/x", method: str = "GET", **more: Any) -> httpx.Response:
    """Ask it."""
    transport = httpx.ASGITransport(app(handler), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.request(method, path, **more)


@pytest.mark.parametrize("given", ["7b0c9a52-1f3a-4c02-9d7e-0a5f8f3f2c11", "a.b_c-12345", "Z" * 64])
async def test_an_id_that_the_caller_gives_is_taken(given: str):
    answer = await ask(told, headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json() == {"request": given}


@pytest.mark.parametrize(
    "given", ["", "short", "Z" * 65, "two words here", "-leading-dash", "a\tb345678", "ünïcödé123"]
)
async def test_what_is_no_id_is_replaced(given: str):
    answer = await ask(told, headers={"X-Request-Id": given.encode()})
    made = answer.headers["x-request-id"]
    assert made != given
    assert len(made) == 16
    assert answer.json() == {"request": made}


async def test_without_an_id_each_request_gets_its_own():
    answers = [await ask(told) for _ in range(3)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


async def test_a_request_is_a_line_only_where_that_is_wanted(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "muster.access")
    await ask(told)
    assert caplog.records == []
    caplog.set_level(logging.DEBUG, "muster.access")
    answer = await ask(stream, "/a%20b/%0A?token=hunter2", method="POST")
    await ask(broken)
    assert answer.content == b"ab"
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("POST /a%20b/%0A 200 in ")
    assert "hunter2" not in first
    assert second.startswith(("GET /x 500 in ", "GET /x 0 in "))
