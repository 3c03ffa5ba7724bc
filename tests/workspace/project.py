"""What tests do to a project: write files, commit, open workspaces, read commits back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from muster.workspace.base import Workspace
from muster.workspace.git import Place
from muster.workspace.workspaces import Taken, Workspaces

REPO = "prj_1"
WHEN = 1_767_323_045_000


@dataclass
class Project:
    """A user's repository that is registered, and the commit it was registered at."""

    workspaces: Workspaces
    folder: Path
    git_dir: Path
    commit: str
    git: Callable[..., str]

    def open(self, id: str = "coding-1", commit: str | None = None, **more) -> Workspace:
        return self.workspaces.open(id, REPO, commit or self.commit, **more)

    def snapshot(self, ws: Workspace, parent: str | None = None, **more) -> str | None:
        return self.taken(ws, parent, **more).commit

    def taken(self, ws: Workspace, parent: str | None = None, **more) -> Taken:
        return self.workspaces.snapshot(
            ws, parent or self.commit, "Work\n", "A Person", "p@example.org", WHEN, **more
        )

    def user_commits(self, files: Mapping[str, str | None], message: str = "More") -> str:
        """Write or remove files in the user's checkout and commit; the commit, fetched."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.git(self.folder, "add", "--all")
        self.git(self.folder, "commit", "--quiet", "--message", message)
        branch = self.git(self.folder, "branch", "--show-current")
        return self.workspaces.mirror(REPO).fetch(self.git_dir, branch)

    def work(self, files: Mapping[str, str | None], base: str | None = None, id: str = "w") -> str:
        """What an agent's work would be: files changed in a workspace, as a snapshot on a base."""
        ws = self.open(id, base)
        for name, text in files.items():
            path = ws.tree / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        commit = self.snapshot(ws, base or self.commit)
        self.workspaces.close(ws)
        assert commit is not None
        return commit

    def files(self, commit: str) -> dict[str, str]:
        """Path to `mode text` of everything in a commit."""
        mirror = self.workspaces.mirror(REPO)
        listed = mirror.git.run(mirror.place, "ls-tree", "-r", "-z", commit).decode()
        found = {}
        for entry in filter(None, listed.split("\0")):
            how, path = entry.split("\t", 1)
            mode, kind, blob = how.split()
            data = mirror.git.run(mirror.place, "cat-file", "blob", blob) if kind == "blob" else b""
            found[path] = f"{mode} {data.decode()}"
        return found

    def git_in_mirror(self, *args: str) -> str:
        mirror = self.workspaces.mirror(REPO)
        return mirror.git.run(Place(mirror.path), *args).decode().strip()

    def land(self, old: str, new: str, **more):
        return self.workspaces.land(REPO, self.git_dir, self.folder, "main", old, new, **more)
