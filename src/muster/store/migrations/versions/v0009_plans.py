"""The ninth schema: a stage in which plans are made, and what is written about a task beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BEFORE, _AFTER = "'queued', 'preparing'", "'queued', 'planning', 'preparing'"


def upgrade() -> None:
    """Let a task be in `planning`, and add papers."""
    op.create_table(
        "papers",
        sa.Column("task_id", sa.Text(), sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    # SQLite changes no constraint in place, and a table that others refer to is not copied inside
    # of a transaction. This is the way that its manual gives for a CHECK: its text alone changes.
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
