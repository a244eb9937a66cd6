"""Alembic's entry point for every history in the archive's database. The caller passes an open connection and the
history's version table in ``config.attributes``; its transaction is the migration's, so a migration happens whole or
not at all."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
