"""How the engine comes to a project's model, and lets go of the question when a person wants so."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from muster.domain.task import Task
from muster.engine.tools import Job, Tools, in_thread
from muster.settings import NO_MODEL

if TYPE_CHECKING:
    from muster.llm.asking import Model

Made = TypeVar("Made")


async def supervisor_of(tools: Tools, job: Job) -> Model | None:
    """The model that plans and judges for a project; None where its settings name none.

    Raises:
        Invalid: they name one that there cannot be.
    """
    named = job.settings.supervisor
    if not named or named == NO_MODEL:
        return None
    tools.model_calls[job.project.id] = job.settings.model_calls_per_hour
    async with tools.lock("models"):
        return await in_thread(tools.models.of, named)


async def unless_wished(tools: Tools, task: Task, work: Coroutine[Any, Any, Made]) -> Made | None:
    """What the work gives; None, and it is stopped, once a person wants the task to end."""
    doing = asyncio.ensure_future(work)
    wished = asyncio.ensure_future(tools.wish(task.id).wait())
    try:
        await asyncio.wait({doing, wished}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        doing.cancel()
        wished.cancel()
        await asyncio.gather(doing, wished, return_exceptions=True)
