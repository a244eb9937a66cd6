"""People who sign in at an identity provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as a batch: that would copy the table, and on SQLite every session and invitation would go with the old one.
    op.add_column("console_people", sa.Column("subject", sa.String(64), nullable=True))
    op.create_index(op.f("ix_console_people_subject"), "console_people", ["subject"], unique=True)
    op.create_table(
        "console_oidc_attempts",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("state", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("verifier", sa.String(128), nullable=False),
        sa.Column("next", sa.String(2000), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_console_oidc_attempts")),
    )
    op.create_index(op.f("ix_console_oidc_attempts_expires_at"), "console_oidc_attempts", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_console_oidc_attempts_expires_at"), table_name="console_oidc_attempts")
    op.drop_table("console_oidc_attempts")
    op.drop_index(op.f("ix_console_people_subject"), table_name="console_people")
    op.drop_column("console_people", "subject")
