"""muster's own bare copy of a project: what workspaces and merges are made from.

Objects are copied out of the user's repository once, then only what is new. Neither alternates nor
hard links into it are used: a clean-up, a rewrite or a damage on one side never reaches the other,
and agents, who share the mirror's objects, see the branch they work on and nothing else of the
user's. Nothing is ever collected here, so a recorded commit stays.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

from muster.domain.errors import Invalid, NotFound
from muster.domain.guard import commit_id, ref_name
from muster.whole_file import write_whole
from muster.workspace.git import QUICK, Git, Place
from muster.workspace.kept import Kept
from muster.workspace.reader import Reader
from muster.workspace.refs import ID, told
from muster.workspace.transfer import transfer

_FETCHED = "refs/muster/fetched"
_ALTERNATES = "objects/info/alternates"
_MOST_KEPT = 32 * 1024 * 1024
"""Bytes of answers about commits that are kept in memory."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The tree of a commit, and what it stands on."""

    tree: str
    parents: tuple[str, ...]


class Mirror:
    """The bare repository at `path`; made by the first fetch."""

    def __init__(self, path: Path, git: Git | None = None) -> None:
        self.path = path
        self.git = git or Git()
        self.objects = Reader(self.git, self.place)
        self.kept = Kept(_MOST_KEPT)
        self._lock = threading.Lock()

    @property
    def place(self) -> Place:
        """Where commands on it act."""
        return Place(self.path)

    @property
    def is_made(self) -> bool:
        """Whether a fetch has been here before."""
        return (self.path / "HEAD").exists()

    def fetch(self, user_git_dir: Path, branch: str) -> str:
        """Bring the head of a branch of the user's repository here; its commit.

        Raises:
            Invalid: the branch cannot be named so, or the repository has no commits yet.
            NotFound: no repository or no such branch is there.
            GitFailed: its objects cannot be read, or the disk is full.
        """
        ref_name(branch)
        with self._lock:
            user = Place(user_git_dir)
            known = self.ref(f"{_FETCHED}/{branch}")
            if known and told(user_git_dir, branch) == known:
                return known
            tip, shared = self._tip(user_git_dir, branch, known)
            if tip == known:
                return tip
            self._make(user)
            if not self.has(tip):
                self._take_boundary(user_git_dir)
                transfer(self.git, user, self.place, [tip], [known] if known and shared else [])
            self.has_fetched(branch, tip)
            return tip

    def borrow(self, other: Mirror) -> None:
        """Be a repository that stands on another one's objects, and keeps its own to itself.

        Whoever is shown the other one sees nothing of what is made here. Nothing is ever collected
        there, so what is borrowed stays.
        """
        with self._lock:
            self._make(other.place, lender=other.path)

    def lenders(self) -> tuple[Path, ...]:
        """The folders of objects that it stands on besides its own."""
        try:
            lines = (self.path / _ALTERNATES).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return ()
        return tuple(Path(line) for line in lines)

    def has_fetched(self, branch: str, commit: str) -> None:
        """Remember that a branch of the user's repository was seen at a commit that is here."""
        # Only a hint what to ask: nothing is lost with it, so it need not wait for the disk.
        self.keep(f"{_FETCHED}/{branch}", commit, sync=False)

    def has(self, commit: str) -> bool:
        """Whether a commit is here; it then is here with all it stands on."""
        return self.is_made and self.objects.info(commit_id(commit)) is not None

    def commit(self, commit: str) -> Commit:
        """What a commit says of its tree and its parents.

        Raises:
            GitFailed: the commit is not here.
        """
        head = self.kept.get(("commit", commit), lambda: self._read_head(commit_id(commit)))
        lines = [line.split(" ") for line in head.decode("ascii", "replace").split("\n")]
        return Commit(lines[0][1], tuple(line[1] for line in lines if line[0] == "parent"))

    def tree_of(self, commit: str) -> str:
        """The id of a commit's tree.

        Raises:
            GitFailed: the commit is not here.
        """
        return self.commit(commit).tree

    def _read_head(self, commit: str) -> bytes:
        """The lines of a commit before its author; what is no commit has git's own error."""
        found = self.objects.read(commit)
        if found is None or found[0].kind != "commit":
            data = self.git.run(self.place, "cat-file", "commit", commit)
        else:
            data = found[1]
        return data.partition(b"\nauthor ")[0]

    def fetched(self) -> dict[str, str]:
        """The branches that were fetched, each with the commit it had."""
        top = self.path / _FETCHED
        found = (path for path in top.rglob("*") if path.is_file() and path.suffix != ".lock")
        named = {str(p.relative_to(top)): p.read_text("ascii", "replace").strip() for p in found}
        return {name: commit for name, commit in named.items() if ID.fullmatch(commit)}

    def ref(self, name: str) -> str | None:
        """The commit that one of muster's own refs names."""
        try:
            text = (self.path / name).read_text("ascii", "replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return self._packed(name)
        return text if ID.fullmatch(text) else None

    def keep(self, name: str, commit: str, *, sync: bool = True) -> None:
        """Let one of muster's own refs name a commit, so that no clean-up takes it.

        Written as git writes it, without a process; no one else writes below `refs/muster`.
        """
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{commit_id(commit)}\n".encode(), mode=0o644, sync=sync)

    def rest(self, idle: float = 0.0) -> None:
        """Let go of the process and the memory that nobody has used for `idle` seconds."""
        if self.objects.rest(idle):
            self.kept.clear()

    @cached_property
    def object_format(self) -> str:
        """`sha1` or `sha256`."""
        return "sha256" if "sha256" in (self.path / "config").read_text("utf-8") else "sha1"

    def _packed(self, name: str) -> str | None:
        try:
            lines = (self.path / "packed-refs").read_text("ascii").splitlines()
        except FileNotFoundError:
            return None
        return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)

    def _make(self, user: Place, lender: Path | None = None) -> None:
        if self.is_made:
            return
        kind = self.git.run(user, "rev-parse", "--show-object-format").decode().strip()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = Path(mkdtemp(prefix=".new-", dir=self.path.parent))
        self.git.run(
            Place(draft), "init", "--quiet", "--bare", "--template=", f"--object-format={kind}"
        )
        if lender:
            (draft / _ALTERNATES).write_text(f"{lender / 'objects'}\n", "utf-8")
            # Where the other one's history begins; it may come to lie there later.
            (draft / "shallow").symlink_to(lender / "shallow")
        draft.rename(self.path)

    def _tip(self, user_git_dir: Path, branch: str, known: str | None) -> tuple[str, bool]:
        """The branch's head now, and whether the user's repository still has what we know."""
        asked = f"refs/heads/{branch}^{{commit}}\n{known or ''}\n"
        if not user_git_dir.is_dir():
            raise no_repository(user_git_dir)
        answer = self.git.ask(
            Place(user_git_dir),
            "cat-file",
            "--batch-check=%(objectname) %(objecttype)",
            stdin=asked.encode(),
            seconds=QUICK,
        )
        if answer.code != 0:
            raise no_repository(user_git_dir)
        first, second, *_ = [*answer.out.decode().splitlines(), ""]
        if first.endswith(" commit"):
            return first.split()[0], second.endswith(" commit")
        raise self._no_branch(user_git_dir, branch)

    def _no_branch(self, user_git_dir: Path, branch: str) -> Invalid | NotFound:
        refs = self.git.run(Place(user_git_dir), "for-each-ref", "--count=1", "refs/heads")
        if not refs:
            return Invalid(
                f"the repository at {user_git_dir} has no commits on any branch",
                hint="make a first commit: git add -A && git commit -m 'Start'",
            )
        return NotFound(
            f"{user_git_dir} has no branch {branch!r}",
            hint="name one that is there; `git branch` lists them",
        )

    def _take_boundary(self, user_git_dir: Path) -> None:
        """Where the user's history is cut off (a shallow clone), ours is too."""
        theirs = _lines(user_git_dir / "shallow")
        ours = _lines(self.path / "shallow")
        if theirs - ours:
            write_whole(self.path / "shallow", b"".join(sorted(ours | theirs)), mode=0o644)


def _lines(path: Path) -> set[bytes]:
    try:
        return set(path.read_bytes().splitlines(keepends=True))
    except FileNotFoundError:
        return set()


def no_repository(path: Path) -> NotFound:
    return NotFound(
        f"there is no git repository at {path}",
        hint="was it moved? register it again: muster init PATH",
    )
