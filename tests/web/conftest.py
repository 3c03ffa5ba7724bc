"""A browser-less reader of the pages, and the sample fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from web.fleet import FakeFleet
from web.house_of_pages import make_app
from web.reading import Page
from web.sample import busy_fleet

Get = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def fleet() -> FakeFleet:
    """Something of everything."""
    return busy_fleet()


@pytest.fixture
async def client(fleet: FakeFleet) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is signed in."""
    transport = httpx.ASGITransport(app=make_app(fleet))
    cookies = {"muster_session": "signed-in"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", cookies=cookies
    ) as found:
        yield found


@pytest.fixture
def read(client: httpx.AsyncClient) -> Callable[..., Awaitable[Page]]:
    """Get a page, and refuse one that is not well made."""

    async def read(path: str, status: int = 200) -> Page:
        answer = await client.get(path)
        assert answer.status_code == status, answer.text[:300]
        page = Page(answer.text)
        assert page.faults() == []
        return page

    return read
