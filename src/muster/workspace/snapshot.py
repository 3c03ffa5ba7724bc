"""A snapshot: what is in a workspace's tree now, as one commit, made by the control plane alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from muster.domain.errors import Invalid
from muster.workspace.base import Workspace
from muster.workspace.checkout import copy_index
from muster.workspace.control import Control, State
from muster.workspace.git import Git, Place
from muster.workspace.look import MOST_PATHS, Findings, as_input, look
from muster.workspace.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a commit, and when: `when` is epoch milliseconds, None for now."""

    name: str
    email: str
    when: int | None = None

    def env(self) -> dict[str, str]:
        """The variables that tell git so.

        Raises:
            Invalid: name or address has nothing that git can write.
        """
        if not self.name.strip(" .,:;<>\"\\'\n") or "\0" in self.name + self.email:
            raise Invalid(
                f"{self.name[:80]!r} cannot be the author of a commit",
                hint="set one: muster project set git_user_name NAME",
            )
        seconds = int(time.time()) if self.when is None else self.when // 1000
        return {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in {
                "NAME": self.name,
                "EMAIL": self.email,
                "DATE": f"@{seconds} +0000",
            }.items()
        }


def write_commit(
    git: Git, place: Place, tree: str, parents: Sequence[str], message: str, author: Author
) -> str:
    """Make a commit of a tree; its id."""
    given = Place(place.git_dir, env=author.env())
    words = [word for parent in parents for word in ("-p", parent)]
    text = message.replace("\0", "").encode("utf-8", "replace") or b"\n"
    return git.run(given, "commit-tree", tree, *words, stdin=text).decode().strip()


class Snapshots:
    """Takes snapshots of the workspaces of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._git = mirror.git

    def take(
        self,
        workspace: Workspace,
        touched: Sequence[str] | None,
        parent: str,
        message: str,
        author: Author,
        exclude: Sequence[str] = (),
    ) -> str | None:
        """The tree as one commit on `parent`; None when it does not differ from it.

        The same tree on the same parent is the same commit again. Four processes of git, less when
        nothing changed.
        """
        control, state = self._open(workspace)
        found = self._look(workspace, control, state, touched, exclude)
        draft = control.draft_index()
        tree = state.tree
        if found.any:
            copy_index(control.index(state), draft)
            tree = self._record(workspace, draft, found)
        if parent in {state.parent, state.commit} and tree == state.tree:
            draft.unlink(missing_ok=True)
            return state.commit if parent == state.parent else None
        if tree == (state.tree if parent == state.commit else self._mirror.tree_of(parent)):
            # Back to what `parent` has; the old index stays good, the draft is only fresher.
            draft.unlink(missing_ok=True)
            return None
        commit = write_commit(self._git, self._mirror.place, tree, [parent], message, author)
        self._mirror.keep(f"refs/muster/snapshots/{workspace.id}/{commit}", commit)
        if not found.any:
            copy_index(control.index(state), draft)
        # Past the limit nobody asks which they are.
        recorded = tuple({*state.recorded, *found.present, *found.gone})[: MOST_PATHS + 1]
        after = replace(state, commit=commit, parent=parent, tree=tree, recorded=recorded)
        control.advance(after, draft)
        return commit

    def nested(self, workspace: Workspace, touched: Sequence[str] | None) -> tuple[str, ...]:
        """Repositories inside the tree that belong to no commit: they are never entered or kept."""
        control, state = self._open(workspace)
        return tuple(self._look(workspace, control, state, touched, ()).nested)

    def _open(self, workspace: Workspace) -> tuple[Control, State]:
        control = Control(workspace.root)
        state = control.state()
        if state is None:
            raise Invalid(
                f"workspace {workspace.id} was never finished", hint="open it again, then go on"
            )
        return control, state

    def _look(
        self,
        workspace: Workspace,
        control: Control,
        state: State,
        touched: Sequence[str] | None,
        exclude: Sequence[str],
    ) -> Findings:
        place = Place(self._mirror.path, workspace.tree, control.index(state))
        return look(self._git, place, state, touched, exclude)

    def _record(self, workspace: Workspace, index: Path, found: Findings) -> str:
        """Bring an index up to date with what was found; the id of its tree."""
        place = Place(self._mirror.path, workspace.tree, index)
        beyond = [path for path in found.gone if self._is_beyond_link(workspace, path)]
        if beyond:
            # git refuses to look at a path behind a link, also in order to forget it.
            self._git.run(
                place, "update-index", "--force-remove", "-z", "--stdin", stdin=as_input(beyond)
            )
        paths = sorted({*found.present, *found.gone} - set(beyond))
        if paths:
            self._git.run(
                place,
                *("update-index", "--add", "--remove", "--replace", "-z", "--stdin"),
                stdin=as_input(paths),
            )
        return self._git.run(place, "write-tree").decode().strip()

    def _is_beyond_link(self, workspace: Workspace, path: str) -> bool:
        folder = workspace.tree
        for part in path.split("/")[:-1]:
            folder = folder / part
            if folder.is_symlink():
                return True
        return False
