"""A look at a model's service with nothing but the standard library; costs no tokens."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from muster.one_address import Stay, why_silent

_SECONDS = 4.0
_LARGEST = 2_000_000


class Unanswered(Exception):
    """Nobody answers there, or not what such a service would; the text says what came instead."""


def look(url: str, headers: Mapping[str, str] | None = None, body: Any = None) -> tuple[int, Any]:
    """The status and the JSON that an address answers with; an error's is None where it has none.

    Raises:
        Unanswered: there is no answer within seconds, or it is too large or no JSON.
    """
    data = None if body is None else json.dumps(body).encode()
    given = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, given)  # noqa: S310 - http and https alone get here
    try:
        with _opener(url).open(request, timeout=_SECONDS) as answer:
            return answer.status, _json(_read(answer))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _whatever(error)
    except (OSError, ValueError) as error:
        raise Unanswered(why_silent(error)) from error


def _opener(url: str) -> urllib.request.OpenerDirector:
    handlers: list[Any] = [Stay]
    if is_here(url):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def is_here(url: str) -> bool:
    """Whether an address is this machine's own, which no proxy reaches."""
    host = (urlsplit(url).hostname or "").lower()
    return host in {"localhost", "::1"} or host.startswith("127.")


def _read(answer: Any) -> bytes:
    """The body, however slowly it comes, but no longer than a look may take."""
    until, parts, size = time.monotonic() + _SECONDS, list[bytes](), 0
    while part := answer.read1(65536):
        parts.append(part)
        size += len(part)
        if size > _LARGEST or time.monotonic() > until:
            raise Unanswered("its answer does not end")
    return b"".join(parts)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unanswered("it answers, but not as such a service does") from error


def _whatever(error: Any) -> Any:
    try:
        return json.loads(_read(error))
    except (OSError, ValueError, RecursionError, Unanswered):
        return None
