"""What the agent of an attempt is told: by its role, with what the roles before have left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.domain.agent import Agent, Role
from muster.domain.playbook import role_of
from muster.domain.verdict import Verdict
from muster.engine.acceptance import shown_to
from muster.engine.tools import Job, Tools, in_thread
from muster.knowledge.brief import Brief, brief
from muster.knowledge.overrides import templates_of
from muster.knowledge.prompts import Templates
from muster.knowledge.roles import RoleFacts, role_brief
from muster.store import papers, parts, projects
from muster.store.base import Tx
from muster.store.judgements import verdicts_of
from muster.store.pulls import pull_of
from muster.store.reports import REPORTING
from muster.supervision.reports import example_of, schema_of

BRIEF = "brief.md"
"""What an agent was told, in its run's own folder, where it cannot change it."""
_LARGEST_DIFF = 400_000


async def prompt_of(tools: Tools, job: Job) -> Brief:
    """What the agent of a task is told.

    Raises:
        Invalid: a template of the person's or the project's own cannot be one.
    """
    role = role_of(job.task)
    words = await in_thread(templates_of, tools.settings.home, job.prompts)
    if role in REPORTING:
        return await _of_role(tools, job, role, words)
    shown = await shown_to(tools, job)
    left = await tools.store.read(_left, job) if job.task.step else _Left()
    return brief(
        job.task,
        job.project,
        job.task.feedback,
        acceptance=shown,
        analysis=left.analysis,
        words=words,
    )


def keep_brief(tools: Tools, agent: Agent, prompt: str) -> None:
    """Keep what an agent is told, for its tools to tell it again."""
    (tools.run_dir(agent.id) / BRIEF).write_text(prompt, "utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Left:
    """What the roles before have left in the store."""

    analysis: Mapping[str, Any] | None = None
    reviews: tuple[Mapping[str, Any], ...] = ()
    pull: Mapping[str, Any] | None = None
    deployment: Mapping[str, Any] | None = None
    evidence: tuple[Mapping[str, Any], ...] = ()
    about: str = ""
    repos: tuple[str, ...] = ()


def _left(tx: Tx, job: Job) -> _Left:
    task = job.task
    pull = pull_of(tx, task.id)
    reviews = papers.paper_of(tx, task.id, papers.REVIEWS) or {"items": []}
    about = papers.paper_of(tx, task.id, papers.ABOUT) or {}
    return _Left(
        analysis=papers.paper_of(tx, task.id, papers.ANALYSIS),
        reviews=tuple({**one, "opinion": one["verdict"]} for one in reviews["items"]),
        pull=pull.facts() if pull else None,
        deployment=papers.paper_of(tx, task.id, papers.DEPLOYMENT),
        evidence=_evidence(verdicts_of(tx, task.id)),
        about=str(about.get("about", "")),
        repos=tuple(projects.get_project(tx, p).name for p in parts.spans(tx, task)),
    )


def _evidence(verdicts: list[Verdict]) -> tuple[Mapping[str, Any], ...]:
    """What was found about the newest work; of roles that report there is no work."""
    of_work = [v for v in verdicts if not any(f.code.startswith("role.") for f in v.findings)]
    found = of_work[-1].findings if of_work else ()
    return tuple({"code": f.code, "severity": str(f.severity), "text": f.text} for f in found)


async def _of_role(tools: Tools, job: Job, role: Role, words: Templates) -> Brief:
    left = await tools.store.read(_left, job)
    diff, changed = await in_thread(_change, tools, job)
    facts = RoleFacts(
        analysis=left.analysis,
        diff=diff if role in {Role.REVIEWER, Role.AUDITOR} else "",
        changed=changed,
        reviews=left.reviews,
        pull=left.pull,
        commit=job.task.merged_commit or job.task.base_commit or "",
        deployment=left.deployment,
        deploy_command=job.settings.deploy_command,
        verify_command=job.settings.verify_command,
        evidence=left.evidence,
        repos=left.repos or (job.project.name,),
        about=left.about,
    )
    schema, example = schema_of(role), example_of(role)
    if schema is None or example is None:
        raise RuntimeError(f"the role {role} hands in no report")
    feedback = job.task.feedback
    return role_brief(role, job.task, job.project, facts, feedback, schema, example, words=words)


def _change(tools: Tools, job: Job) -> tuple[str, tuple[str, ...]]:
    """The work so far as a text and its paths; nothing where there is none yet."""
    task = job.task
    if not task.base_commit or not task.result_commit:
        return "", ()
    spaces = tools.workspaces
    patches = spaces.patches(job.repo, task.base_commit, task.result_commit, _LARGEST_DIFF)
    changed = spaces.changes(job.repo, task.base_commit, task.result_commit)
    return "\n".join(patches.values()), tuple(change.path for change in changed)
