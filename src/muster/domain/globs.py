"""Which paths a list of patterns means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

_WILD = frozenset("*?[")


def matches(patterns: Iterable[str], path: str) -> bool:
    """Whether any of `patterns` means `path` (slashes, relative to the repository).

    - `test_*`, without a slash: a file of such a name, anywhere. Without wildcards (`tests`) it
      also means everything below a directory of that name.
    - `tests/`, ending in a slash: everything below such a directory, anywhere; `/tests/` only at
      the top.
    - `src/*.py`, `docs/**/*.md`, `src/app`: a path from the top; `*` stays within one directory,
      `**` does not. One that ends without wildcards also means everything below it.

    Letter case counts.
    """
    parts = path.split("/")
    return any(_matches(pattern, parts) for pattern in patterns)


def _matches(pattern: str, parts: Sequence[str]) -> bool:
    pattern = pattern.strip().removeprefix("./")
    if not pattern.strip("/"):
        return False
    if pattern.endswith("/"):
        return _below(pattern, parts)
    if "/" not in pattern:
        if _WILD.isdisjoint(pattern):
            return pattern in parts
        return fnmatchcase(parts[-1], pattern)
    return _from_the_top(pattern.strip("/").split("/"), parts)


def _below(pattern: str, parts: Sequence[str]) -> bool:
    names = pattern.strip("/").split("/")
    folders = parts[:-1]
    if pattern.startswith("/"):
        return _glob([*names, "**"], folders)
    return _glob(["**", *names, "**"], folders)


def _from_the_top(names: list[str], parts: Sequence[str]) -> bool:
    if _glob(names, parts):
        return True
    return _WILD.isdisjoint(names[-1]) and _glob([*names, "**"], parts)


def _glob(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Match component by component; `reached` holds how many parts may be used up so far.

    Linear in patterns times parts, so that no pattern can make it hang.
    """
    reached = {0}
    for name in names:
        if name == "**":
            reached = set(range(min(reached), len(parts) + 1))
        else:
            reached = {n + 1 for n in reached if n < len(parts) and fnmatchcase(parts[n], name)}
        if not reached:
            return False
    return len(parts) in reached
