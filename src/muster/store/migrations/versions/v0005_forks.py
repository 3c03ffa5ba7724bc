"""The fifth schema: checkpoints that know their moment, and tasks that are forked off one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add who worked at a checkpoint and how the task stood, and what a fork began as."""
    for name in ("base_commit", "agent_id", "session_id"):
        op.add_column("checkpoints", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("checkpoints", sa.Column("log_offset", sa.BigInteger(), nullable=True))
    op.add_column("checkpoints", sa.Column("tries", sa.Integer(), nullable=True))
    op.add_column("checkpoints", sa.Column("feedback", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("tasks", sa.Column("fork_of", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("fork_point", sa.Integer(), nullable=True))
