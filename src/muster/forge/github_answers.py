"""GitHub's answers as values of the seam; what is not as GitHub sends it is told, not guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from muster.domain.errors import Away
from muster.forge.base import ChecksState, Opinion, Pull, PullState, Repository
from muster.forge.github_wire import Answer

_LONGEST = 100_000
_GOOD = frozenset({"success", "neutral", "skipped"})
OPINIONS: Mapping[str, Opinion] = {
    "APPROVED": Opinion.APPROVE,
    "CHANGES_REQUESTED": Opinion.REQUEST_CHANGES,
    "COMMENTED": Opinion.COMMENT,
    "DISMISSED": Opinion.COMMENT,
}
"""The states of reviews that count; one that was dismissed says nothing more."""


def table(value: Any) -> dict[str, Any]:
    """An object of an answer.

    Raises:
        Away: it is none.
    """
    if not isinstance(value, dict):
        raise _odd("no object")
    return value


def words(data: Mapping[str, Any], *path: str) -> str:
    """A text within an object; empty where there is none."""
    value: Any = data
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value[:_LONGEST] if isinstance(value, str) else ""


def number(data: Mapping[str, Any], name: str) -> int:
    """A whole number.

    Raises:
        Away: it is none.
    """
    value = data.get(name)
    if type(value) is not int:
        raise _odd(f"no number as {name}")
    return value


def repository(answer: Answer, git_base: str) -> Repository:
    """A repository; where git finds it is ours to say, as the token goes there."""
    data = table(answer.data)
    name = words(data, "full_name")
    permissions = data.get("permissions")
    return Repository(
        name=name,
        default_branch=words(data, "default_branch"),
        clone_url=f"{git_base}/{name}.git",
        private=data.get("private") is True,
        may_push=isinstance(permissions, dict) and permissions.get("push") is True,
        url=words(data, "html_url"),
    )


def pull(data: Any) -> Pull:
    """A pull request, from its own document or from a list."""
    told = table(data)
    merged = bool(told.get("merged_at")) or told.get("merged") is True
    state = PullState.MERGED if merged else PullState.CLOSED
    if told.get("state") == "open":
        state = PullState.OPEN
    can = told.get("mergeable")
    return Pull(
        number=number(told, "number"),
        url=words(told, "html_url"),
        branch=words(told, "head", "ref"),
        base=words(told, "base", "ref"),
        head=words(told, "head", "sha"),
        title=words(told, "title"),
        state=state,
        merged_commit=words(told, "merge_commit_sha") or None if merged else None,
        mergeable=can if isinstance(can, bool) else None,
        author=words(told, "user", "login"),
    )


def checks(combined: Answer, runs: Iterable[Any]) -> ChecksState:
    """What statuses and check runs say together."""
    said = table(combined.data)
    states = {_of_run(table(run)) for run in runs}
    if number(said, "total_count"):
        known = {"success": ChecksState.PASSED, "pending": ChecksState.PENDING}
        states.add(known.get(words(said, "state"), ChecksState.FAILED))
    for state in (ChecksState.FAILED, ChecksState.PENDING, ChecksState.PASSED):
        if state in states:
            return state
    return ChecksState.NONE


def _of_run(run: Mapping[str, Any]) -> ChecksState:
    if run.get("status") != "completed":
        return ChecksState.PENDING
    return ChecksState.PASSED if run.get("conclusion") in _GOOD else ChecksState.FAILED


def _odd(what: str) -> Away:
    return Away(f"GitHub answered oddly: {what}", hint="see that github_api_url is right")
