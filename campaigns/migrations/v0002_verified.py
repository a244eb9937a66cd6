"""Whether the person on the line had shown that they are the borrower."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as a batch: that would copy the table, whose rows others may be writing.
    op.add_column("campaign_attempts", sa.Column("verified", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("campaign_attempts", "verified")
