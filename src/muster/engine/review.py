"""The reviewer: a rubric before the work, and after the evidence what a model answers to it.

Both are kept beside the task, so that a server that starts anew asks nothing twice. Where a model
does not answer the work goes on without it: that is told, and nothing stands in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any, TypeVar

from muster.domain.errors import Invalid, NoAnswer, Silence
from muster.domain.plain import plain_line
from muster.domain.task import Task
from muster.domain.verdict import Finding, Severity
from muster.engine.asking import supervisor_of, unless_wished
from muster.engine.tools import Job, Tools, in_thread
from muster.failpoint import failpoint
from muster.knowledge.prompts import data, render
from muster.store.base import Tx
from muster.store.papers import REVIEW, RUBRIC, paper_of, put_paper
from muster.supervision.review import (
    MOST_SHOWN,
    Answer,
    Ballot,
    Shown,
    as_text,
    judged,
    shown_of,
    unknown_for,
)

Made = TypeVar("Made")

_PATIENCE = 300.0
"""Seconds in all that an attempt waits for its rubric, or its verdict for the review."""
_MOST_WORDS = 20_000
_AGAINST = frozenset({Severity.VETO, Severity.ABSTAIN})


async def prepare_review(tools: Tools, job: Job) -> None:
    """Have the rubric made before the first attempt begins; it stays what it is from then on."""
    task = job.task
    begun = task.attempt > 1 or task.result_commit is not None
    if job.settings.review != "on" or task.manages or begun:
        return
    if await tools.store.read(paper_of, task.id, RUBRIC) is None:
        if made := await unless_wished(tools, task, _rubric(tools, job)):
            await tools.store.write(_keep_first, task, RUBRIC, made)
        failpoint("review.rubric_kept")


def _keep_first(tx: Tx, task: Task, kind: str, content: Mapping[str, Any]) -> None:
    if paper_of(tx, task.id, kind) is None:
        put_paper(tx, task.id, kind, content)


async def _rubric(tools: Tools, job: Job) -> Mapping[str, Any]:
    task = job.task
    form: Any = await in_thread(import_module, "muster.supervision.review_form")
    try:
        model = await supervisor_of(tools, job)
        if model is None:
            return {"questions": [], "why": "no model is configured"}
        answer: Any = await _in_time(
            model.answer(
                form.Rubric,
                render(
                    "model.rubric",
                    kind=task.type,
                    title=plain_line(task.title),
                    description=task.description[:_MOST_WORDS],
                ),
                project=job.project.id,
                system=render(
                    "model.rubric.rules", least=form.LEAST_QUESTIONS, most=form.MOST_QUESTIONS
                ),
            )
        )
    except (NoAnswer, Invalid) as fault:
        return {"questions": [], "why": f"there are no questions: {fault.detail}"}
    return {"questions": answer.value.questions, "model": answer.model}


async def review(
    tools: Tools, job: Job, base: str, commit: str, found: Sequence[Finding]
) -> list[Finding]:
    """What a model says of work that the evidence speaks for; nothing where it does not."""
    green = any(f.severity is Severity.OK for f in found)
    if job.settings.review != "on" or not green or any(f.severity in _AGAINST for f in found):
        return []
    rubric = await tools.store.read(paper_of, job.task.id, RUBRIC)
    if rubric is None:
        return [unknown_for("there was no rubric before the work began")]
    if not rubric["questions"]:
        return [unknown_for(str(rubric["why"]))]
    finding = await unless_wished(
        tools, job.task, _reviewed(tools, job, base, commit, rubric["questions"])
    )
    return [finding] if finding else []


async def _reviewed(
    tools: Tools, job: Job, base: str, commit: str, questions: Sequence[str]
) -> Finding:
    patches = await in_thread(tools.workspaces.patches, job.repo, base, commit)
    shown, whole = shown_of(patches)
    ballots, why = await _ballots(tools, job, commit, questions, (shown, whole))
    if not ballots:
        return unknown_for(why)
    return judged(questions, ballots, shown, str(job.settings.supervisor), whole=whole)


async def _ballots(
    tools: Tools, job: Job, commit: str, questions: Sequence[str], change: tuple[Shown, bool]
) -> tuple[list[Ballot], str]:
    """Every reading that could be had, those that were kept first; and why there is no more."""
    kept = await tools.store.read(paper_of, job.task.id, REVIEW)
    said = list(kept["ballots"]) if kept and kept["commit"] == commit else []
    why = ""
    try:
        while len(said) < job.settings.review_votes:
            ballot = await _in_time(_read_once(tools, job, questions, change, len(said) + 1))
            said.append({str(n): asdict(answer) for n, answer in ballot.items()})
            paper = {"commit": commit, "ballots": said}
            await tools.store.write(put_paper, job.task.id, REVIEW, paper)
            failpoint("review.ballot_kept")
    except (NoAnswer, Invalid) as fault:
        why = fault.detail.rstrip(".")
    return [{int(n): Answer(**one) for n, one in ballot.items()} for ballot in said], why


async def _read_once(
    tools: Tools, job: Job, questions: Sequence[str], change: tuple[Shown, bool], n: int
) -> Ballot:
    model = await supervisor_of(tools, job)
    if model is None:
        raise NoAnswer("no model is configured", why=Silence.REFUSED, hint="set supervisor")
    shown, whole = change
    form: Any = await in_thread(import_module, "muster.supervision.review_form")
    answer: Any = await model.answer(
        form.review_of(len(questions)),
        render(
            "model.review",
            title=plain_line(job.task.title),
            description=job.task.description[:_MOST_WORDS],
            questions="\n".join(f"{at}. {question}" for at, question in enumerate(questions, 1)),
            cut="" if whole else "; it is too large, and the end is left out",
            change=data(as_text(shown), 2 * MOST_SHOWN),
            n=n,
            of=job.settings.review_votes,
        ),
        project=job.project.id,
        system=render("model.review.rules"),
    )
    return {one.n: one.plain() for one in answer.value.answers}


async def _in_time(asking: Awaitable[Made]) -> Made:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await asking
    except TimeoutError as error:
        said = f"the model did not answer within {_PATIENCE:g} seconds"
        raise NoAnswer(said, why=Silence.SLOW, hint="take a faster model") from error
