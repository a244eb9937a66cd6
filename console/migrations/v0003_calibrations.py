"""Calibration sessions: calls that several reviewers score without seeing each other's scorecards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_calibrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(128), nullable=False),
        sa.Column("card", sa.String(64), nullable=False),
        sa.Column("opened_by", sa.String(64), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(64), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_calibrations")),
    )
    op.create_table(
        "console_calibration_calls",
        sa.Column("calibration_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(
            ["calibration_id"], ["console_calibrations.id"], ondelete="CASCADE",
            name=op.f("fk_console_calibration_calls_calibration_id"),
        ),
        sa.PrimaryKeyConstraint("calibration_id", "call_id", name=op.f("pk_console_calibration_calls")),
    )  # fmt: skip
    op.create_index(op.f("ix_console_calibration_calls_call_id"), "console_calibration_calls", ["call_id"])


def downgrade() -> None:
    op.drop_table("console_calibration_calls")
    op.drop_table("console_calibrations")
