"""The walks: which playbook, what its scripted agents say, and what has to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.crews import BROKEN, CHANGES, ISSUES

_PLANNED = ("task.assigned", "task.plan.created")
_DELIVERED = ("pr.merged", "deploy.completed", "verify.passed")
_SAYS_AUDIT = {"decision": "audit", "analysis": "Odd.", "audit_about": "the totals"}
TWO = """
on:
  task.assigned: coding
  pr.created: reviewer
  pr.updated: reviewer
  pr.reviewed: reviewer
  pr.changes.requested: coding
  pr.approved: merge
  pr.merged: complete
limits: {pr.changes.requested: 2}
reviewers: 2
"""


@dataclass(frozen=True)
class Walk:
    """One walk; `story` are the events that lead its first task on, in their order.

    `roles` are those that are played, in their order, of all tasks; `ends` how the first task ends,
    and `others` the states of the tasks that come of it.
    """

    name: str
    playbook: str
    story: tuple[str, ...]
    roles: tuple[str, ...]
    ends: str = "completed"
    others: tuple[str, ...] = ()
    says: Mapping[str, Any] = field(default_factory=dict)


WALKS = (
    Walk("solo", "solo", (), ("coding",)),
    Walk(
        "crew",
        "crew",
        (
            *_PLANNED,
            *("pr.created", "pr.changes.requested", "pr.updated", "pr.approved"),
            *_DELIVERED,
        ),
        (
            *("starter", "coding", "reviewer", "coding", "reviewer"),
            *("deployer", "verifier"),
        ),
        says={"reviewer_1": CHANGES},
    ),
    Walk(
        "crew-broken",
        "crew",
        (*_PLANNED, "pr.created", "pr.approved", *_DELIVERED[:-1], "verify.failed"),
        ("starter", "coding", "reviewer", "deployer", "verifier") * 2,
        ends="failed",
        others=("completed",),
        says={"verifier_1": BROKEN},
    ),
    Walk(
        "crew-audit",
        "crew",
        ("task.assigned", "audit.requested", "audit.completed"),
        ("starter", "auditor"),
        others=("proposed", "proposed"),
        says={"starter": _SAYS_AUDIT, "auditor": ISSUES},
    ),
    Walk(
        "two-reviewers",
        "two",
        ("task.assigned", "pr.created", "pr.reviewed", "pr.approved", "pr.merged"),
        ("coding", "reviewer", "reviewer"),
    ),
)
