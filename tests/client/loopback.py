"""A small muster server on loopback: canned shapes, and the faults that networks have."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from tests.client import canned

from house.patience import PATIENCE

TOKEN = "a-token-of-the-tests-that-is-long-enough"


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    connection: int


@dataclass
class Answer:
    """What is sent back; a stream sends its frames and then breaks off, or goes on at `hold`."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    frames: list[bytes] | None = None
    hold: threading.Event | None = None
    chunked: bool = False


def problem(status: int, code: str, **more: Any) -> Answer:
    document = {"type": f"urn:muster:error:{code}", "title": "T", "status": status, "code": code,
                "detail": f"it is {code}", "hint": "try another", **more}  # fmt: skip
    return Answer(status, document, {"Content-Type": "application/problem+json"})


def frame(event: str, data: Any, id: int | str | None = None) -> bytes:
    head = f"id: {id}\n" if id is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode()


Route = Answer | Callable[[Asked], Answer]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Loopback

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        asked = Asked(
            self.command,
            parts.path,
            {key: values[0] for key, values in parse_qs(parts.query).items()},
            {key.lower(): value for key, value in self.headers.items()},
            json.loads(raw) if raw else None,
            self.client_address[1],
        )
        fault = self.server.faults.popleft() if self.server.faults else None
        if fault == "drop":
            self.close_connection = True
            return
        self.server.asked.append(asked)
        answer = fault if isinstance(fault, Answer) else self.server.find(asked)
        if fault == "lose the answer":
            self.close_connection = True
            return
        self.send(answer)
        if fault == "close after":
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def send(self, answer: Answer) -> None:
        if answer.frames is not None:
            self.send_stream(answer)
            return
        text = isinstance(answer.body, str)
        data = answer.body.encode() if text else json.dumps(answer.body).encode()
        if answer.status == 204:
            data = b""
        self.send_response(answer.status)
        headers = {"Content-Type": "text/plain" if text else "application/json", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_stream(self, answer: Answer) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        how = ("Transfer-Encoding", "chunked") if answer.chunked else ("Connection", "close")
        self.send_header(*how)
        self.end_headers()
        for piece in answer.frames or []:
            self.write_piece(piece, answer.chunked)
        if answer.hold is not None:
            answer.hold.wait(10 * PATIENCE)
        self.close_connection = True

    def write_piece(self, piece: bytes, chunked: bool) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        self.wfile.flush()


class Loopback(ThreadingHTTPServer):
    """The server. `asked` is what arrived, `faults` what happens to the next requests."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, text: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[Asked] = []
        self.faults: deque[Any] = deque()
        self.open_to_all = False
        self.routes: dict[tuple[str, str], Route] = usual_routes(text)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of the server."""

    def find(self, asked: Asked) -> Answer:
        if asked.path != "/api/health" and asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "not-signed-in")
        route = self.routes.get((asked.method, asked.path))
        if route is None:
            return problem(404, "not-found")
        return route(asked) if callable(route) else route

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


def usual_routes(text: str | None = None) -> dict[tuple[str, str], Route]:
    """Every route of the API with a canned answer; `text` stands wherever strangers can write."""
    own = [] if text is None else [text]
    task, agent, question = canned.task(*own), canned.agent(*own), canned.question(*own)
    get: dict[str, Route] = {
        "health": Answer(body=canned.health(*own)),
        "projects": Answer(body=canned.page(canned.project(*own))),
        "projects/sample": Answer(body=canned.project(*own)),
        "projects/prj_1": Answer(body=canned.project(*own)),
        "projects/sample/breakpoint-rules": Answer(body=canned.rules(*own)),
        "projects/sample/playbooks": Answer(body=canned.playbooks(*own)),
        "projects/sample/reliability": Answer(body=canned.reliability(*own)),
        "tasks": Answer(body=canned.page(task)),
        "tasks/MU-1": Answer(body=canned.detail(*own)),
        "tasks/tsk_1": Answer(body=canned.detail(*own)),
        "tasks/MU-1/debug-bundle": Answer(
            body="a bundle", headers={"Content-Type": "application/gzip"}
        ),
        "tasks/MU-1/diff": Answer(body=canned.diff(*own)),
        "tasks/MU-1/decisions": Answer(body=canned.page(canned.decided(*own))),
        "tasks/MU-1/checkpoints": Answer(body=canned.page(canned.checkpoint(*own))),
        "metrics": Answer(body=canned.metrics(*own)),
        "agents/analytics": Answer(body=canned.analytics(*own)),
        "agents": Answer(body=canned.page(agent)),
        "agents/active": Answer(body=canned.page(agent)),
        "agents/coding-1f3a9c02": Answer(body=agent),
        "agents/coding-1f3a9c02/logs": lambda asked: agent_logs(asked, *own),
        "agents/coding-1f3a9c02/cassette": Answer(body='{"t": 0, "kind": "out"}\n'),
        "events": Answer(body=canned.page(canned.event(4, *own))),
        "events/pending": Answer(body=canned.page(canned.event(4, *own))),
        "events/processed": Answer(body=canned.page(canned.event(4, *own))),
        "events/4": Answer(body=canned.event_story(4, *own)),
        "events/stream": Answer(frames=[frame("task.queued", canned.event(4, *own), 4)]),
        "queue": Answer(body=canned.queue(*own)),
        "queue/settings": Answer(body=canned.settings()),
        "breakpoints": Answer(body=canned.inbox(question, stop=canned.stopped(*own))),
        "tokens": Answer(body=canned.page(canned.token(*own))),
        "breakpoints/bp_1": Answer(body=question),
        "github/status": Answer(body=canned.github_status(*own)),
        "github/repo/team%2Fapp": Answer(body=canned.github_repository(*own)),
        "github/repo/team%2Fapp/default-branch": Answer(body=canned.github_repository(*own)),
        "github/clone-url/team%2Fapp": Answer(body={"url": "u", "authenticated": False}),
        "github/prs/team%2Fapp": Answer(body=canned.page(canned.pull(*own))),
        "github/pr/team%2Fapp/7": Answer(body=canned.whole_pull(*own)),
    }
    resolved = canned.question(*own, open=False, answer="merge", by="a person", note=own and text)
    post: dict[str, Route] = {
        "projects": Answer(201, canned.project(*own)),
        "tasks": Answer(201, canned.task(*own, status="queued")),
        "tasks/MU-1/approve": Answer(body=task),
        "tasks/MU-1/cancel": Answer(body=task),
        "tasks/MU-1/retry": Answer(body=task),
        "tasks/MU-1/merge": Answer(body=task),
        "projects/sample/try": Answer(body=canned.trial(*own)),
        "tasks/MU-1/outcome": Answer(body=canned.outcome(*own)),
        "tasks/MU-1/checkpoints": Answer(201, canned.checkpoint(*own)),
        "tasks/MU-1/checkpoints/1/restore": Answer(body=task),
        "tasks/MU-1/checkpoints/1/fork": Answer(201, canned.task(*own, status="queued")),
        "agents/spawn": Answer(202, task),
        "agents/clean": Answer(body={"workspaces": 1, "runs": own or ["docker: 1f3a"]}),
        "agents/coding-1f3a9c02/kill": Answer(body=agent),
        "agents/coding-1f3a9c02/send": Answer(202, agent),
        "agents/coding-1f3a9c02/retry": Answer(body=task),
        "events": Answer(201, canned.event(5, *own)),
        "events/4/processed": Answer(body=canned.event(4, *own)),
        "queue/settings": Answer(body=canned.settings()),
        "queue/add/MU-1": Answer(body=canned.queue(*own)),
        "queue/order": Answer(body=canned.queue(*own)),
        "queue/clear": Answer(body=canned.queue(*own)),
        "breakpoints/bp_1/resolve": Answer(body=resolved),
        "github/push": Answer(body={"task": "MU-1", "branch": "muster/tsk_1"}),
        "github/pr": Answer(body=canned.pull(*own)),
        "github/pr/team%2Fapp/7/merge": Answer(body=canned.pull(*own, state="merged")),
        "github/ensure-remote/team%2Fapp": Answer(body={"remote": "origin", "added": True}),
        "tokens": Answer(201, canned.token(*own, token="t" * 43)),
    }
    other: dict[tuple[str, str], Route] = {
        ("PATCH", "/api/projects/sample"): Answer(body=canned.project(*own)),
        ("PATCH", "/api/projects/prj_1"): Answer(body=canned.project(*own)),
        ("PATCH", "/api/tasks/MU-1"): Answer(body=task),
        ("DELETE", "/api/projects/sample"): Answer(204),
        ("DELETE", "/api/tokens/tok_1"): Answer(body=canned.token(*own, state="revoked")),
        ("DELETE", "/api/queue/MU-1"): Answer(body=canned.queue(*own)),
    }
    gets = {("GET", f"/api/{path}"): route for path, route in get.items()}
    posts = {("POST", f"/api/{path}"): route for path, route in post.items()}
    return {**gets, **posts, **other}


def agent_logs(asked: Asked, text: str = "hello\n") -> Answer:
    """An agent that wrote `text` and ended."""
    end = len(text)
    if "text/event-stream" in asked.headers["accept"]:
        item = canned.logs(text)["items"][0]
        ended = frame("end", {"exit_code": 1, "why": "", "outcome": text}, end)
        return Answer(frames=[frame("log", item, end), ended])
    if int(asked.query.get("offset") or 0) >= end:
        return Answer(body={"items": [], "next": end, "truncated": None, "ended": True})
    return Answer(body=canned.logs(text))
