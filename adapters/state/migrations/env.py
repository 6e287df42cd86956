"""Alembic's entry: migrates over the connection that `upgrade` hands in."""

from __future__ import annotations

from alembic import context

from adapters.state.migrations import VERSION_TABLE
from adapters.state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot change a column in place
)
with context.begin_transaction():
    context.run_migrations()
