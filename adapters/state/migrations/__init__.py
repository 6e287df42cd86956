"""The store's history, step by step; see `upgrade`.

`REVISIONS` names the steps in order without importing Alembic, so that a start that has nothing
to migrate does not pay for it.
"""

from __future__ import annotations

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD = REVISIONS[-1]
VERSION_TABLE = "alembic_version"
