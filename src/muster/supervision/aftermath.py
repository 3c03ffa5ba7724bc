"""What later commits and tasks show of merged work: it stayed, was reverted, or was fixed. Pure.

Only what is certain enough counts: a guess would teach muster wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from muster.domain.aftermath import Shown, Sign

DAY_MS = 24 * 3_600_000
STAYED_DAYS, STAYED_MERGES = 14, 20
"""Work that was left alone for so long, or under so many later merges of tasks, was right."""

_REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{40,64})\b", re.MULTILINE)
_FIXES = re.compile(r"^Fixes: ?([0-9a-f]{7,64})\b", re.MULTILINE)
_BLAMES = re.compile(
    r"\b(?:broken|caused|introduced) by (MU-\d+)\b"
    r"|\bregression (?:of|in|from|by|since) (MU-\d+)\b"
    r"|\bfix(?:es|ed)? (?:a|the) (?:bug|fault|error|mistake) (?:of|in|from|by) (MU-\d+)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Blamed:
    """What later words say: commits that were reverted, prefixes of commits and tasks at fault."""

    reverted: frozenset[str]
    fixed: tuple[str, ...]
    tasks: frozenset[str]


def blamed_by(commits: Iterable[tuple[str, str]], texts: Iterable[str] = ()) -> Blamed:
    """What commits, as (id, message) from the newest on, and the texts of tasks blame.

    A commit that was itself reverted blames nothing.
    """
    reverted: set[str] = set()
    fixed: list[str] = []
    tasks: set[str] = set()
    said = list(texts)
    for commit, message in commits:
        if commit in reverted:
            continue
        reverted |= set(_REVERTS.findall(message))
        fixed += _FIXES.findall(message)
        said.append(message)
    for text in said:
        tasks |= {name.upper() for found in _BLAMES.findall(text) for name in found if name}
    return Blamed(frozenset(reverted), tuple(fixed), frozenset(tasks))


@dataclass(frozen=True, slots=True)
class MergedWork:
    """A merged task: how it is called, and its commits.

    `later` tasks were merged after it. It is `undone` where all its paths are as before it.
    """

    label: str
    commits: tuple[str, ...]
    age_ms: int
    later: int
    undone: bool


def sign_of(work: MergedWork, blamed: Blamed) -> Sign | None:
    """What is shown of it by now; None while nothing is."""
    if any(commit in blamed.reverted for commit in work.commits):
        return Sign(False, Shown.REVERTED, "a later commit says that it reverts it")
    if work.undone:
        return Sign(False, Shown.REVERTED, "every file that it changed is as it was before it")
    if any(commit.startswith(prefix) for commit in work.commits for prefix in blamed.fixed):
        return Sign(False, Shown.FIXED, "a later commit says that it fixes it")
    if work.label in blamed.tasks:
        return Sign(False, Shown.FIXED, "a later commit or task names it as the cause of a fault")
    return _stayed(work)


def _stayed(work: MergedWork) -> Sign | None:
    if work.age_ms >= STAYED_DAYS * DAY_MS:
        return Sign(True, Shown.STAYED, f"nobody undid or mended it for {STAYED_DAYS} days")
    if work.later >= STAYED_MERGES:
        why = f"nobody undid or mended it while {STAYED_MERGES} other tasks were merged"
        return Sign(True, Shown.STAYED, why)
    return None
