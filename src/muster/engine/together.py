"""Parts of one task land together: none before each of them was tried on its branch as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from muster.domain.playbook import Act
from muster.domain.task import Stage, Task
from muster.engine.tools import Tools
from muster.failpoint import failpoint
from muster.store import tasks
from muster.store.base import Tx
from muster.store.moves import Fence, Move, move
from muster.store.parts import is_landed, merge_all, parts_of

Land = Callable[[Task], Awaitable[Task]]
Refusal = Callable[[Task], Awaitable[Move | None]]
"""The move of a part that cannot come onto its branch as that is now; None where it can."""


async def land_together(tools: Tools, part: Task, land: Land, refusal: Refusal) -> Task:
    """Land a part with the others of its task, or none of them.

    Once one of them is on its branch the others follow, whatever it takes: a branch that has moved
    in between is then a question about that part.
    """
    async with tools.lock(f"together {part.parent_id}"):
        part, team = await tools.store.read(_team, part)
        if part.stage is not Stage.MERGING:
            return part
        if not any(map(is_landed, team)):
            if all(_may_go(each) for each in team):
                part, team = await tools.store.write(_wake, part)
            if any(each.stage is not Stage.MERGING for each in team):
                return await tools.store.write(move, _step_back(part))
            for each in team:
                refused = await refusal(each)
                if refused is not None:
                    moved = await tools.store.write(move, refused)
                    return moved if each.id == part.id else await _wait(tools, part)
            failpoint("together.all_may")
        return await land(part)


def _team(tx: Tx, part: Task) -> tuple[Task, list[Task]]:
    whole = tasks.get_task(tx, str(part.parent_id))
    return tasks.get_task(tx, part.id), parts_of(tx, whole)


def _may_go(part: Task) -> bool:
    rests = part.stage is Stage.HANDED_ON and part.step == Act.MERGE
    return rests or part.stage is Stage.MERGING


def _wake(tx: Tx, part: Task) -> tuple[Task, list[Task]]:
    """Take those along that stepped back while this one was no further."""
    merge_all(tx, _team(tx, part)[1])
    return _team(tx, part)


async def _wait(tools: Tools, part: Task) -> Task:
    return await tools.store.write(move, _step_back(part))


def _step_back(part: Task) -> Move:
    return Move(Fence.of(part), Stage.HANDED_ON, "another part of the task cannot be merged yet")
