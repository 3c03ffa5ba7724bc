"""HTTP to GitHub: bounded, to its own address alone, with faults told by whether it heard us."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from muster.domain.errors import Away
from muster.domain.plain import plain_line
from muster.forge.base import Access
from muster.forge.github_names import is_here

API_VERSION = "2022-11-28"
_CONNECT = 10.0


class NotHeard(Away):
    """Nothing arrived there: it may be asked again."""


class PerhapsHeard(Away):
    """It may have been done: before it is asked again somebody has to look."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are small letters."""

    status: int
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    @property
    def message(self) -> str:
        """What GitHub says went wrong, in a line."""
        if not isinstance(self.data, dict):
            return ""
        errors = self.data.get("errors")
        more = [_said(one) for one in errors[:5]] if isinstance(errors, list) else []
        said = [str(self.data.get("message") or ""), *more]
        return plain_line("; ".join(part for part in said if part), 400)


class Wire:
    """One connection pool to one API."""

    def __init__(self, access: Access, patience: float, largest: int) -> None:
        """Speak to `access.api_url`; an answer may take `patience` seconds and `largest` bytes."""
        self._access = access
        self._largest = largest
        self._patience = patience
        here = is_here(access.api_url)
        plain = access.api_url.startswith("http:")
        headers = {
            "Accept": "application/vnd.github+json",
            "Accept-Encoding": "identity",
            "User-Agent": "muster",
            "X-GitHub-Api-Version": API_VERSION,
        }
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        self._client = httpx2.AsyncClient(
            verify=not plain and _trusted(not here),
            timeout=httpx2.Timeout(patience, connect=min(_CONNECT, patience)),
            limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4),
            follow_redirects=False,
            trust_env=not here,
            headers=headers,
        )

    def url(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """The whole address of a path of the API."""
        url = httpx2.URL(f"{self._access.api_url}{path}")
        return str(url.copy_merge_params(dict(query))) if query else str(url)

    def ours(self, url: str, base: str = "") -> str | None:
        """An address that GitHub named, when it is below the API; None when it leads elsewhere."""
        whole = urljoin(base or f"{self._access.api_url}/", url)
        theirs, ours = urlsplit(whole), urlsplit(self._access.api_url)
        same = (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)
        return whole if same and theirs.path.startswith(f"{ours.path}/") else None

    async def ask(
        self, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Answer:
        """One request, one answer, whatever its status.

        Raises:
            NotHeard: nobody was reached.
            PerhapsHeard: it was sent, and no whole answer came.
        """
        request = self._client.build_request(method, url, json=body, headers=dict(headers))
        try:
            async with asyncio.timeout(2 * self._patience):  # however slowly it drips
                response = await self._client.send(request, stream=True)
                try:
                    data = await _read(response, self._largest)
                finally:
                    await response.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise NotHeard(
                f"GitHub cannot be reached: {self._shown(error)}",
                hint="see that github_api_url is right and the network is there",
            ) from error
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise PerhapsHeard(
                f"GitHub did not answer {method} {urlsplit(url).path} within {self._patience:g} s",
                hint="it may be busy; this is tried again",
            ) from error
        except (httpx2.HTTPError, httpx2.StreamError, _Odd) as error:
            raise PerhapsHeard(
                f"GitHub broke off its answer to {method} {urlsplit(url).path}:"
                f" {self._shown(error)}",
                hint="this is tried again",
            ) from error
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, self._parsed(data), found, url)

    def _parsed(self, data: bytes) -> Any:
        """The JSON of a body without the token, whoever put it there; None of what is none."""
        token = self._access.token.encode()
        if token:
            data = data.replace(token, b"***")
        try:
            return json.loads(data) if data else None
        except (ValueError, RecursionError):
            return None

    def _shown(self, error: Exception) -> str:
        said = plain_line(str(error), 200) or type(error).__name__
        return said.replace(self._access.token, "***") if self._access.token else said

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


class _Odd(Exception):
    """A body that no such service sends."""


async def _read(response: httpx2.Response, most: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _Odd("it is packed, though that was not asked for")
    data = bytearray()
    async for part in response.aiter_raw():
        data += part
        if len(data) > most:
            raise _Odd(f"more than {most} bytes came")
    return bytes(data)


def _said(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    parts = (error.get(name) for name in ("resource", "field", "code", "message"))
    return str(error.get("message") or " ".join(str(part) for part in parts if part))


@cache
def _trusted(trust_env: bool) -> ssl.SSLContext:
    """The authorities we trust; to read them takes longer than many an answer."""
    return httpx2.create_ssl_context(trust_env=trust_env)
