"""The eighth schema: what a verdict's confidence was made of, and what became of its work."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the reasons of confidence, and the outcomes by which it is calibrated."""
    op.add_column("verdicts", sa.Column("sure", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "outcomes",
        sa.Column("verdict_id", sa.Text(), sa.ForeignKey("verdicts.id"), primary_key=True),
        sa.Column("task_id", sa.Text(), sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("right", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
    )
    op.create_index("outcomes_by_task", "outcomes", ["task_id"])
    op.create_index("outcomes_by_project", "outcomes", ["project_id", "rev"])
