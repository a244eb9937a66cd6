"""Alembic's entry point. The caller passes an open connection in ``config.attributes``; its transaction is the
migration's, so a migration happens whole or not at all."""

from __future__ import annotations

from alembic import context

from archive.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
