"""The sixth schema: verdicts keep all that their decision depended on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the case of each verdict; older ones have none and cannot be decided again."""
    op.add_column("verdicts", sa.Column("case", sa.JSON(none_as_null=True), nullable=True))
