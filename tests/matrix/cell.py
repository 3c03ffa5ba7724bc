"""One cell of the matrix: a program in a place, through a real server that is killed on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agents.two_way_programs import Program
from engine.houses import git, make_repo
from hostile.servers import muster, settings, surroundings
from house.ports import free_port
from matrix.places import Place, Ready
from matrix.programs import (
    BEGINS,
    ENDS,
    FILES,
    ROWS,
    TESTS,
    UNPRICED,
    Walk,
    second_half,
    walk,
)
from model_server.server import ModelServer
from muster.agents import cassette
from muster.client import Muster
from muster.client.home import find_server, read_token
from muster.runtimes.layout import RUN_ID

PATIENCE = 90.0
KEPT = ("PATH", "LANG", "LC_", "TZ", "TMPDIR", "SSL_CERT", "COVERAGE")
"""Beginnings of the names of variables that a server of a cell gets from here."""
KILLS = ("server killed", "agent killed")
COLUMNS = ("edits", "verdict", "cost", "session", "record", *KILLS)


@dataclass
class Seen:
    """What one cell showed: words for each column; `faults` are those that are not as they should.

    `skipped` is why it was not tried at all.
    """

    program: str
    place: str
    words: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    skipped: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it was tried and everything is as it should be."""
        return not self.faults and not self.skipped

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "good": self.good}


def try_cell(
    program: str, place: Place, say: Callable[[str], None], kills: Collection[str] = KILLS
) -> Seen:
    """Try a cell from its server to its end; a fault is told, never raised."""
    seen, began = Seen(program, place.name), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="mx-"))
    walks = [walk(program, name, folder) for name in ("server-killed", "agent-killed")]
    try:
        with (
            ModelServer({w.name: w.steps for w in walks}) as model,
            place.ready(folder / "home", program) as ready,
            _Cell(folder, ROWS[program], ready, model, seen).open() as cell,
        ):
            for name, go, its in zip(KILLS, (cell.first, cell.second), walks, strict=True):
                if name not in kills:
                    continue
                say(name)
                try:
                    go(its)
                except Exception as error:  # noqa: BLE001 - it is what the cell shows
                    seen.faults[name] = _words(error)
    except Exception as error:  # noqa: BLE001 - it is what the cell shows
        seen.faults["setup"] = _words(error)
    finally:
        clear(folder)
    seen.seconds = time.monotonic() - began
    return seen


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        return f"{error}: {str(error.stderr).strip()[-500:]}"
    return f"{type(error).__name__}: {error}"[:2000] if str(error) else repr(error)


class _Cell:
    """The server, its repository and the tasks of one cell."""

    def __init__(
        self, folder: Path, program: Program, ready: Ready, model: ModelServer, seen: Seen
    ) -> None:
        self.home, self.repo = folder / "home", folder / "repo"
        self.program, self.ready, self.model, self.seen = program, ready, model, seen
        told = {n: v.replace("{url}", model.url) for n, v in program.environ.items()}
        # No key or setting of a person's own gets into a cell.
        none = {name: None for name in os.environ if not name.startswith(KEPT)}
        self.env: dict[str, str | None] = {
            **none,
            "HOME": str(folder / "person"),
            **told,
            **ready.env,
        }
        self.port = free_port()

    @contextmanager
    def open(self) -> Iterator[_Cell]:
        """The server at work on the repository, and its end."""
        network = json.dumps([f"127.0.0.1:{self.model.port}"])
        settings(
            self.home,
            f'disk_floor_mb = 1\nautonomy = "full"\nmax_attempts = 2\nnetwork = {network}\n'
            f"{self.ready.settings}",
        )
        self.up()
        try:
            yield self
        finally:
            self.kill_left()
            muster(self.home, "down", env=self.env)

    def up(self) -> None:
        """Start the server."""
        up = muster(self.home, "up", "--detach", "--port", str(self.port), env=self.env)
        assert up.code == 0, up.err

    def kill_left(self) -> None:
        """Kill what a fault left at work; its shim sees to the rest."""
        for run in (self.home / "runs").glob("*"):
            kill_program(run.name)

    def kill_server(self) -> None:
        """Kill -9 the server, and start it again."""
        pid = json.loads((self.home / "server.json").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}/cmdline").exists() and _alive(pid):
            time.sleep(0.01)
        self.up()

    # --- the two tasks ---

    def first(self, its: Walk) -> None:
        """The server is killed in the middle; then the work is looked at."""
        asked = self.begin(its)
        self.until(lambda: its.reached, "the program never came to the middle", asked)
        self.kill_server()
        adopted = self.adopted()
        its.go.touch()
        task = self.end(asked)
        self.note("edits", self.edited, task)
        self.note("verdict", _verdict, task)
        self.note("cost", self.cost, task)
        self.note("session", self.session, task)
        self.note("record", self.recorded, task)
        self.note("server killed", lambda t: self.survived(t, adopted), task)

    def second(self, its: Walk) -> None:
        """The program is killed in the middle; then the next attempt is looked at."""
        asked = self.begin(its)
        self.until(lambda: its.reached, "the program never came to the middle", asked)
        agents = self.ask("agent", "list")["items"]
        (agent,) = (agent for agent in agents if agent["outcome"] is None)
        before = len(self.model.requests)
        its.steps[:] = second_half()
        assert kill_program(agent["id"]), "no process of the program was found"
        task = self.end(asked)
        after = [json.dumps(r.body) for r in self.model.requests[before:]]
        self.note("agent killed", lambda t: self.resumed(t, after), task)

    def begin(self, its: Walk) -> subprocess.Popen[str]:
        """Submit the task of a walk in a fresh repository, and wait for it beside."""
        repo = make_repo(self.repo / its.name, FILES)
        init = muster(self.home, "init", str(repo), "--yes", "--test", TESTS, env=self.env)
        assert init.code == 0, init.err
        model = ("--model", self.program.model) if self.program.model else ()
        line = (
            *("do", f"Mend add in sums.py, see test_add.py [[script:{its.name}]]"),
            *("--agent", self.program.name, "--runtime", self.ready.runtime, *model),
            *("--type", "bug", "--wait", "--json"),
        )
        return subprocess.Popen(
            [sys.executable, "-m", "muster", "--home", str(self.home), *line],
            cwd=repo, env=surroundings(self.env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self, asked: subprocess.Popen[str]) -> dict[str, Any]:
        """What the waiting command line said at its end: the task."""
        try:
            out, err = asked.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            asked.kill()
            raise AssertionError(f"it did not end in {PATIENCE:.0f} s: {self.state()}") from None
        task = json.loads(out or "{}")
        assert "status" in task, f"it was not waited for: {out} {err}"
        return dict(task)

    def until(self, there: Callable[[], bool], why: str, asked: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not there():
            if asked.poll() is not None or time.monotonic() > deadline:
                asked.kill()
                raise AssertionError(f"{why}: {self.state()}")
            time.sleep(0.05)

    # --- what is looked at ---

    def note(
        self, column: str, look: Callable[[dict[str, Any]], str], task: dict[str, Any]
    ) -> None:
        try:
            self.seen.words[column] = look(task)
        except (AssertionError, ValueError, OSError) as fault:
            self.seen.faults[column] = _words(fault)

    def edited(self, task: dict[str, Any]) -> str:
        repo = self.repo / "server-killed"
        assert task["status"] == "completed", _why(task)
        assert "return a + b" in git(repo, "show", "main:sums.py")
        assert "assertEqual" in git(repo, "show", "main:test_add.py")
        return "yes"

    def cost(self, task: dict[str, Any]) -> str:
        if not self._can.reports_usage:
            assert not task["input_tokens"]
            return "no"
        assert task["input_tokens"] > 0, "no tokens"
        assert task["output_tokens"] > 0, "no tokens"
        if self.program.name in UNPRICED:
            return "tokens"
        assert task["cost_usd"] > 0, f"{task['input_tokens']} tokens and no cost"
        return f"${task['cost_usd']:.3f}"

    def session(self, task: dict[str, Any]) -> str:
        (agent,) = task["agents"]
        if not self._can.structured:
            assert agent["session_id"] is None
            return "no"
        assert agent["session_id"], "no session id"
        return "yes"

    def recorded(self, task: dict[str, Any]) -> str:
        (agent,) = task["agents"]
        path = self.home / "recorded.jsonl"
        done = muster(self.home, "record", agent["id"], str(path), env=self.env)
        assert done.code == 0, done.err
        found = cassette.read(path)
        assert found.dialect == (agent["driver"] if self._can.structured else "text")
        (take,) = found.takes
        said = b"".join(line.data for line in take if line.kind == "out").decode()
        assert BEGINS in said, said[-1000:]
        assert ENDS in said, said[-1000:]
        assert {line.path for line in take if line.path} == {"sums.py", "test_add.py"}
        assert take[-1].kind == "exit"
        return "yes"

    def survived(self, task: dict[str, Any], adopted: int) -> str:
        assert adopted == 1, f"{adopted} runs were adopted"
        assert task["attempt"] == 1, f"attempt {task['attempt']}: {_why(task)}"
        (agent,) = task["agents"]
        out = (self.home / "runs" / agent["id"] / "out").read_text()
        assert BEGINS in out, out[-1000:]
        assert ENDS in out, out[-1000:]
        if self._can.structured:
            for line in out.splitlines():
                json.loads(line)
        return "adopted"

    def resumed(self, task: dict[str, Any], after: list[str]) -> str:
        assert task["status"] == "completed", _why(task)
        assert task["attempt"] == 2, f"attempt {task['attempt']}"
        one, two = sorted(task["agents"], key=lambda agent: agent["attempt"])
        assert one["outcome"] == "crashed", f"{one['outcome']}: {one['reason']}"
        repo = self.repo / "agent-killed"
        assert "return a + b" in git(repo, "show", "main:sums.py")
        past = any(BEGINS in body for body in after)
        if not self._can.resume:
            assert not past
            return "fresh, work kept"
        assert one["workspace"] == two["workspace"], f"{one['workspace']} {two['workspace']}"
        assert one["session_id"] == two["session_id"], f"{one['session_id']} {two['session_id']}"
        assert past, "the model was not told what had been said before"
        return "same session"

    @property
    def _can(self) -> Any:
        return self.program.driver().capabilities

    def state(self) -> str:
        """The last words on the task that does not go on."""
        lines = []
        for task in self.ask("task", "list", "--all")["items"]:
            shown = self.ask("task", "show", task["label"])
            lines.append(f"{task['label']} {task['status']} {_why(shown)}")
            for agent in shown["agents"]:
                folder = self.home / "runs" / agent["id"]
                for name in ("err", "out"):
                    path = folder / name
                    text = path.read_text(errors="replace") if path.exists() else ""
                    lines.append(f"{agent['id']} {agent['status']} {name}: {text[-700:]}")
        return "\n".join(lines)

    def ask(self, *args: str) -> dict[str, Any]:
        return dict(muster(self.home, *args, "--json", env=self.env).json)

    def adopted(self) -> int:
        """How many tasks the server that runs now found at work."""
        with Muster(find_server(self.home).url, read_token(self.home)) as client:
            return int(client.health()["engine"]["adopted"])


def _verdict(task: dict[str, Any]) -> str:
    assert [verdict["passed"] for verdict in task["verdicts"]] == [True], _why(task)
    return "passed"


def _why(task: dict[str, Any]) -> str:
    reasons = [f["text"] for v in task["verdicts"] for f in v["findings"]]
    agents = [f"{a['outcome']}: {a['reason']}" for a in task["agents"]]
    return "; ".join([f"{task['status']} {task['reason']}", *agents, *reasons])[:1500]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def clear(folder: Path) -> None:
    """Remove a cell's folder, and the mounts below it."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in reversed([p for p in points if p.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def kill_program(run: str) -> int:
    """Kill -9 every process of a run's program, wherever it runs; how many there were."""
    wanted = f"{RUN_ID}={run}".encode()
    killed = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
        except OSError:
            continue
    return killed
