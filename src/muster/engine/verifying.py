"""Whether each merge of a train is good: the whole first, by halves where it is not, then each.

All of them are tried on before any lands, and none lands behind one that is not good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from muster.domain.about import about
from muster.domain.verdict import Finding, vetoed
from muster.engine.boarding import outcome
from muster.engine.evidence import as_changes, evidence
from muster.engine.tools import Job, Tools, in_thread, job_at
from muster.engine.train import Link
from muster.store.judgements import verdicts_of
from muster.supervision.decide import newly_open

AT_ONCE = 2
"""How many merges of a train are checked at a time."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How checking a merge went: `refused` with what was `found`, or broken off by a `fault`.

    `job` has the settings that held for it.
    """

    job: Job
    found: tuple[Finding, ...] = ()
    refused: bool = False
    fault: Exception | None = None

    @property
    def good(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refused and self.fault is None


async def verify(tools: Tools, links: Sequence[Link]) -> tuple[int, Tried | None]:
    """How many links from the first on are good, each of them, and what is wrong with the next.

    Where the last one is not good, the first that is not is looked for by halves. It need not be
    the first of all, so those before it are checked too.
    """
    known: dict[int, Tried] = {}
    gate = asyncio.Semaphore(AT_ONCE)
    end = len(links)

    async def is_good(n: int) -> bool:
        if n not in known:
            known[n] = await _try(tools, links[n])
        return known[n].good

    async def is_good_too(n: int) -> None:
        nonlocal end
        async with gate:
            if n < end and not await is_good(n):
                end = min(end, n)

    if links and not await is_good(end - 1):
        end = await _first_bad(is_good, end - 1)
    await asyncio.gather(*(is_good_too(n) for n in range(end)))
    return end, known.get(end)


async def _first_bad(is_good: Callable[[int], Awaitable[bool]], bad: int) -> int:
    """By halves: one that is not good, at or before `bad`, with a good one before it or none."""
    good = -1
    while bad - good > 1:
        middle = (good + bad) // 2
        if await is_good(middle):
            good = middle
        else:
            bad = middle
    return bad


async def _try(tools: Tools, link: Link) -> Tried:
    """Check a merge on what is before it, unless that is where its work began.

    What was open before is no news: a person has decided about it.
    """
    job = link.job
    if link.on == job.task.base_commit:
        return Tried(job)
    with about(task=job.task.label):
        tried = await outcome(_check(tools, link))
    return Tried(job, fault=tried) if isinstance(tried, Exception) else tried


async def _check(tools: Tools, link: Link) -> Tried:
    task = link.job.task
    job = await job_at(tools, task, link.on)
    changes = await in_thread(tools.workspaces.changes, job.repo, link.on, link.merged)
    if not changes:  # the branch has all of it already
        return Tried(job)
    where = tools.run_dir(f"merge-{task.id}-{task.attempt}") / "checks"
    found = await evidence(tools, job, None, link.on, link.merged, as_changes(changes), where)
    wished = tools.wish(task.id).is_set()
    known = await tools.store.read(verdicts_of, task.id)
    return Tried(job, found, wished or vetoed(found) or newly_open(known, found))
