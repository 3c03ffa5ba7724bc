"""A snapshot: what is in a workspace's tree now, as one commit, made by the control plane alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from muster.domain.errors import Invalid
from muster.workspace.base import Workspace
from muster.workspace.checkout import copy_index
from muster.workspace.commits import Author, write_commit
from muster.workspace.control import Control, State
from muster.workspace.git import Place
from muster.workspace.look import MOST_PATHS, Findings, as_input, look
from muster.workspace.mirror import Mirror
from muster.workspace.trees import edited_tree


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot: its commit, None when the tree does not differ from the parent.

    `nested` are repositories inside the tree that belong to no commit: they are never entered or
    kept. `whole` says that the workspace's last snapshot is just what was found.
    """

    commit: str | None
    nested: tuple[str, ...]
    whole: bool


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
    ) -> Taken:
        """The tree as one commit on `parent`.

        The same tree on the same parent is the same commit again. One process of git, none when
        nothing can have changed; three when only git can say what the tree is (`trees`).
        """
        control, state = self._open(workspace)
        found = self._look(workspace, control, state, touched, exclude)
        commit, is_last = self._commit(workspace, control, state, found, parent, message, author)
        return Taken(commit, tuple(found.nested), is_last and not found.excluded)

    def _commit(
        self,
        workspace: Workspace,
        control: Control,
        state: State,
        found: Findings,
        parent: str,
        message: str,
        author: Author,
    ) -> tuple[str | None, bool]:
        """The commit, if any, and whether the state now has the tree that was found."""
        tree, draft = self._tree(workspace, control, state, found)
        if parent in {state.parent, state.commit} and tree == state.tree:
            _drop(draft)
            return (state.commit if parent == state.parent else None), True
        if tree == (state.tree if parent == state.commit else self._mirror.tree_of(parent)):
            # Back to what `parent` has; the old index stays good, the draft is only fresher.
            _drop(draft)
            return None, tree == state.tree
        commit = write_commit(self._mirror, tree, [parent], message, author)
        self._mirror.keep(f"refs/muster/snapshots/{workspace.id}/{commit}", commit)
        # Past the limit nobody asks which they are.
        recorded = tuple({*state.recorded, *found.present, *found.gone})[: MOST_PATHS + 1]
        indexed = state.indexed or state.tree
        after = replace(
            state, commit=commit, parent=parent, tree=tree, indexed=indexed, recorded=recorded
        )
        control.advance(after, draft)
        return commit, True

    def _tree(
        self, workspace: Workspace, control: Control, state: State, found: Findings
    ) -> tuple[str, Path | None]:
        """The tree that was found, and its index if one had to be made."""
        index, indexed = control.index(state), state.indexed or state.tree
        is_as_last = not found.excluded or indexed == state.tree
        if not found.any and is_as_last:
            return indexed, None
        if is_as_last:
            tree = edited_tree(
                self._mirror, indexed, workspace.tree, index, found.present, found.gone
            )
            if tree is not None:
                return tree, None
        draft = control.draft_index()
        copy_index(index, draft)
        if not is_as_last:
            # What is left out stays as the last snapshot has it.
            place = Place(self._mirror.path, index=draft)
            self._git.run(place, "read-tree", state.tree)
        return self._record(workspace, draft, found), draft

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


def _drop(draft: Path | None) -> None:
    if draft is not None:
        draft.unlink(missing_ok=True)
