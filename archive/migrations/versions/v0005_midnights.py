"""Sums by the day from several midnights: consoles in different time zones do not undo each other's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The one midnight's days stand: the hour at which a row begins says whose it is.
    kept = op.get_bind().execute(sa.text("SELECT shift FROM summary_midnight")).scalars().all()
    op.drop_table("summary_midnight")
    table = op.create_table(
        "summary_midnight",
        sa.Column("shift", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("shift", name="pk_summary_midnight"),
    )
    op.bulk_insert(table, [{"shift": shift} for shift in kept])


def downgrade() -> None:
    op.drop_table("summary_midnight")
    op.create_table(
        "summary_midnight",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shift", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_summary_midnight"),
        sa.CheckConstraint("id = 1", name="one"),
    )
    op.execute("DELETE FROM summary_days")  # no midnight: the next console that asks has them summed up
