"""The folders of workspaces: made once, found again after any crash, removed by identity only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.domain.errors import Conflict, NotFound, Refused
from muster.domain.guard import commit_id, folder_name, ref_name
from muster.failpoint import failpoint
from muster.whole_file import write_whole
from muster.workspace.agentgit import FOLDER as AGENT_GIT
from muster.workspace.agentgit import make_agent_git
from muster.workspace.base import Backend, Source, Workspace
from muster.workspace.checkout import INDEX
from muster.workspace.control import Control, State
from muster.workspace.difference import gitlinks
from muster.workspace.layers import Layers
from muster.workspace.look import patterns
from muster.workspace.mirror import Mirror
from muster.workspace.ports import Ports
from muster.workspace.records import read_record, write_record
from muster.workspace.remove import Identity, remove_folder, remove_own

_RECORD = "record.json"
_AT = ".at"
_OPENING, _OPEN, _CLOSING = "opening", "open", "closing"


@dataclass(frozen=True, slots=True)
class Wish:
    """The workspace that is wanted: see `Workspaces.open`."""

    id: str
    commit: str
    near: str | None
    ports: int
    branch: str
    layer: str | None
    at: str | None = None


class Spaces:
    """The workspaces below `folder`.

    Each has a `record.json` with its state: what is `opening` was never handed out and is made
    anew; what is `closing` has its work kept already and is only removed; what has no record, or
    one that the machine's end has torn, is nobody's to remove and is set aside. That is why opening
    need not wait for the disk. A workspace lies in the folder of its id, or in the one that `.at`
    names for it: that of a workspace which is closed.
    """

    def __init__(self, folder: Path, ports: Ports, layers: Layers) -> None:
        self._folder = folder
        self._ports = ports
        self._layers = layers

    def exists(self, id: str) -> bool:
        """Whether a workspace of that id is open."""
        return self._record(id, _OPEN) is not None

    def get(self, id: str) -> Workspace:
        """A workspace as recorded.

        Raises:
            NotFound: there is none of that id.
        """
        record = self._record(id, _OPEN)
        if record is None:
            raise NotFound(f"there is no workspace {id!r}", hint="it was closed, or never made")
        return _workspace(self._root(id), record)

    def all(self) -> list[Workspace]:
        """Every open workspace."""
        found = [(path.parent, read_record(path)) for path in self._folder.glob(f"*/{_RECORD}")]
        open_ones = [(root, r) for root, r in sorted(found) if r and r["state"] == _OPEN]
        return [_workspace(root, record) for root, record in open_ones]

    def layer_of(self, workspace: Workspace) -> str | None:
        """The layer under a workspace's files."""
        state = Control(workspace.root).state()
        return state.layer_key if state else None

    def open(
        self,
        backend: Backend,
        by_name: Callable[[str], Backend],
        mirror: Mirror,
        source: Source,
        wish: Wish,
    ) -> Workspace:
        """Make a workspace, or find the one of that id."""
        id, commit, layer = wish.id, wish.commit, wish.layer
        commit_id(commit), ref_name(wish.branch)
        root = self._place(id, wish.at)
        found = self._found(root, id, by_name)
        if found is not None:
            if found.commit != commit:
                raise Conflict(
                    f"workspace {id} stands at {found.commit[:12]}, not at {commit[:12]}",
                    hint="close it first",
                )
            return found
        self._note(id, root)
        record = self._begin(root, id, source.repo_id, backend.name, commit)
        failpoint("workspace.opening")
        fitting = self._layers.fitting(mirror, layer, commit) if layer else None
        files, paths = fitting or (None, ())
        backend.open(source, root, commit, wish.near, files)
        failpoint("workspace.checked_out")
        control = Control(root)
        if not (control.folder / INDEX).exists():
            raise Refused(f"the {backend.name} backend left no index of what it checked out")
        state = State(
            commit,
            None,
            mirror.tree_of(commit),
            gitlinks=gitlinks(mirror, commit, wish.near),
            layer=paths,
            layer_key=layer if fitting else None,
        )
        control.begin(state)
        remove_own(root / AGENT_GIT)
        make_agent_git(
            root, mirror.path, commit, wish.branch, patterns(state), control.index(state)
        )
        record["ports"] = self._ports.lease(id, wish.ports)
        record["state"] = _OPEN
        failpoint("workspace.made")
        write_record(root / _RECORD, record, sync=False)
        return _workspace(root, record)

    def begin_close(self, workspace: Workspace) -> bool:
        """Whether the workspace is there and its work has still to be kept."""
        record = self._record(workspace.id, _OPEN)
        if record is None:
            return False
        self._check(workspace.root, record)
        if Control(workspace.root).state() is None:
            self._set_aside(workspace.root)
            return False
        return True

    def finish_close(self, workspace: Workspace, backend: Backend) -> None:
        """Remove a workspace whose work is kept.

        Raises:
            Refused: the folder is not the one that was made.
        """
        root, record = self._root(workspace.id), self._read(workspace.id)
        if record is not None:
            identity = self._check(root, record)
            # From here on the tree may be half gone: never again is it looked at for work.
            write_record(root / _RECORD, {**record, "state": _CLOSING})
            failpoint("workspace.closing")
            backend.close(root)
            failpoint("workspace.emptied")
            remove_folder(root, identity)
        (self._folder / _AT / folder_name(workspace.id)).unlink(missing_ok=True)
        self._ports.release(workspace.id)

    def _place(self, id: str, at: str | None) -> Path:
        """The folder for a workspace: where it is, else where it is wanted."""
        root = self._root(id)
        return root if at is None or root.exists() else self._folder / folder_name(at)

    def _note(self, id: str, root: Path) -> None:
        """Let a workspace be found in a folder that has not its name."""
        if root.name != id:
            (self._folder / _AT).mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self._folder / _AT / id, root.name.encode("ascii"), sync=False)

    def _found(self, root: Path, id: str, by_name: Callable[[str], Backend]) -> Workspace | None:
        """The finished workspace at `root`; what a crash left there is out of the way after it."""
        record = read_record(root / _RECORD)
        if record is None:
            self._set_aside(root)
            return None
        if record["id"] != id:
            raise Conflict(f"{root.name} holds workspace {record['id']}", hint="close it first")
        self._check(root, record)
        workspace, backend = _workspace(root, record), by_name(record["backend"])
        if record["state"] == _OPEN:
            if Control(root).state() is None:
                self._set_aside(root)
                return None
            backend.reopen(root)
            return workspace
        self.finish_close(workspace, backend)
        return None

    def _begin(
        self, root: Path, id: str, repo_id: str, backend: str, commit: str
    ) -> dict[str, Any]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.mkdir(mode=0o700, exist_ok=True)
        identity = Identity.of(root)
        record = {
            "id": id,
            "repo_id": repo_id,
            "backend": backend,
            "commit": commit,
            "ports": [0, 0],
            "state": _OPENING,
            "device": identity.device,
            "inode": identity.inode,
            "opened_at": int(time.time() * 1000),
        }
        write_record(root / _RECORD, record, sync=False)
        return record

    def _set_aside(self, root: Path) -> None:
        """Move away a folder that no record explains; it may hold somebody's work."""
        if not root.is_symlink() and (not root.exists() or not any(root.iterdir())):
            return
        lost = self._folder / ".lost"
        lost.mkdir(exist_ok=True, mode=0o700)
        root.rename(lost / f"{root.name}-{time.time_ns()}")

    def _check(self, root: Path, record: dict[str, Any]) -> Identity:
        identity = Identity(record["device"], record["inode"])
        if root.is_symlink() or Identity.of(root) != identity:
            raise Refused(
                f"{root} is not the folder that muster made for workspace {record['id']}",
                hint="look at it; muster neither uses nor removes it",
            )
        return identity

    def _record(self, id: str, state: str) -> dict[str, Any] | None:
        record = self._read(id)
        return record if record and record["state"] == state else None

    def _read(self, id: str) -> dict[str, Any] | None:
        record = read_record(self._root(id) / _RECORD)
        return record if record and record["id"] == id else None

    def _root(self, id: str) -> Path:
        """The folder of a workspace, whether it is there or not."""
        try:
            name = (self._folder / _AT / folder_name(id)).read_text("ascii")
        except FileNotFoundError:
            name = id
        return self._folder / folder_name(name)


def _workspace(root: Path, record: dict[str, Any]) -> Workspace:
    return Workspace(
        id=record["id"],
        repo_id=record["repo_id"],
        backend=record["backend"],
        root=root,
        tree=root / "tree",
        commit=record["commit"],
        ports=(record["ports"][0], record["ports"][1]),
    )
