"""Sealed recordings, the audit chain, holds, purges, and what lists, charts and search read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = "the audit chain is append-only"


def _call_id(table: str) -> tuple[sa.Column[str], sa.ForeignKeyConstraint]:
    return (
        sa.Column("call_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=f"fk_{table}_call_id", ondelete="CASCADE"),
    )


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _doc(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column("doc", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["doc"], ["summaries.doc"], name=f"fk_{table}_doc", ondelete="CASCADE"),
    )


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(sa.Column("person_id", sa.String(128)))
        calls.add_column(sa.Column("stage", sa.String(64)))
    _index("calls", "person_id")

    op.create_table(
        "recordings",
        *_call_id("recordings"),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("remote", sa.Text()),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(64)),
        sa.Column("wrapped_key", sa.Text()),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("stored_sha256", sa.String(64), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("purged_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("call_id", name="pk_recordings"),
    )
    _index("recordings", "key_id")
    _index("recordings", "purged_at")
    op.create_table(
        "peaks",
        *_call_id("peaks"),
        sa.Column("bin_frames", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_peaks"),
    )
    _audit()
    op.create_table(
        "holds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_by", sa.String(128), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_by", sa.String(128)),
        sa.Column("released_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
        sa.CheckConstraint("scope IN ('call', 'case', 'person')", name="scope"),
    )
    _index("holds", "scope", "subject")
    op.create_table(
        "purged",
        *_call_id("purged"),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "record_class", name="pk_purged"),
    )
    _summaries()
    _search()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    _index("audit", "subject", "kind")
    _index("audit", "kind", "seq")
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
        sa.CheckConstraint("id = 1", name="one"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{what.lower()} BEFORE {what} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    )


def _summaries() -> None:
    counts = ("turns", "borrower_turns", "positive", "anxious", "sad", "frustrated", "angry", "refusals")
    op.create_table(
        "summaries",
        sa.Column("doc", sa.BigInteger(), autoincrement=False, nullable=False),
        *_call_id("summaries"),
        sa.Column("lang", sa.String(8), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("disposition", sa.String(32)),
        sa.Column("scenario", sa.String(128)),
        sa.Column("campaign", sa.String(128)),
        sa.Column("script_id", sa.String(128)),
        sa.Column("stage", sa.String(64)),
        sa.Column("review", sa.String(8), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts),
        sa.Column("valence_sum", sa.Double(), nullable=False),
        sa.Column("arousal_sum", sa.Double(), nullable=False),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("right_party", "opt_out", "complaint")),
        sa.Column("gap_p95_ms", sa.Double()),
        sa.PrimaryKeyConstraint("doc", name="pk_summaries"),
        sa.UniqueConstraint("call_id", name="uq_summaries_call_id"),
        sa.CheckConstraint("review IN ('none', 'open', 'done')", name="review"),
    )
    _index("summaries", "review", "severity", "doc")
    for column in ("severity", "disposition", "campaign", "lang", "script_id", "stage", "scenario"):
        _index("summaries", column, "doc")
    op.create_table(
        "summary_reasons",
        sa.Column("reason", sa.String(64), nullable=False),
        *_doc("summary_reasons"),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("reason", "doc", name="pk_summary_reasons"),
    )
    _index("summary_reasons", "doc")
    op.create_table(
        "summary_rules",
        sa.Column("rule", sa.String(128), nullable=False),
        *_doc("summary_rules"),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "doc", "decision", name="pk_summary_rules"),
    )
    _index("summary_rules", "doc")


def _search() -> None:
    op.create_table(
        "call_text",
        *_doc("call_text"),
        sa.Column("tokens", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("doc", name="pk_call_text"),
    )
    if op.get_bind().dialect.name != "sqlite":
        op.execute(
            "ALTER TABLE call_text ADD COLUMN vector tsvector "
            "GENERATED ALWAYS AS (array_to_tsvector(string_to_array(tokens, ' '))) STORED"
        )
        op.execute("CREATE INDEX ix_call_text_vector ON call_text USING gin (vector)")
        return
    # The tokens are ours, letters and digits alone: this tokeniser only splits them at the spaces.
    op.execute(
        "CREATE VIRTUAL TABLE call_fts USING fts5("
        "tokens, content='call_text', content_rowid='doc', detail='none', tokenize='unicode61 remove_diacritics 0')"
    )
    add = "INSERT INTO call_fts(rowid, tokens) VALUES (new.doc, new.tokens);"
    drop = "INSERT INTO call_fts(call_fts, rowid, tokens) VALUES ('delete', old.doc, old.tokens);"
    op.execute(f"CREATE TRIGGER call_fts_add AFTER INSERT ON call_text BEGIN {add} END")
    op.execute(f"CREATE TRIGGER call_fts_drop AFTER DELETE ON call_text BEGIN {drop} END")
    op.execute(f"CREATE TRIGGER call_fts_change AFTER UPDATE ON call_text BEGIN {drop} {add} END")


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        op.execute("DROP TABLE call_fts")
    for table in ("call_text", "summary_rules", "summary_reasons", "summaries", "purged", "holds"):
        op.drop_table(table)
    op.drop_table("audit_head")
    op.drop_table("audit")
    if not sqlite:
        op.execute("DROP FUNCTION audit_append_only()")
    for table in ("peaks", "recordings"):
        op.drop_table(table)
    op.drop_index("ix_calls_person_id", "calls")
    with op.batch_alter_table("calls") as calls:
        calls.drop_column("stage")
        calls.drop_column("person_id")
