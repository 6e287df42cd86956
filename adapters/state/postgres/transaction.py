"""A unit of work: the repositories over one session."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from adapters.state.postgres.conversations import PostgresConversationRows
from adapters.state.postgres.knowledge import PostgresKnowledgeRows
from adapters.state.postgres.session import PostgresSession
from adapters.state.postgres.turns import PostgresTurnRows
from adapters.state.rows.api_keys import SqlApiKeyRows
from adapters.state.rows.budgets import SqlBudgetRows
from adapters.state.rows.cached import SqlCacheRows
from adapters.state.rows.spending import SqlSpendingRows
from adapters.state.rows.turn_log import SqlEventRows, SqlIdempotencyRows, SqlReaderRows


class Began(Protocol):
    """What knows when a transaction began."""

    @property
    def now(self) -> datetime:
        """The server's time then."""


class PostgresTransaction:
    """See core.ports.state.Transaction."""

    __slots__ = ("_began", "_session")

    def __init__(self, session: PostgresSession, began: Began) -> None:
        self._session = session
        self._began = began

    @property
    def now(self) -> datetime:
        """The server's time as the transaction began."""
        return self._began.now

    @property
    def turns(self) -> PostgresTurnRows:
        """Turns."""
        return PostgresTurnRows(self._session)

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
    def conversations(self) -> PostgresConversationRows:
        """Conversations and messages."""
        return PostgresConversationRows(self._session)

    @property
    def knowledge(self) -> PostgresKnowledgeRows:
        """Collections, documents, chunks, change log."""
        return PostgresKnowledgeRows(self._session)

    @property
    def api_keys(self) -> SqlApiKeyRows:
        """API keys."""
        return SqlApiKeyRows(self._session)
