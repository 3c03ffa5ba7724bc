"""The tenth schema: indexes that have all that figures need, so that none reads whole rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STAGES = (
    *("created", "proposed", "blocked", "queued", "planning", "preparing", "running", "validating"),
    *("merging", "waiting", "completed", "failed", "cancelled"),
)
_MOVED = sa.text(f"type IN ({', '.join(repr(f'task.{stage}') for stage in _STAGES)})")


def upgrade() -> None:
    """Index the moves of tasks, verdicts and questions by their time."""
    op.create_index(
        "events_of_moves",
        "events",
        ["type", "time", "task_id", "rev", "project_id"],
        sqlite_where=_MOVED,
    )
    op.create_index(
        "verdicts_by_time", "verdicts", ["created_at", "task_id", "attempt", "confidence"]
    )
    op.create_index(
        "breakpoints_by_time",
        "breakpoints",
        ["created_at", "kind", "resolved_at", "project_id", "answer", "by", "task_id"],
    )
