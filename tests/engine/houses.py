"""A whole muster in this process, on a real repository, with agents that are small scripts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.small_acp import acp_agent
from house.databases import put_database
from house.patience import PATIENCE
from muster.settings import Settings
from muster.wiring.home import prepare_home
from muster.wiring.house import House

ENDS = {"completed", "failed", "cancelled", "waiting", "proposed"}

GIT_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "you",
    "GIT_AUTHOR_EMAIL": "you@example.org",
    "GIT_COMMITTER_NAME": "you",
    "GIT_COMMITTER_EMAIL": "you@example.org",
}

CALC = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "test_calc.py": (
        "import unittest\nimport calc\n\n\nclass T(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"
    ),
}
UNITTEST = f"'{sys.executable}' -B -m unittest -q"


def git(repo: Path, *args: str) -> str:
    """Run git as the user would."""
    done = subprocess.run(
        ["git", "-C", str(repo), *args],
        env={**os.environ, **GIT_ENV},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_repo(path: Path, files: Mapping[str, str]) -> Path:
    """A repository on `main` with one commit."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commit(path, files)
    return path


def commit(repo: Path, files: Mapping[str, str], message: str = "a change") -> str:
    """Write files and commit them; the commit."""
    for name, text in files.items():
        target = repo / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "--allow-empty", "-m", message)
    return git(repo, "rev-parse", "HEAD")


def shell(script: str, **more: Any) -> dict[str, Any]:
    """An own agent that is a shell script."""
    return {"driver": "command", "command": ["/bin/sh", "-c", script], **more}


SPENDS = """
def turn(number, prompt):
    open(f"spent-{os.environ['MUSTER_TASK']}.txt", "w").close()
    update(sessionUpdate="usage_update", cost={"amount": AMOUNT, "currency": "USD"})
    time.sleep(PAUSE)
    end(number)
"""


def spending(usd: float, seconds: float = 0) -> dict[str, Any]:
    """An own agent that says what it has cost, and ends so much later."""
    return acp_agent(SPENDS, AMOUNT=usd, PAUSE=seconds)


def waiting_for(go: Path) -> str:
    """Shell words that go on once a file is there."""
    return f"while [ ! -e '{go}' ]; do sleep 0.02; done;"


@dataclass
class Town:
    """A home, a repository and the house that works on them."""

    home: Path
    repo: Path
    settings: Settings
    house: House

    @property
    def service(self):
        return self.house.service

    async def submit(
        self, agent: str | None, description: str = "do it", **body: Any
    ) -> dict[str, Any]:
        made, _ = await self.service.create_task(
            {"project": "repo", "description": description, "agent": agent, **body}
        )
        return made

    async def until(self, ref: str, *statuses: str) -> dict[str, Any]:
        """The task as soon as it is in one of the states (any end when none is named)."""
        wanted = set(statuses) or ENDS
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = self.service.current_rev()
                task = await self.service.get_task(ref)
                if task["status"] in wanted:
                    return task
                await self.service.wait_change(seen, 5)

    async def until_offered(self, ref: str, rounds: int = 0) -> dict[str, Any]:
        """The task as soon as its work is offered, after so many rounds of review, and it rests."""
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = self.service.current_rev()
                task = await self.service.get_task(ref)
                rests = task["crew"]["pull"] is not None and task["stage"] == "handed_on"
                if rests and task["rounds"] == rounds:
                    return task
                await self.service.wait_change(seen, 5)

    async def do(
        self, agent: str | None, description: str = "do it", **body: Any
    ) -> dict[str, Any]:
        """Submit a task and wait for its end."""
        made = await self.submit(agent, description, **body)
        return await self.until(made["id"])

    async def restart(self, graceful: bool = True) -> None:
        """Let the house go and build another on the same home."""
        await self.house.stop()
        await self.restart_only()

    async def restart_only(self) -> None:
        """Build another house on the same home, when the last one has gone."""
        self.house = House(self.settings)
        await self.house.start()

    def pass_time(self, seconds: float) -> None:
        """Let the house's clock be so much later from now on, until its restart."""
        self.house.tools.clock = self.house.store._clock = lambda: time.time() + seconds

    def run_dir(self, agent_id: str) -> Path:
        return self.settings.runs / agent_id

    def main(self) -> str:
        return git(self.repo, "rev-parse", "main")


@asynccontextmanager
async def town(
    root: Path,
    agents: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, str] | None = None,
    repo: str = "repo",
    at_once: int = 4,
    server: Mapping[str, Any] | None = None,
    **project: Any,
) -> AsyncIterator[Town]:
    """A house at work on `root/repo`, with these own agents and settings of projects and server."""
    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor()
    loop.set_default_executor(threads)
    home = root / "home"
    prepare_home(home)
    await put_database(home)
    path = make_repo(root / repo, files or CALC)
    settings = Settings(
        home=home, agents=agents, disk_floor_mb=1,
        project_defaults={
            # What is not about containment, nor about stages of evidence, runs the cheapest way;
            # `runtime=None` and `evidence=None` are the defaults.
            "autonomy": "full", "runtime": "process", "test_command": UNITTEST, "evidence": "none",
            **project,
        },
        **{"environ": dict(os.environ), **(server or {})},
    )  # fmt: skip
    house = House(settings)
    await house.start()
    made = Town(home, path, settings, house)
    try:
        await house.service.set_queue({"max_concurrent": at_once})
        await house.service.add_project({"path": str(path), "name": "repo"})
        yield made
    finally:
        for agent in (await made.service.active_agents())["items"]:
            await made.house.tools.runtimes["process"].kill(made.run_dir(agent["id"]))
        await made.house.stop()
        # What a thread was at when its task was let go: it may still make a workspace.
        loop.set_default_executor(ThreadPoolExecutor())
        await asyncio.to_thread(threads.shutdown)
        for workspace in made.house.workspaces.list():
            made.house.workspaces.discard(workspace)
        made.house.workspaces.rest()


def marked(home: Path) -> list[int]:
    """Processes of runs of this home, found by the mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                env = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"MUSTER_RUN_ID=" in env and str(home).encode() in env:
                found.append(int(entry.name))
    return found
