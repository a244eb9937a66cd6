"""What became of promises; sums for charts, kept beforehand; a machine's greeting is no conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PROMISE = ("promise_due", "promise_reached", "promise_ended")
OF_TURNS = ("borrower_turns", "valence_sum", "arousal_sum", "positive", "anxious", "sad", "frustrated", "angry")
COUNTS = (
    "calls", "conversations", "right_party", "promises", "complaints", "opt_outs", "handed_over", "flagged", "refusals",
    "borrower_turns", "positive", "anxious", "sad", "frustrated", "angry",
)  # fmt: skip
SUMS = ("seconds", "valence_sum", "arousal_sum")
SUMMED = (
    "lang", "disposition", "scenario", "campaign", "script_id", "stage", "severity", "seconds", "refusals",
    "right_party", "opt_out", "complaint", *OF_TURNS,
)  # fmt: skip
"""Columns of a summary that the sums are made of: a change to any of them makes its hour stale."""
HOUR = "/ 3600000000"


def upgrade() -> None:
    for name in PROMISE:  # not by copying the table, on SQLite either: what hangs on it by key stays as it is
        op.add_column("summaries", sa.Column(name, sa.Integer()))
    op.execute("CREATE INDEX ix_summaries_promised ON summaries (doc) WHERE promise_due IS NOT NULL")
    op.create_table(
        "promise_cases",
        sa.Column("case_id", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_promise_cases"),
    )
    op.create_table(
        "promise_sources",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_promise_sources"),
    )
    op.execute(
        "INSERT INTO promise_cases (case_id) SELECT DISTINCT case_id FROM calls "
        "WHERE disposition = 'promise_to_pay' AND promise_amount IS NOT NULL AND promise_date IS NOT NULL "
        "AND case_id IS NOT NULL"
    )

    op.add_column("summary_reasons", sa.Column("review", sa.String(8), nullable=False, server_default="none"))
    op.execute(
        "UPDATE summary_reasons SET review = (SELECT review FROM summaries WHERE summaries.doc = summary_reasons.doc)"
    )
    op.create_index("ix_summary_reasons_review_reason_severity", "summary_reasons", ["review", "reason", "severity"])

    op.create_table(
        "summary_cells",
        sa.Column("dimension", sa.String(16), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lang", sa.String(8), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        *(sa.Column(name, sa.Double(), nullable=False) for name in SUMS),
        sa.PrimaryKeyConstraint("dimension", "hour", "lang", "value", name="pk_summary_cells"),
        sqlite_with_rowid=False,  # read by ranges of its key: one tree, not two
    )
    op.create_table(
        "summary_stale",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_summary_stale"),
    )
    op.create_index("ix_summary_stale_hour", "summary_stale", ["hour"])
    op.execute(f"INSERT INTO summary_stale (hour) SELECT DISTINCT doc {HOUR} FROM summaries")  # noqa: S608 - ours
    zeroed = ", ".join(f"{name} = 0" for name in OF_TURNS)
    op.execute(f"UPDATE summaries SET {zeroed} WHERE disposition = 'voicemail'")  # noqa: S608 - names of ours
    _triggers()


def _triggers() -> None:
    columns = ", ".join(SUMMED)
    if op.get_bind().dialect.name == "sqlite":
        for name, what, row in (
            ("add", "INSERT", "new"),
            ("change", f"UPDATE OF {columns}", "new"),
            ("drop", "DELETE", "old"),
        ):
            note = f"INSERT INTO summary_stale (hour) VALUES ({row}.doc {HOUR});"  # noqa: S608 - names of ours
            op.execute(f"CREATE TRIGGER summary_stale_{name} AFTER {what} ON summaries BEGIN {note} END")
        return
    note = f"INSERT INTO summary_stale (hour) VALUES (coalesce(new.doc, old.doc) {HOUR});"  # noqa: S608 - names of ours
    op.execute(
        f"CREATE FUNCTION summary_stale() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {note} RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER summary_stale AFTER INSERT OR DELETE OR UPDATE OF {columns} ON summaries "
        "FOR EACH ROW EXECUTE FUNCTION summary_stale()"
    )


def downgrade() -> None:
    # `callgate archive reprocess` counts the machines' turns again, for who wants them.
    if op.get_bind().dialect.name == "sqlite":
        for name in ("add", "change", "drop"):
            op.execute(f"DROP TRIGGER summary_stale_{name}")
    else:
        op.execute("DROP TRIGGER summary_stale ON summaries")
        op.execute("DROP FUNCTION summary_stale()")
    op.drop_table("summary_stale")
    op.drop_table("summary_cells")
    op.drop_index("ix_summary_reasons_review_reason_severity", "summary_reasons")
    op.drop_column("summary_reasons", "review")
    op.drop_table("promise_sources")
    op.drop_table("promise_cases")
    op.drop_index("ix_summaries_promised", "summaries")
    for name in reversed(PROMISE):
        op.drop_column("summaries", name)
