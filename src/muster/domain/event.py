"""An event: one immutable fact, in the order in which it became true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS: Mapping[str, str] = {
    "project.added": "a repository was registered",
    "project.changed": "a setting of a project was changed",
    "project.removed": "a project was removed; its repository is untouched",
    "task.created": "a task was accepted and is durable",
    "task.approved": "a person said go to a proposed task",
    "task.blocked": "the task waits for other tasks",
    "task.queued": "the task is ready and waits for a slot",
    "task.planning": "a plan was claimed and is being made",
    "task.plan.asked": "a model was asked for a plan",
    "task.plan.created": "a plan was made, and its tasks with it",
    "task.preparing": "an attempt was claimed and its workspace is being made",
    "task.running": "the attempt's agent has started",
    "task.validating": "the agent has ended and its work is being checked",
    "task.handed_on": "a step of the playbook has ended; an event leads on, or is awaited",
    "task.merging": "accepted work is on its way to the target branch",
    "task.waiting": "a person has to decide before the task goes on",
    "task.completed": "the work passed and is merged or needed no merge",
    "task.failed": "the task ended without passing",
    "task.cancelled": "a person ended the task",
    "task.held": "a queued task waits for others to end though there is room",
    "task.changed": "a person changed what a task may cost",
    "task.assigned": "a task begins its playbook, or somebody outside wants one done",
    "task.wished": "a person asked for a cancel, a retry or a merge",
    "agent.starting": "an agent was given its run id",
    "agent.started": "an agent's program runs",
    "agent.fact": "something an agent reported through its structured channel",
    "agent.told": "a person's word for an agent was accepted",
    "agent.heard": "the word was said to the agent's program",
    "agent.result": "an agent handed in a structured result; its word, not a verdict",
    "agent.proposed": "an agent proposed a task",
    "agent.said": "what a manager said in a turn of its conversation",
    "agent.spawned": "a manager spawned a worker",
    "agent.ended": "an agent's program and all its processes are gone",
    "verdict.reached": "supervision concluded an attempt",
    "decision.made": "the next step was chosen, with its reasons",
    "outcome.recorded": "it was seen or said whether judged work was right",
    "breakpoint.raised": "a question waits for a person",
    "breakpoint.resolved": "a person answered",
    "approval.refused": "somebody without the role that a rule wants tried to decide",
    "rule.held": "a rule of breakpoints held",
    "rules.refused": "a rules file has faults, so that the rules before it stay active",
    "notice.failed": "a notifier could not deliver what it was given",
    "permission.ruled": "a rule answered what an agent asked leave for",
    "checkpoint.taken": "a restorable point was kept",
    "checkpoint.restored": "a task's branch was put back to a checkpoint",
    "pr.created": "passed work was offered as a pull request",
    "pr.updated": "the work of a pull request has changed",
    "pr.reviewed": "one of several reviewers has read a pull request",
    "pr.approved": "its reviewers approve of a pull request",
    "pr.changes.requested": "a reviewer asks for changes",
    "pr.merged": "a pull request was merged into its target branch",
    "pr.closed": "a pull request was closed unmerged",
    "deploy.requested": "somebody outside wants merged work deployed",
    "deploy.completed": "a deployer has deployed merged work; the payload is its record",
    "deploy.failed": "a deployer could not deploy",
    "verify.passed": "a verifier found the deployment as it should be",
    "verify.failed": "a verifier found that it is not",
    "audit.requested": "a starter, or somebody outside, wants a look for trouble",
    "audit.completed": "an auditor has looked; what it found are proposed tasks",
    "event.refused": "an event could lead its task nowhere",
    "conflict.foreseen": "two tasks under way have changed the same lines",
    "conflict.gone": "two tasks under way conflict no more",
    "merge.landed": "a target branch moved to verified work",
    "queue.changed": "the queue's settings or its list changed",
    "queue.stopped": "a listed task failed and holds the list",
    "lock.taken": "paths were locked against other agents",
    "lock.released": "paths were let go of",
    "lock.kept": "an agent was kept from changing a path that another one has locked",
    "mailbox.refused": "a file that an agent put into its mailbox was not taken",
    "network.refused": "a contained run asked for a place that it may not reach",
    "containment.tried": "an agent used a tool on what is none of its own",
    "access.refused": "a contained run tried what it may not, past the proxy",
    "settings.untrusted": "an attempt found a settings file that changed since it was trusted",
    "token.created": "a person or a client was given a token",
    "token.revoked": "a token opens nothing any more",
    "limit.reached": "a run ran into one of its limits",
    "workspace.opened": "a workspace was made",
    "prompt.cut": "the prompt of an agent holds less than there was to say",
    "workspace.closed": "a workspace was removed, after its rescue ref was written",
}
"""Every kind that muster itself writes; `docs/events.md` documents each, by test."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact on its way into the store, which gives it its number and time."""

    type: str
    subject: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    project_id: str | None = None
    task_id: str | None = None
    cause: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A fact as stored. `rev` is its place in the one order; `time` is epoch milliseconds."""

    rev: int
    time: int
    type: str
    subject: str
    payload: Mapping[str, Any]
    project_id: str | None = None
    task_id: str | None = None
    cause: int | None = None
    processed_at: int | None = None
