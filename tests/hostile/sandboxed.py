"""Agents that are tried in a sandbox, here or on another machine: what their tests share."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.server
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muster.runtimes.base import Exit, RunSpec, Runtime
from muster.runtimes.refusals import Refusal, read_refusals
from muster.runtimes.rundir import RunDir

PATIENCE = 60.0
SECRET = "muster-token-of-the-first-user"
ASK = """
import socket, sys
def ask(line, more=b"", port=3128):
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(line.encode() + b"\\r\\n\\r\\n" + more)
        data = b""
        while piece := s.recv(65536):
            data += piece
    return data.decode("latin-1")
for line in sys.argv[1:]:
    print(ask(line).split("\\r\\n")[0].split(" ", 1)[1])
"""


@dataclass
class Ended:
    """A run that is over."""

    exit: Exit
    out: str
    err: str
    refused: list[Refusal]


@dataclass
class Tried:
    """A home, and one agent that is tried from it; `interpreter` is a Python as it sees one."""

    home: Path
    runtime: Runtime
    interpreter: str = sys.executable
    runs: list[Path] = field(default_factory=list)

    def spec(self, name: str, *argv: str, **more: Any) -> RunSpec:
        """A run as the engine asks for it."""
        raise NotImplementedError

    async def start(self, *argv: str, **more: Any) -> RunDir:
        """Start a run."""
        run_dir = self.home / "runs" / f"mine{len(self.runs) or ''}"
        self.runs.append(run_dir)
        await self.runtime.start(self.spec(run_dir.name, *argv, **more), run_dir)
        return RunDir(run_dir)

    async def end(self, record: RunDir) -> Ended:
        """Wait for a run's end."""
        ended = await asyncio.wait_for(self.runtime.wait(record.path), PATIENCE)
        out, err = (record.read(s, 0, 1 << 20).data.decode() for s in ("out", "err"))
        return Ended(ended, out, err, read_refusals(record.path)[0])

    async def run(self, *argv: str, **more: Any) -> Ended:
        """Run a program to its end."""
        return await self.end(await self.start(*argv, **more))

    async def shell(self, line: str, *args: str, **more: Any) -> Ended:
        """Run a shell line to its end."""
        return await self.run("sh", "-c", line, "sh", *args, **more)

    async def python(self, code: str, *args: str, **more: Any) -> Ended:
        """Run a Python program to its end."""
        return await self.run(self.interpreter, "-I", "-c", code, *args, **more)

    async def close(self) -> None:
        """Kill every run that a failed test left, and let go."""
        for run in self.runs:
            if RunDir(run).started():
                await self.runtime.kill(run)
                await self.runtime.wait(run)
        await self.runtime.close()


@dataclass
class House(Tried):
    """A home as muster lays it out, with two agents in it."""

    @property
    def tree(self) -> Path:
        """The workspace of the agent that is tried."""
        return self.home / "workspaces" / "spaces" / "mine" / "tree"

    @property
    def git(self) -> Path:
        """The git folder of that agent."""
        return self.tree.parent / "agent.git"

    @property
    def private(self) -> Path:
        """The home of that agent: beside its run's record."""
        return self.home / "runs" / "mine" / "agent" / "home"

    def spec(self, name: str, *argv: str, **more: Any) -> RunSpec:
        """A run as the engine asks for it."""
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.private),
            "TMPDIR": str(self.private / "tmp"),
            "LANG": "C.UTF-8",
            **more.pop("env", {}),
        }
        more.setdefault("writable", (str(self.git), str(self.private)))
        more.setdefault("readable", (str(self.git / "config"), str(self.git / "hooks")))
        return RunSpec(name, argv, str(self.tree), env, **more)

    async def ask(self, *lines: str, network: tuple[str, ...]) -> Ended:
        """Send request lines to the proxy; what it answers, line by line."""
        ended = await self.python(ASK, *lines, network=network)
        assert ended.exit.code == 0, ended.err
        return ended


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"here is {self.path} for {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def _serving(address: str, handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def served_page() -> AbstractContextManager[int]:
    """An HTTP server on all addresses of this machine; its port."""
    return _serving("", _Page)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _wheel(folder: Path) -> None:
    """A package index with one package."""
    place = folder / "simple" / "tinydep"
    place.mkdir(parents=True)
    name = "tinydep-1.0-py3-none-any.whl"
    files = {
        "tinydep.py": b"ANSWER = 42\n",
        "tinydep-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinydep\nVersion: 1.0\n",
        "tinydep-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items())
    files["tinydep-1.0.dist-info/RECORD"] = record.encode()
    with zipfile.ZipFile(place / name, "w") as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)
    (place / "index.html").write_text(f'<a href="{name}">{name}</a>')


def served_index(folder: Path) -> AbstractContextManager[int]:
    """A package index on the loopback that holds one package; its port."""
    _wheel(folder)

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return _serving("127.0.0.1", Files)
