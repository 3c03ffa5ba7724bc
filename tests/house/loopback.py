"""A client for servers of the tests' own."""

from __future__ import annotations

from typing import Any

import httpx


def visitor(url: str, **more: Any) -> httpx.AsyncClient:
    """A client that trusts no authority: reading them all takes longer than most tests ask."""
    return httpx.AsyncClient(base_url=url, verify=False, **more)
