"""Workspaces: trees for agents and checks, what becomes of the work in them, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from muster.domain.errors import NotFound
from muster.domain.guard import folder_name, ref_name
from muster.domain.task import HIDDEN
from muster.workspace import branches, compare, history, layers, merge, mix, remote, remotes, rescue
from muster.workspace.agentgit import FOLDER as AGENT_GIT
from muster.workspace.base import Backend, Source, Workspace
from muster.workspace.choice import Choice
from muster.workspace.commits import Author
from muster.workspace.difference import Change, gitlinks
from muster.workspace.git import Git
from muster.workspace.grep import Found, grep
from muster.workspace.history import Was, Words
from muster.workspace.land import Landed, Landing
from muster.workspace.layers import Layers
from muster.workspace.merge import Conflicted, ConflictedPath, Merged
from muster.workspace.mirror import Mirror
from muster.workspace.ports import Ports
from muster.workspace.publish import publish
from muster.workspace.remote import Server
from muster.workspace.snapshot import Snapshots, Taken
from muster.workspace.spaces import Spaces, Wish
from muster.workspace.stamp import stamp
from muster.workspace.trees import files_in

__all__ = ["Change", "Conflicted", "ConflictedPath", "Landed", "Merged", "Taken", "Workspaces"]

_PATCH = 1024 * 1024
_FILE = 16 * 1024 * 1024
"""Bytes that are read of one patch, and of one file, unless asked otherwise."""


class Workspaces:
    """All workspaces of one home. Calls block, and may come from any thread.

    `home` holds `repos/` (mirrors and shared checkouts), `spaces/` (one folder per workspace),
    `layers/` and `ports/`. One server at a time uses a home.
    """

    def __init__(
        self,
        home: Path,
        backends: Mapping[str, Backend],
        git: Git | None = None,
        wanted: str | None = None,
        works: str = "",
    ) -> None:
        """`wanted` names the only backend for new workspaces; else it is the first that can.

        `works` is that first one where it was tried already, and it serves every program.
        """
        self.home = home.resolve()
        self.git = git or Git()
        self._choice = Choice(self.home, backends, wanted, works)
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, _Lock] = WeakValueDictionary()
        self._mirrors: dict[str, Mirror] = {}
        self._stamps: dict[str, bytes | None] = {}
        self._layers = Layers(self.home / "layers")
        self._spaces = Spaces(self.home / "spaces", Ports(self.home / "ports"), self._layers)

    # --- repositories ---

    def mirror(self, repo_id: str) -> Mirror:
        """The control plane's own copy of a repository; made by its first fetch.

        One whose name ends in `HIDDEN` stands on that one's objects and keeps what is made in it
        from all who work there.
        """
        with self._guard:
            found = self._mirrors.get(repo_id)
            if found is None:
                path = self.home / "repos" / folder_name(repo_id) / "mirror.git"
                found = self._mirrors[repo_id] = Mirror(path, self.git)
        if repo_id.endswith(HIDDEN) and not found.is_made:
            lender = self.mirror(repo_id.removesuffix(HIDDEN))
            if lender.is_made:
                found.borrow(lender)
        return found

    def objects(self, repo_id: str) -> tuple[Path, ...]:
        """The folders of objects that whoever works on a repository has to see."""
        mirror = self.mirror(repo_id)
        return (mirror.path / "objects", *mirror.lenders())

    def rest(self, idle: float = 0.0) -> None:
        """End the processes that read mirrors, where nobody asked for `idle` seconds.

        The next question starts one again.
        """
        with self._guard:
            mirrors = list(self._mirrors.values())
        for mirror in mirrors:
            mirror.rest(idle)

    def source(self, repo_id: str) -> Source:
        """A repository as backends read it."""
        mirror = self.mirror(repo_id)
        return Source(repo_id, mirror.path, mirror.path.parent / "bases", mirror.kept)

    # --- workspaces ---

    def choose(self) -> str:
        """The name of the backend that new workspaces are made by.

        Raises:
            Invalid: there is none of the name that is wanted.
            Unavailable: none can make workspaces here, or not the one that is wanted.
        """
        return self._choice.get(None).name

    def open(
        self,
        id: str,
        repo_id: str,
        commit: str,
        *,
        near: str | None = None,
        backend: str | None = None,
        ports: int = 0,
        branch: str = "work",
        layer: str | None = None,
        for_all: bool = False,
        at: str | None = None,
    ) -> Workspace:
        """Make a workspace at a commit; the same id gives the same one, also after a crash.

        `near` is a commit that others already work on. `branch` is what the agent's own git calls
        its work. `layer` is laid under the files if it is kept and fits (`layer_of` tells).
        `for_all` asks for files that programs outside this server's namespace see as well. `at` is
        the id of a closed workspace, in whose folder this one is to be, under the same paths.

        Raises:
            Conflict: the id belongs to a workspace at another commit, or `at` is not closed.
            GitFailed: the commit is not in the mirror, or the disk is full.
        """
        chosen = self._choice.get(backend, for_all=for_all)
        with self._locked(id):
            wish = Wish(id, commit, near=near, ports=ports, branch=branch, layer=layer, at=at)
            source, mirror = self.source(repo_id), self.mirror(repo_id)
            return self._spaces.open(chosen, self._choice.by_name, mirror, source, wish)

    def warm(self, repo_id: str, commit: str, near: str | None = None) -> None:
        """Make ahead of time what the next workspace at a commit needs.

        `near` is a commit that others already work on. Two calls at once make it once.

        Raises:
            GitFailed: the commit is not in the mirror, or the disk is full.
        """
        gitlinks(self.mirror(repo_id), commit, near)
        self._choice.get(None).ready(self.source(repo_id), commit)

    def reopen(self, id: str) -> Workspace:
        """Bring a workspace back into view after a restart.

        Raises:
            NotFound: there is none of that id.
            Unavailable: it cannot be mounted now.
        """
        with self._locked(id):
            workspace = self._spaces.get(id)
            self._choice.by_name(workspace.backend).reopen(workspace.root)
        return workspace

    def get(self, id: str) -> Workspace:
        """A workspace as recorded.

        Raises:
            NotFound: there is none of that id.
        """
        return self._spaces.get(id)

    def exists(self, id: str) -> bool:
        """Whether a workspace of that id is open."""
        return self._spaces.exists(id)

    def list(self) -> list[Workspace]:
        """Every open workspace."""
        return self._spaces.all()

    def agent_git(self, workspace: Workspace) -> Path:
        """The agent's own git folder: to be shown to it beside its tree, and never read here."""
        return workspace.root / AGENT_GIT

    def grows(self, workspace: Workspace) -> Path:
        """The folder in which what is written into its tree comes to lie."""
        return self._choice.by_name(workspace.backend).grows(workspace.root)

    def snapshot(
        self,
        workspace: Workspace,
        parent: str,
        message: str,
        author_name: str,
        author_email: str,
        when: int | None = None,
        exclude: Sequence[str] = (),
    ) -> Taken:
        """What is in the tree now, as one commit on `parent`; without one when nothing differs.

        `when` is epoch milliseconds. Paths that match the globs of `exclude` are left as they are
        in the last snapshot. Repositories planted in the tree are told, and in no snapshot.

        Raises:
            GitFailed: the disk is full, or the tree cannot be read.
        """
        author = Author(author_name, author_email, when)
        with self._locked(workspace.id):
            touched = self._touched(workspace)
            # Before the look: what changes during it is seen by the next one.
            seen = stamp(workspace.tree, touched)
            snapshots = Snapshots(self.mirror(workspace.repo_id))
            taken = snapshots.take(workspace, touched, parent, message, author, exclude)
            self._stamps[workspace.id] = seen if taken.whole else None
            return taken

    def stamp(self, workspace: Workspace) -> bytes | None:
        """Two equal stamps say that no file was changed in between; None says nothing."""
        touched = self._touched(workspace)
        return stamp(workspace.tree, ["."] if touched is None else touched)

    def close(self, workspace: Workspace) -> str | None:
        """Remove a workspace; what no snapshot has is first kept as `refs/muster/rescue/<id>`.

        Answers the rescued commit, None when nothing was at stake. Again after a crash is fine.

        Raises:
            Refused: the folder is not the one that muster made.
            Conflict: something is mounted below it, or the work could not be kept: it stays.
        """
        return self._close(workspace, keep=True)

    def discard(self, workspace: Workspace) -> None:
        """Remove a workspace with all that is in it: for those that no agent has worked in.

        Raises:
            Refused: the folder is not the one that muster made.
            Conflict: something is mounted below it.
        """
        self._close(workspace, keep=False)

    # --- setup layers ---

    def layer_key(self, repo_id: str, commit: str, command: str) -> str:
        """The name of the layer that a setup command makes at a commit."""
        return layers.layer_key(self.mirror(repo_id), repo_id, commit, command)

    def has_layer(self, key: str) -> bool:
        """Whether that layer is kept."""
        return self._layers.has(key)

    def save_layer(self, workspace: Workspace, key: str) -> None:
        """Keep what a setup command created in a clean workspace.

        Raises:
            Conflict: the workspace is not a clean one.
        """
        with self._locked(workspace.id):
            self._layers.save(self.mirror(workspace.repo_id), workspace, key)

    def layer_of(self, workspace: Workspace) -> str | None:
        """The layer under a workspace's files; None when there is none."""
        return self._spaces.layer_of(workspace)

    # --- commits ---

    def changes(self, repo_id: str, base: str, head: str) -> tuple[Change, ...]:
        """The paths that differ from one commit to another."""
        return compare.changes(self.mirror(repo_id), base, head)

    def patch(
        self,
        repo_id: str,
        base: str,
        head: str,
        path: str,
        limit: int = _PATCH,
        old_path: str | None = None,
    ) -> str:
        """The unified diff of one path; one that is cut ends in `compare.CUT`."""
        return compare.patch(self.mirror(repo_id), base, head, path, limit, old_path)

    def patches(self, repo_id: str, base: str, head: str, limit: int = _PATCH) -> Mapping[str, str]:
        """The unified diff of every changed path."""
        return compare.patches(self.mirror(repo_id), base, head, limit)

    def added_lines(self, repo_id: str, base: str, head: str) -> Mapping[str, str]:
        """The lines that each changed text file gained, as one text per path."""
        return compare.added_lines(self.mirror(repo_id), base, head, _PATCH)

    def read_file(self, repo_id: str, commit: str, path: str, limit: int = _FILE) -> bytes:
        """The bytes of a file at a commit.

        Raises:
            NotFound: the commit has no such file.
        """
        return compare.read_file(self.mirror(repo_id), commit, path, limit)

    def find_file(self, repo_id: str, commit: str, path: str) -> bytes | None:
        """The bytes of a file at a commit; None when it has no such file.

        Raises:
            GitFailed: the commit is not in the mirror.
        """
        try:
            return self.read_file(repo_id, commit, path)
        except NotFound:
            return None

    def small_file(self, repo_id: str, commit: str, path: str) -> bytes:
        """The bytes of a file at a commit, nothing when it has none; kept, so asked again at will.

        Raises:
            GitFailed: the commit is not in the mirror.
        """

        def read() -> bytes:
            return self.find_file(repo_id, commit, path) or b""

        return self.mirror(repo_id).kept.get(("file", commit, path), read)

    def small_folder(
        self, repo_id: str, commit: str, folder: str, ending: str, most: int
    ) -> Mapping[str, str]:
        """The texts of the files right in a folder of a commit, by name; as `small_file`.

        Raises:
            GitFailed: the commit is not in the mirror.
        """
        mirror = self.mirror(repo_id)

        def read() -> str:
            names = [n for n in files_in(mirror, commit, folder, most) if n.endswith(ending)]
            files = {n: self.find_file(repo_id, commit, f"{folder}/{n}") or b"" for n in names}
            return json.dumps({n: data.decode("utf-8", "replace") for n, data in files.items()})

        kept = mirror.kept.get(("folder", commit, folder), lambda: read().encode())
        texts: dict[str, str] = json.loads(kept)
        return texts

    def tree(self, repo_id: str, commit: str) -> str:
        """The id of a commit's tree: two commits of one tree hold the same files."""
        return self.mirror(repo_id).tree_of(commit)

    def paths(self, repo_id: str, commit: str) -> tuple[str, ...]:
        """Every path of a commit."""
        return compare.paths(self.mirror(repo_id), commit)

    def grep(self, repo_id: str, commit: str, words: str, below: str, most: int) -> Found:
        """Lines of a commit that hold `words` literally, in any case."""
        return grep(self.mirror(repo_id), commit, words, below, most)

    def is_ancestor(self, repo_id: str, old: str, new: str) -> bool:
        """Whether `new` stands on `old`, or is the same."""
        return compare.is_ancestor(self.mirror(repo_id), old, new)

    def words_since(self, repo_id: str, since: str, tip: str, most: int) -> tuple[Words, ...]:
        """The newest commits of `tip` that `since` does not have, newest first."""
        return history.words_since(self.mirror(repo_id), since, tip, most)

    def changed_from(self, repo_id: str, merged: str, most: int) -> Was:
        """What the paths that a commit changed were before it; empty when they are more."""
        return history.changed_from(self.mirror(repo_id), merged, most)

    def is_undone(self, repo_id: str, was: Was, tip: str) -> bool:
        """Whether at `tip` all of these paths are again what they were."""
        return history.is_undone(self.mirror(repo_id), was, tip)

    def head(self, git_dir: Path, branch: str) -> str | None:
        """The commit a branch of the user's repository has now."""
        return branches.head(self.git, git_dir, branch)

    def mixed(self, repo_id: str, commit: str, take_from: str, globs: Sequence[str]) -> str:
        """`commit`, but with every path that matches as it is in `take_from`."""
        return mix.mixed(self.mirror(repo_id), commit, take_from, globs)

    def with_files(self, repo_id: str, commit: str, take_from: str, paths: Collection[str]) -> str:
        """`commit`, but with just these paths as they are in `take_from`."""
        return mix.with_files(self.mirror(repo_id), commit, take_from, paths)

    def merge(
        self,
        repo_id: str,
        target: str,
        work: str,
        method: str,
        message: str,
        author_name: str,
        author_email: str,
        when: int | None = None,
    ) -> Merged | Conflicted:
        """Join `work` to `target` by `merge` or `rebase`; nobody's files or branches move."""
        author = Author(author_name, author_email, when)
        return merge.merge(self.mirror(repo_id), target, work, method, message, author)

    def conflicting(self, repo_id: str, one: str, other: str) -> tuple[str, ...]:
        """The paths that keep two commits from being joined, at most 50."""
        return merge.conflicting(self.mirror(repo_id), one, other)

    # --- the user's repository ---

    def publish(self, repo_id: str, user_git_dir: Path, branch: str, commit: str) -> bool:
        """Show a branch below `muster/` in the user's repository; False when the user is on it."""
        with self._locked(f"user of {repo_id}"):
            return publish(self.mirror(repo_id), user_git_dir, branch, commit)

    def land(
        self,
        repo_id: str,
        git_dir: Path,
        work_tree: Path | None,
        branch: str,
        old: str,
        new: str,
        trusted_config: str = "",
        show: tuple[str, str] | None = None,
    ) -> Landed | None:
        """Move the user's branch from `old` to `new`, and the files of checkouts that are on it.

        `show` is a branch below `muster/` and a commit, to be shown along with it (`publish`).
        None when the branch is not at `old` any more. Again after a crash completes it.

        Raises:
            Conflict: a checkout of the branch is not clean; nothing was changed.
            Refused: the repository's configuration is not the trusted one, or `new` does not stand
                on `old`.
        """
        mirror = self.mirror(repo_id)
        with self._locked(f"user of {repo_id}"):
            landing = Landing(mirror, git_dir, work_tree, branch, trusted_config, show)
            landed = landing.land(old, new)
        if landed:
            mirror.has_fetched(ref_name(branch), new)
        return landed

    # --- servers ---

    def push(
        self,
        repo_id: str,
        remote_url: str,
        headers: Mapping[str, str],
        commit: str,
        branch: str,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Let a branch below `muster/` of a server's repository be at a commit of the mirror.

        `headers` open the server, `environ` says how to get out to it. Again is fine.

        Raises:
            Invalid: the branch is not muster's own, or the URL holds a credential or is no https.
            Conflict: another has moved the branch.
            NotAllowed, NotFound, GitFailed: the server or git said no.
        """
        server = Server(remote_url, headers, environ or {})
        with self._locked(f"server of {repo_id}"):
            remote.push(self.mirror(repo_id), server, commit, branch)

    def fetch_remote(
        self,
        repo_id: str,
        remote_url: str,
        headers: Mapping[str, str],
        branch: str,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Bring a branch of a server's repository into the mirror; its commit.

        Raises:
            Invalid, NotAllowed, NotFound, GitFailed: as `push`.
        """
        server = Server(remote_url, headers, environ or {})
        with self._locked(f"server of {repo_id}"):
            return remote.fetch(self.mirror(repo_id), server, branch)

    def remotes(self, git_dir: Path) -> dict[str, str]:
        """The remotes that the user's repository names, with their URLs."""
        return remotes.remotes(self.git, git_dir)

    def add_remote(self, git_dir: Path, name: str, url: str) -> None:
        """Have the user's repository name a remote; nothing happens where it does.

        Raises:
            Conflict: the name is another's.
        """
        remotes.add_remote(self.git, git_dir, name, url)

    # --- inside ---

    def _touched(self, workspace: Workspace) -> Sequence[str] | None:
        backend = self._choice.by_name(workspace.backend)
        backend.reopen(workspace.root)
        return backend.touched(workspace.root)

    def _close(self, workspace: Workspace, *, keep: bool) -> str | None:
        with self._locked(workspace.id):
            kept = None
            if keep and self._spaces.begin_close(workspace):
                touched = self._touched(workspace)
                seen = self._stamps.get(workspace.id)
                is_whole = seen is not None and stamp(workspace.tree, touched) == seen
                mirror = self.mirror(workspace.repo_id)
                kept = rescue.rescue(mirror, workspace, touched, is_whole=is_whole)
            self._spaces.finish_close(workspace, self._choice.by_name(workspace.backend))
            self._stamps.pop(workspace.id, None)
        return kept

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(name, _Lock())
        with lock.held:
            yield


class _Lock:
    """A lock that is forgotten when nobody holds or awaits it."""

    def __init__(self) -> None:
        self.held = threading.RLock()
