"""The git below the loopback GitHub: bare repositories, real merges, and git's own HTTP server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "GitHub" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "noreply@example.org" for who in ("AUTHOR", "COMMITTER")},
}


_KEPT = tempfile.TemporaryDirectory(prefix="mu-hub-")
_MADE: dict[tuple[object, ...], Path] = {}


class GitError(Exception):
    """git said no; its words."""


@dataclass(frozen=True)
class FileChange:
    """One file of a diff, with its hunks."""

    name: str
    status: str
    added: int
    removed: int
    patch: str


class Bare:
    """One bare repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, files: Mapping[str, str], branch: str) -> None:
        """Be a repository with one commit of these files; made once, and copied from then on."""
        key = (branch, *sorted(files.items()))
        if key in _MADE and _MADE[key].exists():
            shutil.copytree(_MADE[key], self.path)
            return
        _MADE[key] = Path(_KEPT.name, str(len(_MADE)))
        Bare(_MADE[key])._make(files, branch)
        shutil.copytree(_MADE[key], self.path)

    def _make(self, files: Mapping[str, str], branch: str) -> None:
        self.git("init", "-q", "--bare", f"--initial-branch={branch}", str(self.path), at=None)
        self.git("config", "http.receivepack", "true")
        if files:
            self.commit(branch, files, "Start")

    def git(self, *args: str, stdin: bytes = b"", at: str | None = "") -> str:
        where = ["-C", str(self.path)] if at == "" else []
        done = subprocess.run(["git", *where, *args], input=stdin, capture_output=True, env=ENV)
        if done.returncode:
            raise GitError(done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8", "replace").strip()

    def commit(self, branch: str, files: Mapping[str, str], message: str = "a change") -> str:
        """Put files on a branch, which is made where it is not."""
        old = self.tip(branch)
        lines = [f"commit refs/heads/{branch}\ncommitter GitHub <noreply@example.org> now\n"]
        lines.append(f"data {len(message.encode())}\n{message}\n")
        lines += [f"from {old}\n"] if old else []
        for name, text in files.items():
            lines.append(f"M 644 inline {name}\ndata {len(text.encode())}\n{text}\n")
        self.git("fast-import", "--quiet", "--date-format=now", stdin="".join(lines).encode())
        return self.tip(branch) or ""

    def tip(self, branch: str) -> str | None:
        loose = self.path / "refs" / "heads" / branch
        if loose.is_file():
            return loose.read_text().strip()
        if not (self.path / "packed-refs").exists():
            return None
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
        except GitError:
            return None

    def has(self, commit: str) -> bool:
        try:
            self.git("cat-file", "-e", f"{commit}^{{commit}}")
        except GitError:
            return False
        return True

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()

    def ahead(self, base: str, head: str) -> int:
        return int(self.git("rev-list", "--count", f"{base}..{head}"))

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of both together; None where they conflict."""
        try:
            return self.git("merge-tree", "--write-tree", base, head).splitlines()[0]
        except GitError:
            return None

    def merge(self, branch: str, head: str, method: str, message: str) -> str | None:
        """Merge as asked; the branch's new commit, None where they conflict."""
        base = self.tip(branch) or ""
        tree = self.merged_tree(base, head)
        if tree is None:
            return None
        if method == "rebase":
            new = self._rebased(base, head)
        else:
            parents = ["-p", base, *(["-p", head] if method == "merge" else [])]
            new = self.git("commit-tree", tree, *parents, "-m", message)
        self.git("update-ref", f"refs/heads/{branch}", new, base)
        return new

    def _rebased(self, base: str, head: str) -> str:
        with tempfile.TemporaryDirectory(prefix="mu-hub-") as folder:
            self.git("clone", "-q", "--shared", "--no-checkout", str(self.path), folder, at=None)
            self.git("-C", folder, "checkout", "-q", "--detach", head, at=None)
            self.git("-C", folder, "rebase", "-q", base, at=None)
            new = self.git("-C", folder, "rev-parse", "HEAD", at=None)
            self.git("fetch", "-q", folder, new)
            return new

    def changes(self, base: str, head: str) -> list[FileChange]:
        """What a pull request changes, file by file."""
        since = self.git("merge-base", base, head)
        found = []
        for line in self.git("diff", "--numstat", "--no-renames", since, head).splitlines():
            added, removed, name = line.split("\t")
            text = self.git("diff", "--no-renames", since, head, "--", name)
            at = text.find("\n@@ ")
            kind = "added" if "\nnew file mode" in text else "modified"
            kind = "removed" if "\ndeleted file mode" in text else kind
            counts = [int(n) if n.isdigit() else 0 for n in (added, removed)]
            found.append(FileChange(name, kind, *counts, text[at + 1 :] if at >= 0 else ""))
        return found

    def files(self, commit: str) -> dict[str, str]:
        names = self.git("ls-tree", "-r", "--name-only", commit).splitlines()
        return {name: self.git("show", f"{commit}:{name}") for name in names}


def http_backend(
    root: Path, path: str, query: str, method: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """What git's own server answers to a request for a repository below `root`."""
    env = ENV | {
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "REMOTE_USER": "somebody",
        "REMOTE_ADDR": "127.0.0.1",
    }
    done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env)
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    status, told = 200, []
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name:
            told.append((name, value))
    return status, told, rest
