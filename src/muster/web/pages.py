"""The pages over HTTP: each one look, drawn whole, and readable without a script."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from muster.domain.agent import LIVE
from muster.domain.errors import MusterError, NotSignedIn
from muster.domain.task import Autonomy, TaskType
from muster.web import terminal
from muster.web.counter import Counter, Row, Session
from muster.web.parts import Painter
from muster.web.replica import now
from muster.web.transcript import transcribe
from muster.web.views import Look, Views

CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
COOKIE_SECONDS = 12 * 3600
TAIL_BYTES = 48 * 1024
"""Some hundreds of lines; the rest comes when it is asked for."""
EXAMPLES = (
    "Add a test for the least tested function, and mend what it finds",
    "Bring the README up to date with what the code does now",
    "Find the slowest test and make it twice as fast without weakening it",
)
THEMES = ("light", "dark")
THEME_COOKIE = "muster_theme"
TABS = ("terminal", "diff", "checks")
Handler = Callable[[Request], Awaitable[Response]]


class Pages:
    """The handlers of all pages."""

    def __init__(self, counter: Counter, session: Session, painter: Painter, views: Views) -> None:
        """Answer from this counter, for those who are signed in through this session."""
        self._counter = counter
        self._session = session
        self._painter = painter
        self._views = views

    def guarded(self, handle: Handler) -> Handler:
        """A page's handler whose known errors are answered with a page too."""

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except MusterError as error:
                return self._problem(request, error)

        return answer

    # --- pages ------------------------------------------------------------------------------------

    async def fleet(self, request: Request) -> Response:
        """The board, or what to do first when there is nothing on it."""
        look = await self._look(request, "fleet")
        template = "fleet.html" if look.shape == "fleet board" else "empty.html"
        return self._page(request, look, template, name="fleet", examples=EXAMPLES)

    async def inbox(self, request: Request) -> Response:
        """What waits for a person."""
        return self._page(request, await self._look(request, "inbox"), "inbox.html", name="inbox")

    async def figures(self, request: Request) -> Response:
        """How the work goes, in figures."""
        look = await self._look(request, "figures")
        return self._page(request, look, "metrics.html", name="figures")

    async def task(self, request: Request) -> Response:
        """One task with the output of one of its runs."""
        ref = request.path_params["ref"]
        task = await self._counter.get_task(ref)
        if task["id"] != ref:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/tasks/{quote(task['id'])}{query}", 307, HEADERS)
        look = await self._look(request, "task", ref)
        tab = request.query_params.get("tab", "")
        return self._page(
            request,
            look,
            "task.html",
            name="task",
            ref=ref,
            tab=tab if tab in TABS else TABS[0],
            output=await self._output(look.context["run"].shown),
        )

    async def login(self, request: Request) -> Response:
        """The page that exchanges a token for a session."""
        html = self._painter.page("login.html", theme=self._theme(request), title="Sign in")
        return Response(html, headers=HEADERS, media_type="text/html")

    async def sign_in(self, request: Request) -> Response:
        """Take a token, give the session's cookie."""
        try:
            body = await request.json()
            token = body["token"]
        except (ValueError, KeyError, TypeError):
            token = None
        cookie = self._session.sign_in(token) if isinstance(token, str) and token else None
        if inspect.isawaitable(cookie):
            cookie = await cookie
        if cookie is None:
            wrong = NotSignedIn("that token does not open this door", hint="run: muster open")
            return JSONResponse(wrong.problem(), wrong.status, HEADERS, "application/problem+json")
        response = Response(status_code=204, headers=HEADERS)
        response.set_cookie(
            self._session.cookie_name,
            cookie,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def favicon(self, _request: Request) -> Response:
        """The sign, for browsers that ask without being told."""
        return RedirectResponse(self._painter.assets.url("favicon.svg"), 308)

    # --- what they share --------------------------------------------------------------------------

    async def _look(self, request: Request, page: str, ref: str = "") -> Look:
        await self._views.replica.read_projects()
        return await self._views.look(page, dict(request.query_params), ref)

    async def _output(self, agent: Row | None) -> Mapping[str, Any]:
        """The last lines of a run, and from which offset the rest follows."""
        if agent is None:
            return {"lines": [], "open": False, "next": 0, "start": 0, "live": False}
        page = await self._counter.agent_logs(agent["id"], tail=TAIL_BYTES)
        items = page["items"]
        text = "".join(item["text"] for item in items)
        start = items[0]["offset"] if items else page["next"]
        if start:
            # The tail begins somewhere in a line; whoever asks for more gets that line whole.
            cut, _, rest = text.partition("\n")
            start, text = start + len(f"{cut}\n".encode()), rest
        told, held = transcribe(text)
        return {
            "lines": terminal.lines(told),
            "open": bool(told) and not told.endswith("\n"),
            # A line that is held back until it is whole is asked for again.
            "next": page["next"] - len(held.encode()),
            "start": start,
            "live": agent["status"] in LIVE,
        }

    def _theme(self, request: Request) -> str:
        theme = request.cookies.get(THEME_COOKIE, "")
        return theme if theme in THEMES else ""

    def _page(
        self, request: Request, look: Look, template: str, *, name: str, ref: str = "", **more: Any
    ) -> Response:
        tasks = self._views.replica.tasks.values()
        agents = {t["agent"] for t in tasks if t["agent"]}
        html = self._painter.page(
            template,
            theme=self._theme(request),
            title=look.title,
            look=look,
            parts={id: part.html for id, part in look.parts.items()},
            waiting=look.waiting,
            name=name,
            ref=ref,
            csrf=self._session.csrf(request.cookies.get(self._session.cookie_name, "")),
            build=self._painter.assets.build,
            projects=self._views.replica.projects,
            agents=sorted(agents),
            labels=sorted((t for t in tasks), key=lambda t: -t["number"])[:60],
            types=[t.value for t in TaskType],
            autonomies=[a.value for a in Autonomy],
            **{"now": now(), **look.context, **more},
        )
        return Response(html, headers=HEADERS, media_type="text/html")

    def _problem(self, request: Request, error: MusterError) -> Response:
        """An error as a page."""
        html = self._painter.page(
            "problem.html", theme=self._theme(request), title=error.title, problem=error.problem()
        )
        return Response(html, error.status, HEADERS, "text/html")
