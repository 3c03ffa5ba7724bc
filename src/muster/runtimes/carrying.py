"""Folders on their way to another machine, and what changed in them on the way back, by git.

A folder travels as one commit without history: files, links and which of them may be executed.
Empty folders, times, owners and sockets do not travel. What comes back is taken as a whole: the
folder here becomes what it was there. Of a repository inside the folder only the fact travels, and
arrives as an empty one: nobody enters it, and whoever judges the folder sees that it was there.

The repository is muster's own, beside the folder. Attributes that a tree brings along change
nothing (`info/attributes` overrules them), and no configuration but ours is read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from muster.domain.errors import Refused

SENT, BACK = "refs/muster/sent", "refs/muster/back"
_SECONDS = 1800.0
_ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding -diff -merge\n"
_MARK = f"160000 {'1' * 40}"
"""How such a repository is said in the commit: as git says a submodule."""
_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.bare": "false",
    "core.autocrlf": "false",
    "core.symlinks": "true",
    "core.fileMode": "true",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "advice.addEmbeddedRepo": "false",
    "core.compression": "1",
    "user.name": "muster",
    "user.email": "muster@localhost",
}


class Carrier:
    """One folder and the repository beside it by which it travels."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self._folder = folder
        self._repository = repository

    def pack(self, ref: str, since: str | None = None) -> tuple[str, bytes]:
        """The folder as it is now: its commit, and a pack of what `since` did not have.

        Raises:
            Refused: git failed; the message has its last words.
        """
        self._make()
        (self._repository / "index.lock").unlink(missing_ok=True)
        nested = [path for path in self._listed("-o") if path.endswith("/")]
        but = "".join(f":(exclude,literal){path}\0" for path in nested)
        chosen = ("--pathspec-from-file=-", "--pathspec-file-nul")
        self._git("add", "--all", "--force", *chosen, feed=os.fsencode(f".\0{but}"))
        marks = "".join(f"{_MARK}\t{path.rstrip('/')}\0" for path in nested)
        self._git("update-index", "-z", "--index-info", feed=os.fsencode(marks))
        tree = self._git("write-tree").decode().strip()
        parents = ["-p", since] if since else []
        commit = self._git("commit-tree", tree, *parents, "-m", "carried").decode().strip()
        self._git("update-ref", ref, commit)
        asked = f"{commit}\n^{since}\n" if since else f"{commit}\n"
        made = self._git("pack-objects", "--stdout", "--revs", "--thin", "-q", feed=asked.encode())
        return commit, made

    def unpack(self, commit: str, pack: bytes, ref: str) -> None:
        """Make the folder what it was when `commit` was packed.

        Doing it again after a crash in the middle is fine.

        Raises:
            Refused: git failed; the message has its last words.
        """
        if len(commit) not in {40, 64} or not all(c in "0123456789abcdef" for c in commit):
            raise Refused("what was carried names no commit", hint="nothing was changed here")
        self._make()
        (self._repository / "index.lock").unlink(missing_ok=True)
        self._git("index-pack", "--stdin", "--strict", "--fix-thin", feed=pack)
        self._git("update-ref", ref, commit)
        self._git("read-tree", "--reset", "-u", commit)
        for entry in self._listed("-s"):
            if entry.startswith("160000 "):
                self._mark(self._folder / entry.partition("\t")[2])

    def make_repository(self, commit: str) -> None:
        """Let who works in the folder use git there: a repository with this one commit.

        It borrows the carrier's objects, and what becomes of it concerns nobody else.
        """
        own = self._folder / ".git"
        if own.exists():
            return
        self._git("init", "--quiet", "--template=", into=own)
        (own / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (own / "objects" / "info" / "alternates").write_text(f"{self._repository}/objects\n")
        self._git("symbolic-ref", "HEAD", "refs/heads/work", into=own)
        self._git("update-ref", "refs/heads/work", commit, into=own)
        self._git("read-tree", commit, into=own)

    def remove(self) -> None:
        """Let go of the repository; the folder stays."""
        shutil.rmtree(self._repository, ignore_errors=True)

    def _listed(self, what: str) -> list[str]:
        listed = self._git("ls-files", "-z", what)
        return [os.fsdecode(path) for path in listed.split(b"\0") if path]

    def _mark(self, folder: Path) -> None:
        """Let a folder be known for a repository of its own, with nothing in it."""
        own = folder / ".git"
        if os.path.lexists(own):
            return
        for name in ("objects", "refs"):
            (own / name).mkdir(parents=True)
        (own / "HEAD").write_text("ref: refs/heads/none\n")

    def _make(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (self._repository / "info" / "attributes").exists():
            return
        self._repository.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._git("init", "--quiet", "--template=")
        (self._repository / "info").mkdir(exist_ok=True)
        (self._repository / "info" / "attributes").write_text(_ATTRIBUTES)

    def _git(self, *args: str, feed: bytes = b"", into: Path | None = None) -> bytes:
        git = shutil.which("git")
        if git is None:
            raise Refused("git is not installed", hint="install git 2.38 or newer")
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        env = {
            "PATH": os.defpath,
            "HOME": os.devnull,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_DIR": str(into or self._repository),
            "GIT_WORK_TREE": str(self._folder),
        }
        done = subprocess.run(
            [git, *settings, *args],
            cwd=self._folder,
            env=env,
            input=feed,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            words = done.stderr.decode("utf-8", "replace").strip()[-500:]
            raise Refused(
                f"git {args[0]} failed while a folder was carried: {words}",
                hint="is there room on the disk? what lay there is kept",
            )
        return done.stdout
