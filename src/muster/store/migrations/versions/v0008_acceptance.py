"""The eighth schema: tasks that are judged by acceptance tests which another one writes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add which task writes a task's acceptance tests, and the way back."""
    op.add_column("tasks", sa.Column("acceptance_id", sa.Text(), nullable=True))
    op.create_index("tasks_by_acceptance", "tasks", ["acceptance_id"])
