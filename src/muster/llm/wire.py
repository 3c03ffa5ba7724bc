"""HTTP to a model's service: bounded, to its own address alone, and with faults in our words."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache

import httpx2
from typing_extensions import override

from muster.domain.errors import NoAnswer, Silence
from muster.domain.plain import plain_line
from muster.llm.base import LARGEST_BODY, LARGEST_VECTORS, Named
from muster.llm.probe import is_here

_CONNECT = 10.0
_SILENT = 600.0
"""Seconds without a byte after which a connection is dead; the caller's patience is shorter."""


class Odd(Exception):
    """A service sent what no such service sends."""


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error when it is larger than any answer."""

    def __init__(self, inner: httpx2.AsyncByteStream, most: int) -> None:
        self._inner, self._most = inner, most

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > self._most:
                raise Odd(f"more than {self._most} bytes came")
            yield part

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.has_redirect_location:
        raise Odd("it sends us elsewhere")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Odd("it is packed, though that was not asked for")
    if isinstance(response.stream, httpx2.AsyncByteStream):
        vectors = response.request.url.path.endswith(("/embed", "/embeddings"))
        most = LARGEST_VECTORS if vectors else LARGEST_BODY
        response.stream = _Bounded(response.stream, most)


@cache
def _trusted(trust_env: bool) -> ssl.SSLContext:
    """The authorities we trust; to read them takes longer than many an answer."""
    return httpx2.create_ssl_context(trust_env=trust_env)


def client(named: Named) -> httpx2.AsyncClient:
    """A client for one service. It follows no redirect, so that a key goes nowhere else."""
    trust_env = not is_here(named.url)
    return httpx2.AsyncClient(
        verify=_trusted(trust_env),
        timeout=httpx2.Timeout(_SILENT, connect=_CONNECT),
        follow_redirects=False,
        trust_env=trust_env,
        headers={"Accept-Encoding": "identity", "User-Agent": "muster"},
        event_hooks={"response": [_bound]},
    )


@contextmanager
def faults(named: Named, hint: str) -> Iterator[None]:
    """Tell what happens on the way to a service as `NoAnswer`."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise away(named, error, hint) from error
    except Odd as error:
        raise unusable(named, str(error)) from error


def away(named: Named, error: BaseException, hint: str) -> NoAnswer:
    """That a service cannot be reached, or hung up."""
    said = plain_line(str(error)) or type(error).__name__
    return NoAnswer(f"{named} does not answer: {said}", why=Silence.AWAY, hint=hint)


def unusable(named: Named, said: str) -> NoAnswer:
    """That a service answered what no such service answers."""
    hint = "see whether its address is right"
    return NoAnswer(f"{named} answered oddly: {said}", why=Silence.UNUSABLE, hint=hint)


def wait(headers: Mapping[str, str]) -> float | None:
    """The seconds of `Retry-After`, whether it is a number or a date."""
    text = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(text)) if text[:1].isdigit() else _until(text)
    except (ValueError, TypeError, OverflowError):
        return None


def _until(text: str) -> float | None:
    return max(0.0, parsedate_to_datetime(text).timestamp() - time.time()) if text else None
