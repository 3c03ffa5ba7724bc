"""What may never pass: names of refs, commits and paths that could mean something else to git."""

from __future__ import annotations

import re
from collections.abc import Iterable

from muster.domain import globs as patterns
from muster.domain.errors import Invalid

_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,120}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
OWN_BRANCHES = "muster/"
"""Every branch that muster makes in a user's repository starts so."""


def is_ref_name(name: str) -> bool:
    """Whether `name` can be a branch: never an option, a range, a path upwards or a lock."""
    if not _REF.fullmatch(name) or ".." in name or "@{" in name or name.endswith((".", "/")):
        return False
    return not any(
        part == "" or part.startswith(".") or part.endswith(".lock") for part in name.split("/")
    )


def ref_name(name: str) -> str:
    """`name`, when it can be a branch.

    Raises:
        Invalid: it cannot; the hint says what a branch may be called.
    """
    if not is_ref_name(name):
        raise Invalid(
            f"{name[:200]!r} cannot be used as the name of a branch",
            hint="use letters, digits and . _ / -, starting with a letter, a digit or _",
        )
    return name


def own_branch(name: str) -> str:
    """`name` without `refs/heads/`, when it is a branch that muster may write.

    Raises:
        Invalid: it is another's.
    """
    short = ref_name(name.removeprefix("refs/heads/"))
    if not short.startswith(OWN_BRANCHES):
        raise Invalid(
            f"{short!r} is not a branch of muster's own",
            hint=f"only branches below {OWN_BRANCHES} are written",
        )
    return short


def commit_id(text: str) -> str:
    """`text`, when it is a whole object id (SHA-1 or SHA-256).

    Raises:
        Invalid: it is not.
    """
    if not _COMMIT.fullmatch(text):
        raise Invalid(f"{text[:80]!r} is not a commit id", hint="give all its 40 or 64 hex digits")
    return text


def folder_name(text: str) -> str:
    """`text`, when it can name one folder of muster's own.

    Raises:
        Invalid: it could lead elsewhere.
    """
    if not _ID.fullmatch(text) or ".." in text:
        raise Invalid(f"{text[:80]!r} cannot be used as an id", hint="use letters, digits, . _ -")
    return text


def relative_path(text: str) -> str:
    """`text`, when it is a plain path below a tree: not absolute, nothing upwards, no git folder.

    Raises:
        Invalid: it is not.
    """
    parts = text.split("/")
    if (
        not text
        or "\0" in text
        or any(part in {"", ".", ".."} or is_git_folder(part) for part in parts)
    ):
        raise Invalid(
            f"{text[:200]!r} is not a path inside the repository",
            hint="give it relative to the repository's top, as src/main.py",
        )
    return text


def is_git_folder(name: str) -> bool:
    """Whether some file system would take `name` for `.git`."""
    plain = name.split(":")[0].rstrip(". ").lower()
    return plain in {".git", "git~1"}


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether a path matches any of the globs of a `test_paths` setting (see `globs.matches`)."""
    return patterns.matches(globs, path)
