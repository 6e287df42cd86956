"""Answers and vectors that may be given again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_MINE = (
    "tenant = current_setting('colonnade.tenant', true) "
    "OR current_setting('colonnade.every_tenant', true) = 'on'"
)


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "cached",
        *[sa.Column(name, _text(), nullable=False) for name in ("tenant", "kind", "digest")],
        sa.Column("body", sa.LargeBinary(), nullable=False),
        *[
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("size_bytes", "made_at", "expires_at")
        ],
        sa.PrimaryKeyConstraint("tenant", "kind", "digest", name="pk_cached"),
    )
    newest = ["tenant", "kind", "made_at", "digest", "size_bytes"]
    op.create_index("ix_cached_newest", "cached", newest, unique=False)
    op.create_index("ix_cached_expires_at", "cached", ["expires_at"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE cached ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE cached FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenants ON cached USING ({_MINE}) WITH CHECK ({_MINE})")


def _text() -> sa.Text:
    """Sorted by code point, as SQLite does by itself."""
    return sa.Text(collation="C") if op.get_bind().dialect.name == "postgresql" else sa.Text()
