"""A real server on a home of its own, killed where it is told to, and what came of a walk there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.driver import unmount_below
from engine.crews import FILES, TESTS, crew
from engine.houses import make_repo
from house.databases import put_database
from house.measuring import measured
from muster.client import Muster
from muster.client.home import running_server
from muster.domain.errors import Unreachable
from muster.domain.playbook import ROUTED
from muster.wiring.home import prepare_home
from walks.cases import TWO, Walk

LONGEST = 180.0
_OVER = {"completed", "failed", "cancelled", "waiting", "proposed"}
_STEPS = (*ROUTED, "agent.started", "agent.ended", "verdict.reached", "merge.landed")
_MOVES = ("task.created", "task.queued", "task.preparing", "task.running", "task.validating")
BOUNDARIES = frozenset({*_STEPS, *_MOVES, "task.handed_on", "task.merging", "task.completed"})
"""Kinds of events right after which a server is killed."""


@dataclass(frozen=True)
class Came:
    """What came of a walk, without what differs from one to the next."""

    ends: str
    reason: str
    others: tuple[str, ...]
    story: tuple[str, ...]
    roles: tuple[str, ...]
    doubled: tuple[str, ...]
    events: tuple[dict[str, Any], ...] = field(repr=False)
    kills: int = 0

    def faults(self, walk: Walk) -> list[str]:
        """What is not as the walk says."""
        wanted = {
            "ends": walk.ends,
            "others": walk.others,
            "story": walk.story,
            "roles": walk.roles,
            "doubled": (),
        }
        return [
            f"{name} is {getattr(self, name)}, and not {value}"
            for name, value in wanted.items()
            if getattr(self, name) != value
        ]


class Ground:
    """One home with its repository and its server."""

    def __init__(self, root: Path, walk: Walk, config: Sequence[str] = ()) -> None:
        """Make a home whose agents say what the walk wants; no server runs yet.

        `config` are further lines of its settings.
        """
        self.root, self.walk, self.home = root, walk, root / "home"
        prepare_home(self.home)
        asyncio.run(put_database(self.home))
        self.repo = make_repo(root / "repo", FILES)
        self.server: subprocess.Popen[bytes] | None = None
        self.kills = 0
        lines = [
            *('autonomy = "full"', 'runtime = "process"', 'evidence = "none"'),
            *("disk_floor_mb = 1", f"test_command = {json.dumps(TESTS)}"),
            *('deploy_command = "true"', 'role_agents = "reviewer=judge,verifier=judge"'),
            *config,
        ]
        for name, agent in crew(root, **walk.says).items():
            lines += [f"[agents.{name}]", 'driver = "command"']
            lines.append(f"command = {json.dumps(agent['command'])}")
        (self.home / "config.toml").write_text("\n".join(lines))
        (self.home / "playbooks").mkdir()
        (self.home / "playbooks" / "two.yaml").write_text(TWO)

    def up(self, dying: str = "") -> None:
        """Start a server that dies at these points, and wait until it answers or has died."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("MUSTER_")}
        env |= {"MUSTER_FAILPOINTS": dying, "PATH": "/usr/local/bin:/usr/bin:/bin"} | measured()
        argv = [sys.executable, "-m", "muster", "--home", str(self.home), "up", "--port", "0"]
        log = (self.root / "log").open("ab")
        self.server = subprocess.Popen(argv, env=env, stdout=log, stderr=log)
        log.close()
        until = time.monotonic() + LONGEST
        while self.server.poll() is None and running_server(self.home) is None:
            if time.monotonic() > until:
                raise TimeoutError("the server does not come up")
            time.sleep(0.02)

    def died(self) -> bool:
        """Whether the server was killed at its point."""
        return self.server is not None and self.server.poll() == -signal.SIGKILL

    def client(self) -> Muster:
        """Who asks the server."""
        return Muster.from_home(self.home)

    def begin(self) -> str:
        """Submit the walk's task; its id."""
        while True:
            try:
                with self.client() as client:
                    client.add_project(str(self.repo), name="repo")
                    wanted = {"playbook": self.walk.playbook, "key": "the walk"}
                    return str(client.create_task("repo", "make it", **wanted)["id"])
            except Unreachable:
                if self.server is None or self.server.wait(LONGEST) != -signal.SIGKILL:
                    raise
                self.kills += 1
                self.up()

    def until_over(self, dying: list[str]) -> None:
        """Stay until every task rests; each time that the server dies, another one is started.

        `dying` are the points of the servers to come, the last of which lives.
        """
        until, quiet = time.monotonic() + LONGEST, 0
        while quiet < 2:
            if time.monotonic() > until:
                raise TimeoutError(f"it is not over after {LONGEST:g} s: {self._states()}")
            if self.died():
                self.kills += 1
                self.up(dying.pop(0) if dying else "")
                continue
            with contextlib.suppress(Exception):  # it may die while it is asked
                quiet = quiet + 1 if set(self._states().values()) <= _OVER else 0
            time.sleep(0.05)

    def _states(self) -> dict[str, str]:
        with self.client() as client:
            return {t["id"]: t["status"] for t in client.list_tasks()["items"]}

    def came(self, task_id: str) -> Came:
        """What came of it, as a living server tells it."""
        with self.client() as client:
            task = client.get_task(task_id)
            others = [t for t in client.list_tasks()["items"] if t["id"] != task_id]
            events = _all_events(client)
        crew_ = task["crew"] or {"events": []}
        lines = (self.root / "ran").read_text().splitlines()
        runs = Counter(" ".join(line.split()[:3]) for line in lines)
        return Came(
            ends=task["status"],
            reason=task["reason"],
            others=tuple(sorted(t["status"] for t in others)),
            story=tuple(e["type"] for e in crew_["events"] if e["state"] in {"done", "past"}),
            roles=tuple(line.split()[0] for line in lines),
            doubled=tuple(sorted(run for run, times in runs.items() if times > 1)),
            events=tuple(events),
            kills=self.kills,
        )

    def down(self) -> None:
        """End the server, and what it has started."""
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(30)
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
            self.server.wait()


def _all_events(client: Muster) -> list[Any]:
    found: list[Any] = []
    while page := client.list_events(after=found[-1]["rev"] if found else 0, limit=200)["items"]:
        found += page
    return found


@contextlib.contextmanager
def ground(root: Path, walk: Walk, config: Sequence[str] = ()) -> Iterator[Ground]:
    """A home for one walk; at the end its server is gone."""
    made = Ground(root, walk, config)
    try:
        yield made
    finally:
        made.down()
        unmount_below(root)


def go(root: Path, walk: Walk, first: str = "", dying: list[str] | None = None) -> Came:
    """Walk once; the first server dies at `first`, the next ones at `dying`."""
    with ground(root, walk) as place:
        place.up(first)
        task_id = place.begin()
        place.until_over(list(dying or ()))
        return place.came(task_id)


def boundaries(came: Came) -> list[tuple[str, int]]:
    """Every event of a walk after which a server can be killed: its kind, and which one of it."""
    seen: Counter[str] = Counter()
    found = []
    for event in came.events:
        if event["type"] in BOUNDARIES:
            seen[event["type"]] += 1
            found.append((event["type"], seen[event["type"]]))
    return found
