"""The third schema: what agents are told while they work, and whom they ask."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add who answers an agent, whether it hears, and the words that wait for it."""
    op.add_column("agents", sa.Column("permissions", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("hears", sa.Integer(), nullable=True))
    op.create_table(
        "agent_words",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"]),
        sa.PrimaryKeyConstraint("agent_id", "n"),
    )
