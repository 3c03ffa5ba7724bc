"""A train: the work of several tasks, each merged upon the one before, in the object store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from muster.engine.boarding import Car, outcome
from muster.engine.tools import Job, Tools, in_thread
from muster.workspace.workspaces import Conflicted, Merged


@dataclass(frozen=True, slots=True)
class Link:
    """One task's work, `merged` upon the commit `on`: the branch's head, or the link before."""

    car: Car[Job]
    on: str
    merged: str

    @property
    def job(self) -> Job:
        """The task whose work it is."""
        return self.car.job


@dataclass(slots=True)
class Train:
    """What was coupled on the branch's head, and the work that cannot be joined to that head."""

    links: list[Link] = field(default_factory=list)
    conflicts: list[tuple[Car[Job], Conflicted]] = field(default_factory=list)


async def couple(tools: Tools, cars: Sequence[Car[Job]], target: str) -> Train:
    """Merge the work of each car upon that of those before it, the first upon `target`.

    What only cannot be joined to one ahead of it stays behind for another train. A car whose merge
    fails leaves with that fault. The same cars on the same target give the same commits, also
    after a crash, so that what was checked is known.
    """
    train, on = Train(), target
    for car in cars:
        made = await outcome(_merge(tools, car, on))
        if isinstance(made, Conflicted) and on != target:
            made = await outcome(_merge(tools, car, target))
            if isinstance(made, Merged):
                continue
        match made:
            case Merged():
                train.links.append(Link(car, on, made.commit))
                on = made.commit
            case Conflicted():
                train.conflicts.append((car, made))
            case _:
                car.left(made)
    return train


async def _merge(tools: Tools, car: Car[Job], on: str) -> Merged | Conflicted:
    job = car.job
    return await in_thread(
        tools.workspaces.merge,
        job.repo,
        on,
        str(job.task.result_commit),
        job.settings.merge_method,
        f"Merge {job.task.label}: {job.task.title}",
        job.settings.git_user_name,
        job.settings.git_user_email,
        when=car.since,
    )
