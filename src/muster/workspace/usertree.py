"""One checkout of the user's: is it clean, and moving its files from one commit to another.

Everything is worked out on a copy of its index, while its `index.lock` is held, so that no other
git command interferes and an unclean checkout is not touched at all. The lock holds a token from
the journal (`land`), so that after a crash it is known to be ours.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from muster.domain.errors import Conflict, GitFailed
from muster.whole_file import write_whole
from muster.workspace.difference import Entry
from muster.workspace.git import SLOW, Git, Place

_UNDERWAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}
_TOLD = 10
"""So many paths are named in a message."""


class UserTree:
    """A checkout with its own git folder (`git_dir`), its index copied to `index` for the work."""

    def __init__(self, git: Git, git_dir: Path, folder: Path, token: str) -> None:
        self._git = git
        self.git_dir = git_dir
        self.folder = folder
        self._token = token
        self._lock = git_dir / "index.lock"
        self._index = git_dir / f"muster-{token}.index"
        # What the user's repository sets for its files stays in force: filters, line ends.
        whole = ("-c", "core.splitIndex=false")
        self._place = Place(git_dir, folder, self._index, settings=whole)

    def lock(self) -> None:
        """Keep other git commands off the index.

        Raises:
            Conflict: one is at work there, or died there.
        """
        draft = self.git_dir / f"muster-{self._token}.lock"
        write_whole(draft, self._token.encode(), mode=0o644)
        try:
            os.link(draft, self._lock)
        except FileExistsError as error:
            if not self._is_ours():
                raise Conflict(
                    f"another git command is at work in {self.folder}",
                    hint=f"let it end; if none is, remove {self._lock}; then merge again",
                ) from error
        finally:
            draft.unlink(missing_ok=True)

    def unlock(self) -> None:
        """Let other git commands in again; nothing when the lock is not ours."""
        if self._is_ours():
            self._lock.unlink()
        self._index.unlink(missing_ok=True)
        self._index.with_name(f"{self._index.name}.lock").unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        try:
            return self._lock.read_bytes() == self._token.encode()
        except FileNotFoundError:
            return False

    def require_clean(self, commit: str, entries: Iterable[Entry]) -> None:
        """See that every file is as at `commit`, and nothing is where `entries` will put new ones.

        Raises:
            Conflict: something is changed or in the way; its names are told.
        """
        self._require_rest()
        self.copy_index()
        self._git.ask(self._place, "update-index", "-q", "--refresh", "--ignore-submodules")
        listed = self._git.run(
            self._place,
            *("diff-index", "-z", "--name-only", "--no-ext-diff", "--ignore-submodules=all"),
            commit,
            "--",
        )
        changed = list(dict.fromkeys(filter(None, os.fsdecode(listed).split("\0"))))
        if changed:
            raise self._in_the_way("has changes that are not committed", changed)
        untracked = list(self._untracked(list(entries)))
        if untracked:
            raise self._in_the_way(
                "has files that git does not know and would overwrite", untracked
            )

    def move(self, old: str, new: str) -> None:
        """Bring the files, and the copy of the index, from one commit to another.

        Raises:
            Conflict: git found something in the way; nothing was changed.
        """
        try:
            self._git.run(self._place, "read-tree", "-m", "-u", old, new, seconds=SLOW)
        except GitFailed as error:
            raise Conflict(
                f"{self.folder} cannot take the new files: {error.detail}",
                hint="commit or stash what is there, then merge again",
            ) from error

    def adopt_index(self) -> None:
        """Put the copy of the index in the place of the index."""
        self._index.replace(self.git_dir / "index")

    def copy_index(self) -> None:
        """Start from the user's index as it is."""
        try:
            data = (self.git_dir / "index").read_bytes()
        except FileNotFoundError:
            self._index.unlink(missing_ok=True)
            return
        write_whole(self._index, data, mode=0o644, sync=False)

    def follow(self, old: str, new: str) -> None:
        """Bring the index alone from one commit to another: the files are there already."""
        self.copy_index()
        answer = self._git.ask(self._place, "diff-index", "--cached", "--quiet", new, "--")
        if answer.code == 0:
            return
        self._git.run(self._place, "read-tree", "-i", "-m", old, new)
        self._git.ask(self._place, "update-index", "-q", "--refresh", "--ignore-submodules")
        self.adopt_index()

    def undo(self, entries: Iterable[Entry]) -> None:
        """Put back what a move that was cut off has left, file by file.

        Only what is known to be muster's own doing is touched: a file as the new commit has it, a
        beginning of it, or none where the old commit has one.
        """
        self.copy_index()
        ours = [entry for entry in entries if self._is_left_over(entry)]
        for entry in ours:
            path = self.folder / entry.path
            if path.is_symlink() or path.is_file():
                path.unlink()
            self._drop_empty(path.parent)
        back = [entry.path for entry in ours if not entry.is_new]
        if back:
            names = b"".join(os.fsencode(path) + b"\0" for path in back)
            self._git.run(
                self._place,
                "checkout-index",
                "-q",
                "-f",
                "-z",
                "--stdin",
                stdin=names,
                seconds=SLOW,
            )

    def _drop_empty(self, folder: Path) -> None:
        while folder != self.folder and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _is_left_over(self, entry: Entry) -> bool:
        if "160000" in {entry.old_mode, entry.new_mode} or self._is_beyond_link(entry.path):
            return False
        path = self.folder / entry.path
        if not os.path.lexists(path):
            return not entry.is_new
        if path.is_dir() and not path.is_symlink():
            return False
        data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        old, new = (self._content(blob, entry.path) for blob in (entry.old, entry.new))
        if data == old and _mode(path) == entry.old_mode:
            return False
        return any(known is not None and known.startswith(data) for known in (new, old))

    def _content(self, blob: str, path: str) -> bytes | None:
        """What a checkout would write for a blob at a path."""
        if not blob.strip("0"):
            return None
        answer = self._git.ask(self._place, "cat-file", "--filters", f"--path={path}", blob)
        return answer.out if answer.code == 0 else None

    def _is_beyond_link(self, path: str) -> bool:
        return any((self.folder / above).is_symlink() for above in _above(path))

    def _require_rest(self) -> None:
        for name, what in _UNDERWAY.items():
            if (self.git_dir / name).exists():
                raise Conflict(
                    f"{what} is under way in {self.folder}",
                    hint="finish or abort it, then merge again",
                )

    def _in_the_way(self, what: str, paths: list[str]) -> Conflict:
        more = f" and {len(paths) - _TOLD} more" if len(paths) > _TOLD else ""
        return Conflict(
            f"{self.folder} {what}: {', '.join(paths[:_TOLD])}{more}",
            hint="commit or stash them (git stash), then merge again",
            paths=paths[:100],
        )

    def _untracked(self, entries: list[Entry]) -> Iterable[str]:
        """What stands where new files will be and is in neither commit; ignored files too."""
        going = {entry.path for entry in entries if entry.new_mode == "000000"}
        seen: set[str] = set()
        for entry in entries:
            if not entry.is_new:
                continue
            for above in _above(entry.path):
                path = self.folder / above
                if above not in seen and os.path.lexists(path) and above not in going:
                    seen.add(above)
                    if path.is_symlink() or not path.is_dir():
                        yield above
            yield from self._standing(self.folder / entry.path, going)

    def _standing(self, path: Path, going: set[str]) -> Iterable[str]:
        if path.is_symlink() or not path.is_dir():
            found = [path] if os.path.lexists(path) else []
        else:
            found = [file for file in path.rglob("*") if file.is_symlink() or not file.is_dir()]
        names = (str(file.relative_to(self.folder)) for file in found)
        yield from (name for name in names if name not in going)


def _mode(path: Path) -> str:
    if path.is_symlink():
        return "120000"
    return "100755" if path.stat().st_mode & stat.S_IXUSR else "100644"


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]
