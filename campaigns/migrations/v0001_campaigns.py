"""Portfolios, campaigns, contacts, attempts, the frequency ledger, messages and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaign_dialers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_dialers")),
    )
    op.create_table(
        "campaign_imports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("lender", sa.String(128), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_imports")),
    )
    op.create_table(
        "campaign_numbers",
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_reason", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_campaign_numbers")),
    )
    op.create_table(
        "campaign_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_campaign_outbox_event_id")),
    )
    op.create_index(op.f("ix_campaign_outbox_state_next_at"), "campaign_outbox", ["state", "next_at"], unique=False)
    op.create_table(
        "campaign_people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("country", sa.String(16), nullable=False),
        sa.Column("consents", sa.JSON(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_reason", sa.String(32), nullable=True),
        sa.Column("attorney", sa.Boolean(), nullable=False),
        sa.Column("deceased", sa.Boolean(), nullable=False),
        sa.Column("bankrupt", sa.Boolean(), nullable=False),
        sa.Column("only_from", sa.String(5), nullable=True),
        sa.Column("only_to", sa.String(5), nullable=True),
        sa.Column("not_before_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_people")),
        sa.UniqueConstraint("key", name=op.f("uq_campaign_people_key")),
    )
    op.create_table(
        "campaign_records",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(160), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("debt_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.String(20), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("effective", sa.Boolean(), nullable=False),
        sa.Column("void", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_records")),
        sa.UniqueConstraint("source", "kind", name=op.f("uq_campaign_records_source_kind")),
    )
    op.create_index(op.f("ix_campaign_records_number_at"), "campaign_records", ["number", "at"], unique=False)
    op.create_index(op.f("ix_campaign_records_person_id_at"), "campaign_records", ["person_id", "at"], unique=False)
    op.create_table(
        "campaign_trunks",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("per_minute", sa.Double(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_campaign_trunks")),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("trunk", sa.String(64), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stop_mode", sa.String(16), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('ready', 'running', 'stopping', 'stopped')", name=op.f("ck_campaigns_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("name", name=op.f("uq_campaigns_name")),
    )
    op.create_table(
        "campaign_debts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lender", sa.String(128), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("lang", sa.String(8), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("region", sa.String(16), nullable=False),
        sa.Column("risk", sa.String(16), nullable=False),
        sa.Column("amount_due", sa.String(32), nullable=False),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_reason", sa.String(32), nullable=True),
        sa.Column("row_hash", sa.String(64), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'paid', 'ceased', 'disputed', 'withdrawn')", name=op.f("ck_campaign_debts_state")
        ),
        sa.ForeignKeyConstraint(["import_id"], ["campaign_imports.id"], name=op.f("fk_campaign_debts_import_id")),
        sa.ForeignKeyConstraint(["person_id"], ["campaign_people.id"], name=op.f("fk_campaign_debts_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_debts")),
        sa.UniqueConstraint("lender", "account", name=op.f("uq_campaign_debts_lender_account")),
    )
    op.create_index(op.f("ix_campaign_debts_lender_state"), "campaign_debts", ["lender", "state"], unique=False)
    op.create_index(op.f("ix_campaign_debts_person_id"), "campaign_debts", ["person_id"], unique=False)
    op.create_table(
        "campaign_person_numbers",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["number"], ["campaign_numbers.number"], name=op.f("fk_campaign_person_numbers_number")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["campaign_people.id"], name=op.f("fk_campaign_person_numbers_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", "number", name=op.f("pk_campaign_person_numbers")),
    )
    op.create_index(op.f("ix_campaign_person_numbers_number"), "campaign_person_numbers", ["number"], unique=False)
    op.create_table(
        "campaign_contacts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("debt_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("dialed", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=True),
        sa.Column("reason", sa.String(64), nullable=True),
        sa.Column("tries", sa.JSON(), nullable=False),
        sa.Column("requested", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'live', 'held', 'done')", name=op.f("ck_campaign_contacts_state")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_contacts_campaign_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["debt_id"], ["campaign_debts.id"], name=op.f("fk_campaign_contacts_debt_id")),
        sa.ForeignKeyConstraint(["person_id"], ["campaign_people.id"], name=op.f("fk_campaign_contacts_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_contacts")),
        sa.UniqueConstraint("campaign_id", "debt_id", name=op.f("uq_campaign_contacts_campaign_id_debt_id")),
    )
    op.create_index(
        op.f("ix_campaign_contacts_campaign_id_state_next_at"),
        "campaign_contacts",
        ["campaign_id", "state", "next_at"],
        unique=False,
    )
    op.create_index(op.f("ix_campaign_contacts_debt_id"), "campaign_contacts", ["debt_id"], unique=False)
    op.create_index(op.f("ix_campaign_contacts_person_id"), "campaign_contacts", ["person_id"], unique=False)
    op.create_table(
        "campaign_messages",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("debt_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("template", sa.String(64), nullable=False),
        sa.Column("occasion", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("policy_hash", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("provider_id", sa.String(128), nullable=True),
        sa.Column("reason", sa.String(64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('sending', 'sent', 'failed', 'unknown')", name=op.f("ck_campaign_messages_state")
        ),
        sa.ForeignKeyConstraint(["debt_id"], ["campaign_debts.id"], name=op.f("fk_campaign_messages_debt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_messages")),
        sa.UniqueConstraint(
            "debt_id", "template", "occasion", name=op.f("uq_campaign_messages_debt_id_template_occasion")
        ),
    )
    op.create_index(op.f("ix_campaign_messages_state"), "campaign_messages", ["state"], unique=False)
    op.create_table(
        "campaign_updates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lender", sa.String(128), nullable=False),
        sa.Column("reference", sa.String(128), nullable=False),
        sa.Column("debt_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("amount", sa.String(32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["debt_id"], ["campaign_debts.id"], name=op.f("fk_campaign_updates_debt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_updates")),
        sa.UniqueConstraint("lender", "reference", name=op.f("uq_campaign_updates_lender_reference")),
    )
    op.create_index(op.f("ix_campaign_updates_debt_id"), "campaign_updates", ["debt_id"], unique=False)
    op.create_table(
        "campaign_attempts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("debt_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("caller_id", sa.String(20), nullable=False),
        sa.Column("trunk", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("provider_call_id", sa.String(128), nullable=True),
        sa.Column("dialer", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=True),
        sa.Column("reason", sa.String(64), nullable=True),
        sa.Column("call_id", sa.String(36), nullable=True),
        sa.Column("policy_hash", sa.String(128), nullable=True),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dialing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', "
            "'unknown', 'ended', 'failed', 'absent', 'released')",
            name=op.f("ck_campaign_attempts_state"),
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["campaign_contacts.id"], name=op.f("fk_campaign_attempts_contact_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_attempts")),
        sa.UniqueConstraint("contact_id", "n", name=op.f("uq_campaign_attempts_contact_id_n")),
    )
    op.create_index(
        op.f("ix_campaign_attempts_provider_provider_call_id"),
        "campaign_attempts",
        ["provider", "provider_call_id"],
        unique=False,
    )
    op.create_index(op.f("ix_campaign_attempts_state"), "campaign_attempts", ["state"], unique=False)
    op.create_index(op.f("ix_campaign_attempts_trunk_state"), "campaign_attempts", ["trunk", "state"], unique=False)
    op.create_index(
        "ux_campaign_attempts_live_contact_id",
        "campaign_attempts",
        ["contact_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"),
        postgresql_where=sa.text(
            "state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"
        ),
    )
    op.create_index(
        "ux_campaign_attempts_live_number",
        "campaign_attempts",
        ["number"],
        unique=True,
        sqlite_where=sa.text("state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"),
        postgresql_where=sa.text(
            "state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"
        ),
    )
    op.create_index(
        "ux_campaign_attempts_live_person_id",
        "campaign_attempts",
        ["person_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"),
        postgresql_where=sa.text(
            "state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"
        ),
    )


def downgrade() -> None:
    op.drop_index(
        "ux_campaign_attempts_live_person_id",
        table_name="campaign_attempts",
        sqlite_where=sa.text("state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"),
        postgresql_where=sa.text(
            "state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"
        ),
    )
    op.drop_index(
        "ux_campaign_attempts_live_number",
        table_name="campaign_attempts",
        sqlite_where=sa.text("state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"),
        postgresql_where=sa.text(
            "state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"
        ),
    )
    op.drop_index(
        "ux_campaign_attempts_live_contact_id",
        table_name="campaign_attempts",
        sqlite_where=sa.text("state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"),
        postgresql_where=sa.text(
            "state IN ('reserved', 'dialing', 'placed', 'ringing', 'answered', 'closing', 'unknown')"
        ),
    )
    op.drop_index(op.f("ix_campaign_attempts_trunk_state"), table_name="campaign_attempts")
    op.drop_index(op.f("ix_campaign_attempts_state"), table_name="campaign_attempts")
    op.drop_index(op.f("ix_campaign_attempts_provider_provider_call_id"), table_name="campaign_attempts")
    op.drop_table("campaign_attempts")
    op.drop_index(op.f("ix_campaign_updates_debt_id"), table_name="campaign_updates")
    op.drop_table("campaign_updates")
    op.drop_index(op.f("ix_campaign_messages_state"), table_name="campaign_messages")
    op.drop_table("campaign_messages")
    op.drop_index(op.f("ix_campaign_contacts_person_id"), table_name="campaign_contacts")
    op.drop_index(op.f("ix_campaign_contacts_debt_id"), table_name="campaign_contacts")
    op.drop_index(op.f("ix_campaign_contacts_campaign_id_state_next_at"), table_name="campaign_contacts")
    op.drop_table("campaign_contacts")
    op.drop_index(op.f("ix_campaign_person_numbers_number"), table_name="campaign_person_numbers")
    op.drop_table("campaign_person_numbers")
    op.drop_index(op.f("ix_campaign_debts_person_id"), table_name="campaign_debts")
    op.drop_index(op.f("ix_campaign_debts_lender_state"), table_name="campaign_debts")
    op.drop_table("campaign_debts")
    op.drop_table("campaigns")
    op.drop_table("campaign_trunks")
    op.drop_index(op.f("ix_campaign_records_person_id_at"), table_name="campaign_records")
    op.drop_index(op.f("ix_campaign_records_number_at"), table_name="campaign_records")
    op.drop_table("campaign_records")
    op.drop_table("campaign_people")
    op.drop_index(op.f("ix_campaign_outbox_state_next_at"), table_name="campaign_outbox")
    op.drop_table("campaign_outbox")
    op.drop_table("campaign_numbers")
    op.drop_table("campaign_imports")
    op.drop_table("campaign_dialers")
