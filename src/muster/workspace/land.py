"""Verified work onto the user's own branch, together with the files of checkouts that are on it.

Order: journal, lock, check, files, branch, index, unlock. A crash leaves the journal; the next call
first completes a landing whose branch has moved, or puts the files back where it has not.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from muster.domain.errors import Conflict, GitFailed, MusterError, Refused, Stale
from muster.domain.guard import commit_id, ref_name
from muster.failpoint import failpoint
from muster.workspace.branches import head, move_ref, move_refs
from muster.workspace.compare import is_ancestor
from muster.workspace.difference import Entry, differing
from muster.workspace.git import Place
from muster.workspace.mirror import Mirror
from muster.workspace.publish import Shown, bring, checked_out, git_dirs, publish, to_show
from muster.workspace.records import read_record, write_record
from muster.workspace.survey import require_trust
from muster.workspace.usertree import UserTree

_WHY = "muster: merge"


@dataclass(frozen=True, slots=True)
class Landed:
    """The commit that the branch is at, and the checkouts whose files went along."""

    commit: str
    checkouts: tuple[Path, ...] = ()


class Landing:
    """Landing on one branch of one of the user's repositories."""

    def __init__(
        self,
        mirror: Mirror,
        git_dir: Path,
        work_tree: Path | None,
        branch: str,
        trusted_config: str = "",
        show: tuple[str, str] | None = None,
    ) -> None:
        """Land on `branch`; `show` is a branch below `muster/` and its commit, to go along."""
        self._mirror = mirror
        self._git = mirror.git
        self._git_dir = git_dir
        self._work_tree = work_tree
        self._branch = ref_name(branch)
        self._trusted = trusted_config
        self._show = show
        self._journal = mirror.path.parent / "landing.json"

    def land(self, old: str, new: str) -> Landed | None:
        """Move the branch from `old` to `new`; None when it is not at `old`.

        Raises:
            Conflict: a checkout of the branch is not clean, or git is at work there.
            Refused: the configuration is not the trusted one, or `new` does not stand on `old`.
        """
        commit_id(old), commit_id(new)
        require_trust(self._git, self._git_dir, self._trusted, self._mirror.kept)
        self._settle()
        now = head(self._git, self._git_dir, self._branch)
        if now == new:
            self._show_alone()
            return Landed(new)
        if now != old:
            return None
        if not is_ancestor(self._mirror, old, new):
            raise Refused(
                f"{self._branch} is not moved: {new[:12]} does not stand on {old[:12]}",
                hint="merge again onto the branch as it is now",
            )
        shown = self._to_show()
        seen = [shown.old] if shown and shown.old.strip("0") else []
        bring(self._mirror, self._git_dir, [new, *([shown.new] if shown else [])], [old, *seen])
        return self._move(old, new, shown)

    def _to_show(self) -> Shown | None:
        return to_show(self._mirror, self._git_dir, *self._show) if self._show else None

    def _show_alone(self) -> None:
        if self._show:
            publish(self._mirror, self._git_dir, *self._show)

    def _move(self, old: str, new: str, shown: Shown | None) -> Landed | None:
        self._refuse_rebase()
        token = secrets.token_hex(16)
        on_it = checked_out(self._git, self._git_dir, self._branch)
        trees = [t for t in (self._tree(folder, token) for folder in on_it) if t is not None]
        if trees:
            self._note(token, old, new, trees)
        failpoint("land.journal")
        try:
            entries = differing(self._mirror, old, new) if trees else []
            for tree in trees:
                tree.lock()
                tree.require_clean(old, entries)
        except BaseException:
            self._release(trees)
            raise
        landed = self._carry(old, new, trees, entries, shown)
        if landed:
            # Nothing to do when it went along.
            self._show_alone()
        return landed

    def _carry(
        self,
        old: str,
        new: str,
        trees: Sequence[UserTree],
        entries: Sequence[Entry],
        shown: Shown | None,
    ) -> Landed | None:
        """The files, then the branch, then the indexes; all of it or nothing."""
        try:
            for tree in trees:
                tree.move(old, new)
            failpoint("land.files")
            self._move_branch(old, new, shown)
        except (Conflict, Refused) as error:
            self._put_back(trees, entries)
            if isinstance(error, Stale):
                return None
            raise
        failpoint("land.ref")
        for tree in trees:
            tree.adopt_index()
        failpoint("land.index")
        self._release(trees)
        return Landed(new, tuple(tree.folder for tree in trees))

    def _move_branch(self, old: str, new: str, shown: Shown | None) -> None:
        moves = [(self._branch, old, new)]
        if shown:
            moves.append((shown.branch, shown.old, shown.new))
            if move_refs(self._git, self._git_dir, moves, _WHY):
                return
        # The task's branch must not stand in the way of the merge.
        move_ref(self._git, self._git_dir, self._branch, old, new, _WHY)

    def _put_back(self, trees: Sequence[UserTree], entries: Sequence[Entry]) -> None:
        try:
            for tree in trees:
                tree.undo(entries)
        except GitFailed as error:
            # The journal stays, so that the next call tries again; the user may act meanwhile.
            for tree in trees:
                tree.unlock()
            raise Conflict(
                f"files of {self._branch} could not be put back as they were: {error.detail}",
                hint="mend that (is the disk full?), then merge again; "
                "or `git checkout .` in the checkout",
            ) from error
        self._release(trees)

    def _settle(self) -> None:
        """Deal with what a crash has left: forwards if the branch has moved, else backwards.

        Where the branch is at neither commit, the user has taken the matter into their own hands.
        """
        record = read_record(self._journal)
        if record is None:
            return
        git_dir, branch = Path(record["git_dir"]), record["branch"]
        old, new, token = record["old"], record["new"], record["token"]
        trees = [
            UserTree(self._git, Path(own), Path(folder), token) for own, folder in record["trees"]
        ]
        present = [tree for tree in trees if tree.folder.is_dir() and tree.git_dir.is_dir()]
        now = head(self._git, git_dir, branch) if present else None
        try:
            for tree in present:
                tree.lock()
                if now == new:
                    tree.follow(old, new)
        except MusterError:
            for tree in present:
                tree.unlock()
            raise
        if now == old:
            self._put_back(present, differing(self._mirror, old, new))
        else:
            self._release(present)

    def _note(self, token: str, old: str, new: str, trees: Sequence[UserTree]) -> None:
        write_record(
            self._journal,
            {
                "token": token,
                "git_dir": str(self._git_dir),
                "branch": self._branch,
                "old": old,
                "new": new,
                "trees": [[str(tree.git_dir), str(tree.folder)] for tree in trees],
            },
        )

    def _release(self, trees: Sequence[UserTree]) -> None:
        for tree in trees:
            tree.unlock()
        self._journal.unlink(missing_ok=True)

    def _refuse_rebase(self) -> None:
        for folder in git_dirs(self._git_dir):
            for kind in ("rebase-merge", "rebase-apply"):
                name = folder / kind / "head-name"
                if (
                    name.is_file()
                    and name.read_text("utf-8").strip() == f"refs/heads/{self._branch}"
                ):
                    raise Conflict(
                        f"{self._branch} is being rebased",
                        hint="finish or abort the rebase, then merge again",
                    )

    def _tree(self, own: Path, token: str) -> UserTree | None:
        """The checkout of a git folder; None when there are no files, as in a bare repository."""
        folder = self._main_folder() if own == self._git_dir else _linked_folder(own)
        if folder is None or not folder.is_dir():
            return None
        return UserTree(self._git, own, folder, token)

    def _main_folder(self) -> Path | None:
        linked = {_linked_folder(own) for own in git_dirs(self._git_dir)[1:]}
        if self._work_tree is not None and self._work_tree not in linked:
            return self._work_tree
        said = self._git.run(Place(self._git_dir), "rev-parse", "--is-bare-repository")
        if said.strip() == b"true" or self._git_dir.name != ".git":
            return None
        return self._git_dir.parent


def _linked_folder(own: Path) -> Path | None:
    try:
        pointer = Path(os.fsdecode((own / "gitdir").read_bytes()).strip())
    except FileNotFoundError:
        return None
    return (own / pointer).resolve().parent
