"""Budgets and their alerts; what an attempt is paid from; the API key in the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_MINE = (
    "tenant = current_setting('colonnade.tenant', true) "
    "OR current_setting('colonnade.every_tenant', true) = 'on'"
)


def upgrade() -> None:
    """Make the change."""
    _spending()
    op.create_table(
        "budget",
        *_texts("id", "tenant", "rule", "account"),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budget"),
    )
    op.create_table(
        "budget_alert",
        *_texts("budget", "tenant"),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        *_texts("threshold", "budget_limit", "spent", "currency"),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "budget", "window_start", "threshold", "budget_limit", name="pk_budget_alert"
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        _walls("budget", "budget_alert")


def _spending() -> None:
    for table, column in (("attempt", "key_id"), ("attempt", "holder"), ("ledger", "key_id")):
        op.add_column(table, sa.Column(column, _text(), nullable=False, server_default=""))
    held = sa.text("holder <> ''")
    op.create_index(
        "ix_attempt_holder",
        "attempt",
        ["holder", "unit", "number"],
        unique=False,
        sqlite_where=held,
        postgresql_where=held,
    )
    op.create_index("ix_ledger_tenant_booked_at", "ledger", ["tenant", "booked_at"], unique=False)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _text(), nullable=False) for name in names]


def _text() -> sa.Text:
    """Sorted by code point, as SQLite does by itself."""
    return sa.Text(collation="C") if op.get_bind().dialect.name == "postgresql" else sa.Text()


def _walls(*tables: str) -> None:
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenants ON {table} USING ({_MINE}) WITH CHECK ({_MINE})")
