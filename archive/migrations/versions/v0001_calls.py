"""Calls, verdicts, turns, events and flags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DISPOSITIONS = (
    "promise_to_pay",
    "plan_requested",
    "paid_claimed",
    "wrong_number",
    "third_party_reached",
    "refused",
    "disputed",
    "stop_contact",
    "human_handoff",
    "crisis_handoff",
    "voicemail",
    "no_response",
    "hung_up",
    "callback_booked",
    "failed",
)


def _one_of(column: str, *values: str) -> str:
    return f"{column} IN ({', '.join(repr(v) for v in values)})"


def _call_id(table: str) -> tuple[sa.Column[str], sa.ForeignKeyConstraint, sa.UniqueConstraint]:
    return (
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=f"fk_{table}_call_id", ondelete="CASCADE"),
        sa.UniqueConstraint("call_id", "seq", name=f"uq_{table}_call_id_seq"),
    )


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("lang", sa.String(8), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("scenario", sa.String(128)),
        sa.Column("campaign", sa.String(128)),
        sa.Column("case_id", sa.String(128)),
        sa.Column("script_id", sa.String(128)),
        sa.Column("script_hash", sa.String(128)),
        sa.Column("policy", sa.String(128)),
        sa.Column("policy_hash", sa.String(128)),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("disposition", sa.String(32)),
        sa.Column("promise_date", sa.Date()),
        sa.Column("promise_amount", sa.String(32)),
        sa.Column("promise_currency", sa.String(8)),
        sa.Column("recording", sa.Text()),
        sa.Column("response_gap_p50_ms", sa.Double()),
        sa.Column("response_gap_p95_ms", sa.Double()),
        sa.Column("response_gap_n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.CheckConstraint(_one_of("lang", "zh", "en"), name="lang"),
        sa.CheckConstraint(_one_of("status", "live", "ended", "interrupted"), name="status"),
        sa.CheckConstraint("disposition IS NULL OR " + _one_of("disposition", *DISPOSITIONS), name="disposition"),
        sa.CheckConstraint("response_gap_n >= 0", name="response_gap_n"),
    )
    for column in ("started_at", "status", "disposition", "case_id", "campaign"):
        op.create_index(f"ix_calls_{column}", "calls", [column])

    op.create_table(
        "verdicts",
        sa.Column("id", sa.Integer(), nullable=False),
        *_call_id("verdicts"),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("proposed", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("line_id", sa.String(128)),
        sa.Column("script_hash", sa.String(128)),
        sa.Column("policy_hash", sa.String(128)),
        sa.PrimaryKeyConstraint("id", name="pk_verdicts"),
        sa.CheckConstraint(_one_of("decision", "allow", "rewrite", "refuse", "escalate", "end_call"), name="decision"),
    )
    op.create_index("ix_verdicts_decision", "verdicts", ["decision"])

    op.create_table(
        "turns",
        sa.Column("id", sa.Integer(), nullable=False),
        *_call_id("turns"),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(16), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("end", sa.Double(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("heard_text", sa.Text()),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("confidence", sa.Double()),
        sa.Column("intent", sa.String(64)),
        sa.Column("intents", sa.JSON(), nullable=False),
        sa.Column("slots", sa.JSON(), nullable=False),
        sa.Column("emotion", sa.String(32)),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("arousal", sa.Double()),
        sa.Column("valence", sa.Double()),
        sa.Column("line_id", sa.String(128)),
        sa.Column("script_hash", sa.String(128)),
        sa.Column("verdict_seq", sa.Integer()),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("response_gap_ms", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_turns"),
        sa.ForeignKeyConstraint(
            ["call_id", "verdict_seq"],
            ["verdicts.call_id", "verdicts.seq"],
            name="fk_turns_call_id_verdict_seq",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(_one_of("who", "borrower", "agent"), name="who"),
        sa.CheckConstraint('"end" >= start', name="span"),
    )
    op.create_index("ix_turns_intent", "turns", ["intent"])
    op.create_index("ix_turns_emotion", "turns", ["emotion"])

    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        *_call_id("events"),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_kind", "events", ["kind"])

    op.create_table(
        "flags",
        sa.Column("id", sa.Integer(), nullable=False),
        *_call_id("flags"),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flags"),
        sa.CheckConstraint(_one_of("severity", "low", "medium", "high", "critical"), name="severity"),
    )
    op.create_index("ix_flags_reason", "flags", ["reason"])


def downgrade() -> None:
    for table in ("flags", "events", "turns", "verdicts", "calls"):
        op.drop_table(table)
