"""A unit of work: the repositories over one session."""

from __future__ import annotations

from datetime import datetime

from adapters.state.rows.api_keys import SqlApiKeyRows
from adapters.state.rows.budgets import SqlBudgetRows
from adapters.state.rows.cached import SqlCacheRows
from adapters.state.rows.conversations import SqlConversationRows
from adapters.state.rows.knowledge import SqlKnowledgeRows
from adapters.state.rows.spending import SqlSpendingRows
from adapters.state.rows.turn_log import (
    SqlEventRows,
    SqlIdempotencyRows,
    SqlReaderRows,
)
from adapters.state.sqlite.session import Session
from adapters.state.sqlite.turns import SqliteTurnRows


class SqliteTransaction:
    """See core.ports.state.Transaction. `now` is the process's time at the start."""

    __slots__ = (
        "api_keys",
        "budgets",
        "cached",
        "conversations",
        "events",
        "idempotency",
        "knowledge",
        "now",
        "readers",
        "spending",
        "turns",
    )

    def __init__(self, session: Session, now: datetime) -> None:
        self.now = now
        self.turns = SqliteTurnRows(session)
        self.idempotency = SqlIdempotencyRows(session)
        self.events = SqlEventRows(session)
        self.readers = SqlReaderRows(session)
        self.spending = SqlSpendingRows(session)
        self.budgets = SqlBudgetRows(session)
        self.cached = SqlCacheRows(session)
        self.conversations = SqlConversationRows(session)
        self.knowledge = SqlKnowledgeRows(session)
        self.api_keys = SqlApiKeyRows(session)
