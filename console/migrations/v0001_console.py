"""People, sessions, keys, and what reviewers do with calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_acknowledgements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.Column("flag_seq", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_acknowledgements")),
        sa.UniqueConstraint("call_id", "flag_seq", name=op.f("uq_console_acknowledgements_call_id_flag_seq")),
    )
    op.create_table(
        "console_api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_api_keys")),
        sa.UniqueConstraint("token", name=op.f("uq_console_api_keys_token")),
    )
    op.create_table(
        "console_assignments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.Column("reviewer", sa.String(64), nullable=False),
        sa.Column("second", sa.Boolean(), nullable=False),
        sa.Column("assigned_by", sa.String(64), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_assignments")),
        sa.UniqueConstraint("call_id", "second", name=op.f("uq_console_assignments_call_id_second")),
    )
    op.create_index(op.f("ix_console_assignments_reviewer"), "console_assignments", ["reviewer"], unique=False)
    op.create_table(
        "console_comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.Column("at", sa.Double(), nullable=True),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_comments")),
    )
    op.create_index(op.f("ix_console_comments_call_id"), "console_comments", ["call_id"], unique=False)
    op.create_table(
        "console_corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.Column("turn_seq", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(16), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "field IN ('intent', 'emotion', 'verdict', 'text')", name=op.f("ck_console_corrections_field")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_corrections")),
        sa.UniqueConstraint(
            "call_id", "turn_seq", "field", "author", name=op.f("uq_console_corrections_call_id_turn_seq_field_author")
        ),
    )
    op.create_index(op.f("ix_console_corrections_call_id"), "console_corrections", ["call_id"], unique=False)
    op.create_table(
        "console_people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("password", sa.String(255), nullable=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("lang", sa.String(8), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_people")),
        sa.UniqueConstraint("name", name=op.f("uq_console_people_name")),
    )
    op.create_table(
        "console_scorecards",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.Column("reviewer", sa.String(64), nullable=False),
        sa.Column("card", sa.String(64), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_scorecards")),
        sa.UniqueConstraint("call_id", "reviewer", name=op.f("uq_console_scorecards_call_id_reviewer")),
    )
    op.create_index(op.f("ix_console_scorecards_call_id"), "console_scorecards", ["call_id"], unique=False)
    op.create_table(
        "console_invitations",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["console_people.id"], name=op.f("fk_console_invitations_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_console_invitations")),
    )
    op.create_table(
        "console_sessions",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["console_people.id"], name=op.f("fk_console_sessions_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_console_sessions")),
    )
    op.create_index(op.f("ix_console_sessions_expires_at"), "console_sessions", ["expires_at"], unique=False)
    op.create_index(op.f("ix_console_sessions_person_id"), "console_sessions", ["person_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_console_sessions_person_id"), table_name="console_sessions")
    op.drop_index(op.f("ix_console_sessions_expires_at"), table_name="console_sessions")
    op.drop_table("console_sessions")
    op.drop_table("console_invitations")
    op.drop_index(op.f("ix_console_scorecards_call_id"), table_name="console_scorecards")
    op.drop_table("console_scorecards")
    op.drop_table("console_people")
    op.drop_index(op.f("ix_console_corrections_call_id"), table_name="console_corrections")
    op.drop_table("console_corrections")
    op.drop_index(op.f("ix_console_comments_call_id"), table_name="console_comments")
    op.drop_table("console_comments")
    op.drop_index(op.f("ix_console_assignments_reviewer"), table_name="console_assignments")
    op.drop_table("console_assignments")
    op.drop_table("console_api_keys")
    op.drop_table("console_acknowledgements")
