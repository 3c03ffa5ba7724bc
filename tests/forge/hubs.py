"""The loopback GitHub as the contract's other side, and forges on it that waste no time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from contracts.forge import BASE
from forge.loopback_github import Hub
from muster.forge.base import Access, ChecksState, Opinion
from muster.forge.github import GitHubForge
from muster.forge.github_limits import Pace

REPO = "team/app"
_EVENTS = {
    Opinion.APPROVE: "APPROVE",
    Opinion.REQUEST_CHANGES: "REQUEST_CHANGES",
    Opinion.COMMENT: "COMMENT",
}
_RUNS: Mapping[ChecksState, tuple[str, str | None]] = {
    ChecksState.PENDING: ("in_progress", None),
    ChecksState.PASSED: ("completed", "success"),
    ChecksState.FAILED: ("completed", "failure"),
}
_STATES = {
    ChecksState.PENDING: "pending",
    ChecksState.PASSED: "success",
    ChecksState.FAILED: "failure",
}


@dataclass
class Time:
    """A clock that only waiting moves."""

    now: float = 1_800_000_000.0
    waited: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds

    def pace(self, **more: float) -> Pace:
        return replace(Pace(clock=self.clock, pause=self.pause), **more)


class GitHubWorld:
    """`team/app` with `BASE` on `main`, and anna, who may write there."""

    repo = REPO

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.bare = hub.create(REPO, BASE).bare
        hub.person("anna", REPO)

    def push(self, branch: str, files: Mapping[str, str]) -> str:
        if self.bare.tip(branch) is None:
            self.bare.git("update-ref", f"refs/heads/{branch}", self.tip("main"))
        return self.bare.commit(branch, files)

    def tip(self, branch: str) -> str:
        return self.bare.tip(branch) or ""

    def files(self, branch: str) -> Mapping[str, str]:
        return self.hub.files(REPO, branch)

    def review(self, number: int, opinion: Opinion, text: str) -> None:
        self.hub.review(REPO, number, "anna", _EVENTS[opinion], text)

    def check(self, commit: str, state: ChecksState, name: str = "tests") -> None:
        """`tests` is a check run, all others are statuses."""
        if name == "tests":
            self.hub.set_run(REPO, commit, *_RUNS[state], run=name)
        else:
            self.hub.set_status(REPO, commit, _STATES[state], name)

    def reviews(self) -> list[str]:
        return [row["body"] for row in self.hub.reviews(REPO)]

    def comments(self) -> list[str]:
        return [row["body"] for row in self.hub.comments(REPO)]


def forge_on(url: str, token: str, time: Time, owner: str = "team", **pace: float) -> GitHubForge:
    return GitHubForge(Access(url, token, owner), time.pace(**pace))
