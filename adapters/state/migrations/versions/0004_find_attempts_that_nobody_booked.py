"""Attempts of bare generations whose process died are found without reading all attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the change."""
    orphaned = sa.text("NOT booked AND epoch = 0")
    op.create_index(
        "ix_attempt_orphaned",
        "attempt",
        ["began_at"],
        unique=False,
        sqlite_where=orphaned,
        postgresql_where=orphaned,
    )
