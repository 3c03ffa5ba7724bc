"""A GitHub on loopback: REST and git over HTTP, real repositories, and faults that are ordered.

In a test: `async with loopback_github(root, token=…) as hub`. In a process of its own:
`python -m forge.loopback_github --root DIR --token TOKEN --port PORT team/app`, which prints where
it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import fnmatch
import hashlib
import hmac
import json
import re
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from forge import hub_shapes as shapes
from forge.hub_git import Bare, http_backend
from forge.hub_rest import Call, Reply, Repo, Rest, as_bytes, page_of
from house.patience import PATIENCE

TOKEN = "ghp_loopback0123456789abcdefghijklmnopqr"
LOGIN = "muster-bot"
_GIT = re.compile(r"/([^/]+/[^/]+)\.git/(info/refs|git-upload-pack|git-receive-pack)")


@dataclass(frozen=True)
class Request:
    """What somebody asked; `authorized` says whether a token came with it, which is not kept."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]
    status: int
    authorized: bool

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """Something that goes wrong with requests like `match` ("POST /repos/*/pulls"), `times` times.

    `heard` has the thing done first. With `status` that is answered, with `cut` only so many bytes
    of the answer go out; `hold` lets nothing out until the hub is let go.
    """

    match: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    raw: bytes | None = None
    cut: int | None = None
    hold: bool = False
    heard: bool = False


class Hub(ThreadingHTTPServer):
    """The server, and what tests do to it as the people there."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root: Path, token: str = TOKEN, login: str = LOGIN, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.root = root
        self.rest = Rest(root)
        self.tokens = {token: login}
        self.token, self.login = token, login
        self.scopes = "repo"
        self.rate_left = 5000
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.let_go = threading.Event()
        self._guard = threading.Lock()

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """Where the API is, as github.com has it."""
        return self.site

    @property
    def enterprise_url(self) -> str:
        """Where the API is, as GitHub Enterprise Server has it."""
        return f"{self.site}/api/v3"

    # --- what people do ---

    def create(
        self, name: str, files: Mapping[str, str] | None = None, *, private: bool = True,
        branch: str = "main",
    ) -> Repo:  # fmt: skip
        bare = Bare(self.root / f"{name}.git")
        bare.path.parent.mkdir(parents=True, exist_ok=True)
        bare.make(files or {}, branch)
        number = len(self.rest.repos) + 1
        repo = Repo(name, bare, number, private, branch, {self.login}, set())
        self.rest.repos[name] = repo
        return repo

    def person(self, login: str, *names: str, writes: bool = True) -> str:
        """Somebody else with a token, who may see these repositories."""
        token = f"ghp_{hashlib.sha256(login.encode()).hexdigest()[:36]}"
        self.tokens[token] = login
        for name in names:
            repo = self.rest.repos[name]
            (repo.writers if writes else repo.readers).add(login)
        return token

    def act(self, login: str, method: str, path: str, body: Any = None, query: str = "") -> Any:
        """Do by the API what somebody does on the page; no request of muster's."""
        call = Call(self.url, self.site, login, dict(parse_qsl(query)), body)
        reply = self.rest.do(method, path, call)
        assert reply.status < 400, reply.data
        return reply.data

    def pulls(self, name: str) -> list[dict[str, Any]]:
        """All pull requests as they are now."""
        repo = self.rest.repos[name]
        with self.rest.lock:
            return [dict(self.rest.fresh(repo, row)) for row in repo.pulls]

    def reviews(self, name: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.rest.repos[name].reviews]

    def comments(self, name: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.rest.repos[name].comments]

    def review(self, name: str, number: int, login: str, event: str, body: str = "seen") -> None:
        self.act(login, "POST", f"/repos/{name}/pulls/{number}/reviews",
                 {"event": event, "body": body})  # fmt: skip

    def set_status(self, name: str, commit: str, state: str, context: str = "ci") -> None:
        body = {"state": state, "context": context}
        self.act(self.login, "POST", f"/repos/{name}/statuses/{commit}", body)

    def set_run(
        self, name: str, commit: str, status: str, conclusion: str | None, run: str = "tests"
    ) -> None:
        row = {"id": self.rest.next_id(), "sha": commit, "name": run, "status": status,
               "conclusion": conclusion}  # fmt: skip
        self.rest.repos[name].runs.append(row)

    def merge(self, name: str, number: int, login: str) -> None:
        self.act(login, "PUT", f"/repos/{name}/pulls/{number}/merge", {})

    def files(self, name: str, branch: str = "main") -> dict[str, str]:
        bare = self.rest.repos[name].bare
        return bare.files(bare.tip(branch) or "")

    def order(self, match: str, **fault: Any) -> Fault:
        """Have something go wrong from now on."""
        made = Fault(match, **fault)
        self.faults.append(made)
        return made

    def delivery(
        self, secret: str, event: str, name: str, number: int | None = None, action: str = "opened",
        key: str = "delivery-1",
    ) -> tuple[dict[str, str], bytes]:  # fmt: skip
        """What GitHub would send to a webhook: headers and body."""
        call = Call(self.url, self.site, self.login, {}, None)
        repo = self.rest.repos[name]
        told: dict[str, Any] = {
            "action": action,
            "repository": self.rest.do("GET", f"/repos/{name}", call).data,
            "sender": shapes.user(self.url, self.site, self.login),
        }
        if number is not None:
            row = next(row for row in repo.pulls if row["number"] == number)
            told |= {"number": number, "pull_request": self.rest.whole(call, repo, row)}
        body = json.dumps(told).encode()
        headers = {
            "Content-Type": "application/json", "X-GitHub-Event": event,
            "X-GitHub-Delivery": key, "User-Agent": "GitHub-Hookshot/0123456",
            "X-Hub-Signature-256": signature(secret, body),
        }  # fmt: skip
        return headers, body

    # --- inside ---

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of the server; any other is told as ever."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def fault_of(self, method: str, path: str) -> Fault | None:
        with self._guard:
            for fault in self.faults:
                if fault.times > 0 and fnmatch.fnmatchcase(f"{method} {path}", fault.match):
                    fault.times -= 1
                    return fault
        return None

    def login_of(self, header: str) -> str | None:
        """Who is asking; empty for nobody, None for a token that opens nothing."""
        kind, _, given = header.partition(" ")
        if not given:
            return ""
        if kind.lower() == "basic":
            user, _, given = base64.b64decode(given).decode().partition(":")
            if user != "x-access-token":
                return None
        return self.tokens.get(given)


def signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api/v3")
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.fault_of(self.command, path)
        does = fault is None or fault.heard
        if git := _GIT.fullmatch(parts.path):
            status, told, data = self._git(git[1], parts, headers, body) if does else (0, [], b"")
        else:
            status, told, data = self._rest(path, parts, headers, body) if does else (0, [], b"")
        if fault and fault.status:
            status, told = fault.status, list(fault.headers.items())
            usual = shapes.problem(status, f"a fault: {status}")
            data = as_bytes(usual if fault.body is None else fault.body)
            data = data if fault.raw is None else fault.raw
        self._keep(path, parts.query, headers, body, status)
        if fault and fault.hold:
            self.server.let_go.wait(PATIENCE)
        self._send(status or 200, told, data, fault)

    def _keep(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes, status: int
    ) -> None:
        try:
            sent = json.loads(body) if body else None
        except ValueError:
            sent = None
        shown = {name: value for name, value in headers.items() if name != "authorization"}
        self.server.requests.append(
            Request(
                self.command,
                path,
                dict(parse_qsl(query)),
                sent,
                shown,
                status,
                "authorization" in headers,
            )
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(
        self, status: int, headers: list[tuple[str, str]], data: bytes, fault: Fault | None
    ) -> None:
        lines = [f"HTTP/1.1 {status} Answer", f"Content-Length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        whole = (
            "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (data if status != 304 else b"")
        )
        cut = fault.cut if fault else None
        try:
            self.wfile.write(whole if cut is None else whole[:cut])
            self.wfile.flush()
            if cut is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # whoever asked has gone
            self.close_connection = True

    # --- git ---

    def _git(
        self, name: str, parts: Any, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        login = self.server.login_of(headers.get("authorization", ""))
        repo = self.server.rest.repos.get(name)
        if not login:
            return 401, [("WWW-Authenticate", 'Basic realm="GitHub"')], b"Authentication failed"
        if repo is None or login not in repo.readers | repo.writers:
            return 404, [], b"Not Found"
        if "receive-pack" in self.path and login not in repo.writers:
            return 403, [], b"Write access to repository not granted."
        with self.server.rest.lock:
            root = self.server.root
            return http_backend(root, parts.path, parts.query, self.command, headers, body)

    # --- the API ---

    def _rest(
        self, path: str, parts: Any, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        hub = self.server
        reply, link = self._reply(path, parts, headers, body)
        data = as_bytes(reply.data)
        tag = f'W/"{hashlib.sha256(data).hexdigest()}"'
        same = reply.status == 200 and headers.get("if-none-match") == tag
        if not same:
            hub.rate_left -= 1
        told = [
            ("Content-Type", "application/json; charset=utf-8"), ("ETag", tag),
            ("X-RateLimit-Limit", "5000"), ("X-RateLimit-Remaining", str(hub.rate_left)),
            ("X-RateLimit-Reset", str(2**31)), ("X-OAuth-Scopes", hub.scopes),
            ("X-Accepted-OAuth-Scopes", "repo"), *([("Link", link)] if link else []),
        ]  # fmt: skip
        return (304, told, b"") if same else (reply.status, told, data)

    def _reply(
        self, path: str, parts: Any, headers: Mapping[str, str], body: bytes
    ) -> tuple[Reply, str]:
        hub = self.server
        if not headers.get("user-agent"):
            return Reply(403, shapes.problem(403, "Request forbidden: User-Agent is missing")), ""
        if headers.get("x-github-api-version", "2022-11-28") != "2022-11-28":
            return Reply(400, shapes.problem(400, "The API version is not supported")), ""
        login = hub.login_of(headers.get("authorization", ""))
        if login is None:
            return Reply(401, shapes.problem(401, "Bad credentials")), ""
        api = f"{hub.site}/api/v3" if parts.path.startswith("/api/v3") else hub.site
        query = dict(parse_qsl(parts.query))
        try:
            sent = json.loads(body) if body else None
        except ValueError:
            return Reply(400, shapes.problem(400, "Problems parsing JSON")), ""
        reply = hub.rest.do(self.command, path, Call(api, hub.site, login, query, sent))
        if reply.status != 200:
            return reply, ""
        data, link = page_of(reply, query, f"{api}{path}")
        return Reply(200, data), link


@contextmanager
def running_hub(root: Path, token: str = TOKEN, **more: Any) -> Iterator[Hub]:
    """A hub in a thread of this process."""
    root.mkdir(parents=True, exist_ok=True)
    with Hub(root, token, **more) as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.let_go.set()
            hub.shutdown()
            thread.join()


@asynccontextmanager
async def loopback_github(root: Path, token: str = TOKEN, **more: Any) -> AsyncIterator[Hub]:
    """The same for tests on a loop."""
    manager = running_hub(root, token, **more)
    hub = manager.__enter__()
    try:
        yield hub
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("repositories", nargs="*")
    given = parser.parse_args()
    given.root.mkdir(parents=True, exist_ok=True)
    with Hub(given.root, given.token, port=given.port) as hub:
        for name in given.repositories:
            hub.create(name, {"README.md": f"# {name}\n"})
        print(hub.url, flush=True)
        hub.serve_forever()


if __name__ == "__main__":
    main()
