"""The guard that every door shares: who may come in, from where, and how much they may carry.

Pure ASGI, before any routing, for HTTP and WebSocket alike. It denies by default: only the paths
named in `OPEN` and `SIGNED` answer without a token or a web session. Who came in is told by the
scope alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol
from urllib.parse import urlsplit

from muster.domain.errors import Invalid, MusterError, NotAllowed, NotSignedIn
from muster.domain.person import FIRST_USER, SOMEBODY, Person
from muster.gate_ends import App, Receive, Scope, Send, until_ended

OPEN = frozenset({"/api/health", "/login", "/favicon.svg", "/favicon.ico"})
SIGNED = frozenset({"/api/github/webhook"})
"""Paths that answer a POST without a token: what they take is signed, and they check that first."""
OPEN_BELOW = ("/static/",)
AGENTS_DOOR = "/mcp"
AGENTS_HOOKS = "/hooks"
AGENTS_DOORS = frozenset({AGENTS_DOOR, AGENTS_HOOKS})
"""The paths that an agent's own token opens; they take no web session."""
CALLER = "muster.agent"
"""Where the scope names the agent that calls; absent when a person does."""
PERSON = "muster.person"
"""Where the scope has the person who calls; absent when an agent does, or anybody."""
COOKIE = "muster_session"
SESSION_SECONDS = 12 * 3600
MOST_BODY = 80_000_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SHORTEST_TOKEN = 32


class Tokens(Protocol):
    """Who the tokens belong to, besides the first user's."""

    async def agent_of_token(self, token: str, /) -> str | None:
        """The agent that a token belongs to while that agent is at work."""
        ...

    async def person_of_token(self, token: str, /) -> Person | None:
        """The person that a token belongs to, as long as it opens anything."""
        ...

    async def person_of_id(self, token_id: str, /) -> Person | None:
        """The same by the token's id."""
        ...

    async def token_ended(self, token_id: str, /) -> None:
        """Return once the token of this id opens nothing any more."""
        ...


class WrongHost(MusterError):
    """A Host header that names somebody else: how rebinding shows itself."""

    code, title, status, exit_code = "wrong-host", "Wrong host", 421, 4


class TooLarge(MusterError):
    """A body beyond what any request needs."""

    code, title, status, exit_code = "too-large", "Too large", 413, 2


class WrongType(MusterError):
    """A body that is not JSON."""

    code, title, status, exit_code = "wrong-type", "Wrong content type", 415, 2


class Session:
    """Web sessions without a table: a cookie that only the holder of the token's key can make.

    It names the token that it was given for, which is looked up again on each request.
    """

    cookie_name = COOKIE

    def __init__(
        self, token: str, clock: Callable[[], float] = time.time, tokens: Tokens | None = None
    ) -> None:
        """Sign with a key derived from the first user's token, so a new token ends all sessions."""
        self._token = token
        self._tokens = tokens
        self._key = hashlib.sha256(b"muster session " + token.encode()).digest()
        self._clock = clock

    async def sign_in(self, token: str) -> str | None:
        """A fresh cookie value for the first user's token or a person's, else None."""
        found = await self.person_of_token(token)
        return self.fresh(found.token_id) if found is not None else None

    async def person_of_token(self, token: str) -> Person | None:
        """Who holds a token."""
        if _same(token, self._token):
            return FIRST_USER
        return await self._tokens.person_of_token(token) if self._tokens else None

    def fresh(self, token_id: str = "") -> str:
        """A cookie value that is good for twelve hours, or as long as the token of this id is."""
        until = int(self._clock()) + SESSION_SECONDS
        body = f"{until}.{secrets.token_urlsafe(12)}.{token_id}"
        return f"{body}.{self._sign(body)}"

    async def person_of_cookie(self, cookie: str) -> Person | None:
        """Who is signed in by a cookie that was made here and has not expired."""
        body, _, mac = cookie.rpartition(".")
        if not body or not _same(mac, self._sign(body)):
            return None
        until, _, rest = body.partition(".")
        _, names_one, token_id = rest.partition(".")
        if not names_one or not until.isdigit() or int(until) <= self._clock():
            return None  # or it is of a version whose cookies named no token, or a page's mark
        if not token_id:
            return FIRST_USER
        return await self._tokens.person_of_id(token_id) if self._tokens else None

    def csrf(self, cookie: str) -> str:
        """What a page must send back with every act, so that no other site can act for it."""
        return self._sign(f"csrf {cookie}")

    def _sign(self, text: str) -> str:
        mac = hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256)
        return mac.hexdigest()[:40]


class Gate:
    """The guard in front of an app."""

    def __init__(
        self,
        app: App,
        token: str,
        session: Session,
        hosts: Iterable[str],
        port: int,
        tokens: Tokens | None = None,
    ) -> None:
        """Guard `app`; `hosts` are the names it may be called by besides the loopback ones.

        `tokens` knows those of people and agents; without it the first user's is the only one.

        Raises:
            Invalid: the token is too short to be one.
        """
        if len(token) < _SHORTEST_TOKEN:
            raise Invalid(
                "the token is empty or too short", hint="delete the file 'token' and start again"
            )
        self._app = app
        self._session = session
        self._tokens = tokens
        loopback = {f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        named = {host.lower() for host in hosts}
        self._hosts = loopback | named | {f"{name}:{port}" for name in named}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a problem document."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        try:
            self._check_origin(scope, headers)
            await self._check_caller(scope, headers)
            _check_body(scope, headers)
        except MusterError as error:
            await _refuse(scope, receive, send, error, headers)
            return
        by = scope.get(PERSON, SOMEBODY)
        if by.token_id and self._tokens is not None:
            ended = self._tokens.token_ended(by.token_id)
            await until_ended(self._app, scope, _capped(receive), send, ended)
        else:
            await self._app(scope, _capped(receive), send)

    async def _check_token(self, scope: Scope, given: str) -> None:
        person = await self._session.person_of_token(given)
        if person is not None:
            scope[PERSON] = person
            return
        if scope["type"] == "http" and scope["path"] in AGENTS_DOORS and self._tokens is not None:
            agent = await self._tokens.agent_of_token(given)
            if agent is not None:
                scope[CALLER] = agent
                return
        raise NotSignedIn(
            "the token is not right, was revoked, has expired, or its agent's attempt is over",
            hint="the file 'token' in MUSTER_HOME has the first user's; an agent's opens /mcp and"
            " /hooks",
        )

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            raise WrongHost(
                f"this server does not answer to '{host[:100]}'",
                hint="name the host with: muster up --allow-host NAME",
            )
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return
        origin = headers.get("origin")
        if origin is not None and _host_of(origin) != host:
            raise NotAllowed("another site may not act here", hint="use muster's own pages")
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            raise NotAllowed("another site may not act here", hint="use muster's own pages")

    async def _check_caller(self, scope: Scope, headers: dict[str, str]) -> None:
        path = scope["path"]
        if path in OPEN or path.startswith(OPEN_BELOW):
            return
        if path in SIGNED and scope["type"] == "http" and scope["method"] == "POST":
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            await self._check_token(scope, given.strip())
            return
        if path in AGENTS_DOORS:
            raise NotSignedIn(
                "this door takes a token and no web session", hint="send Authorization: Bearer …"
            )
        cookie = session_cookie(headers.get("cookie", ""))
        person = await self._session.person_of_cookie(cookie) if cookie else None
        if cookie is None or person is None:
            raise NotSignedIn("nobody is signed in", hint="run: muster open")
        acts = scope["type"] == "http" and scope["method"] not in _SAFE
        if acts and not _same(headers.get("x-csrf-token", ""), self._session.csrf(cookie)):
            raise NotAllowed("the page's own mark is missing", hint="reload the page")
        scope[PERSON] = person


def _same(given: str, right: str) -> bool:
    """Whether what was given is right, in a time that tells nothing; it may be any text."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def _host_of(origin: str) -> str | None:
    """The host and port of an origin; None of what is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def session_cookie(header: str) -> str | None:
    """The session's value in a Cookie header."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None else None


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _check_body(scope: Scope, headers: dict[str, str]) -> None:
    if scope["type"] != "http" or scope["method"] in _SAFE:
        return
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > MOST_BODY:
        raise TooLarge(
            f"the body has {length} bytes, more than {MOST_BODY}",
            hint="put large material in files",
        )
    has_body = length not in {"", "0"} or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and kind != "application/json":
        raise WrongType("the body must be JSON", hint="send Content-Type: application/json")


def _capped(receive: Receive) -> Receive:
    """Count what comes in, for those who do not say how much they send."""
    total = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BODY:
            raise TooLarge("the body is too large", hint="put large material in files")
        return message

    return counted


async def _refuse(
    scope: Scope, receive: Receive, send: Send, error: MusterError, headers: dict[str, str]
) -> None:
    if scope["type"] == "websocket":
        await receive()
        code = 4401 if error.status == NotSignedIn.status else 4403
        await send({"type": "websocket.close", "code": code, "reason": error.title})
        return
    wants_page = "text/html" in headers.get("accept", "") and scope["method"] == "GET"
    if wants_page and isinstance(error, NotSignedIn) and not scope["path"].startswith("/api/"):
        await _answer(send, 303, b"", [(b"location", b"/login")])
        return
    body = json.dumps(error.problem()).encode()
    extra = [(b"content-type", b"application/problem+json")]
    if isinstance(error, NotSignedIn):
        extra.append((b"www-authenticate", b"Bearer"))
    await _answer(send, error.status, body, extra)


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
