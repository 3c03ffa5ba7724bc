"""A real server on a home and a repository of its own, started and spoken to for a measurement."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import Broken
from benchmarks.meters import cpu_seconds, warm_environment
from benchmarks.subscriber import Arrival, Subscriber

GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.org",
       "-c", "init.defaultBranch=main")  # fmt: skip
ENDED = frozenset({"task.waiting", "task.completed", "task.failed", "task.cancelled"})
PLACE = "process"
"""Where agents and checks run: a bar is for what muster adds, and no place's share of it."""
_PATIENCE = 60.0
_KEPT = 3.0  # the server closes a connection that was silent for five seconds


def own_agent(name: str, command: Iterable[str], **env: str) -> str:
    """The lines of `config.toml` for an agent of one's own; TOML reads JSON's texts and lists."""
    variables = ", ".join(f"{key} = {json.dumps(value)}" for key, value in env.items())
    return (
        f'[agents.{name}]\ndriver = "command"\ncommand = {json.dumps(list(command))}\n'
        f"env = {{ {variables} }}\n"
    )


class Server:
    """One home, its server while that runs, and the calls to it."""

    def __init__(self, root: Path, config: str = "", place: str = PLACE) -> None:
        self.root = root
        self.home = root / "home"
        self.repo = root / "repo"
        self.home.mkdir()
        (self.home / "config.toml").write_text(f'disk_floor_mb = 1\nruntime = "{place}"\n{config}')
        self.process: subprocess.Popen[bytes] | None = None
        self.started_with_cpu = 0.0
        self._connection: http.client.HTTPConnection | None = None
        self._called_at = 0.0

    def make_repo(self, files: int = 3) -> None:
        """A small repository with one commit, registered as the project `repo`."""
        self.repo.mkdir()
        for number in range(files):
            (self.repo / f"file{number}.txt").write_text(f"{number}\n")
        for args in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
            subprocess.run([*GIT, *args], cwd=self.repo, check=True, env=warm_environment())
        self.call("POST", "/api/projects", {"path": str(self.repo), "name": "repo"})

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self.process is not None
        return self.process.pid

    @property
    def host(self) -> str:
        """Where it listens."""
        url: str = json.loads((self.home / "server.json").read_text())["url"]
        return url.removeprefix("http://")

    @property
    def token(self) -> str:
        """What opens its door."""
        return (self.home / "token").read_text().strip()

    def start(self) -> float:
        """Start it and wait for its health; seconds until it answered.

        Raises:
            Broken: it did not start; its own words are printed.
        """
        (self.home / "server.json").unlink(missing_ok=True)
        began = time.monotonic()
        with (self.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "muster", "--home", str(self.home), "up", "--port", "0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=warm_environment(),
            )  # fmt: skip
        while not self._is_healthy():
            if self.process.poll() is not None or time.monotonic() - began > _PATIENCE:
                said = (self.root / "server.log").read_text()[-4000:]
                raise Broken(f"the server did not start:\n{said}")
            time.sleep(0.01)
        self.started_with_cpu = cpu_seconds(self.pid)
        return time.monotonic() - began

    def _is_healthy(self) -> bool:
        try:
            return bool(self.call("GET", "/api/health")["status"] == "ok")
        except (OSError, http.client.HTTPException, ValueError):
            self._hang_up()
            return False

    def stop(self) -> None:
        """Ask it to end and wait until it has."""
        self._hang_up()
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request on a connection that is kept.

        Raises:
            OSError: the answer is an error.
        """
        if time.monotonic() - self._called_at > _KEPT:
            self._hang_up()
        self._called_at = time.monotonic()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, timeout=30)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        document = json.loads(answer.read() or b"null")
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status} {document}")
        return document

    def submit(self, agent: str, **more: object) -> dict[str, Any]:
        """Post one task of the project `repo`."""
        body = {"project": "repo", "description": "make a file", "agent": agent, "type": "chore"}
        answer: dict[str, Any] = self.call("POST", "/api/tasks", {**body, **more})
        return answer

    def settle(self) -> None:
        """Wait until no workspace is left: a task that has ended still has its tree removed.

        Looks at the disk, because a question would cost the server time that is being measured.

        Raises:
            Broken: one stays.
        """
        spaces = self.home / "workspaces" / "spaces"
        until = time.monotonic() + _PATIENCE
        while left := list(spaces.glob("*")):
            if time.monotonic() > until:
                raise Broken(f"a workspace stays: {left[0]}")
            time.sleep(0.005)

    def listen(self) -> Subscriber:
        """Follow its events from now on."""
        return Subscriber(self.host, self.token)

    def listen_to(self, agent_id: str) -> Subscriber:
        """Follow what an agent says."""
        return Subscriber(self.host, self.token, path=f"/api/agents/{agent_id}/logs")


def ended(subscriber: Subscriber, task_ids: Iterable[str]) -> None:
    """Wait until each of the tasks has come to a stand."""
    wanted = set(task_ids)

    def all_stand(seen: Sequence[Arrival]) -> bool:
        stands = {a.event["task_id"] for a in seen if a.event["type"] in ENDED}
        return wanted <= stands

    subscriber.wait(all_stand)


def one_task(server: Server, agent: str) -> tuple[float, dict[str, Any], list[Arrival]]:
    """Let one task walk alone: when it was posted, what became of it, what was heard of it.

    Raises:
        Broken: the task did not get as far as a verdict.
    """
    subscriber = server.listen()
    try:
        began = time.time()
        made = server.submit(agent)
        ended(subscriber, [made["id"]])
    finally:
        subscriber.close()
    server.settle()
    task = server.call("GET", f"/api/tasks/{made['id']}")
    if not task["verdicts"] or task["status"] not in {"waiting", "completed"}:
        raise Broken(f"{task['label']} is {task['status']}: {task['reason']}")
    return began, task, subscriber.arrivals


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards; its path is short, because sockets lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="mb-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(config: str = "", repo: bool = True) -> Iterator[Server]:
    """A started server; stopped and removed afterwards."""
    with scratch() as folder:
        server = Server(folder, config.replace("{root}", str(folder)))
        try:
            server.start()
            if repo:
                server.make_repo()
            yield server
        finally:
            server.stop()
