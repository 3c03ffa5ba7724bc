"""Looks at open pull requests at forges: what people do there leads their tasks on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from muster.domain.errors import MusterError
from muster.domain.plain import plain_line
from muster.domain.task import Stage
from muster.engine.forge_side import bring_home, fetch, side_of
from muster.engine.tools import Tools, job_of
from muster.forge.base import Pull, PullState, Review
from muster.store import projects, pull_news, tasks
from muster.store.pull_news import Opinion, Seen
from muster.store.pulls import PullRow

log = logging.getLogger("muster.engine")

EVERY = 60.0
"""Seconds between two looks at a pull request; a webhook has it looked at at once."""
AGAIN = 2.0
"""Seconds between looks for those that a webhook named."""


async def look(tools: Tools, every: float = EVERY) -> None:
    """Look once at each pull request whose turn it is; a fault of one is its own."""
    before = int((tools.clock() - every) * 1000)
    for row in await tools.store.read(pull_news.to_look_at, before):
        try:
            await _look_at(tools, row)
        except MusterError as fault:
            log.warning("pull request %d of %s: %s", row.number, row.repo, fault)
            await tools.store.write(pull_news.put_off, row.task_id)


async def _look_at(tools: Tools, row: PullRow) -> None:
    task = await tools.store.read(tasks.get_task, row.task_id)
    job = await job_of(tools, task)
    side = await side_of(tools, job)
    if side is None:
        await tools.store.write(pull_news.put_off, row.task_id)
        return
    if task.stage is Stage.CANCELLED:
        why = f"{task.label} was cancelled: {plain_line(task.reason, 300)}"
        await side.forge.close_pull(side.repo, row.number, why)
    pull = await side.forge.pull(side.repo, row.number)
    reviews = await side.forge.reviews(side.repo, row.number)
    if pull.head != row.head and pull.state is PullState.OPEN:
        # What somebody pushed has to be here before it can be anybody's work.
        await fetch(tools, job.repo, side, row.branch)
    if pull.state is PullState.MERGED:
        project = await tools.store.read(projects.get_project, row.project_id)
        await bring_home(tools, project, side)
    await tools.store.write(pull_news.observe, row.task_id, _seen(pull, reviews))


def _seen(pull: Pull, reviews: Sequence[Review]) -> Seen:
    others = (review for review in reviews if not review.own)
    opinions = tuple(
        Opinion(
            review.id,
            review.author,
            str(review.opinion),
            review.head,
            review.summary,
            tuple({"path": c.path, "line": c.line, "text": c.text} for c in review.comments),
        )
        for review in others
    )
    return Seen(str(pull.state), pull.head, pull.merged_commit, opinions)
