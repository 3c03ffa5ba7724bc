"""Every route of the HTTP API as a method."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from muster.client.follow import follow
from muster.client.home import find_server, read_token
from muster.client.shapes import (
    Agent,
    AgentAnalytics,
    Agents,
    Breakpoint,
    BreakpointRules,
    Breakpoints,
    Checkpoint,
    Checkpoints,
    CloneUrl,
    Decisions,
    Diff,
    EnsuredRemote,
    Event,
    Events,
    EventStory,
    GitHubRepository,
    GitHubStatus,
    Health,
    LogMessage,
    LogPage,
    Metrics,
    NewToken,
    Outcome,
    Playbooks,
    PolicyTrial,
    Project,
    Projects,
    PullRequest,
    PullRequests,
    Pushed,
    Queue,
    QueueSettings,
    Reliability,
    Task,
    TaskDetail,
    Tasks,
    Token,
    Tokens,
    WholePullRequest,
)
from muster.client.wire import REAL_TIME, STEADY, Clock, Patience, Wire, path_of


class Muster:
    """A muster server, spoken to over HTTP.

    A task is named by its id or its label (`MU-12`), a project by its id or its name. Every call
    may raise `Unreachable` and the errors of `muster.domain.errors` that the server answered.
    Use one client per thread.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        patience: Patience = STEADY,
        clock: Clock = REAL_TIME,
    ) -> None:
        self._wire = Wire(url, token, patience, clock)

    @classmethod
    def from_home(cls, home: Path | str, *, patience: Patience = STEADY) -> Self:
        """The server that runs on this home, with the token of its first user.

        Raises:
            Unreachable: no server runs for it.
            NotSignedIn: the token cannot be read.
        """
        folder = Path(home)
        return cls(find_server(folder).url, read_token(folder), patience=patience)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._wire.url

    def mcp(self, message: Mapping[str, Any], version: str = "") -> Any:
        """Carry one message of the Model Context Protocol; its answer, None when it takes none."""
        return self._wire.mcp(message, version)

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    def __enter__(self) -> Self:
        """The client itself; leaving closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _get(self, *parts: str | int, **query: Any) -> Any:
        return self._wire.call("GET", path_of(*parts), query=query)

    def _post(
        self, *parts: str | int, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Any:
        return self._wire.call("POST", path_of(*parts), body=body, key=key)

    # --- server ---

    def health(self) -> Health:
        """Whether the server works; needs no token."""
        return cast(Health, self._get("health"))

    # --- projects ---

    def list_projects(self, path: Path | str | None = None) -> Projects:
        """All projects, or those whose work tree holds `path`."""
        return cast(Projects, self._get("projects", path=path))

    def get_project(self, project: str) -> Project:
        """One project with its settings and where each came from."""
        return cast(Project, self._get("projects", project))

    def add_project(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        branch: str | None = None,
        settings: Mapping[str, Any] | None = None,
        trust: bool = False,
        key: str | None = None,
    ) -> Project:
        """Register a repository; `trust` lets its own files set what runs commands."""
        body = _given(path=str(path), name=name, branch=branch, settings=settings, trust=trust)
        return cast(Project, self._post("projects", body=body, key=key))

    def change_project(self, project: str, settings: Mapping[str, Any]) -> Project:
        """Set settings of a project; None takes one back to what is below it."""
        path = path_of("projects", project)
        return cast(Project, self._wire.call("PATCH", path, body={"settings": settings}))

    def remove_project(self, project: str) -> Any:
        """Forget a project; its repository is not touched."""
        return self._wire.call("DELETE", path_of("projects", project))

    # --- tasks ---

    def list_tasks(
        self,
        *,
        project: str | None = None,
        status: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Tasks:
        """A page of tasks; `after` is the `next` of the page before."""
        query = {"project": project, "status": status, "limit": limit, "after": after}
        return cast(Tasks, self._get("tasks", **query))

    def get_task(self, task: str) -> TaskDetail:
        """A task with its agents, verdicts, decisions, checkpoints and trail."""
        return cast(TaskDetail, self._get("tasks", task))

    def create_task(
        self, project: str, description: str, *, key: str | None = None, **fields: Any
    ) -> Task:
        """Submit work; the same `key` makes the same task only once.

        `fields` may be title, type, agent, runtime, playbook, autonomy, after, priority,
        budget_usd, model, timeout_minutes, paths, image, acceptance, repos.
        """
        body = _given(project=project, description=description, **fields)
        return cast(Task, self._post("tasks", body=body, key=key))

    def approve_task(self, task: str) -> Task:
        """Say go to a proposed task."""
        return cast(Task, self._post("tasks", task, "approve"))

    def cancel_task(self, task: str) -> Task:
        """End a task and whatever of it runs."""
        return cast(Task, self._post("tasks", task, "cancel"))

    def retry_task(self, task: str, note: str = "") -> Task:
        """Have a task tried again; the agent is told the note."""
        return cast(Task, self._post("tasks", task, "retry", body=_given(note=note or None)))

    def set_budget(self, task: str, budget_usd: float) -> Task:
        """Set what a task may cost, in US dollars; a manager with all of its workers."""
        path = path_of("tasks", task)
        return cast(Task, self._wire.call("PATCH", path, body={"budget_usd": budget_usd}))

    def set_priority(self, task: str, priority: int) -> Task:
        """Say how urgent a task is, 0 to 9; a higher number starts first."""
        path = path_of("tasks", task)
        return cast(Task, self._wire.call("PATCH", path, body={"priority": priority}))

    def merge_task(self, task: str) -> Task:
        """Merge accepted work into the project's branch."""
        return cast(Task, self._post("tasks", task, "merge"))

    def tell_outcome(self, task: str, outcome: str, why: str = "") -> Outcome:
        """Say whether the task's work was `right` or `wrong`."""
        body = _given(outcome=outcome, why=why or None)
        return cast(Outcome, self._post("tasks", task, "outcome", body=body))

    def task_diff(self, task: str) -> Diff:
        """What the task changed, file by file."""
        return cast(Diff, self._get("tasks", task, "diff"))

    def decisions(self, task: str) -> Decisions:
        """The decisions about a task with all that each depended on."""
        return cast(Decisions, self._get("tasks", task, "decisions"))

    def try_policy(
        self,
        project: str,
        settings: Mapping[str, Any],
        rules: str | None = None,
        home_rules: str | None = None,
    ) -> PolicyTrial:
        """Decide a project's past again, with other settings or rules; nothing is changed.

        `rules` is the text of a rules file that stands for the project's own, `home_rules` of one
        that stands for the home's.
        """
        body = {"settings": dict(settings)} | _given(rules=rules, home_rules=home_rules)
        return cast(PolicyTrial, self._post("projects", project, "try", body=body))

    def debug_bundle(
        self,
        task: str,
        into: IO[bytes],
        told: Callable[[int, int | None], None] = lambda _done, _whole: None,
    ) -> int:
        """All that is known of a task, without secrets, as a `.tar.gz`; how many bytes it has.

        `told` is told as it comes how many bytes are there, and of how many.
        """
        return self._wire.download(path_of("tasks", task, "debug-bundle"), into, told)

    def list_checkpoints(self, task: str) -> Checkpoints:
        """The points that the task's branch can be put back to."""
        return cast(Checkpoints, self._get("tasks", task, "checkpoints"))

    def take_checkpoint(self, task: str, label: str = "", *, key: str | None = None) -> Checkpoint:
        """Keep the task's work as it is now, also while an agent is at it."""
        body = _given(label=label or None)
        return cast(Checkpoint, self._post("tasks", task, "checkpoints", body=body, key=key))

    def fork_task(
        self,
        task: str,
        n: int,
        description: str | None = None,
        *,
        key: str | None = None,
        **fields: Any,
    ) -> Task:
        """Make a task that begins as this one was at checkpoint `n`.

        `fields` may be title, agent, runtime, model, autonomy, budget_usd; the rest is as it was.
        """
        body = _given(description=description, **fields)
        parts = ("tasks", task, "checkpoints", n, "fork")
        return cast(Task, self._post(*parts, body=body, key=key))

    def restore_checkpoint(self, task: str, n: int) -> Task:
        """Put the task's branch back to a checkpoint; the task as it then is."""
        return cast(Task, self._post("tasks", task, "checkpoints", n, "restore"))

    # --- figures ---

    def metrics(self, *, project: str | None = None, since: str | None = None) -> Metrics:
        """What happened since a time (`7d`, `24h`, `all`, a moment), in figures."""
        return cast(Metrics, self._get("metrics", project=project, since=since))

    def agent_analytics(
        self, *, project: str | None = None, since: str | None = None, until: str | None = None
    ) -> AgentAnalytics:
        """How agents do, how their runs end, and how long work waits."""
        query = {"project": project, "since": since, "until": until}
        return cast(AgentAnalytics, self._get("agents", "analytics", **query))

    # --- agents ---

    def list_agents(
        self,
        *,
        task: str | None = None,
        status: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Agents:
        """A page of agents."""
        query = {"task": task, "status": status, "limit": limit, "after": after}
        return cast(Agents, self._get("agents", **query))

    def active_agents(self) -> Agents:
        """The agents that run now."""
        return cast(Agents, self._get("agents", "active"))

    def get_agent(self, agent: str) -> Agent:
        """One agent."""
        return cast(Agent, self._get("agents", agent))

    def spawn_agent(self, task: str) -> Any:
        """Start a queued or proposed task now."""
        return self._post("agents", "spawn", body={"task": task})

    def kill_agent(self, agent: str) -> Agent:
        """End an agent and every process of it."""
        return cast(Agent, self._post("agents", agent, "kill"))

    def tell_agent(self, agent: str, text: str, *, key: str | None = None) -> Agent:
        """Say something to an agent at work: in its running turn, else as its next."""
        return cast(Agent, self._post("agents", agent, "send", body={"text": text}, key=key))

    def clean_agents(self) -> Any:
        """Clear away what is left of agents that have ended."""
        return self._post("agents", "clean")

    def retry_agent(self, agent: str) -> Any:
        """Start the agent's step again."""
        return self._post("agents", agent, "retry")

    def agent_logs(
        self,
        agent: str,
        offset: int | None = None,
        limit: int | None = None,
        tail: int | None = None,
    ) -> LogPage:
        """A stretch of an agent's output; `offset`, `limit` and `tail` count bytes."""
        query = {"offset": offset, "limit": limit, "tail": tail}
        return cast(LogPage, self._get("agents", agent, "logs", **query))

    def terminal(self, agent: str, **query: str | int | None) -> tuple[str, dict[str, str]]:
        """Where the WebSocket of an agent's terminal is opened, and the headers for that."""
        return self._wire.socket(path_of("agents", agent, "terminal"), query)

    def logs(
        self, agent: str, offset: int = 0, *, until: float | None = None
    ) -> Iterator[LogMessage]:
        """An agent's output as it comes, from `offset` to its `end`, which is the last message.

        Raises:
            TimeoutError: the clock reached `until`.
        """
        path = path_of("agents", agent, "logs")
        for message in follow(self._wire, path, last_id=str(offset), until=until):
            data = _object(message.data)
            yield LogMessage(event=message.event, id=message.id, data=data)

    def cassette(self, agent: str) -> str:
        """An agent's transcript in the form that `rehearsal` replays: JSON lines."""
        return self._wire.text(path_of("agents", agent, "cassette"))

    # --- events ---

    def list_events(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        type: str | None = None,
        task: str | None = None,
        processed: bool | None = None,
    ) -> Events:
        """Events in order, those after the number `after`; with or without a mark, or all."""
        query = {"after": after, "limit": limit, "type": type, "task": task}
        which = () if processed is None else ("processed" if processed else "pending",)
        return cast(Events, self._get("events", *which, **query))

    def get_event(self, rev: int) -> EventStory:
        """One event by its number, what led to it and what it led to."""
        return cast(EventStory, self._get("events", rev))

    def emit_event(
        self,
        type: str,
        subject: str,
        payload: Mapping[str, Any] | None = None,
        *,
        project_id: str | None = None,
        task_id: str | None = None,
        key: str | None = None,
    ) -> Event:
        """Put an event of one's own into the stream."""
        body = _given(
            type=type,
            subject=subject,
            payload=dict(payload or {}),
            project_id=project_id,
            task_id=task_id,
        )
        return cast(Event, self._post("events", body=body, key=key))

    def mark_processed(self, rev: int) -> Event:
        """Say that an event was dealt with.

        Raises:
            Conflict: somebody has said so before.
        """
        return cast(Event, self._post("events", rev, "processed"))

    def events(self, after: int | None = None, *, until: float | None = None) -> Iterator[Event]:
        """Every event after the number `after` (None: from now on), each once, in order, for ever.

        When the server no longer has them all it sends one of type `resync`: read the state anew.

        Raises:
            TimeoutError: the clock reached `until`.
            Gone: the events after `after` are no longer kept.
        """
        last_id = "" if after is None else str(after)
        stream = follow(self._wire, path_of("events", "stream"), last_id=last_id, until=until)
        for message in stream:
            event = cast(Event, _object(message.data))
            event.setdefault("type", message.event)
            if message.event == "resync":
                event["type"] = "resync"
            yield event

    # --- queue ---

    def get_queue(self) -> Queue:
        """The ordered list, what is done of it, and the settings."""
        return cast(Queue, self._get("queue"))

    def queue_settings(self) -> QueueSettings:
        """What holds work back."""
        return cast(QueueSettings, self._get("queue", "settings"))

    def set_queue(
        self,
        *,
        paused: bool | None = None,
        stop_on_failure: bool | None = None,
        max_concurrent: int | None = None,
    ) -> QueueSettings:
        """Change what holds work back; what is not given stays."""
        body = _given(paused=paused, stop_on_failure=stop_on_failure, max_concurrent=max_concurrent)
        return cast(QueueSettings, self._post("queue", "settings", body=body))

    def queue_add(self, task: str, *, position: int | None = None) -> Queue:
        """Put a task on the ordered list or move it there: to a place, from 1 on, else the end."""
        body = _given(position=position)
        return cast(Queue, self._post("queue", "add", task, body=body))

    def queue_order(self, tasks: list[str]) -> Queue:
        """Order the whole list; `tasks` are all that are on it and have not ended."""
        return cast(Queue, self._post("queue", "order", body={"tasks": tasks}))

    def queue_remove(self, task: str) -> Any:
        """Take a task off the ordered list."""
        return self._wire.call("DELETE", path_of("queue", task))

    def queue_clear(self) -> Any:
        """Take the completed tasks off the ordered list."""
        return self._post("queue", "clear")

    # --- breakpoints ---

    def list_breakpoints(self, *, open_only: bool = True) -> Breakpoints:
        """What waits for a person; with `open_only` false, also what was answered."""
        return cast(Breakpoints, self._get("breakpoints", state="open" if open_only else "all"))

    def get_breakpoint(self, breakpoint_id: str) -> Breakpoint:
        """One question with its evidence."""
        return cast(Breakpoint, self._get("breakpoints", breakpoint_id))

    def breakpoint_rules(self, project: str) -> BreakpointRules:
        """The rules of breakpoints that are in force for a project."""
        return cast(BreakpointRules, self._get("projects", project, "breakpoint-rules"))

    def list_playbooks(self, project: str) -> Playbooks:
        """The playbooks that tasks of a project may ask for."""
        return cast(Playbooks, self._get("projects", project, "playbooks"))

    def reliability(self, project: str, target: float = 0.05) -> Reliability:
        """How well confidences foretold what became of a project's work."""
        return cast(Reliability, self._get("projects", project, "reliability", target=target))

    def resolve_breakpoint(self, breakpoint_id: str, answer: str, note: str = "") -> Breakpoint:
        """Answer a question with one of its options."""
        body = _given(answer=answer, note=note or None)
        return cast(Breakpoint, self._post("breakpoints", breakpoint_id, "resolve", body=body))

    # --- tokens ---

    def list_tokens(self) -> Tokens:
        """All tokens of people and clients, without the tokens themselves."""
        return cast(Tokens, self._get("tokens"))

    def create_token(
        self, name: str, *, roles: Sequence[str] = (), expires: str | None = None
    ) -> NewToken:
        """Make a token; what is answered is the only place that has it.

        Where the answer is lost the token is, too: revoke it, and make another.
        """
        body = _given(name=name, roles=list(roles) or None, expires=expires)
        return cast(NewToken, self._post("tokens", body=body))

    def revoke_token(self, token_id: str) -> Token:
        """Have a token open nothing more, at once."""
        return cast(Token, self._wire.call("DELETE", path_of("tokens", token_id)))

    # --- GitHub; `repo` is a project, `owner/name`, or the name of one of the owner's ---

    def github_status(self) -> GitHubStatus:
        """Whether GitHub takes the server's token, and for whom."""
        return cast(GitHubStatus, self._get("github", "status"))

    def github_repository(self, repo: str) -> GitHubRepository:
        """A repository there."""
        return cast(GitHubRepository, self._get("github", "repo", repo))

    def github_default_branch(self, repo: str) -> str:
        """The main branch of a repository there."""
        return str(self._get("github", "repo", repo, "default-branch")["default_branch"])

    def github_clone_url(self, repo: str, *, authenticated: bool = False) -> CloneUrl:
        """Where git gets it; `authenticated` with the token in the URL, for an admin: keep it."""
        query = {"authenticated": "true"} if authenticated else {}
        return cast(CloneUrl, self._get("github", "clone-url", repo, **query))

    def github_push(self, task: str) -> Pushed:
        """Bring a task's work to its own branch there."""
        return cast(Pushed, self._post("github", "push", body={"task": task}))

    def open_pull(self, *, key: str | None = None, **fields: Any) -> PullRequest:
        """Offer a task's work, or a branch; the one that is open for it already is given back.

        `fields` may be task, repo, branch, base, title, body, draft.
        """
        return cast(PullRequest, self._post("github", "pr", body=_given(**fields), key=key))

    def get_pull(self, repo: str, number: int) -> WholePullRequest:
        """A pull request with what its checks and its reviewers say."""
        return cast(WholePullRequest, self._get("github", "pr", repo, number))

    def list_pulls(self, repo: str, *, state: str = "open", limit: int = 100) -> PullRequests:
        """The newest pull requests; `state` is open, closed or all."""
        return cast(PullRequests, self._get("github", "prs", repo, state=state, limit=limit))

    def merge_pull(
        self,
        repo: str,
        number: int,
        *,
        method: str | None = None,
        head: str | None = None,
        message: str | None = None,
    ) -> PullRequest:
        """Merge one whose checks passed, by merge, squash or rebase."""
        body = _given(method=method, head=head, message=message)
        return cast(PullRequest, self._post("github", "pr", repo, number, "merge", body=body))

    def ensure_remote(self, repo: str) -> EnsuredRemote:
        """See that a project's repository names a remote there."""
        return cast(EnsuredRemote, self._post("github", "ensure-remote", repo))


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _object(data: str) -> dict[str, Any]:
    """A message's data as an object; anything else is kept under `text`."""
    try:
        found = json.loads(data) if data else {}
    except ValueError:
        found = data
    return found if isinstance(found, dict) else {"text": found}
