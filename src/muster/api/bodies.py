"""What requests carry, for the parser and for OpenAPI; the counter checks the meaning."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A request body: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def sent(self) -> dict[str, Any]:
        """Only what the caller sent."""
        return self.model_dump(exclude_unset=True)


class NewTask(Body):
    """A piece of work in plain words."""

    project: str = Field(description="id or name of the project")
    description: str = Field(description="what should be done, in plain words")
    title: str | None = Field(None, description="the first line of the description unless given")
    type: str | None = Field(
        None, description="feature, bug, refactor, test, documentation or chore"
    )
    priority: int | None = Field(None, description="0 to 9; a higher number starts first")
    after: list[str] | None = Field(None, description="tasks that must complete first")
    autonomy: str | None = Field(None, description="manual, confirm or full")
    agent: str | None = None
    runtime: str | None = None
    playbook: str | None = Field(None, description="solo, crew, manager, plan, or an own one")
    model: str | None = None
    budget_usd: float | None = None
    timeout_minutes: float | None = None
    paths: list[str] | None = Field(None, description="patterns the work should stay within")
    image: str | None = Field(None, description="what containers of this task stand on")
    acceptance: bool | None = Field(
        None, description="whether acceptance tests are written first; unsaid: as the project says"
    )
    repos: list[str] | None = Field(None, description="further projects that the task may touch")


class TaskChange(Body):
    """What can be changed of a task."""

    after: list[str] | None = Field(
        None, description="further tasks that must complete first; before it starts"
    )
    budget_usd: float | None = Field(
        None, description="what it may cost; from its next attempt, for a manager at once"
    )
    priority: int | None = Field(None, description="0 to 9; a higher number starts first")


class TakeCheckpoint(Body):
    """What to call a checkpoint."""

    label: str = ""


class Fork(Body):
    """What a fork has otherwise than the task it is forked off."""

    description: str | None = None
    title: str | None = None
    agent: str | None = None
    runtime: str | None = None
    model: str | None = None
    autonomy: str | None = None
    budget_usd: float | None = None


class Retry(Body):
    """A word from the person to the next attempt."""

    note: str = ""


class Outcome(Body):
    """Whether a task's work was right, as a person saw it afterwards."""

    outcome: str = Field(description="right or wrong")
    why: str = ""


class NewProject(Body):
    """A repository to register."""

    path: str = Field(description="absolute path of the repository or its work tree")
    name: str | None = None
    branch: str | None = Field(None, description="the branch that accepted work is merged into")
    settings: dict[str, Any] | None = None
    trust: bool = Field(False, description="let the repository's .muster/config.toml set commands")


class ProjectChange(Body):
    """Settings to set, or to clear with null."""

    settings: dict[str, Any] | None = None
    branch: str | None = None


class Policy(Body):
    """Settings, and texts of rules files, to try on decisions of the past."""

    settings: dict[str, Any] = Field(default_factory=dict)
    rules: str | None = None
    home_rules: str | None = None


class NewEvent(Body):
    """A fact from outside."""

    type: str
    subject: str | None = None
    payload: dict[str, Any] | None = None
    project_id: str | None = None
    task_id: str | None = None


class QueueChange(Body):
    """What holds work back."""

    paused: bool | None = None
    stop_on_failure: bool | None = None
    max_concurrent: int | None = None


class QueuePlace(Body):
    """Where on the ordered list a task is to stand."""

    position: int | None = Field(
        None, ge=1, description="its number among what has not ended; the end unless given"
    )


class QueueOrder(Body):
    """The whole ordered list as it is to stand."""

    tasks: list[str] = Field(
        max_length=10_000, description="every task on it that has not ended, by id or label"
    )


class Resolution(Body):
    """An answer to a question."""

    answer: str
    note: str = Field("", description="for `edit`: the inputs to change, as a JSON object")


class NewToken(Body):
    """A token that a person or a client is to have."""

    name: str = Field(description="whose it is; what they decide is kept under this name")
    roles: list[str] | None = Field(None, description="what they may decide where a rule asks")
    expires: str | None = Field(None, description="12h, 30d or 4w; unsaid: never")


class Word(Body):
    """Something to be said to an agent at work."""

    text: str


class Spawn(Body):
    """The task that an agent is wanted for."""

    task: str


class GitHubPush(Body):
    """Whose work is pushed."""

    task: str


class GitHubPull(Body):
    """What is offered: a task's work, or a branch that is there."""

    task: str | None = Field(None, description="whose work is pushed and offered")
    repo: str | None = Field(None, description="a project, owner/name, or one of the owner's")
    branch: str | None = None
    base: str | None = Field(None, description="onto which branch; else the main one")
    title: str | None = None
    body: str | None = None
    draft: bool = False


class GitHubMerge(Body):
    """How a pull request is merged."""

    method: str = Field("merge", description="merge, squash or rebase")
    head: str | None = Field(None, description="only if its head still is this commit")
    message: str | None = Field(None, description="title and text of the commit")
