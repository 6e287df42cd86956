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
    """See core.ports.state.Transaction."""

    __slots__ = ("_now", "_session")

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now

    @property
    def now(self) -> datetime:
        """The process's time at the start."""
        return self._now

    @property
    def turns(self) -> SqliteTurnRows:
        """Turns."""
        return SqliteTurnRows(self._session)

    @property
    def idempotency(self) -> SqlIdempotencyRows:
        """Request ids."""
        return SqlIdempotencyRows(self._session)

    @property
    def events(self) -> SqlEventRows:
        """The turn log."""
        return SqlEventRows(self._session)

    @property
    def readers(self) -> SqlReaderRows:
        """Who reads a turn elsewhere."""
        return SqlReaderRows(self._session)

    @property
    def spending(self) -> SqlSpendingRows:
        """Attempts and ledger."""
        return SqlSpendingRows(self._session)

    @property
    def budgets(self) -> SqlBudgetRows:
        """Budgets and their alerts."""
        return SqlBudgetRows(self._session)

    @property
    def cached(self) -> SqlCacheRows:
        """Answers and vectors."""
        return SqlCacheRows(self._session)

    @property
    def conversations(self) -> SqlConversationRows:
        """Conversations and messages."""
        return SqlConversationRows(self._session)

    @property
    def knowledge(self) -> SqlKnowledgeRows:
        """Collections, documents, chunks, change log."""
        return SqlKnowledgeRows(self._session)

    @property
    def api_keys(self) -> SqlApiKeyRows:
        """API keys."""
        return SqlApiKeyRows(self._session)
