"""A purse: what a manager and its workers, or the tasks of a plan, have spent of its budget."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import bindparam, func, or_, select

from muster.domain.errand import KEPT
from muster.domain.task import MANAGER, Task
from muster.store.base import Tx
from muster.store.schema import agents, tasks

_BUDGET = select(tasks.c.number, tasks.c.budget_usd, tasks.c.playbook).where(
    tasks.c.id == bindparam("manager")
)
_SPENT = (
    select(func.coalesce(func.sum(agents.c.cost_usd), 0.0))
    .join(tasks, tasks.c.id == agents.c.task_id)
    .where(
        or_(tasks.c.id == bindparam("manager"), tasks.c.parent_id == bindparam("manager")),
        agents.c.id != bindparam("besides"),
    )
)


@dataclass(frozen=True, slots=True)
class Purse:
    """What a manager, or a worker of it, may spend of the budget of the manager's task `label`.

    US dollars; `kept` is the part of the budget that is not for it, `spent` what all have spent.
    """

    label: str
    budget: float
    kept: float
    spent: float

    @property
    def left(self) -> float:
        """What may still be spent; below zero where it was more than may be."""
        return self.budget - self.kept - self.spent

    def and_spent(self, amount: float) -> Purse:
        """The purse once this is spent as well."""
        return replace(self, spent=self.spent + amount)

    def told(self) -> str:
        """How much is spent, in words, and how a person puts more into it."""
        rest = ", the rest is kept for its summary" if self.kept else ""
        return (
            f"{opening(self.label)} ${self.spent:.2f} of ${self.budget:.2f}{rest}"
            f"; {how_to_raise(self.label)}"
        )


def opening(label: str) -> str:
    """How each sentence about the purse of this manager begins."""
    return f"{label} and its workers have spent"


def how_to_raise(label: str) -> str:
    """What a person does so that a task may cost more."""
    return f"to raise it: muster task budget {label} USD"


def purse_of(tx: Tx, task: Task, besides: str = "") -> Purse | None:
    """The purse that a manager's or a worker's task is paid from, if it has a limit.

    What the agent `besides` has spent is left out.
    """
    if task.manages or task.plans:
        return _purse(tx, task.id, 0.0, besides)
    return _purse(tx, task.parent_id, KEPT, besides) if task.parent_id else None


def workers_purse(tx: Tx, manager: Task) -> Purse | None:
    """The purse of a manager as its workers find it."""
    return _purse(tx, manager.id, KEPT, "")


def _purse(tx: Tx, manager: str, kept: float, besides: str) -> Purse | None:
    row = tx.conn.execute(_BUDGET, {"manager": manager}).first()
    if row is None or row.budget_usd is None:
        return None
    spent = tx.conn.execute(_SPENT, {"manager": manager, "besides": besides}).scalar_one()
    budget = float(row.budget_usd)
    kept = kept if row.playbook == MANAGER else 0.0  # a plan sums nothing up
    return Purse(f"MU-{row.number}", budget, budget * kept, float(spent))
