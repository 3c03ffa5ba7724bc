"""What every forge can do: the seam between the engine and where people see work.

A forge knows nothing of tasks, and nothing of files: commits are carried by git, to where `remote`
says. Agents never meet it. All verbs may be called again after a crash that left it unknown whether
they had been heard: none of them does a thing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Access:
    """What the settings say of a forge: where its API is, the token, and whose `name` alone is."""

    api_url: str
    token: str = field(default="", repr=False)
    owner: str = ""


class PullState(StrEnum):
    """What has become of a pull request."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


class Opinion(StrEnum):
    """What a review says of a pull request as it was at one commit."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    COMMENT = "comment"


class ChecksState(StrEnum):
    """What the forge's own checks say of a commit; `none` where there are no checks."""

    NONE = "none"
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Account:
    """Who the forge takes muster for; never the token itself.

    `signed_in` is False with `why` and `mend` where there is no token or a refused one. `scopes`
    are those that the forge told. Of the rate limit: what is left, and when it begins anew (epoch
    seconds).
    """

    signed_in: bool
    login: str = ""
    scopes: tuple[str, ...] = ()
    why: str = ""
    mend: str = ""
    rate_left: int | None = None
    rate_resets_at: int | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as the forge names it: `owner/name`, its main branch, where git finds it."""

    name: str
    default_branch: str
    clone_url: str
    private: bool
    may_push: bool
    url: str = ""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where git carries commits to, and the headers that let it in, which no argv may hold."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class NewPull:
    """A pull request to be: from a branch of the same repository onto `base`."""

    branch: str
    base: str
    title: str
    body: str
    draft: bool = False


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as it is now. `head` is its commit; `mergeable` None while nobody knows."""

    number: int
    url: str
    branch: str
    base: str
    head: str
    title: str
    state: PullState
    merged_commit: str | None = None
    mergeable: bool | None = None
    author: str = ""


@dataclass(frozen=True, slots=True)
class LineComment:
    """A remark on a line of a file as it is at the head; on the file where `line` is None."""

    path: str
    line: int | None
    text: str


@dataclass(frozen=True, slots=True)
class NewReview:
    """A review to be given. By its `key` it is known again: the same key is said once."""

    key: str
    head: str
    opinion: Opinion
    summary: str
    comments: Sequence[LineComment] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """A review that somebody gave; `own` when muster did. `at` is RFC 3339."""

    id: str
    author: str
    opinion: Opinion
    head: str
    summary: str
    own: bool
    at: str = ""
    comments: Sequence[LineComment] = ()


@runtime_checkable
class Forge(Protocol):
    """A forge, made by calling its class with `Access`.

    Every verb may take seconds; `repo` is the name that the forge knows.

    Raises (all verbs): the errors of `muster.domain.errors`: `Unavailable` where the forge does not
    answer or a rate limit lasts longer than is waited for, `NotAllowed` and `NotSignedIn` where
    the token does not do, `NotFound`, `Conflict` where the state of things does not allow it.
    """

    name: str

    def full_name(self, repo: str) -> str:
        """`repo` as `owner/name`; a name alone is that of the owner in the settings.

        Raises:
            Invalid: it cannot be a repository's name, or no owner is known.
        """
        ...

    def named_by(self, url: str) -> str | None:
        """The repository that a git remote's URL names at this forge; None when it is elsewhere."""
        ...

    async def account(self) -> Account:
        """Who we are there, and whether the token does; no exception for a missing one."""
        ...

    async def repository(self, repo: str) -> Repository:
        """The repository of this name."""
        ...

    async def remote(self, repo: str) -> Remote:
        """Where git carries commits to."""
        ...

    async def open_pull(self, repo: str, new: NewPull) -> Pull:
        """Offer a branch; the one that is open for it already is given back, with its title."""
        ...

    async def pull(self, repo: str, number: int) -> Pull:
        """A pull request as it is now."""
        ...

    async def pulls(self, repo: str, state: str = "open", limit: int = 100) -> list[Pull]:
        """The newest pull requests; `state` is open, closed or all."""
        ...

    async def checks(self, repo: str, commit: str) -> ChecksState:
        """What the forge's checks and statuses say of a commit."""
        ...

    async def give_review(self, repo: str, number: int, review: NewReview) -> None:
        """Say what a reviewer found; remarks on lines that are not in the change go to the summary.

        A forge that lets nobody review their own pull request is given it as a comment.
        """
        ...

    async def reviews(self, repo: str, number: int) -> list[Review]:
        """All reviews, oldest first."""
        ...

    async def merge(self, repo: str, number: int, method: str, head: str, message: str) -> Pull:
        """Merge (`merge`, `squash` or `rebase`) if the head still is `head` and checks passed.

        One that is merged already is given back as it is.

        Raises:
            Conflict: checks failed or are pending, the head is another, or git finds a conflict.
        """
        ...

    async def close_pull(self, repo: str, number: int, comment: str) -> None:
        """Close one that will not be merged, and say why."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Forges(Protocol):
    """The forges of this server, each made when it is first asked for."""

    @property
    def names(self) -> frozenset[str]:
        """Those that there are."""
        ...

    async def of(self, name: str) -> Forge:
        """The forge of a name.

        Raises:
            Invalid: there is none, or its settings cannot be.
        """
        ...
