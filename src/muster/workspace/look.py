"""What differs in a workspace from its index, found without entering anything that was planted."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from muster.domain.guard import is_git_folder, matches
from muster.workspace.control import State
from muster.workspace.git import Git, Place

DROPPINGS = (".aider*",)
"""Files that agents leave for themselves."""

_EMPTY_DROPPINGS = frozenset(
    {
        *(".bash_profile", ".bashrc", ".gitconfig", ".gitmodules", ".mcp.json", ".profile"),
        *(".ripgreprc", ".zprofile", ".zshrc", ".vscode", ".idea", ".claude", ".npmrc"),
    }
)
"""Empty files of these names at the top are what is left of a sandbox's protected places."""

MOST_PATHS = 256
"""Beyond so many paths a look at the whole tree is cheaper than asking path by path."""

_SMALL_INDEX = 512 * 1024
"""Bytes. Below, comparing every file costs less than asking about some."""


@dataclass(slots=True)
class Findings:
    """Paths to record, paths that are gone, and repositories that were planted.

    `excluded` says that something was left out only because the caller asked for it.
    """

    present: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    excluded: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to record."""
        return bool(self.present or self.gone)


def patterns(state: State) -> list[str]:
    """What is never shown as new: agents' droppings and the setup layer, as ignore patterns."""
    return [*DROPPINGS, *(f"/{_escape(path)}" for path in state.layer)]


def _escape(path: str) -> str:
    return re.sub(r"([\\*?\[\] ])", r"\\\1", path)


def look(
    git: Git,
    place: Place,
    state: State,
    touched: Sequence[str] | None,
    exclude: Sequence[str] = (),
) -> Findings:
    """Compare the tree with the index of `place`.

    `touched` are the paths at or below which the files may differ from what was opened, None when
    unknown. What snapshots recorded may be gone without a trace, so it is looked at too.
    """
    places = None if touched is None else {*touched, *state.recorded}
    if places is not None and not places:
        return Findings()
    hidden = [word for pattern in patterns(state) for word in ("-x", pattern)]
    args = ["ls-files", "-z", "-t", "-o", "--exclude-standard", *hidden]
    # Asked for paths, git need not visit every file; but it compares each entry with each path.
    assert place.index is not None
    small = place.index.stat().st_size < _SMALL_INDEX
    if places is None or small or len(places) > MOST_PATHS:
        listed = git.run(place, *args, "-m", "-d")
    else:
        listed = git.run(place, *args, "-c", "--", *sorted(places))
    return _Sorter(place, state, exclude).sort(listed)


class _Sorter:
    """Decides what each listed path means, by looking at the file itself, never through links."""

    def __init__(self, place: Place, state: State, exclude: Sequence[str]) -> None:
        assert place.work_tree is not None
        self._tree = place.work_tree
        self._gitlinks = frozenset(state.gitlinks)
        self._exclude = exclude
        self._folders: dict[str, bool] = {"": True}

    def sort(self, listed: bytes) -> Findings:
        found = Findings()
        for entry in dict.fromkeys(os.fsdecode(listed).split("\0")):
            tag, _, path = entry.partition(" ")
            if not path or self._is_left_out(path):
                continue
            if matches(path, self._exclude):
                found.excluded = True
                continue
            if path.endswith("/"):
                found.nested.append(path.rstrip("/"))
            elif not self._is_there(path):
                if tag != "?":
                    found.gone.append(path)
            elif self._is_recorded(path, new=tag == "?"):
                found.present.append(path)
        found.gone = list(dict.fromkeys(found.gone))
        return found

    def _is_left_out(self, path: str) -> bool:
        parts = path.rstrip("/").split("/")
        if any(map(is_git_folder, parts)):
            return True
        above = ("/".join(parts[: i + 1]) for i in range(len(parts)))
        return bool(self._gitlinks) and any(folder in self._gitlinks for folder in above)

    def _is_there(self, path: str) -> bool:
        """Whether it can be reached without a link on the way and is no folder."""
        folder, _, _ = path.rpartition("/")
        return self._is_folder(folder) and not stat.S_ISDIR(self._mode(path) or stat.S_IFDIR)

    def _is_folder(self, folder: str) -> bool:
        known = self._folders.get(folder)
        if known is None:
            above = self._is_folder(folder.rpartition("/")[0])
            known = above and stat.S_ISDIR(self._mode(folder))
            self._folders[folder] = known
        return known

    def _is_recorded(self, path: str, *, new: bool) -> bool:
        found = (self._tree / path).lstat()
        if new and path in _EMPTY_DROPPINGS and found.st_size == 0:
            return False
        return stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)

    def _mode(self, path: str) -> int:
        try:
            return (self._tree / path).lstat().st_mode
        except OSError:
            return 0


def as_input(paths: Iterable[str]) -> bytes:
    """Paths as git reads them with -z."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)
