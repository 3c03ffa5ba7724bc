"""The fourth schema: tasks that the manager of another task has spawned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add whose worker a task is and what the manager calls it, and the image it stands on."""
    for name in ("parent_id", "errand", "image"):
        op.add_column("tasks", sa.Column(name, sa.Text(), nullable=True))
    op.create_index("tasks_errands", "tasks", ["parent_id", "errand"], unique=True)
    op.create_index("tasks_by_playbook", "tasks", ["playbook", "stage"])
