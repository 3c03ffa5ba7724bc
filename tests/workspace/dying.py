"""One call of the control plane in a process of its own, which dies at a point that is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

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


def main() -> None:
    wish = json.loads(sys.argv[1])
    git = MortalGit(wish.get("git", 0))
    die_at_write(wish.get("write", 0))
    arm(wish.get("point", ""))
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


def die(home: Path, backend: str, call: str, *args: str | None, **at: object) -> bool:
    """Run a call that dies at a point; whether the point was reached."""
    wish = {"home": str(home), "backend": backend, "call": call, "args": args, **at}
    tests = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "workspace.dying", json.dumps(wish)],
        cwd=tests,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


if __name__ == "__main__":
    main()
