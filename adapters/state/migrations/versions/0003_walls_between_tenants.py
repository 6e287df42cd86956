"""PostgreSQL alone: texts sort by code point, and a row is its tenant's by the server's own word.

A row is seen and written where the transaction names its tenant, or says that it works for all;
where it says nothing, there are no rows. The tables' owner is bound by that too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = (
    "api_key attempt change chunk chunk_vectors collection conversation document event execution "
    "idempotency ledger message reader turn"
).split()
_MINE = (
    "tenant = current_setting('colonnade.tenant', true) "
    "OR current_setting('colonnade.every_tenant', true) = 'on'"
)
# Without a tenant a row is refused too, but as a broken rule of the table: that tells a writer
# that what the row belongs to is gone.
_MAY_BE = f"tenant IS NULL OR {_MINE}"


def upgrade() -> None:
    """Make the change."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _TABLES:
        _sort_by_code_point(table)
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenants ON {table} USING ({_MINE}) WITH CHECK ({_MAY_BE})")


def _sort_by_code_point(table: str) -> None:
    columns = sa.inspect(op.get_bind()).get_columns(table)
    changes = ", ".join(
        f'ALTER COLUMN {column["name"]} TYPE text COLLATE "C"'
        for column in columns
        if isinstance(column["type"], sa.Text)
    )
    op.execute(f"ALTER TABLE {table} {changes}")
