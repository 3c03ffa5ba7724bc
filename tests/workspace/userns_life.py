"""One step in the life of a workspace in a server's own view, as a process that may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from muster.workspace.mount import is_mounted
from muster.workspace.namespace import PRIVATE, enter
from muster.workspace.userns_overlay import UsernsOverlayBackend
from muster.workspace.workspaces import Workspaces

REPO = "prj_1"


def main() -> None:
    step, home, repo = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    enter(home)
    workspaces = Workspaces(home, {PRIVATE: UsernsOverlayBackend()}, wanted=PRIVATE)
    mirror = workspaces.mirror(REPO)
    if step == "open":
        commit = mirror.fetch(repo / ".git", "main")
        ws = workspaces.open("life", REPO, commit, ports=3)
        # As an agent under its shim, which goes on when the server is killed.
        subprocess.Popen(
            ["sh", "-c", "echo mine > made; echo late > late; exec sleep 1000"],
            cwd=ws.tree,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not (ws.tree / "late").exists():
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    ws = workspaces.get("life")
    there = is_mounted(ws.tree)
    if step == "snapshot":
        taken = workspaces.snapshot(ws, ws.commit, "Work\n", "A", "a@example.org")
        shown = mirror.git.run(mirror.place, "show", f"{taken.commit}:made").decode()
        print(there, repr(shown))
    else:
        workspaces.reopen("life")
        (ws.tree / "unsaved").write_text("unsaved\n")
        kept = workspaces.close(ws)
        shown = mirror.git.run(mirror.place, "show", "refs/muster/rescue/life:unsaved").decode()
        print(there, kept is not None, repr(shown), ws.root.exists())


if __name__ == "__main__":
    main()
