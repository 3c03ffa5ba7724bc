"""A loopback service of models in one of three dialects, answering steps in their order.

A step may hold: `text`, what the model says · `status`, an HTTP error, `headers` with it, `message`
its words · `cut`, the connection ends in the middle of the answer · `hang`, nothing comes until the
server ends · `body`, these very bytes instead of an answer · `length`, the answer met its limit ·
`drip`, the answer never ends. Without steps left the last `usual` text is said.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, TracebackType
from typing import Any, Self

Step = dict[str, Any]


@dataclass
class State:
    """What the service knows, and what it was asked."""

    dialect: ModuleType
    model: str
    key: str = ""
    usual: str = "{}"
    steps: list[Step] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    vectors: list[list[float]] | None = None
    context: int = 40960
    granted: int | None = None
    knows_truncate: bool = True
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    open: set[socket.socket] = field(default_factory=set)

    def step(self) -> Step:
        """The next step."""
        with self.lock:
            return self.steps.pop(0) if self.steps else {"text": self.usual}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the requests are kept."""

    def handle(self) -> None:
        """Serve; whoever asked may hang up."""
        self.state.open.add(self.connection)
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            self.state.open.discard(self.connection)

    def do_GET(self) -> None:
        """What there is."""
        status, told = self.state.dialect.get(self.state, self.path, dict(self.headers))
        self.json(status, told)

    def do_POST(self) -> None:
        """A question, an embedding, or what the dialect has besides."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        if refused := self.state.dialect.refuses(self.state, path, body, dict(self.headers)):
            self.json(*refused)
        elif (told := self.state.dialect.aside(self.state, path, body)) is not None:
            self.json(200, told)
        else:
            with self.state.lock:
                self.state.asked.append({"path": path, "body": body, "headers": self.headers})
            self._answer(self.state.step(), path, body)

    def _answer(self, step: Step, path: str, body: dict[str, Any]) -> None:
        if step.get("hang"):
            self.state.closing.wait(60)
            self.close_connection = True
            return
        if "status" in step:
            told = self.state.dialect.error(step["status"], step.get("message", "scripted"))
            self.json(step["status"], told, step.get("headers"))
            return
        if "body" in step:
            self.send(200, "application/json", step["body"], step.get("headers"))
            return
        if path.endswith(("/embed", "/embeddings")):
            self.json(200, self.state.dialect.embedded(self.state, body))
            return
        streams = self.state.dialect.streams(body)
        parts = self.state.dialect.parts(self.state, step, body, streams)
        kind = self.state.dialect.STREAM if streams else "application/json"
        if step.get("drip"):
            self._drip(kind, max(parts, key=len))
        elif streams:
            self._pieces(kind, parts[: len(parts) // 2] if step.get("cut") else parts)
        else:
            self.send(200, kind, b"".join(parts), cut=bool(step.get("cut")))

    def _pieces(self, kind: str, parts: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        for part in parts:
            self.wfile.write(part)
            self.wfile.flush()
        self.close_connection = True

    def _drip(self, kind: str, part: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while not self.state.closing.is_set():
            self.wfile.write(part)

    def json(self, status: int, told: Any, headers: dict[str, str] | None = None) -> None:
        """Answer a document."""
        self.send(status, "application/json", json.dumps(told).encode(), headers)

    def send(
        self,
        status: int,
        kind: str,
        data: bytes,
        headers: dict[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        """Answer bytes, or the first half of them."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut


class LlmServer:
    """A running service; it can go away and come back at the same address."""

    def __init__(self, dialect: ModuleType, model: str = "qwen3:8b", **more: Any) -> None:
        self.state = State(dialect, model, **more)
        self._handler = type("Bound", (Handler,), {"state": self.state})
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """What the settings name."""
        return f"http://127.0.0.1:{self._port}{self.state.dialect.BELOW}"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the questions so far."""
        return [one["body"] for one in self.state.asked]

    def then(self, *steps: Step) -> None:
        """Answer these next."""
        self.state.steps += steps

    def go(self) -> None:
        """Be away: nobody listens at the address."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        for connection in list(self.state.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()
        self._server = None

    def come(self) -> None:
        """Listen, at the same address as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Self:
        """Start to answer."""
        self.come()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; a slow answer is let go of."""
        self.state.closing.set()
        self.go()
