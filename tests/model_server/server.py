"""The loopback model server: `python tests/model_server/server.py --port 0 --script FILE`.

It prints `port N` once it listens. In a test: `with ModelServer(scripts) as server: server.url`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

# So that it also runs as a program of its own.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from model_server import answers, chat, gemini, responses, scripts

DIALECTS = (answers, responses, chat, gemini)
"""Each says which addresses it answers, and how."""


@dataclass
class Request:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    script: str = ""


@dataclass
class _State:
    scripts: scripts.Scripts
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def note(self, request: Request) -> None:
        with self.arrived:
            self.requests.append(request)
            self.arrived.notify_all()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the requests are kept."""

    def handle(self) -> None:
        """Serve; a program that was killed hangs up as it likes."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        """Nothing can be fetched here; programs look for lists of models all the same."""
        self.state.note(Request("GET", self.path, dict(self.headers), None))
        self._json(404, answers.error({"status": 404, "message": f"no {self.path}"}))

    def do_HEAD(self) -> None:
        """Programs try whether somebody is there."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Answer a step of the script."""
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = json.loads(raw) if raw else {}
        request = Request("POST", self.path, dict(self.headers), body)
        path = self.path.partition("?")[0].rstrip("/")
        if path.endswith("/count_tokens"):
            self.state.note(request)
            self._json(200, {"input_tokens": len(raw) // 4})
            return
        if path.endswith(":countTokens"):
            self.state.note(request)
            self._json(200, {"totalTokens": len(raw) // 4})
            return
        dialect = next((d for d in DIALECTS if d.answers(path)), None)
        if dialect is None:
            self.state.note(request)
            self._json(404, answers.error({"status": 404, "message": f"no {path}"}))
            return
        request.script, step = scripts.choose(self.state.scripts, dialect.conversation(body))
        self.state.note(request)
        aside = dialect.is_aside(body) and "tools" in step
        self._answer(dialect, {"text": "ok"} if aside else step, path, body)

    def _answer(
        self, dialect: ModuleType, step: scripts.Step, path: str, body: dict[str, Any]
    ) -> None:
        if step.get("delay"):
            self.state.closing.wait(step["delay"])
        if step.get("until"):
            self._wait_for(Path(step["until"]))
        headers = {str(k): str(v) for k, v in step.get("headers", {}).items()}
        if "status" in step:
            self._json(step["status"], dialect.error(step), headers)
            return
        whole = dialect.message(step, body)
        if not dialect.wants_stream(path, body):
            self._json(200, whole, headers)
            return
        parts = list(dialect.stream(whole))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for part in parts[: len(parts) // 2] if step.get("cut") else parts:
            self.wfile.write(part)
            self.wfile.flush()
        self.close_connection = True

    def _wait_for(self, path: Path) -> None:
        path.with_name(f"{path.name}.asked").touch()
        while not path.exists() and not self.state.closing.wait(0.05):
            pass

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class ModelServer:
    """A running server; `requests` are those that came so far, oldest first."""

    def __init__(self, named: scripts.Scripts, port: int = 0) -> None:
        self._state = _State(named)
        handler = type("Handler", (_Handler,), {"state": self._state})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        """Where it listens, on the loopback."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What a program is told as the service's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """All requests so far."""
        return list(self._state.requests)

    def asked(self, script: str, count: int = 1, timeout: float = 30.0) -> bool:
        """Wait until a script was asked for `count` times; False when it was not in time."""

        def enough() -> bool:
            return sum(1 for r in self._state.requests if r.script == script) >= count

        with self._state.arrived:
            return self._state.arrived.wait_for(enough, timeout)

    def __enter__(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; a slow answer is let go of."""
        self._state.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def main() -> None:
    """Serve until standard input or the process ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, required=True)
    given = parser.parse_args()
    with ModelServer(scripts.load(given.script.read_text()), given.port) as server:
        print(f"port {server.port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
