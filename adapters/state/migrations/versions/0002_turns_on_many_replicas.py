"""Turns that wait, are swept, and are read elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the change."""
    _turn()
    _reader()


def _turn() -> None:
    op.add_column("turn", sa.Column("approval", sa.Text(), nullable=False, server_default=""))
    op.add_column("turn", sa.Column("wait_until", sa.BigInteger(), nullable=True))
    op.add_column("turn", sa.Column("decision", sa.Text(), nullable=True))
    op.add_column(
        "turn",
        sa.Column("forgotten", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("turn", sa.Column("sweep", sa.Text(), nullable=True))
    op.execute("UPDATE turn SET sweep = 'forget' WHERE state IN ('FINISHED', 'FAILED')")
    op.drop_index("ix_turn_running", "turn")
    op.create_index(
        "ix_turn_state_created_at_id", "turn", ["state", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_turn_sweep",
        "turn",
        ["sweep", "ended_at", "id"],
        unique=False,
        sqlite_where=sa.text("sweep IS NOT NULL"),
        postgresql_where=sa.text("sweep IS NOT NULL"),
    )


def _reader() -> None:
    op.create_table(
        "reader",
        sa.Column("turn", sa.Text(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("turn", "boot", name="pk_reader"),
    )
