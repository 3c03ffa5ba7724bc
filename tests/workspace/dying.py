"""Calls of the control plane, each in a process of its own that dies at a point that is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from muster.failpoint import arm
from muster.workspace.btrfs import BtrfsBackend
from muster.workspace.clone import CloneBackend
from muster.workspace.git import Git
from muster.workspace.overlay import OverlayBackend
from muster.workspace.reflink import ReflinkBackend
from muster.workspace.userns_overlay import UsernsOverlayBackend
from muster.workspace.workspaces import Workspaces

REPO = "prj_1"
BACKENDS = {
    "overlay": OverlayBackend,
    "userns-overlay": UsernsOverlayBackend,
    "clone": CloneBackend,
    "reflink": ReflinkBackend,
    "btrfs": BtrfsBackend,
}


class MortalGit(Git):
    """Dies with its whole process instead of starting git for the nth time."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    @property
    def program(self) -> str:
        if self.started + 1 == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().program


def die_at_write(at: int) -> None:
    """Die instead of moving the nth finished file into place."""
    move, moved = Path.replace, count(1)

    def replace(draft: Path, path: Path) -> Path:
        if next(moved) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return move(draft, path)

    Path.replace = replace  # type: ignore[method-assign]


def live(wish: dict[str, Any]) -> None:
    """Do what is wished, or die of it."""
    git = MortalGit(wish.get("git", 0))
    die_at_write(wish.get("write", 0))
    arm(wish.get("point", ""))
    if "pid" in wish:
        Path(wish["pid"]).write_text(f"{os.getpid()}\n")
    backend = BACKENDS[wish["backend"]](git, **wish.get("sizes", {}))
    workspaces = Workspaces(Path(wish["home"]), {backend.name: backend}, git)
    call, args = wish["call"], wish["args"]
    if call == "open":
        own = {"ports": 5, "branch": "muster/x", "at": wish.get("at")}
        workspaces.open(args[0], REPO, args[1], near=args[2], **own)
    elif call == "snapshot":
        workspaces.snapshot(workspaces.get(args[0]), args[1], "Work\n", "A", "a@example.org")
    elif call == "close":
        workspaces.close(workspaces.get(args[0]))
    elif call == "publish":
        workspaces.publish(REPO, Path(args[0]), args[1], args[2])
    elif call == "land":
        workspaces.land(REPO, Path(args[0]), Path(args[1]), "main", args[2], args[3])
    else:
        workspaces.mirror(REPO).fetch(Path(args[0]), "main")


def main() -> None:
    """Fork for each wish, and tell how the fork ended and what it said."""
    for wish in sys.stdin:
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                live(json.loads(wish))
                return
            _, status = os.waitpid(child, 0)
            said.seek(0)
            told = [os.waitstatus_to_exitcode(status), said.read().decode(errors="replace")]
        print(json.dumps(told), flush=True)


_mothers: list[subprocess.Popen[str]] = []


@contextmanager
def mortals() -> Iterator[None]:
    """While this lasts, calls can `die`: one process has loaded all that they need, and forks."""
    with subprocess.Popen(
        [sys.executable, "-m", "workspace.dying"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as mother:
        _mothers.append(mother)
        try:
            yield
        finally:
            _mothers.remove(mother)


def die(home: Path, backend: str, call: str, *args: str | None, **at: object) -> bool:
    """Run a call that dies at a point; whether the point was reached."""
    wish = {"home": str(home), "backend": backend, "call": call, "args": args, **at}
    (mother,) = _mothers
    assert mother.stdin
    assert mother.stdout
    mother.stdin.write(f"{json.dumps(wish)}\n")
    mother.stdin.flush()
    code, said = json.loads(mother.stdout.readline())
    assert code in {0, -signal.SIGKILL}, said
    return bool(code)


if __name__ == "__main__":
    main()
