"""Sums by the day beside those by the hour; what became of promises is read from an index alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COUNTS = (
    "calls", "conversations", "right_party", "promises", "complaints", "opt_outs", "handed_over", "flagged", "refusals",
    "borrower_turns", "positive", "anxious", "sad", "frustrated", "angry",
)  # fmt: skip
SUMS = ("seconds", "valence_sum", "arousal_sum")
PROMISED = (
    "doc", "promise_due", "promise_reached", "promise_ended", "lang", "campaign", "script_id", "stage", "scenario",
    "disposition",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "summary_days",
        sa.Column("dimension", sa.String(16), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lang", sa.String(8), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        *(sa.Column(name, sa.Double(), nullable=False) for name in SUMS),
        sa.PrimaryKeyConstraint("dimension", "hour", "lang", "value", name="pk_summary_days"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "summary_midnight",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shift", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_summary_midnight"),
        sa.CheckConstraint("id = 1", name="one"),
    )
    op.drop_index("ix_summaries_promised", "summaries")
    _promised(PROMISED)


def downgrade() -> None:
    op.drop_index("ix_summaries_promised", "summaries")
    _promised(("doc",))
    op.drop_table("summary_midnight")
    op.drop_table("summary_days")


def _promised(columns: tuple[str, ...]) -> None:
    op.execute(f"CREATE INDEX ix_summaries_promised ON summaries ({', '.join(columns)}) WHERE promise_due IS NOT NULL")
