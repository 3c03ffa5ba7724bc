"""Asking GitHub: again where that is harmless, cheaply where nothing changed, refusals in words."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from muster.domain.errors import (
    Away,
    Conflict,
    Invalid,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Refused,
)
from muster.domain.plain import plain_line
from muster.forge.base import Access
from muster.forge.github_limits import Limits, Pace
from muster.forge.github_wire import Answer, NotHeard, PerhapsHeard, Wire

Found = TypeVar("Found")

MOST_PAGES = 30
PER_PAGE = 100
_MOST_KEPT = 300
_LARGEST_KEPT = 500_000
_MOST_MOVES = 3
_MOVED = frozenset({301, 302, 307, 308})


class Calls:
    """Requests to one API under one token."""

    def __init__(self, access: Access, pace: Pace) -> None:
        self._pace = pace
        self._has_token = bool(access.token)
        self._wire = Wire(access, pace.answer, pace.largest)
        self._limits = Limits(pace)
        self._kept: OrderedDict[str, Answer] = OrderedDict()

    async def get(self, path: str, **query: str) -> Answer:
        """A document; one that has not changed since it was last asked for costs no limit.

        Raises:
            MusterError: as `Forge` says.
        """
        return await self._get(self._wire.url(path, query))

    async def items(self, path: str, most: int, **query: str) -> AsyncIterator[Any]:
        """The things of a list that comes in pages, `most` at most."""
        url: str | None = self._wire.url(path, {"per_page": str(min(PER_PAGE, most)), **query})
        for _ in range(MOST_PAGES):
            if url is None:
                return
            answer = await self._get(url)
            for item in _list(answer):
                yield item
                most -= 1
                if most == 0:
                    return
            url = self._next(answer)

    async def send(
        self, method: str, path: str, body: Mapping[str, Any], *, again: bool = False
    ) -> Answer:
        """Have something done; `again` where it does no harm to say it twice.

        Raises:
            PerhapsHeard: it may have been done, and `again` was not said.
            MusterError: as `Forge` says.
        """
        return await self._patiently(method, self._wire.url(path), body, {}, again)

    async def once(
        self, look: Callable[[], Awaitable[Found | None]], make: Callable[[], Awaitable[Found]]
    ) -> Found:
        """What `look` finds, else what `make` makes, which is made once even where it is not heard.

        Raises:
            MusterError: as `Forge` says.
        """
        for attempt in range(1, self._pace.tries + 1):
            if (found := await look()) is not None:
                return found
            try:
                return await make()
            except PerhapsHeard:
                if attempt == self._pace.tries:
                    raise
                await self._pause(attempt)
        raise AssertionError("the last try answers or raises")

    async def pause(self) -> None:
        """Give GitHub a moment."""
        await self._pause(1)

    async def close(self) -> None:
        """Let go of connections."""
        await self._wire.close()

    async def _get(self, url: str) -> Answer:
        asked = url
        for _ in range(_MOST_MOVES):
            known = self._kept.get(url)
            headers = {"If-None-Match": known.headers["etag"]} if known else {}
            answer = await self._patiently("GET", url, None, headers, again=True)
            if answer.status == 304 and known:
                self._kept.move_to_end(url)
                # What is left of the limit is told anew; the rest is as it was.
                return Answer(known.status, known.data, {**known.headers, **answer.headers}, url)
            if answer.status not in _MOVED:
                self._keep(url, answer)
                return answer
            place = self._wire.ours(answer.headers.get("location", ""), url)
            if place is None:
                raise Refused(
                    "GitHub sends us to another address, where the token does not go",
                    hint="see that github_api_url is the API's own address",
                )
            url = place
        raise Refused(f"GitHub sends us round in circles for {asked}", hint="name it as it is now")

    def _keep(self, url: str, answer: Answer) -> None:
        size = answer.headers.get("content-length", "")
        small = not size.isdigit() or int(size) <= _LARGEST_KEPT
        if answer.status == 200 and "etag" in answer.headers and small:
            self._kept[url] = answer
            self._kept.move_to_end(url)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def _next(self, answer: Answer) -> str | None:
        for part in answer.headers.get("link", "").split(","):
            place, _, rest = part.partition(";")
            if 'rel="next"' in rest and place.strip().startswith("<"):
                return self._wire.ours(place.strip()[1:].rstrip(">"))
        return None

    async def _patiently(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        again: bool,
    ) -> Answer:
        """Ask until there is an answer that asking again would not change."""
        for attempt in range(1, self._pace.tries + 1):
            last = attempt == self._pace.tries
            try:
                await self._limits.turn(method != "GET")
                answer = await self._wire.ask(method, url, body, headers)
            except NotHeard:
                if last:
                    raise
                await self._pause(attempt)
                continue
            except PerhapsHeard:
                if last or not again:
                    raise
                await self._pause(attempt)
                continue
            if self._limits.hit(answer.status, answer.headers, answer.message):
                # It was not done; the next turn waits for the limit, or says how long it lasts.
                continue
            if answer.status < 500:
                return self._unless_refused(method, answer)
            if last or not again:
                raise PerhapsHeard(
                    f"GitHub has a fault of its own ({answer.status})"
                    + (f": {answer.message}" if answer.message else ""),
                    hint="https://www.githubstatus.com tells how it is; this is tried again",
                )
            await self._pause(attempt)
        await self._limits.turn(method != "GET")
        raise Away("GitHub refuses us by its limits again and again", hint="try again later")

    async def _pause(self, attempt: int) -> None:
        longest = self._pace.first * 2 ** (attempt - 1)
        await self._pace.pause(longest * (0.5 + random.random() / 2))  # noqa: S311 (no secret)

    def _unless_refused(self, method: str, answer: Answer) -> Answer:
        if answer.status in _MOVED and method != "GET":
            raise Conflict(
                "the repository was moved or renamed at GitHub",
                hint="set github_repo to its name of today",
            )
        if answer.status >= 400:
            raise _refusal(answer, self._has_token)
        return answer


SET_TOKEN = "set github_token, or GITHUB_TOKEN where the server starts; docs/github.md says which"  # noqa: S105 (a hint)


_NO_SUCH = frozenset({404, 410, 451})
_NOT_AS_IT_IS = frozenset({405, 409})


def _refusal(answer: Answer, has_token: bool) -> MusterError:
    said = answer.message or f"status {answer.status}"
    if answer.status == 401:
        return _not_signed_in(said, has_token)
    if answer.status == 403:
        return NotAllowed(f"GitHub does not allow that: {said}", hint=_needs(answer))
    if answer.status in _NO_SUCH:
        return NotFound(
            "GitHub has no such thing, or the token does not see it",
            hint="see that the name is right, and that the token is for this repository",
        )
    if answer.status in _NOT_AS_IT_IS:
        return Conflict(f"GitHub refuses: {said}", hint="look at the pull request there")
    if answer.status == 422:
        return Invalid(f"GitHub does not take that: {said}", hint="see what it says")
    return Refused(f"GitHub refuses ({answer.status}): {said}", hint="see what it says")


def _not_signed_in(said: str, has_token: bool) -> NotSignedIn:
    if not has_token:
        return NotSignedIn("GitHub wants a token, and none is set", hint=SET_TOKEN)
    return NotSignedIn(
        f"GitHub does not take the token: {said}",
        hint="it has expired or was revoked; make another and set github_token",
    )


def _needs(answer: Answer) -> str:
    if where := answer.headers.get("x-github-sso", ""):
        return f"the organisation wants the token authorised: {plain_line(where, 200)}"
    scopes = answer.headers.get("x-accepted-github-permissions") or answer.headers.get(
        "x-accepted-oauth-scopes", ""
    )
    if scopes:
        return f"the token would need one of: {plain_line(scopes, 200)}"
    return "give the token write access to contents and pull requests of this repository"


def _list(answer: Answer) -> list[Any]:
    """The items of a page; some lists come within an object."""
    data = answer.data
    if isinstance(data, dict):
        data = next((value for value in data.values() if isinstance(value, list)), None)
    if not isinstance(data, list):
        raise Away("GitHub answered what is no list", hint="see that github_api_url is right")
    return data
