"""`muster demo`: the main job on a sample repository made on the spot."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from muster.cli import out, sample
from muster.cli.detach import Started, start_detached
from muster.cli.line import Line, command
from muster.cli.look import Ink, some
from muster.cli.watch import wait_for_all
from muster.client import Muster
from muster.client.home import is_alive, read_token
from muster.client.shapes import TaskDetail

AT_ONCE = 3
SECONDS = 80.0


@command("demo")
@click.option("--keep", is_flag=True, help="Leave the server running, to look at its page.")
def demo(line: Line, keep: bool) -> int:
    """See the main job done on a sample repository; needs no model, no key and no network.

    Four tasks: two that stand alone, one that waits for another, and one whose first attempt only
    changes a test, is refused by evidence, and is repaired. The agents are replays of recorded
    work; workspaces, tests, verdicts and merges are real.
    """
    began = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="muster-demo-"))
    home, repository = root / "home", root / "till"
    home.mkdir(mode=0o700)
    out.tell(line, f"making a sample repository with failing tests: {repository}")
    sample.make_repository(repository)
    sample.write_config(home)
    out.tell(line, "starting the server …")
    server = start_detached(home, ["--port", "0"])
    try:
        with Muster.from_home(home) as muster:
            page = f"{server.url}/login#{read_token(home)}"
            out.tell(line, f"live page: {page}\n")
            tasks = _run(line, muster, repository)
    finally:
        if not keep:
            _stop(server)
    green = sample.tests_pass(repository)
    story = _Story(tasks, green, root, time.monotonic() - began, page if keep else None)
    if line.json:
        out.document(story.document())
    else:
        out.say(line, story.text(Ink(line.colour)))
    return 0 if story.good else 1


def _run(line: Line, muster: Muster, repository: Path) -> list[TaskDetail]:
    muster.set_queue(max_concurrent=AT_ONCE)
    project = muster.add_project(repository, trust=True)
    labels: list[str] = []
    for piece in sample.PIECES:
        after = [labels[piece.after]] if piece.after is not None else []
        made = muster.create_task(
            project["id"], piece.text, type=piece.type, agent=piece.cassette, after=after
        )
        labels.append(made["label"])
        out.tell(line, f"{made['label']}  {piece.text}")
    out.tell(line, "")
    return wait_for_all(muster, labels, out.Progress(line), SECONDS)


def _stop(server: Started) -> None:
    """End the server that this demo started, and see it gone."""
    os.kill(server.pid, signal.SIGTERM)
    end = time.monotonic() + 15
    while is_alive(server.pid) and time.monotonic() < end:
        try:
            if os.waitpid(server.pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return
        time.sleep(0.05)


class _Story:
    """What happened, told once for people and once for programs."""

    def __init__(
        self, tasks: list[TaskDetail], green: bool, root: Path, seconds: float, page: str | None
    ) -> None:
        self.tasks = tasks
        self.green = green
        self.root = root
        self.seconds = seconds
        self.page = page
        self.completed = [t for t in tasks if t["status"] == "completed"]
        self.refused = [t for t in tasks if any(d["step"] == "retry" for d in t["decisions"])]

    @property
    def good(self) -> bool:
        """All completed, the one that cheated was refused first, and the tests are green."""
        as_planned = [t["label"] for t in self.refused] == [
            self.tasks[sample.REFUSED_FIRST]["label"]
        ]
        return len(self.completed) == len(self.tasks) and as_planned and self.green

    def document(self) -> dict[str, Any]:
        """The story as JSON."""
        return {
            "completed": len(self.completed),
            "of": len(self.tasks),
            "refused_first": [t["label"] for t in self.refused],
            "tests_green": self.green,
            "seconds": round(self.seconds, 1),
            "repository": str(self.root / "till"),
            "home": str(self.root / "home"),
            "page": self.page,
            "tasks": self.tasks,
        }

    def text(self, ink: Ink) -> str:
        """The story in words: what happened, why, where the evidence is, and what to do next."""
        lines = [ink.paint("bold", "What happened")]
        for task in self.tasks:
            lines.append(f"  {ink.state(task['status'])}  {task['label']}  {some(task['title'])}")
            lines += [f"      {said}" for said in _reasons(task)]
        main = "green" if self.green else "red"
        home, muster = self.root / "home", _program()
        lines += [
            "",
            f"{len(self.completed)} of {len(self.tasks)} tasks completed, {len(self.refused)} "
            f"refused first; the tests on main are {main}. {self.seconds:.0f} s in all.",
            "",
            ink.paint("bold", "Where the evidence is"),
            f"  the repository   git -C {self.root / 'till'} log --graph --oneline",
            f"  the server       {muster} --home {home} up",
            f"  a verdict        {muster} --home {home} task show "
            f"{self.tasks[sample.REFUSED_FIRST]['label']}",
            *([f"  the page         {self.page}"] if self.page else []),
            "",
            ink.paint("bold", "On your own repository, with a real agent"),
            f"  {muster} up --detach",
            f"  cd your/repository && {muster} init",
            f'  {muster} do "what should be done" --agent claude --wait',
        ]
        return "\n".join(lines)


def _program() -> str:
    """What a person types to call this program: its name, when their shell finds it."""
    own = Path(sys.executable).with_name("muster")
    if shutil.which("muster") is not None or not own.exists():
        return "muster"
    return shlex.quote(str(own))


def _reasons(task: TaskDetail) -> list[str]:
    words = {"retry": "refused", "accept": "accepted", "ask": "asked", "give_up": "given up"}
    return [
        f"attempt {d['attempt']} {words.get(d['step'], d['step'])}: {some(d['reasons'][0])}"
        for d in task["decisions"]
        if d["reasons"]
    ]
