"""What the pages need from the counter and from the sign-in, and nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

Row = dict[str, Any]
"""One JSON object of the API, as the counter returns it."""


class Counter(Protocol):
    """The questions that pages ask; acting goes through `/api`, never through here."""

    def current_rev(self) -> int:
        """The number of the newest event."""
        ...

    async def wait_change(self, rev: int, seconds: float) -> int:
        """The newest number, as soon as it is above `rev` or when the time is up."""
        ...

    async def changed_since(self, rev: int, project: str | None = None) -> Row:
        """The newest state of what changed after `rev`."""
        ...

    async def list_projects(self) -> Row:
        """All projects."""
        ...

    async def list_tasks(
        self,
        project: str | None = None,
        status: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> Row:
        """One page of tasks, newest first; `status` may name several, with commas."""
        ...

    async def get_task(self, ref: str) -> Row:
        """One task with its agents, verdicts, checkpoints and trail."""
        ...

    async def task_diff(self, ref: str) -> Row:
        """What the task changed, file by file."""
        ...

    async def agent_logs(
        self, agent_id: str, /, offset: int | None = None, limit: int = ..., tail: int | None = None
    ) -> Row:
        """A range of an agent's output."""
        ...

    def follow_logs(self, agent_id: str, /, offset: int | None = None) -> AsyncIterator[Row]:
        """An agent's output from an offset on, as it comes."""
        ...

    async def list_breakpoints(self, open_only: bool = True) -> Row:
        """Questions that wait for a person, or all of them."""
        ...

    async def get_queue(self) -> Row:
        """The ordered list and the queue's settings."""
        ...

    async def fleet(self, project: str | None = None) -> Row:
        """The figures above the board."""
        ...

    async def metrics(self, project: str | None = None, since: str | None = None) -> Row:
        """What happened since a time, in figures."""
        ...


class Session(Protocol):
    """How a browser is signed in; the gate owns it."""

    @property
    def cookie_name(self) -> str:
        """The name of the cookie that carries the session."""
        ...

    def sign_in(self, token: str) -> str | Awaitable[str | None] | None:
        """The cookie's value for a token that opens this door, or None."""
        ...

    def csrf(self, cookie: str) -> str:
        """The value that a page must send back with everything it does."""
        ...
