"""Whether a call placed by hand still runs: it has no attempt that would say so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as a batch: that would copy the table, whose rows others may be writing.
    op.add_column("campaign_records", sa.Column("running", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("campaign_records", "running")
