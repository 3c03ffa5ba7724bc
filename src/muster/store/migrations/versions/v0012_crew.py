"""The twelfth schema: where tasks stand in their playbooks, and what leads them on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BEFORE, _AFTER = "'validating', 'merging'", "'validating', 'handed_on', 'merging'"
_STAGES = (
    *("created", "proposed", "blocked", "queued", "planning", "preparing", "running", "validating"),
    *("handed_on", "merging", "waiting", "completed", "failed", "cancelled"),
)
_MOVED = sa.text(f"type IN ({', '.join(repr(f'task.{stage}') for stage in _STAGES)})")


def upgrade() -> None:
    """Add the steps of tasks, routes, pull requests, foreseen conflicts and dropped files."""
    op.add_column("tasks", sa.Column("step", sa.Text()))
    op.add_column("tasks", sa.Column("came_by", sa.BigInteger()))
    op.add_column("tasks", sa.Column("rounds", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("cause_id", sa.Text()))
    op.create_index("tasks_by_cause", "tasks", ["cause_id"])
    _make_tables()
    # What happened before is led on by nobody any more.
    op.execute(
        "INSERT INTO counters (name, value) SELECT 'routed', value FROM counters WHERE name = 'rev'"
    )
    op.drop_index("events_of_moves", "events")
    op.create_index(
        "events_of_moves",
        "events",
        ["type", "time", "task_id", "rev", "project_id"],
        sqlite_where=_MOVED,
    )
    _allow_stage()


def _make_tables() -> None:
    op.create_table(
        "routes",
        sa.Column("rev", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("led_to", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'done', 'past', 'refused')", name="routes_state"),
    )
    op.create_index("routes_by_state", "routes", ["state", "rev"])
    op.create_index("routes_by_task", "routes", ["task_id", "type", "state"])
    op.create_table(
        "pulls",
        sa.Column("task_id", sa.Text(), sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("forge", sa.Text(), nullable=False),
        sa.Column("repo", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("merged_commit", sa.Text()),
        sa.Column("heard", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'closed', 'merged')", name="pulls_state"),
        sa.UniqueConstraint("forge", "repo", "number", name="pulls_one_per_number"),
    )
    op.create_index("pulls_by_state", "pulls", ["state", "looked_at"])
    op.create_table(
        "foreseen",
        sa.Column("task_id", sa.Text(), sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("other_id", sa.Text(), sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("paths", sa.JSON(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=False),
        sa.Column("other_commit", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("foreseen_by_other", "foreseen", ["other_id"])
    op.create_table(
        "drops",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )


def _allow_stage() -> None:
    """Let a task be `handed_on`: as in the ninth schema, the text of the CHECK alone changes."""
    bind = op.get_bind()
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema=ON")
    bind.execute(
        sa.text(
            "UPDATE sqlite_master SET sql = replace(sql, :before, :after)"
            " WHERE type = 'table' AND name = 'tasks'"
        ),
        {"before": _BEFORE, "after": _AFTER},
    )
    bind.exec_driver_sql(f"PRAGMA schema_version={int(version) + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema=OFF")
