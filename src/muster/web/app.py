"""The web door: every route of the pages, their files, and their socket."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from muster.web.counter import Counter, Session
from muster.web.live import Tab
from muster.web.pages import Pages
from muster.web.parts import the_painter
from muster.web.views import Views


def routes(service: Counter, session: Session) -> list[BaseRoute]:
    """The routes of the web door over a counter.

    The gate stands in front of them: it has checked Host, Origin and sign-in before a handler here
    runs. Only `/login`, `/favicon.ico` and `/static/` may be open to everybody.
    """
    painter = the_painter()
    assets = painter.assets
    views = Views(service, painter)
    pages = Pages(service, session, painter, views)

    async def live(socket: WebSocket) -> None:
        await Tab(socket, service, views, assets.build).serve()

    return [
        Route("/", pages.guarded(pages.fleet), name="fleet"),
        Route("/inbox", pages.guarded(pages.inbox), name="inbox"),
        Route("/figures", pages.guarded(pages.figures), name="figures"),
        Route("/tasks/{ref}", pages.guarded(pages.task), name="task"),
        Route("/login", pages.login, name="login"),
        Route("/login", pages.sign_in, methods=["POST"], name="sign-in"),
        Route("/favicon.ico", pages.favicon, name="favicon"),
        Route("/static/{path:path}", assets.serve, name="static"),
        WebSocketRoute("/ws", live, name="live"),
    ]
